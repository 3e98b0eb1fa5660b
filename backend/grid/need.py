"""What own remedies leave to be bought: requests for relief, sized as the least change that heals the grid (I-06).

1. What is violated is sized on the points that could help, within what they can do: the least change by a linear
   programme over their effects of W and of var, in whole numbers, checked by full power flow; what the linear effects
   missed is added and checked again.
2. A need names one element and one product: active power, or reactive power where points can change it. An element
   whose violation vanishes with another's is not asked for twice: of the voltages of one side the worst node is named,
   and another one only if its relief does not heal it.
3. Margins for uncertainty are the operator's: ``Limits`` keeps them free, and the sizing heals up to them.
4. What cannot be met is published as unserved, never hidden; a frame without a solution is unserved as a whole, and so is
   what is broken in a frame that has none with a small step of load: there are no effects to size it by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.domain.constraint import PPT_PER_UNIT, Constraint
from backend.errors import Rejected
from backend.grid.congestion import (
    NO_SOLUTION,
    Limits,
    Violation,
    closed_frames,
    constraints,
    pod_deltas,
    reactive_of,
    violations,
)
from backend.grid.flow import Integers, PowerFlow, Scenarios
from backend.grid.least import Change, least

ROUNDS = 6
_NEAR_PPM = 60_000
_MOST_NAMED = 24
_HEALED_PPT = 1_000_000


@dataclass(frozen=True, slots=True)
class Capability:
    """What one POD could change: W less withdrawal (up) and W more (down), var likewise, 0 or more, in every frame."""

    pod: str
    up_w: int
    down_w: int
    up_var: int = 0
    down_var: int = 0

    def __post_init__(self) -> None:
        for name in ("up_w", "down_w", "up_var", "down_var"):
            if getattr(self, name) < 0:
                raise Rejected(f"capability of {self.pod}: {name} = {getattr(self, name)}, expected 0 or more")


@dataclass(frozen=True, slots=True)
class Need:
    """Relief one element needs (I-06): ppt of its rating, and the least W (product "active") or var ("reactive").

    ``pods`` are those that relieve it, strongest first, ``effect_ppt`` what a W (or var) of withdrawal at each uses of it;
    direction "up" is less withdrawal of the product.
    """

    element: str
    direction: str
    frames: tuple[int, ...]
    relief_ppt: tuple[int, ...]
    volume_w: tuple[int, ...]
    pods: tuple[str, ...]
    product: str = "active"
    volume_var: tuple[int, ...] = ()
    effect_ppt: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sizing:
    """Needs, what no POD can serve, and the least change of withdrawal (W, var per frame and POD) that serves the rest.

    ``frames``: those of ``least_w`` and ``least_var``, the ones that are violated and have a solution.
    """

    needs: tuple[Need, ...]
    unserved: tuple[Violation, ...]
    least_w: Mapping[str, tuple[int, ...]]
    least_var: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    frames: tuple[int, ...] = ()


def size(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    capabilities: Sequence[Capability],
) -> Sizing:
    """Needs of the frames that are violated in ``scenarios`` (own remedies already in). No violation: no needs.

    Cost: PODs + 1 power flows (twice with var) and some small linear programmes for each violated frame.
    """
    found = violations(flow.network, flow.solve(scenarios), frames, limits)
    dark = tuple(v for v in found if v.element == NO_SOLUTION)
    hit = {v.frame for v in found} - {v.frame for v in dark}
    rows = [row for row, frame in enumerate(frames) if frame in hit]
    if not rows:
        return Sizing((), dark, {})
    kept = tuple(frames[row] for row in rows)
    case = _Case(flow, scenarios.rows(rows), kept, limits, capabilities)
    dark += tuple(v for v in found if v.frame in case.closed)
    dark += tuple(Violation(frame, NO_SOLUTION, 0, 0, PPT_PER_UNIT) for frame in case.closed)
    if not case.frames:
        return Sizing((), tuple(sorted(dark)), {})
    left = case.heal()
    least_w, least_var = case.plan()
    return Sizing(case.needs(), tuple(sorted(dark + left)), least_w, least_var, case.frames)


class _Case:
    """The violated frames of one sizing: linear tables, and the change found so far (frames x changes).

    frames: those that have effects; closed: the others.
    """

    def __init__(
        self,
        flow: PowerFlow,
        scenarios: Scenarios,
        frames: Sequence[int],
        limits: Limits,
        capabilities: Sequence[Capability],
    ) -> None:
        self._flow, self._scenarios, self._limits = flow, scenarios, limits
        self.frames, self.closed = tuple(frames), tuple[int, ...]()
        self._changes = _changes(capabilities)
        self._missed: dict[tuple[str, int], int] = {}
        self._look(_NEAR_PPM)
        self._change = np.zeros((len(self.frames), len(self._changes)), dtype=np.int64)

    def _look(self, near_ppm: int) -> None:
        """Makes the linear tables of all elements within ``near_ppm`` of their limit, of the frames that have effects."""
        reactive = any(c.is_reactive for c in self._changes)
        rows = constraints(self._flow, self._scenarios, self.frames, self._limits, near_ppm, reactive)
        self.closed += closed_frames(rows)
        kept = [row for row, frame in enumerate(self.frames) if frame not in self.closed]
        self.frames, self._scenarios = tuple(self.frames[row] for row in kept), self._scenarios.rows(kept)
        self._near_ppm = near_ppm
        self._tables = [_Table([c for c in rows if c.frame == frame], self._changes) for frame in self.frames]

    def heal(self) -> tuple[Violation, ...]:
        """Finds the change; what is still violated under it, by full power flow."""
        left: tuple[Violation, ...] = ()
        for _ in range(ROUNDS):
            for row, table in enumerate(self._tables):
                self._change[row] = table.least(self._spare(table))
            left = self._check()
            if not left:
                break
            if {v.element for v in left} - set(self._tables[0].elements):
                self._look(self._near_ppm * 4)
            for violation in left:
                key = (violation.element, violation.frame)
                self._missed[key] = self._missed.get(key, 0) + violation.amount_ppt + violation.amount_ppt // 10
        return left

    def _spare(self, table: "_Table") -> dict[str, int]:
        return {element: self._missed.get((element, table.frame), 0) for element in table.elements}

    def _check(self) -> tuple[Violation, ...]:
        network, count = self._flow.network, len(self.frames)
        by_w, by_var = self.plan()
        delta_w = self._scenarios.delta_w + pod_deltas(network, by_w, count)
        changed = self._scenarios.with_delta(delta_w)
        if by_var:
            changed = changed.with_delta(delta_w, reactive_of(changed) + pod_deltas(network, by_var, count))
        return violations(network, self._flow.solve(changed), self.frames, self._limits)

    def plan(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """The change as W and as var per POD and frame; PODs that do nothing are left out."""
        found: tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]] = ({}, {})
        for k, change in enumerate(self._changes):
            if self._change[:, k].any():
                found[change.is_reactive][change.name] = tuple(int(x) for x in self._change[:, k])
        return found

    def needs(self) -> tuple[Need, ...]:
        """Needs by element, active before reactive power."""
        found: list[Need] = []
        for element in self._named():
            places = [(t, t.elements.index(element)) for t in self._tables]
            rows = [(t, at) for t, at in places if t.margin_ppt[at] < 0]
            changes = [t.least(self._spare(t), (element,)) for t, _ in rows]
            for is_reactive in (False, True):
                found += self._need(element, rows, changes, is_reactive)
        return tuple(found)

    def _named(self) -> list[str]:
        """Violated branches each, the worst node of each side, and what their relief does not heal."""
        need: dict[str, int] = {}
        for table in self._tables:
            for element, margin in zip(table.elements, table.margin_ppt.tolist(), strict=True):
                need[element] = max(need.get(element, 0), -margin)
        names = [e for e in need if need[e] > 0 and not e.startswith("node:")]
        for side in (":low", ":high"):
            names += sorted((e for e in need if e.endswith(side) and need[e] > 0), key=lambda e: (-need[e], e))[:1]
        while len(names) < _MOST_NAMED:
            short: dict[str, int] = {}
            for row, table in enumerate(self._tables):
                left = table.short_after(table.least(self._spare(table), names), self._change[row])
                short.update({e: max(short.get(e, 0), ppt) for e, ppt in left.items() if e not in names})
            if not short:
                break
            names.append(min(short, key=lambda e: (-short[e], e)))
        return names

    def _need(
        self, element: str, rows: Sequence[tuple["_Table", int]], changes: Sequence[Integers], is_reactive: bool
    ) -> list[Need]:
        columns = [k for k, c in enumerate(self._changes) if c.is_reactive is is_reactive]
        totals = [int(change[columns].sum()) for change in changes]
        kept = [k for k, change in enumerate(changes) if change[columns].any()]
        if not is_reactive and not kept and not any(change.any() for change in changes):
            kept = list(range(len(rows)))
        if not columns or not kept:
            return []
        effect = rows[0][0].effect[rows[0][1]]
        ranked = sorted(columns, key=lambda k: (-abs(int(effect[k])), self._changes[k].name))
        strongest = abs(int(effect[ranked[0]]))
        near = [k for k in ranked if 10 * abs(int(effect[k])) >= strongest > 0]
        helping, effects = tuple(self._changes[k].name for k in near), tuple(int(effect[k]) for k in near)
        relief = [self._relief(rows[k], changes[k], columns) for k in kept]
        volume = tuple(abs(totals[k]) for k in kept)
        frames = tuple(rows[k][0].frame for k in kept)
        down = sum(totals) > 0 or (not any(totals) and int(effect[ranked[0]]) < 0)
        nothing = (0,) * len(kept)
        parts = (nothing, helping, "reactive", volume) if is_reactive else (volume, helping, "active", nothing)
        return [Need(element, "down" if down else "up", frames, tuple(relief), *parts, effects)]

    def _relief(self, row: tuple["_Table", int], change: Integers, columns: Sequence[int]) -> int:
        """The product's part of what the element lacks: all of it if the other product does nothing."""
        table, at = row
        lacking = -int(table.margin_ppt[at])
        used = table.effect[at] * change
        own, whole = -int(used[list(columns)].sum()), -int(used.sum())
        return lacking if own == whole or whole <= 0 else max(1, lacking * own // whole)


class _Table:
    """One frame: limits, their margins, and what each change uses of them. What was asked once is remembered."""

    def __init__(self, rows: Sequence[Constraint], changes: Sequence[Change]) -> None:
        self.frame = rows[0].frame
        self.elements = tuple(c.element for c in rows)
        self.margin_ppt = np.array([c.margin_ppt for c in rows], dtype=np.int64)
        self._changes = changes
        self._known: dict[tuple[int, ...], Integers] = {}
        self.effect = np.array(
            [[(c.effect_ppt_per_var if x.is_reactive else c.effect_ppt_per_w)[x.name] for x in changes] for c in rows],
            dtype=np.int64,
        ).reshape(len(rows), len(changes))

    def least(self, spare: Mapping[str, int], healed: Sequence[str] | None = None) -> Integers:
        """The least change that heals these elements (None: all) and worsens no other that is violated."""
        if not self._changes:
            return np.zeros(0, dtype=np.int64)
        wanted = [
            spare[e] if healed is None or e in healed else min(int(m), 0)
            for e, m in zip(self.elements, self.margin_ppt, strict=True)
        ]
        key = tuple(int(ppt) for ppt in wanted)
        if key not in self._known:
            self._known[key] = least(self._changes, self.effect, self.margin_ppt, np.array(wanted, dtype=np.int64))
        return self._known[key]

    def short_after(self, change: Integers, best: Integers) -> dict[str, int]:
        """Elements that this change leaves short by more than the best change does, and by how much (ppt)."""
        after, reached = self.margin_ppt - self.effect @ change, self.margin_ppt - self.effect @ best
        short = np.minimum(reached, 0) - after
        return {e: int(s) for e, s in zip(self.elements, short, strict=True) if s > _HEALED_PPT}


def _changes(capabilities: Sequence[Capability]) -> list[Change]:
    active = [Change(c.pod, -c.up_w, c.down_w) for c in capabilities if c.up_w or c.down_w]
    return active + [Change(c.pod, -c.up_var, c.down_var, True) for c in capabilities if c.up_var or c.down_var]
