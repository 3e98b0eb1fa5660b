"""Where a grid breaks its limits, and what a watt at each POD does about it (I-10).

1. Loadings are limited by the rating, the season's or the emergency's if asked for; voltages by the node's band;
   ``Limits`` may keep an operator's margin free.
2. A violation is an element beyond its limit by more than nothing; a state without a solution violates as a whole.
3. Constraints are made for every element that is near its limit in one of the frames, in all the frames traded.
4. Effects come from solved states with a step of withdrawal at one POD at a time, not from a linear method.
5. A frame that has no solution, itself or with one of the steps, has no effects: it is closed. Its constraints are those of
   the element "network", which has no head-room either way, so that nothing moves in it; the other frames have theirs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.domain.constraint import PPT_PER_UNIT, Constraint
from backend.errors import Rejected
from backend.grid.element import MILLION, SEASONS, line_limit_ma, transformer_limit_va
from backend.grid.flow import Booleans, Integers, PowerFlow, Scenarios, States
from backend.grid.forecast import divide_half_even
from backend.grid.network import Network

PPT_PER_PPM = 1_000_000
STEP_LV_W = 1_000
STEP_MV_W = 20_000
NO_SOLUTION = "network"
_MOST_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's margins, kept free of what the market may use: 1e-6 of rated voltage and of rated loading.

    ``season``: "", "summer" or "winter"; ``emergency``: what may flow while something else is out.
    """

    voltage_margin_ppm: int = 0
    loading_margin_ppm: int = 0
    season: str = ""
    emergency: bool = False

    def __post_init__(self) -> None:
        for name, value in (
            ("voltage_margin_ppm", self.voltage_margin_ppm),
            ("loading_margin_ppm", self.loading_margin_ppm),
        ):
            if not 0 <= value < 100_000:
                raise Rejected(f"limits {name} = {value}, expected 0 to 99999")
        if self.season not in SEASONS:
            raise Rejected(f"limits season = {self.season!r}, expected one of {', '.join(map(repr, SEASONS))}")


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One element beyond its limit in one frame (I-10): value, limit and excess in 1e-12 of rated."""

    frame: int
    element: str
    value_ppt: int
    limit_ppt: int
    amount_ppt: int


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Head-room of every monitored element (columns) in every state (rows), ppt; negative means violated."""

    elements: tuple[str, ...]
    margin_ppt: Integers
    solved: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The limits of a network under an operator's margins, ready for many states; arrays in the order of the columns."""

    elements: tuple[str, ...]
    line_ppt: Integers
    transformer_ppt: Integers
    three_winding_ppt: int
    low_ppt: Integers
    high_ppt: Integers

    def margins(self, states: States) -> Margins:
        """Head-room of lines, transformers and both sides of every node's band, in the network's order."""
        free = [
            self.line_ppt - states.line_ppt,
            self.transformer_ppt - states.transformer_ppt,
            self.three_winding_ppt - states.three_winding_ppt,
            states.voltage_ppt - self.low_ppt,
            self.high_ppt - states.voltage_ppt,
        ]
        return Margins(self.elements, np.concatenate(free, axis=1), states.solved)


def bounds_of(network: Network, limits: Limits) -> Bounds:
    """The limits of this network. A node that is dead on purpose has no lower one."""
    band = [-MILLION if n.dead else n.u_min_ppm + limits.voltage_margin_ppm for n in network.nodes]
    top = [n.u_max_ppm - limits.voltage_margin_ppm for n in network.nodes]
    return Bounds(
        monitored(network),
        _ratings(network.lines, line_limit_ma, "rated_ma", limits),
        _ratings(network.transformers, transformer_limit_va, "sn_va", limits),
        PPT_PER_UNIT - limits.loading_margin_ppm * PPT_PER_PPM,
        np.array(band, dtype=np.int64) * PPT_PER_PPM,
        np.array(top, dtype=np.int64) * PPT_PER_PPM,
    )


