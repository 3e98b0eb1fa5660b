"""Reconfiguration by branch exchange, and the list by which it is switched (I-11).

1. From the configuration as it stands every single exchange is tried; the best is kept; then on, until none is better.
   Better: fewer frames without a solution, then less violation, then (if losses count) less loss; never one that
   breaks a limit that held or worsens one that was broken.
2. Every candidate is a full power flow of the frames that are worst now; the best ten of all frames.
3. One configuration holds for all frames; it differs from the standing one by no more than the operations allowed.
4. The list closes first and opens then, so nothing is ever without feed; after each pair the grid is radial again.
   Of the pairs that lead on it takes the one that breaks least, while both are closed and after.
5. A grid that is not radial as it stands is left as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.grid.congestion import Limits, margins
from backend.grid.flow import Integers, PowerFlow, Scenarios
from backend.grid.loss import loss_w
from backend.grid.network import Network
from backend.grid.radial import Exchange, Open, Ways, after, named, towards

MOST_EXCHANGES = 40
_SCREENED = 4
_FINALISTS = 10
_MOST_ROWS = 20_000
Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One pair of operations: close, then open; violations (ppt over all frames) while both are closed and after."""

    close: str
    open: str
    broken_between_ppt: int
    broken_after_ppt: int
    loss_after_wh: int


@dataclass(frozen=True, slots=True)
class Reconfiguration:
    """What is open at the end, how it is reached, and what it is worth: violations (ppt) and losses of all frames."""

    opened: tuple[str, ...]
    steps: tuple[Step, ...]
    broken_before_ppt: int
    broken_after_ppt: int
    loss_before_wh: int
    loss_after_wh: int
    tried: int


