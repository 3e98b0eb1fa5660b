"""How much of proposed changes a grid bears, by full power flow, many frames in one batch.

1. A change is borne if no limit that held is broken by it and none that was broken is worse, against the state before.
2. Of a run of changes the longest beginning that is borne together is taken at once, in each frame for itself; the
   next one is cut to the greatest part that is borne (1e-6 of it); then on.
3. Joint changes count only if every frame bears them, and are cut alike in all.
4. A frame without a solution bears nothing, and stops no other frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.grid.congestion import Limits, bounds_of, reactive_of
from backend.grid.flow import Booleans, Integers, PowerFlow, Scenarios

WHOLE_PPM = 1_000_000
_NEAR = 512


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The part (1e-6) of a change that a frame bears, and the limit that stops more of it.

    ``column`` of the margins, -1: nothing stops it, -2: no solution. ``before``, ``after``: head-room (ppt) of that
    limit without the change and with the part that is borne; ``used``: what the whole change would use of it.
    """

    part_ppm: int
    column: int = -1
    before_ppt: int = 0
    after_ppt: int = 0
    used_ppt: int = 0


NOTHING_STOPS, NO_STATE = -1, -2


class Standing:
    """A grid under what was taken so far. Changes have a column of W for each POD, then of var if ``has_var``."""

    def __init__(self, flow: PowerFlow, scenarios: Scenarios, limits: Limits, has_var: bool = False) -> None:
        self._flow, self._bounds, self._scenarios = flow, bounds_of(flow.network, limits), scenarios
        self.pods = scenarios.delta_w.shape[1]
        var = [reactive_of(scenarios)] if has_var else []
        self.delta = np.concatenate([scenarios.delta_w, *var], axis=1)
        table = self._bounds.margins(flow.solve(scenarios))
        self.elements, self.free, self.solved = table.elements, table.margin_ppt.copy(), table.solved

    def tried(self, rows: Integers, more: Integers) -> tuple[Booleans, Integers, Booleans]:
        """Of each row with this change: whether it is borne, its margins, whether it has a solution. Rows may repeat."""
        delta = self.delta[rows] + more
        var = delta[:, self.pods :] if delta.shape[1] > self.pods else None
        changed = self._scenarios.rows(rows).with_delta(delta[:, : self.pods], var)
        table = self._bounds.margins(self._flow.solve(changed))
        floor = np.minimum(self.free[rows], 0)
        borne = (table.margin_ppt >= floor).all(axis=1) & table.solved & self.solved[rows]
        return np.asarray(borne), table.margin_ppt, table.solved

    def take(self, rows: Integers, more: Integers, free: Integers) -> None:
        """Adds a change that was tried, with the margins it led to."""
        self.delta[rows] += more
        self.free[rows] = free


def part_of(wanted: Integers, part_ppm: Integers) -> Integers:
    """This part of each row in whole W and var, rounded towards no change."""
    size = np.abs(wanted) * np.asarray(part_ppm, dtype=np.int64)[:, None] // WHOLE_PPM
    return np.asarray(np.sign(wanted) * size, dtype=np.int64)


def take_furthest(standing: Standing, sums: Integers, start: Integers, is_joint: bool) -> Integers:
    """Takes, per frame, the longest run from ``start`` that is borne together; where it ends (number of changes).

    sums: changes + 1 x frames x columns, the sum of the changes before each. Cost: log2(changes) batches.
    """
    whole, frames = len(sums) - 1, np.arange(sums.shape[1])
    low, high, free = start.copy(), np.full(len(frames), whole + 1), standing.free.copy()
    probe = np.full(len(frames), whole)
    while (high - low > 1).any():
        open_rows = np.flatnonzero(high - low > 1)
        more = sums[probe[open_rows], open_rows] - sums[start[open_rows], open_rows]
        good, after = np.ones(len(open_rows), dtype=bool), free[open_rows].copy()
        moved = np.flatnonzero(more.any(axis=1))
        after[~more.any(axis=1)] = standing.free[open_rows[~more.any(axis=1)]]
        if len(moved):
            good[moved], after[moved], _ = standing.tried(open_rows[moved], more[moved])
        if is_joint:
            good[:] = good.all()
        up, down = open_rows[good], open_rows[~good]
        low[up], free[up] = probe[up], after[good]
        high[down] = probe[down]
        probe = (low + high) // 2
    standing.take(frames, sums[low, frames] - sums[start, frames], free)
    return low


def take_part(standing: Standing, rows: Integers, wanted: Integers, least_ppm: Integers, is_joint: bool) -> list[Cut]:
    """Takes the greatest part of a change in each of these frames, nothing where that is less than ``least_ppm``."""
    search = _Search(standing, rows, wanted, is_joint)
    part, free = search.run()
    kept = np.where(part < least_ppm, 0, part)
    if is_joint and (kept != part).any():
        kept = np.zeros_like(part)
    free = np.where((kept == part)[:, None], free, standing.free[rows])
    cuts = [search.cut(k, bool(kept[k])) for k in range(len(rows))]
    standing.take(rows, part_of(wanted, kept), free)
    return cuts


