"""One request in one quarter-hour: candidates are taken in order of merit while the need lasts and every limit holds.

1. An entry is taken with the least of what it has left, what the need asks for (rounded up) and what every limit leaves.
   Where its rate eats nothing of a limit, but the whole watts of its PODs would break it, it is not taken.
2. It stops at its least part: what cannot be taken to that extent is not taken. A later price step stands only behind
   an earlier one that is taken whole.
3. What a limit stopped, wholly or in part, stops whatever is alike (market.alike) and stands behind it.
4. What is clearly taken whole, or clearly not at all, is done in bulk, by sums over a window; the first entry that is
   neither is done alone, in exact numbers. The outcome is that of one entry after the other.
"""

from dataclasses import dataclass, field

import numpy as np

from backend.domain.trade import Reason
from backend.market.alike import alike
from backend.market.book import Ints
from backend.market.limits import FrameLimits
from backend.market.merit import Candidates, Merit
from backend.market.relief import Window, window
from backend.market.state import Bought, State

_FIRST_WINDOW, _GREATEST_WINDOW = 32, 4096
_FAR = 1e-12
_MOST_NEED = 1 << 62


@dataclass(slots=True, eq=False)
class Queue:
    """row: the element whose relief is asked for; None: volume. need: still to be met. turn: of notes, unique to a request.
    stopped: place of the element that stopped the first entry of those that are alike."""

    state: State
    candidates: Candidates
    frame: int
    request: int
    reserve: bool
    row: int | None
    need: int
    turn: int
    _lump: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _size: int = _FIRST_WINDOW
    stopped: dict[int, int] = field(default_factory=dict)

    def advance(self, until: Merit | None = None) -> None:
        """Serves what stands before `until`; everything without it."""
        while self.need > 0 or until is not None:
            if not self._refill():
                return
            end = len(self._lump) if until is None else self._before(until)
            while end and self.need > 0:
                done = self._serve(min(end, self._size))
                self._lump, end = self._lump[done:], end - done
            if end:
                self._note(self._lump[:end], Reason.NEED_MET)
                self._lump = self._lump[end:]
            if len(self._lump):
                return
        self._note(np.concatenate((self._lump, self.candidates.rest())), Reason.NEED_MET)
        self._lump = self._lump[:0]

    def _refill(self) -> bool:
        if not len(self._lump):
            self._lump = self.candidates.lump()
        return bool(len(self._lump))

    def _before(self, until: Merit) -> int:
        low, high = 0, len(self._lump)
        while low < high:
            middle = (low + high) // 2
            if self.candidates.merit(int(self._lump[middle])) < until:
                low = middle + 1
            else:
                high = middle
        return low

    def _offers(self, places: Ints) -> Ints:
        return np.asarray(self.state.book.offer[self.candidates.entry[places]])

    def _note(self, places: Ints, reason: Reason) -> None:
        if len(places):
            self.state.note(self._offers(places), reason)

    def _serve(self, size: int) -> int:
        """Serves up to `size` candidates from the lump's begin; how many, at least one."""
        state, places = self.state, self._lump[:size]
        entry = self.candidates.entry[places]
        here = state.limits.at(self.frame)
        left = state.book.volume_w[entry] - state.taken_w[entry]
        one = Facts(self, here, entry, window(state.book, state.limits, here, state.book.offer[entry], left))
        done = one.clear_prefix()
        one.commit(done)
        if done < len(places) and self.need > 0:
            one.alone(done)
            done += 1
            self._size = _FIRST_WINDOW
        elif done == len(places):
            self._size = min(_GREATEST_WINDOW, 4 * self._size)
        return done

    def take(self, entry: Ints, volume_w: Ints, relief: int) -> None:
        """Books what was taken of entries; relief: the part of the need that it meets."""
        state = self.state
        state.taken_w[entry] += volume_w
        state.move(state.book.offer[entry], volume_w, self.frame)
        state.bought.append(Bought(self.request, self.reserve, self.frame, entry, volume_w))
        self.need -= relief


