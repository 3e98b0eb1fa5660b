"""The operator's own remedy first, then what is left to buy: requests for relief (I-06, I-10, I-11).

1. Taps: every position of the on-load transformers is solved for every frame; a frame leaves its standing position
   only for one that breaks no limit that held, worsens none that is broken and lowers the sum of the violations; of
   these it takes the best, then the nearest.
2. What remains violated is sized on the PODs that could help, cheapest in watts first, within what they can do, in
   integers, and checked by power flow; what the linear effects missed is added and checked again.
3. A need names one element; an element whose violation vanishes with another's is not asked for twice. Of the
   voltages of one side only the worst node is named, it stands for its neighbours.
4. What cannot be met is published as unserved, never hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain.constraint import Constraint
from backend.grid.congestion import Limits, Violation, constraints, margins, pod_deltas, violations
from backend.grid.flow import PowerFlow, Scenarios
from backend.grid.network import Network

ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Capability:
    """What one POD could change: W less withdrawal (up) and W more (down), 0 or more, the same in every frame."""

    pod: str
    up_w: int
    down_w: int


@dataclass(frozen=True, slots=True)
class TapPlan:
    """Positions of the on-load transformers per frame and how many violations each frame had before and after."""

    frames: tuple[int, ...]
    position: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """Relief one element needs (I-06): ppt of its rating and W at the PODs that relieve it best, per frame."""

    element: str
    direction: str
    frames: tuple[int, ...]
    relief_ppt: tuple[int, ...]
    volume_w: tuple[int, ...]
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sizing:
    """Needs, what no POD can serve, and the least change of withdrawal (W per frame and POD) that serves the rest."""

    needs: tuple[Need, ...]
    unserved: tuple[Violation, ...]
    least_w: Mapping[str, tuple[int, ...]]


def own_remedy(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits
) -> tuple[Scenarios, TapPlan]:
    """The scenarios with the best taps, and the plan. Cost: positions x frames power flows, one batch."""
    network = flow.network
    columns = [k for k, t in enumerate(network.transformers) if t.on_load]
    standing = _standing(network, columns)
    positions = sorted(_positions(network, columns), key=lambda p: (abs(p - standing), p))
    count = scenarios.count
    taps = np.tile(scenarios.tap, (len(positions), 1))
    for k, position in enumerate(positions):
        taps[k * count : (k + 1) * count, columns] = position
    rows = np.tile(np.arange(count), len(positions))
    table = margins(network, flow.solve(scenarios.rows(rows).with_tap(taps)), limits)
    free = table.margin_ppt.reshape(len(positions), count, -1)
    solved = table.solved.reshape(len(positions), count)
    never_worse = (free >= np.minimum(free[0], 0)).all(axis=2) & solved
    missing = np.where(free < 0, -free, 0).sum(axis=2)
    broken = (free < 0).sum(axis=2) + np.where(solved, 0, 1)
    chosen = np.where(never_worse | (np.arange(len(positions)) == 0)[:, None], missing, np.iinfo(np.int64).max).argmin(
        0
    )
    best = np.array(scenarios.tap)
    for column in columns:
        best[:, column] = np.array(positions)[chosen]
    plan = TapPlan(
        tuple(frames),
        tuple(int(positions[k]) for k in chosen),
        tuple(int(b) for b in broken[0]),
        tuple(int(broken[k, row]) for row, k in enumerate(chosen)),
    )
    return scenarios.with_tap(best), plan


def _positions(network: Network, columns: list[int]) -> list[int]:
    if not columns:
        return [0]
    units = [network.transformers[k] for k in columns]
    return list(range(max(min(t.tap_min, t.tap_max) for t in units), min(max(t.tap_min, t.tap_max) for t in units) + 1))


def _standing(network: Network, columns: list[int]) -> int:
    return network.transformers[columns[0]].tap_position if columns else 0


def size(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    capabilities: Sequence[Capability],
) -> Sizing:
    """Needs of the frames that are violated in ``scenarios`` (own remedies already in). No violation: no needs."""
    network = flow.network
    found = violations(network, flow.solve(scenarios), frames, limits)
    rows = [row for row, frame in enumerate(frames) if any(v.frame == frame for v in found)]
    if not rows:
        return Sizing((), (), {})
    hit, hit_frames = scenarios.rows(rows), [frames[row] for row in rows]
    table = constraints(flow, hit, hit_frames, limits)
    least, unserved = _least(flow, hit, hit_frames, limits, table, capabilities)
    needs = tuple(_need(element, table, capabilities) for element in _named(table))
    return Sizing(needs, unserved, least)


def _least(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    table: Sequence[Constraint],
    capabilities: Sequence[Capability],
) -> tuple[dict[str, tuple[int, ...]], tuple[Violation, ...]]:
    missed: dict[tuple[str, int], int] = {}
    for _ in range(ROUNDS):
        per_frame = [_cure([c for c in table if c.frame == frame], missed, capabilities) for frame in frames]
        plan = {c.pod: tuple(x.get(c.pod, 0) for x in per_frame) for c in capabilities}
        changed = scenarios.with_delta(scenarios.delta_w + pod_deltas(flow.network, plan, len(frames)))
        left = violations(flow.network, flow.solve(changed), frames, limits)
        if not left:
            break
        for violation in left:
            key = (violation.element, violation.frame)
            missed[key] = missed.get(key, 0) + violation.amount_ppt + violation.amount_ppt // 10
    return {pod: watts for pod, watts in plan.items() if any(watts)}, left


def _cure(
    table: Sequence[Constraint], missed: Mapping[tuple[str, int], int], capabilities: Sequence[Capability]
) -> dict[str, int]:
    """Changes of withdrawal (W) of one frame: the worst element first, by the POD with most effect on it."""
    change: dict[str, int] = {}
    for _ in range(len(table) * len(capabilities)):
        short = {c.element: missed.get((c.element, c.frame), 0) - c.margin_after(change) for c in table}
        worst = max(table, key=lambda c: (short[c.element], c.element))
        if short[worst.element] <= 0:
            break
        step = _best_step(worst, short[worst.element], table, change, capabilities)
        if step is None:
            break
        change[step[0]] = change.get(step[0], 0) + step[1]
    return change


def _best_step(
    worst: Constraint,
    short_ppt: int,
    table: Sequence[Constraint],
    change: Mapping[str, int],
    capabilities: Sequence[Capability],
) -> tuple[str, int] | None:
    ranked = sorted(capabilities, key=lambda c: (-abs(worst.effect_ppt_per_w[c.pod]), c.pod))
    for one in ranked:
        effect, now = worst.effect_ppt_per_w[one.pod], change.get(one.pod, 0)
        room = one.up_w + now if effect > 0 else one.down_w - now
        if effect == 0 or room <= 0:
            continue
        watts = min(room, -(-short_ppt // abs(effect)))
        for other in table:
            eats = -other.effect_ppt_per_w[one.pod] if effect > 0 else other.effect_ppt_per_w[one.pod]
            if eats > 0:
                watts = min(watts, max(0, other.margin_after(change)) // eats)
        if watts > 0:
            return one.pod, -watts if effect > 0 else watts
    return None


def _named(table: Sequence[Constraint]) -> list[str]:
    """Violated branches each, and of the violated voltages of one side the worst node."""
    need: dict[str, int] = {}
    for c in table:
        need[c.element] = max(need.get(c.element, 0), c.need_ppt)
    branches = [e for e in need if need[e] > 0 and not e.startswith("node:")]
    for side in (":low", ":high"):
        nodes = [e for e in need if e.endswith(side) and need[e] > 0]
        branches += sorted(nodes, key=lambda e: (-need[e], e))[:1]
    return branches


def _need(element: str, table: Sequence[Constraint], capabilities: Sequence[Capability]) -> Need:
    rows = [c for c in table if c.element == element and c.need_ppt > 0]
    changes = [_cure([c], {}, capabilities) for c in rows]
    ranked = sorted(rows[0].effect_ppt_per_w, key=lambda pod: (-abs(rows[0].effect_ppt_per_w[pod]), pod))
    strongest = abs(rows[0].effect_ppt_per_w[ranked[0]]) if ranked else 0
    helping = tuple(pod for pod in ranked if 10 * abs(rows[0].effect_ppt_per_w[pod]) >= strongest > 0)
    down = sum(sum(x.values()) for x in changes) > 0
    return Need(
        element,
        "down" if down else "up",
        tuple(c.frame for c in rows),
        tuple(c.need_ppt for c in rows),
        tuple(abs(sum(x.values())) for x in changes),
        helping,
    )