class _Search:
    """Narrows the greatest borne part between a good and a bad one; the linear guess is tried from both sides."""

    def __init__(self, standing: Standing, rows: Integers, wanted: Integers, is_joint: bool) -> None:
        self.standing, self.rows, self.wanted, self.is_joint = standing, rows, wanted, is_joint
        self.floor = np.minimum(standing.free[rows], 0)
        self.low = np.zeros(len(rows), dtype=np.int64)
        self.low_free = standing.free[rows].copy()
        good, self.whole_free, self.whole_solved = self._tried(np.arange(len(rows)), np.full(len(rows), WHOLE_PPM))
        self.alone_good = good.copy()
        if is_joint:
            good[:] = good.all()
        self.low[good], self.low_free[good] = WHOLE_PPM, self.whole_free[good]
        self.high = np.where(good, WHOLE_PPM + 1, WHOLE_PPM)
        self.high_free, self.high_solved = self.whole_free.copy(), self.whole_solved.copy()

    def _tried(self, places: Integers, parts: Integers) -> tuple[Booleans, Integers, Booleans]:
        return self.standing.tried(self.rows[places], part_of(self.wanted[places], parts))

    def run(self) -> tuple[Integers, Integers]:
        """The greatest parts and the margins they lead to."""
        no_start = ~self.standing.solved[self.rows]
        if self.is_joint and no_start.any():
            self.high[:], no_start = 1, np.ones(len(self.rows), dtype=bool)
        self.high[no_start] = np.minimum(self.high[no_start], self.low[no_start] + 1)
        while (self.high - self.low > 1).any():
            self._narrow(np.flatnonzero(self.high - self.low > 1))
        return self.low, self.low_free

    def _narrow(self, places: Integers) -> None:
        points = self._points(places)
        good, free, solved = self._tried(np.tile(places, len(points)), points.ravel())
        borne = good.reshape(points.shape)
        if self.is_joint:
            borne = np.repeat(np.all(borne, axis=1, keepdims=True), len(places), axis=1)
        free, solved = free.reshape((*points.shape, -1)), solved.reshape(points.shape)
        for k, place in enumerate(places):
            bad = np.flatnonzero(~borne[:, k])
            first_bad = int(bad[0]) if len(bad) else len(points)
            if first_bad:
                self.low[place], self.low_free[place] = points[first_bad - 1, k], free[first_bad - 1, k]
            if first_bad < len(points):
                self.high[place], self.high_free[place] = points[first_bad, k], free[first_bad, k]
                self.high_solved[place] = solved[first_bad, k]

    def _points(self, places: Integers) -> Integers:
        """Ascending parts to try: around the linear guess, and the middle, which bounds the number of rounds."""
        low, high = self.low[places], self.high[places]
        spent = np.maximum(self.low_free[places] - self.high_free[places], 1)
        room = np.where(self.high_free[places] < self.floor[places], self.low_free[places] - self.floor[places], spent)
        share = np.minimum(room / spent, 1.0).min(axis=1)
        guess = np.where(self.high_solved[places], low + np.floor((high - low) * share), (low + high) // 2)
        if self.is_joint:
            guess = np.full(len(places), guess.min())
        near = np.maximum((high - low) // _NEAR, 1)
        points = np.sort(np.stack([guess - near, guess, guess + near, (low + high) // 2]), axis=0)
        return np.asarray(np.clip(points, low + 1, high - 1), dtype=np.int64)

    def cut(self, k: int, is_taken: bool) -> Cut:
        """What is known of the k-th row."""
        part_ppm = int(self.low[k])
        if not self.standing.solved[self.rows[k]]:
            return Cut(part_ppm, NO_STATE)
        if part_ppm == WHOLE_PPM or (self.is_joint and self.alone_good[k]):
            return Cut(part_ppm)
        if not self.high_solved[k]:
            return Cut(part_ppm, NO_STATE)
        column = int(np.argmax(self.floor[k] - self.high_free[k]))
        before = int(self.standing.free[self.rows[k], column])
        after = int(self.low_free[k, column]) if is_taken else before
        if self.whole_solved[k]:
            return Cut(part_ppm, column, before, after, before - int(self.whole_free[k, column]))
        used = (before - int(self.high_free[k, column])) * WHOLE_PPM // int(self.high[k])
        return Cut(part_ppm, column, before, after, used)


def runs_of(sizes: Sequence[int], most: int) -> list[range]:
    """Indices 0.. cut into ranges of at most ``most`` items of one kind (``sizes``: the kind of each)."""
    found: list[range] = []
    for k, kind in enumerate(sizes):
        if found and sizes[found[-1].start] == kind and len(found[-1]) < most:
            found[-1] = range(found[-1].start, k + 1)
        else:
            found.append(range(k, k + 1))
    return found