def margins(network: Network, states: States, limits: Limits) -> Margins:
    """Head-room of every monitored element in every state."""
    return bounds_of(network, limits).margins(states)


def _ratings(elements: Sequence[Any], limit_of: Callable[..., int], rated: str, limits: Limits) -> Integers:
    """What each may carry, 1e-12 of its rating, the operator's margin taken off."""
    return np.array([_rating(e, limit_of, rated, limits) for e in elements], dtype=np.int64)


def _rating(element: Any, limit_of: Callable[..., int], rated: str, limits: Limits) -> int:
    limit: int = limit_of(element, limits.season, emergency=limits.emergency)
    whole: int = getattr(element, rated)
    return PPT_PER_UNIT * limit // whole - limits.loading_margin_ppm * PPT_PER_PPM


def monitored(network: Network) -> tuple[str, ...]:
    """Names of all limits, in the order of the columns of ``margins``."""
    return (
        *(f"line:{line.id}" for line in network.lines),
        *(f"transformer:{t.id}" for t in network.transformers),
        *(f"three_winding:{t.id}" for t in network.three_windings),
        *(f"node:{n.id}:low" for n in network.nodes),
        *(f"node:{n.id}:high" for n in network.nodes),
    )


def violations(network: Network, states: States, frames: Sequence[int], limits: Limits) -> tuple[Violation, ...]:
    """All violations, by frame and then in the network's order. ``frames`` names the rows of ``states``."""
    table = margins(network, states, limits)
    free = table.margin_ppt
    found = []
    for row, frame in enumerate(frames):
        if not table.solved[row]:
            found.append(Violation(frame, NO_SOLUTION, 0, 0, PPT_PER_UNIT))
            continue
        for column in np.flatnonzero(free[row] < 0):
            amount = -int(free[row, column])
            limit = limit_ppt(network, table.elements[column], limits)
            below = table.elements[column].endswith(":low")
            value = limit - amount if below else limit + amount
            found.append(Violation(frame, table.elements[column], value, limit, amount))
    return tuple(found)


def limit_ppt(network: Network, element: str, limits: Limits) -> int:
    """The limit itself, 1e-12 of rated, the operator's margin taken off."""
    kind, _, rest = element.partition(":")
    if kind == "line":
        line = next(e for e in network.lines if e.id == int(rest))
        return _rating(line, line_limit_ma, "rated_ma", limits)
    if kind == "transformer":
        unit = next(t for t in network.transformers if t.id == int(rest))
        return _rating(unit, transformer_limit_va, "sn_va", limits)
    if kind != "node":
        return PPT_PER_UNIT - limits.loading_margin_ppm * PPT_PER_PPM
    number, _, side = rest.partition(":")
    node = next(n for n in network.nodes if n.id == int(number))
    if side == "low":
        return (node.u_min_ppm + limits.voltage_margin_ppm) * PPT_PER_PPM
    return (node.u_max_ppm - limits.voltage_margin_ppm) * PPT_PER_PPM


def constraints(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    near_ppm: int = 20_000,
    with_reactive: bool = False,
) -> tuple[Constraint, ...]:
    """Every element within ``near_ppm`` of its limit in some state, in all the states: margin and effect per POD.

    Rows of ``scenarios`` are the traded frames. Sorted by frame, then as monitored; of a closed frame only "network" (rule
    5). Cost: PODs + 1 power flows a frame, as many again for the effects of var.
    """
    pods = [c.pod for c in flow.network.connections]
    base = margins(flow.network, flow.solve(scenarios), limits)
    open_rows = np.flatnonzero(base.solved)
    near = base.margin_ppt[open_rows] < near_ppm * PPT_PER_PPM
    watched = np.flatnonzero(near.any(axis=0))
    asked = scenarios.rows(open_rows)
    free = base.margin_ppt[open_rows][:, watched]
    tables = [effects(flow, asked, free, limits, watched, is_reactive=q) for q in (False, True)[: 1 + with_reactive]]
    found: dict[int, list[Constraint]] = {row: _closed(frame, pods) for row, frame in enumerate(frames)}
    for place in np.flatnonzero(np.logical_and.reduce([stepped for _, stepped in tables])).tolist():
        row = int(open_rows[place])
        found[row] = [
            Constraint(
                base.elements[column],
                frames[row],
                int(free[place, k]),
                *(dict(zip(pods, effect[place, :, k].tolist(), strict=True)) for effect, _ in tables),
            )
            for k, column in enumerate(watched.tolist())
        ]
    return tuple(one for row in range(len(frames)) for one in found[row])