class Facts:
    """What is known of a window of candidates before any of them is served."""

    def __init__(self, queue: Queue, here: FrameLimits, entry: Ints, columns: Window) -> None:
        self._queue, self._here, self._entry, self._columns, self._left = queue, here, entry, columns, columns.left_w
        book, margin = queue.state.book, queue.state.margin(queue.frame)
        self._step = book.step[entry]
        self._key: Ints | None = None
        self._least = np.maximum(0, book.least_w[entry] - queue.state.taken_w[entry])
        if queue.row is None:
            self._helps, self._slack, self._relief = (
                np.ones(len(entry)),
                np.zeros(len(entry), dtype=np.int64),
                self._left,
            )
        else:
            (self._asked,), (self._relief,), (self._slack,) = columns.rows(np.array([queue.row]))
            self._helps = self._asked.astype(float) / columns.shares.astype(float)
        self._near = columns.near(margin)
        self._effect, self._change, self._slacks = columns.rows(self._near)
        self._eats = -(self._effect.astype(float) / columns.shares.astype(float))

    def clear_prefix(self) -> int:
        """How many entries from the first are clear: taken whole (`open`) or not at all; sets what `commit` needs."""
        queue = self._queue
        need = min(queue.need, _MOST_NEED)
        margin = queue.state.margin(queue.frame)[self._near]
        too_great = (need + self._slack) * (1 + _FAR) <= (self._least - 1) * self._helps
        too_great |= self._left < self._least
        stopped = self._stopped(margin[:, None]).any(axis=0) & ~too_great
        behind = self._behind(too_great | stopped)
        self.open = ~(too_great | stopped | behind)
        spent = np.cumsum(np.where(self.open, self._relief, 0))
        before = need - np.concatenate(([0], spent[:-1]))
        changes = np.cumsum(np.where(self.open, self._change, 0), axis=1)
        margins = margin[:, None] + changes - np.where(self.open, self._change, 0)
        whole = (self._left * self._helps * (1 + _FAR) <= before + self._slack) & (self._relief >= 0)
        whole &= ~self._binds(margins).any(axis=0)
        enough = (before + self._slack) > (self._least - 1) * self._helps * (1 + _FAR)
        still = self._stopped(margins)
        clear = np.where(self.open, whole, np.where(stopped & ~behind, enough & still.any(axis=0), True))
        clear &= (before > 0) & ~self._alike_stopped()
        self.stopped, self.too_great, self._margins = stopped & ~behind, too_great & ~behind, margins
        return len(clear) if clear.all() else int(np.argmin(clear))

    def _alike_stopped(self) -> Ints:
        """Entries like one that a limit stopped (rule 3)."""
        if not self._queue.stopped:
            return np.zeros(len(self._entry), dtype=bool)
        return np.isin(self._keys(), np.fromiter(self._queue.stopped, dtype=np.uint64))

    def _keys(self) -> Ints:
        if self._key is None:
            self._key = alike(self._columns, self._least)
        return self._key

    def _stopped(self, margins: Ints) -> Ints:
        """Elements x entries: where a limit surely leaves less than the least part, or not a watt."""
        room = np.maximum(0, margins - self._slacks).astype(float)
        return np.asarray((np.maximum(1, self._least) * self._eats * (1 - _FAR) > room) & (self._eats > 0))

    def _binds(self, margins: Ints) -> Ints:
        """Elements x entries: where it is not sure that the entry fits whole, or sure that its whole watts do not."""
        room = np.maximum(0, margins - self._slacks).astype(float)
        binds = np.asarray((self._left * self._eats * (1 + _FAR) > room) & (self._eats > 0))
        if self._columns.single:
            return binds
        return np.asarray(binds | (np.maximum(0, margins) + self._change < 0).astype(bool))

    def _behind(self, shut: Ints) -> Ints:
        """Later price steps whose earlier one is not taken whole, neither before nor in this window."""
        behind = np.zeros(len(shut), dtype=bool)
        later = np.flatnonzero(self._step > 0)
        if not len(later):
            return behind
        state, earlier = self._queue.state, self._entry[later] - 1
        place = {int(entry): k for k, entry in enumerate(self._entry)}
        whole = state.taken_w[earlier] == state.book.full_w[earlier]
        for k, entry, done in zip(later.tolist(), earlier.tolist(), whole.tolist(), strict=True):
            at = place.get(entry, -1)
            capped = state.book.volume_w[entry] < state.book.full_w[entry]
            behind[k] = not done and (not 0 <= at < k or shut[at] or behind[at] or capped)
        return behind

    def commit(self, count: int) -> None:
        """Takes what is open among the first `count` entries and says of the others why not."""
        queue, state = self._queue, self._queue.state
        first = slice(0, count)
        taken = np.flatnonzero(self.open[first])
        mask = np.zeros(len(self.open), dtype=bool)
        mask[taken] = True
        offers = state.book.offer[self._entry]
        state.note(offers[first][self.too_great[first]], Reason.MINIMUM)
        stopped = np.flatnonzero(self.stopped[first])
        if len(stopped):
            self._note_stopped(offers, stopped)
        if len(taken):
            state.margin(queue.frame)[:] += self._columns.gained(mask)
            queue.take(self._entry[taken], self._left[taken], int(self._relief[taken].sum()))

    def _note_stopped(self, offers: Ints, which: Ints) -> None:
        """Names the element that leaves least, exactly."""
        room = np.maximum(0, self._margins[:, which] - self._slacks[:, which])
        eats, shares = -self._effect[:, which], self._columns.shares[which]
        if int(room.max(initial=0)) * int(shares.max(initial=1)) >= _MOST_NEED:
            room = room.astype(object)
        fits = np.where(eats > 0, room * shares // np.maximum(1, eats), _MOST_NEED)
        binding, turn = self._near[np.argmin(fits, axis=0)], self._queue.turn
        self._queue.state.note_stopped(offers[which], self._here.elements, binding, turn)
        for key, row in zip(self._keys()[which].tolist(), binding.tolist(), strict=True):
            self._queue.stopped.setdefault(key, row)

    def alone(self, k: int) -> None:
        """Serves one entry in exact numbers (rules 1 to 3)."""
        queue, state, columns = self._queue, self._queue.state, self._columns
        offer, entry = int(state.book.offer[self._entry[k]]), int(self._entry[k])
        just = self._entry[k : k + 1]
        if self._step[k] > 0 and state.taken_w[entry - 1] < state.book.full_w[entry - 1]:
            return
        shares, left, least = int(columns.shares[k]), int(self._left[k]), int(self._least[k])
        effect = shares if queue.row is None else int(self._asked[k])
        wanted = min(left, -(-(queue.need + int(self._slack[k])) * shares // effect))
        if wanted < least:
            state.note(np.array([offer]), Reason.MINIMUM)
            return
        fits, which = self._fits(k, wanted)
        before = queue.stopped.get(int(self._keys()[k])) if queue.stopped else None
        if fits < wanted:
            state.note_stopped(np.array([offer]), self._here.elements, np.array([which]), queue.turn)
            queue.stopped.setdefault(int(self._keys()[k]), which)
        if fits < max(1, least):
            return
        if before is not None:
            state.note_stopped(np.array([offer]), self._here.elements, np.array([before]), queue.turn)
            return
        change = state.gained(offer, queue.frame, state.parts_w(offer, fits))
        margin = state.margin(queue.frame)
        margin += np.array(change, dtype=margin.dtype)
        queue.take(just, np.array([fits]), fits if queue.row is None else change[queue.row])

    def _fits(self, k: int, wanted: int) -> tuple[int, int]:
        """The largest W up to `wanted` that every limit leaves, and the place of the one that stops it."""
        fits, which, shares, state = wanted, -1, int(self._columns.shares[k]), self._queue.state
        margins, offer = state.margin(self._queue.frame)[self._near].tolist(), int(state.book.offer[self._entry[k]])
        rows = zip(self._near.tolist(), margins, self._effect[:, k].tolist(), self._slacks[:, k].tolist(), strict=True)
        for m, margin, effect, slack in rows:
            if effect < 0 and (most := max(0, margin - slack) * shares // -effect) < fits:
                fits, which = most, m
        rounded = (
            None if self._columns.single else state.broken_by(offer, self._queue.frame, state.parts_w(offer, fits))
        )
        return (fits, which) if rounded is None else (0, rounded)
