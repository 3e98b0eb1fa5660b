"""The state of one clearing: what is taken, what every limit has left, and the reason nearest to acceptance of each offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.domain.bids import Direction
from backend.domain.quantity import PPM, split
from backend.domain.trade import Reason
from backend.market.book import Book, Ints
from backend.market.limits import Limits

NEARNESS = (
    Reason.NO_NEED,
    Reason.OTHER_PRODUCT,
    Reason.WRONG_DIRECTION,
    Reason.NO_EFFECT,
    Reason.NOT_AT_NODE,
    Reason.PRICE_CAP,
    Reason.LINKED,
    Reason.NEED_MET,
    Reason.MINIMUM,
    Reason.OTHER_WAY,
    Reason.GUARD,
)
LEVEL = {reason: level for level, reason in enumerate(NEARNESS)}
_STOPPED = LEVEL[Reason.GUARD]
_NEVER = np.iinfo(np.int64).max
Moves = Mapping[tuple[str, int], Direction]


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """Entries taken in one go: place of the request, reserve or not, and W of each entry."""

    request: int
    reserve: bool
    frame: int
    entry: Ints
    volume_w: Ints


@dataclass(slots=True, eq=False)
class State:
    """margins: by quarter-hour, head-room (ppt) of each element. moved: by quarter-hour and point +1, -1 or 0.

    level: place of the reason in NEARNESS; element and turn: of the first limit that stopped the offer.
    """

    book: Book
    limits: Limits
    taken_w: Ints
    margins: dict[int, Ints]
    moved: dict[int, Ints]
    level: Ints
    turn: Ints
    element_no: Ints
    numbers: dict[str, int] = field(default_factory=lambda: {"": 0})
    bought: list[Bought] = field(default_factory=list)

    def margin(self, frame: int) -> Ints:
        """Head-room of a quarter-hour's elements, to be changed in place."""
        if frame not in self.margins:
            self.margins[frame] = self.limits.at(frame).margin_ppt.copy()
        return self.margins[frame]

    def moves(self, frame: int) -> Ints:
        """Which way each point moves in a quarter-hour, to be changed in place."""
        if frame not in self.moved:
            self.moved[frame] = np.zeros(len(self.book.points), dtype=np.int8)
        return self.moved[frame]

    def note(self, offers: Ints, reason: Reason) -> None:
        """Remembers the reason of these offers if it is nearer to acceptance than what is known."""
        self.level[offers] = np.maximum(self.level[offers], LEVEL[reason])

    def note_stopped(self, offers: Ints, elements: tuple[str, ...], which: Ints, turn: int) -> None:
        """Remembers that a limit stopped these offers; of several the one of the first turn is named."""
        numbers = np.array([self._number(element) for element in elements], dtype=np.int64)
        first = (self.level[offers] < _STOPPED) | (turn < self.turn[offers])
        offers = offers[first]
        self.level[offers], self.turn[offers] = _STOPPED, turn
        self.element_no[offers] = numbers[which[first]]

    def _number(self, element: str) -> int:
        return self.numbers.setdefault(element, len(self.numbers))

    def move(self, offers: Ints, volume_w: Ints, frame: int) -> None:
        """These offers, taken with these W, move their points in a quarter-hour: those that get a watt of it."""
        moves, book = self.moves(frame), self.book
        first, count = book.first_point[offers], book.first_point[offers + 1] - book.first_point[offers]
        moves[book.point[first[count == 1]]] = book.sign[offers[count == 1]]
        for offer, watts in zip(offers[count > 1].tolist(), volume_w[count > 1].tolist(), strict=True):
            mine = book.points_of(offer)
            parts = self.parts_w(offer, watts)
            moves[book.point[mine][np.array(parts) > 0]] = book.sign[offer]

    def parts_w(self, offer: int, watts: int) -> list[int]:
        """W of each of an offer's points, in order of name, when it is taken with these W."""
        book = self.book
        mine = book.points_of(offer)
        weights = dict(zip(book.point[mine].tolist(), book.share[mine].tolist(), strict=True))
        return list(split(watts, weights).values())

    def moved_w(self, offer: int, volume_w: Mapping[int, int]) -> dict[int, list[int]]:
        """W of each of an offer's points by quarter-hour when it is taken with these W; negative: what rebounds."""
        found: dict[int, list[int]] = {}
        for frame, watts in volume_w.items():
            parts = self.parts_w(offer, watts)
            _add(found, frame, parts)
            for later, ppm in self.book.rebound_ppm.get(offer, {}).items():
                _add(found, frame + later, [-(w * ppm // PPM) for w in parts])
        return found

    def gained(self, offer: int, frame: int, parts_w: Sequence[int]) -> list[int]:
        """Head-room gained on each element when an offer's points move by these W (negative: the other way)."""
        book, effect = self.book, self.limits.at(frame).effect_ppt_per_w
        mine, sign = effect[:, self.limits.place[book.point[book.points_of(offer)]]], -int(book.sign[offer])
        return [sign * sum(e * w for e, w in zip(row, parts_w, strict=True)) for row in mine.tolist()]

    def broken_by(self, offer: int, frame: int, parts_w: Sequence[int]) -> int | None:
        """Place of the first element that these W of an offer's points would break, or break more; None if none."""
        margins, changes = self.margin(frame).tolist(), self.gained(offer, frame, parts_w)
        broken = (m for m, (a, b) in enumerate(zip(margins, changes, strict=True)) if a + b < min(a, 0))
        return next(broken, None)


def _add(total: dict[int, list[int]], frame: int, more: Sequence[int]) -> None:
    here = total.get(frame, [0] * len(more))
    total[frame] = [a + b for a, b in zip(here, more, strict=True)]


def fresh(book: Book, limits: Limits, moves: Moves) -> State:
    """Nothing taken yet; moves: of earlier sessions, by (point, quarter-hour)."""
    count = len(book.ids)
    state = State(
        book, limits, np.zeros(len(book.offer), dtype=np.int64), {}, {}, np.zeros(count, dtype=np.int8),
        np.full(count, _NEVER), np.zeros(count, dtype=np.int64),
    )  # fmt: skip
    place = {name: k for k, name in enumerate(book.points)}
    for (point, frame), direction in moves.items():
        if point in place:
            state.moves(frame)[place[point]] = -1 if direction is Direction.UP else 1
    return state