class Exchanges:
    """The search on one grid and its frames. Rows of ``scenarios`` are the frames of one period."""

    def __init__(
        self, flow: PowerFlow, scenarios: Scenarios, limits: Limits, ways: Ways, frame_minutes: int = 15
    ) -> None:
        self._flow, self._scenarios, self._limits, self._ways = flow, scenarios, limits, ways
        self._minutes = frame_minutes
        self._floor = np.minimum(margins(flow.network, flow.solve(scenarios), limits).margin_ppt, 0)
        self.tried = 0

    def run(self, standing: Open, most_operations: int, for_losses: bool = False) -> Reconfiguration:
        """The best configuration within the operations allowed, and the list that leads to it."""
        every = list(range(self._scenarios.count))
        (first,) = self._keys([standing], every)
        best, key = standing, first
        if self._ways.is_radial(standing):
            for _ in range(MOST_EXCHANGES):
                if not for_losses and key[:3] == (0, 0, 0):
                    break
                found = self._best(best, standing, most_operations)
                if found is None or not _better(found[1], key, for_losses):
                    break
                best, key = found
        steps = self._steps(standing, best)
        return Reconfiguration(named(list(best)), steps, first[2], key[2], self._wh(first), self._wh(key), self.tried)

    def _best(self, opened: Open, standing: Open, most: int) -> tuple[Open, Key] | None:
        near = [after(opened, e) for e in self._ways.exchanges(opened)]
        near = [o for o in dict.fromkeys(near) if len(o ^ standing) <= most]
        if not near:
            return None
        screened = self._keys(near, self._worst_rows(opened))
        ranked = sorted(range(len(near)), key=lambda k: (screened[k], named(list(near[k]))))
        finalists = [near[k] for k in ranked[:_FINALISTS]]
        keys = self._keys(finalists, list(range(self._scenarios.count)))
        best = min(range(len(finalists)), key=lambda k: (keys[k], named(list(finalists[k]))))
        return finalists[best], keys[best]

    def _worst_rows(self, opened: Open) -> list[int]:
        """The frames that are worst now, at most four: by what is broken, then by loss."""
        unsolved, _, broken, loss = self._judged([opened], list(range(self._scenarios.count)))
        rows = range(self._scenarios.count)
        ranked = sorted(rows, key=lambda r: (-int(unsolved[0, r]), -int(broken[0, r]), -int(loss[0, r]), r))
        return sorted(ranked[:_SCREENED])

    def _keys(self, configurations: Sequence[Open], rows: Sequence[int]) -> list[Key]:
        sums = [x.sum(axis=1).tolist() for x in self._judged(configurations, rows)]
        return list(zip(*sums, strict=True))

    def _judged(self, configurations: Sequence[Open], rows: Sequence[int]) -> tuple[Integers, ...]:
        """Unsolved (0, 1), worse than standing and broken (ppt), loss (W): arrays configurations x rows."""
        parts = []
        together = max(1, _MOST_ROWS // len(rows))
        for first in range(0, len(configurations), together):
            parts.append(self._batch(configurations[first : first + together], rows))
        self.tried += len(configurations) * len(rows)
        return tuple(np.concatenate([p[k] for p in parts]) for k in range(4))

    def _batch(self, configurations: Sequence[Open], rows: Sequence[int]) -> tuple[Integers, ...]:
        shape = (len(configurations), len(rows))
        repeated = [c for c in configurations for _ in rows]
        scenarios = with_open(self._flow.network, self._scenarios.rows(np.tile(rows, shape[0])), self._ways, repeated)
        states = self._flow.solve(scenarios)
        table = margins(self._flow.network, states, self._limits)
        broken = np.where(table.margin_ppt < 0, -table.margin_ppt, 0).sum(axis=1)
        floor = self._floor[np.tile(rows, shape[0])]
        worse = np.maximum(floor - table.margin_ppt, 0).sum(axis=1)
        unsolved = (~table.solved).astype(np.int64)
        loss = np.where(table.solved, loss_w(self._flow.network, scenarios, states), 0)
        found = (unsolved, np.where(table.solved, worse, 0), np.where(table.solved, broken, 0), loss)
        return tuple(x.reshape(shape) for x in found)

    def _steps(self, standing: Open, wanted: Open) -> tuple[Step, ...]:
        every, now, steps = list(range(self._scenarios.count)), standing, []
        while now != wanted:
            options = towards(self._ways, now, wanted)
            between = self._keys([now - {e.close} for e in options], every)
            then = self._keys([after(now, e) for e in options], every)
            k = min(range(len(options)), key=lambda n: _worth(between[n], then[n], options[n]))
            now = after(now, options[k])
            steps.append(Step(options[k].close, options[k].open, between[k][2], then[k][2], self._wh(then[k])))
        return tuple(steps)

    def _wh(self, key: Key) -> int:
        return key[3] * self._minutes // 60


def with_open(network: Network, scenarios: Scenarios, ways: Ways, opened: Sequence[Open]) -> Scenarios:
    """The scenarios with the switchable elements open or closed as each row says; the others stand as they are."""
    lines = np.tile([e.from_closed and e.to_closed for e in network.lines], (scenarios.count, 1))
    links = np.tile([k.closed for k in network.links], (scenarios.count, 1))
    place = {f"line:{e.id}": (lines, k) for k, e in enumerate(network.lines)}
    place |= {f"link:{e.id}": (links, k) for k, e in enumerate(network.links)}
    for name in ways.ends:
        table, column = place[name]
        table[:, column] = [name not in one for one in opened]
    return scenarios.with_switches(line_closed=lines.astype(bool), link_closed=links.astype(bool))


def _short(key: Key, for_losses: bool) -> Key:
    return key if for_losses else (*key[:3], 0)


def _better(one: Key, other: Key, for_losses: bool) -> bool:
    return _short(one, for_losses) < _short(other, for_losses)


def _worth(between: Key, then: Key, exchange: Exchange) -> tuple[object, ...]:
    worst = (*(max(a, b) for a, b in zip(between[:3], then[:3], strict=True)), *then[1:])
    return (*worst, named([exchange.close]), named([exchange.open]))
