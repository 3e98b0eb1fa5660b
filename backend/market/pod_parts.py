"""No more of a POD than its part of an offer, in however many awards the offer is taken.

1. An award is split over an offer's PODs in whole watts. Several awards of one offer and quarter-hour (of price steps, requests,
   a reserve) might each be rounded up for the same POD. What is more than the POD's part of the whole offer, which is what a
   session holds of it, goes to the offer's other PODs, by what their parts leave.
2. That breaks no limit, takes nothing back of the relief that was asked for, and moves no POD two ways. Where it would, the
   offer is capped by as much, and the session is decided once more; where that does not help, by twice as much, and so on, down
   to what the awards before had: a TSO's award thus lowers no DSO's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backend.domain.bids import Request
from backend.domain.quantity import PPM, split
from backend.domain.trade import Reason
from backend.market.book import Book
from backend.market.state import State

Parts = dict[tuple[int, int], list[int]]


@dataclass(slots=True)
class _Overdrawn(Exception):
    """An offer's quarter-hour of which an award's watts cannot go to its other PODs; before_w: of the awards before it; element:
    the limit in the way, "" if it is a direction."""

    offer: int
    frame: int
    before_w: int
    over_w: int
    element: str


def within_parts(book: Book, asked: Sequence[Request], decide: Callable[[Book], State]) -> tuple[State, Parts]:
    """What is decided, and the parts (W by point, in order of name) of each award of an offer of several PODs, by place of
    what was bought, as it stands in the state, and in it."""
    stopped: dict[tuple[int, int], list[_Overdrawn]] = {}
    while True:
        state = decide(book)
        try:
            parts = _Shares(state, asked).all()
        except _Overdrawn as one:
            before = stopped.setdefault((one.offer, one.frame), [])
            cap_w = max(one.before_w, _taken_w(state, one) - (one.over_w << len(before)))
            book = _capped(book, one, cap_w)
            before.append(one)
            continue
        for of in stopped.values():
            _note(state, of[0])
        return state, parts


def _note(state: State, one: _Overdrawn) -> None:
    offers = np.array([one.offer])
    if one.element:
        state.note_stopped(offers, (one.element,), np.array([0]), -1)
    else:
        state.note(offers, Reason.OTHER_WAY)


def _mine(book: Book, offer: int, frame: int) -> slice:
    """The entries of an offer in a quarter-hour."""
    here = book.entries(frame)
    low, high = np.searchsorted(book.offer[here], [offer, offer + 1]).tolist()
    return slice(here.start + low, here.start + high)


def _taken_w(state: State, one: _Overdrawn) -> int:
    return int(state.taken_w[_mine(state.book, one.offer, one.frame)].sum())


def _capped(book: Book, one: _Overdrawn, cap_w: int) -> Book:
    """The book with no more than this of an offer in a quarter-hour."""
    mine, volume_w = _mine(book, one.offer, one.frame), book.volume_w.copy()
    below = np.concatenate(([0], np.cumsum(book.full_w[mine])[:-1]))
    volume_w[mine] = np.clip(cap_w - below, 0, volume_w[mine])
    return replace(book, volume_w=volume_w)


@dataclass(slots=True)
class _Shares:
    """Goes through what was bought, award by award."""

    state: State
    asked: Sequence[Request]
    given_w: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def all(self) -> Parts:
        """Rule 1."""
        state, book, found = self.state, self.state.book, {}
        several = np.diff(book.first_point) > 1
        state.bought.sort(key=lambda b: (b.request, b.reserve, b.frame))
        for number, bought in enumerate(state.bought if several.any() else ()):
            offers = book.offer[bought.entry]
            for place in np.flatnonzero(several[offers]).tolist():
                found[number, place] = self._parts(int(offers[place]), bought.frame, int(bought.volume_w[place]))
        return found

    def _parts(self, offer: int, frame: int, watts: int) -> list[int]:
        """Of an award, with those before it."""
        state, before = self.state, self.given_w.get((offer, frame))
        whole_w = int(state.book.full_w[_mine(state.book, offer, frame)].sum())
        parts = most = state.parts_w(offer, whole_w)
        if watts < whole_w or before is not None:
            parts = state.parts_w(offer, watts)
            room = [m - g for m, g in zip(most, before or [0] * len(most), strict=True)]
            if any(p > r for p, r in zip(parts, room, strict=True)):
                parts = self._moved(offer, frame, parts, room)
        self.given_w[offer, frame] = [a + b for a, b in zip(parts, before or [0] * len(parts), strict=True)]
        return parts

    def _moved(self, offer: int, frame: int, parts: Sequence[int], room: Sequence[int]) -> list[int]:
        """The parts within the room, with the margins that follow; _Overdrawn where rule 2 forbids it."""
        kept = [min(p, r) for p, r in zip(parts, room, strict=True)]
        over_w, spare = sum(parts) - sum(kept), {k: r - p for k, (r, p) in enumerate(zip(room, kept, strict=True))}
        moved = [kept[k] + w for k, w in split(over_w, spare).items()]
        state, points = self.state, self.state.book.point[self.state.book.points_of(offer)]
        ways = state.moves(frame)[points] * -state.book.sign[offer]
        before_w = sum(self.given_w.get((offer, frame), ()))
        if any(w > p and way > 0 for w, p, way in zip(moved, parts, ways.tolist(), strict=True)):
            raise _Overdrawn(offer, frame, before_w, over_w, "")
        margins = []
        for at, change in self._changes(offer, frame, parts, moved):
            margin = state.margin(at)
            after = margin + np.array(state.gained(offer, at, change), dtype=margin.dtype)
            wrong = np.flatnonzero(after < self._least(at))
            if len(wrong):
                raise _Overdrawn(offer, frame, before_w, over_w, state.limits.at(at).elements[int(wrong[0])])
            margins.append((margin, after))
        for margin, after in margins:
            margin[:] = after
        return moved

    def _changes(
        self, offer: int, frame: int, parts: Sequence[int], moved: Sequence[int]
    ) -> Iterator[tuple[int, list[int]]]:
        """W that each point moves more, by quarter-hour, with what rebounds."""
        yield frame, [b - a for a, b in zip(parts, moved, strict=True)]
        rebound: Mapping[int, int] = self.state.book.rebound_ppm.get(offer, {})
        for later, ppm in rebound.items():
            yield frame + later, [a * ppm // PPM - b * ppm // PPM for a, b in zip(parts, moved, strict=True)]

    def _least(self, frame: int) -> list[int]:
        """Head-room that each limit keeps (rule 2)."""
        here = self.state.limits.at(frame)
        found = [min(0, margin) for margin in self.state.margin(frame).tolist()]
        rows = zip(here.elements, here.margin_ppt.tolist(), self.state.margin(frame).tolist(), strict=True)
        for row, (element, before, now) in enumerate(rows):
            for request in self.asked:
                if not request.by_volume and request.element == element and frame in request.need:
                    found[row] = max(found[row], min(now, before + request.need[frame]))
        return found