def closed_frames(found: Iterable[Constraint]) -> tuple[int, ...]:
    """The frames in which nothing may move, in order (rule 5)."""
    return tuple(sorted({one.frame for one in found if one.element == NO_SOLUTION}))


def _closed(frame: int, pods: Sequence[str]) -> list[Constraint]:
    """No head-room for a watt or a var more, and none for one less."""
    uses = [dict.fromkeys(pods, sign) for sign in (1, -1)]
    return [Constraint(NO_SOLUTION, frame, 0, use, use) for use in uses]


def effects(
    flow: PowerFlow,
    scenarios: Scenarios,
    base_ppt: Integers,
    limits: Limits,
    watched: Integers,
    is_reactive: bool = False,
) -> tuple[Integers, Booleans]:
    """Head-room used (ppt) per W (or var) of withdrawal: array frames x PODs x watched elements; which frames have it."""
    network = flow.network
    rated = {n.id: n.u_rated_v for n in network.nodes}
    step = np.array([STEP_LV_W if rated[c.node] < 1_000 else STEP_MV_W for c in network.connections], dtype=np.int64)
    count, pods = scenarios.count, len(step)
    found, solved = np.zeros((count, pods, len(watched)), dtype=np.int64), np.ones(count, dtype=bool)
    together = max(1, _MOST_VALUES // max(1, pods * len(monitored(network))))
    for first in range(0, count if pods else 0, together):
        part = np.arange(first, min(first + together, count))
        rows, steps = np.repeat(part, pods), np.tile(np.diag(step), (len(part), 1))
        w, var = scenarios.delta_w[rows], reactive_of(scenarios)[rows]
        part_rows = scenarios.rows(rows)
        moved = part_rows.with_delta(w, var + steps) if is_reactive else part_rows.with_delta(w + steps)
        stepped = margins(network, flow.solve(moved), limits)
        solved[part] = stepped.solved.reshape(len(part), pods).all(axis=1)
        used = base_ppt[part][:, None, :] - stepped.margin_ppt[:, watched].reshape(len(part), pods, len(watched))
        for k in range(pods):
            found[part, k, :] = divide_half_even(used[:, k, :], int(step[k]))
    return found, solved


def reactive_of(scenarios: Scenarios) -> Integers:
    """var per POD of each state; zeros where the states have none."""
    return np.zeros_like(scenarios.delta_w) if scenarios.delta_var is None else scenarios.delta_var


def pod_deltas(network: Network, changes: Mapping[str, Sequence[int]], count: int) -> Integers:
    """Array frames x PODs of W from POD id to W per frame. Raises Rejected for an unknown POD or a wrong length."""
    place = {c.pod: k for k, c in enumerate(network.connections)}
    table = np.zeros((count, len(place)), dtype=np.int64)
    for pod, watts in changes.items():
        if pod not in place:
            raise Rejected(f"POD {pod}: not connected to this grid")
        if len(watts) != count:
            raise Rejected(f"POD {pod}: {len(watts)} values, expected {count}")
        table[:, place[pod]] += np.asarray(watts, dtype=np.int64)
    return table


def worst(found: Iterable[Violation]) -> dict[str, Violation]:
    """The greatest violation of each element."""
    by_element: dict[str, Violation] = {}
    for violation in found:
        if violation.element not in by_element or violation.amount_ppt > by_element[violation.element].amount_ppt:
            by_element[violation.element] = violation
    return by_element
