"""Where a grid breaks its limits, and what a watt at each POD does about it (I-10).

1. Loadings are limited by the rating; voltages by the node's band; ``Limits`` may keep an operator's margin free.
2. A violation is an element beyond its limit by more than nothing; a state without a solution violates as a whole.
3. Constraints are made for every element that is near its limit in one of the frames, in all the frames traded.
4. Effects come from solved states with a step of withdrawal at one POD at a time, not from a linear method.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain.constraint import PPT_PER_UNIT, Constraint
from backend.errors import Rejected
from backend.grid.element import MILLION
from backend.grid.flow import Integers, PowerFlow, Scenarios, States
from backend.grid.forecast import divide_half_even
from backend.grid.network import Network

PPT_PER_PPM = 1_000_000
STEP_LV_W = 1_000
STEP_MV_W = 20_000
NO_SOLUTION = "network"


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's margins, kept free of what the market may use: 1e-6 of rated voltage and of rated loading."""

    voltage_margin_ppm: int = 0
    loading_margin_ppm: int = 0

    def __post_init__(self) -> None:
        for name, value in (
            ("voltage_margin_ppm", self.voltage_margin_ppm),
            ("loading_margin_ppm", self.loading_margin_ppm),
        ):
            if not 0 <= value < 100_000:
                raise Rejected(f"limits {name} = {value}, expected 0 to 99999")


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


def margins(network: Network, states: States, limits: Limits) -> Margins:
    """Head-room of lines, transformers and both sides of every node's band, in the network's order."""
    band = [-MILLION if n.dead else n.u_min_ppm + limits.voltage_margin_ppm for n in network.nodes]
    low = np.array(band, dtype=np.int64) * PPT_PER_PPM
    high = np.array([n.u_max_ppm - limits.voltage_margin_ppm for n in network.nodes], dtype=np.int64) * PPT_PER_PPM
    full = PPT_PER_UNIT - limits.loading_margin_ppm * PPT_PER_PPM
    return Margins(
        elements=monitored(network),
        margin_ppt=np.concatenate(
            [
                full - states.line_ppt,
                full - states.transformer_ppt,
                states.voltage_ppt - low,
                high - states.voltage_ppt,
            ],
            axis=1,
        ),
        solved=states.solved,
    )


def monitored(network: Network) -> tuple[str, ...]:
    """Names of all limits, in the order of the columns of ``margins``."""
    return (
        *(f"line:{line.id}" for line in network.lines),
        *(f"transformer:{t.id}" for t in network.transformers),
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
    if kind != "node":
        return PPT_PER_UNIT - limits.loading_margin_ppm * PPT_PER_PPM
    number, _, side = rest.partition(":")
    node = next(n for n in network.nodes if n.id == int(number))
    if side == "low":
        return (node.u_min_ppm + limits.voltage_margin_ppm) * PPT_PER_PPM
    return (node.u_max_ppm - limits.voltage_margin_ppm) * PPT_PER_PPM


def constraints(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, near_ppm: int = 20_000
) -> tuple[Constraint, ...]:
    """Every element within ``near_ppm`` of its limit in some state, in all the states: margin and effect per POD.

    Rows of ``scenarios`` are the traded frames. Sorted by frame, then as monitored. Cost: PODs + 1 power flows a frame.
    Raises Rejected if one of the states has no solution.
    """
    network = flow.network
    pods = [c.pod for c in network.connections]
    base = margins(network, flow.solve(scenarios), limits)
    if not base.solved.all():
        raise Rejected(f"constraints: no power flow in frame {frames[int(np.argmin(base.solved))]}")
    watched = np.flatnonzero((base.margin_ppt < near_ppm * PPT_PER_PPM).any(axis=0))
    effect = effects(flow, scenarios, base.margin_ppt[:, watched], limits, watched)
    found = []
    for row, frame in enumerate(frames):
        for place, column in enumerate(watched):
            per_pod = {pod: int(effect[row, k, place]) for k, pod in enumerate(pods)}
            found.append(Constraint(base.elements[column], frame, int(base.margin_ppt[row, column]), per_pod))
    return tuple(found)


def effects(flow: PowerFlow, scenarios: Scenarios, base_ppt: Integers, limits: Limits, watched: Integers) -> Integers:
    """Head-room used (ppt) per W of withdrawal: array frames x PODs x watched elements."""
    network = flow.network
    rated = {n.id: n.u_rated_v for n in network.nodes}
    step = np.array([STEP_LV_W if rated[c.node] < 1_000 else STEP_MV_W for c in network.connections], dtype=np.int64)
    count, pods = scenarios.count, len(step)
    if pods == 0:
        return np.zeros((count, 0, len(watched)), dtype=np.int64)
    rows = np.repeat(np.arange(count), pods)
    delta = scenarios.delta_w[rows] + np.tile(np.diag(step), (count, 1))
    stepped = margins(network, flow.solve(scenarios.rows(rows).with_delta(delta)), limits)
    if not stepped.solved.all():
        raise Rejected("constraints: no power flow with a small step of load; the state is at its limit")
    moved = stepped.margin_ppt[:, watched].reshape(count, pods, len(watched))
    used = base_ppt[:, None, :] - moved
    return np.stack([divide_half_even(used[:, k, :], int(step[k])) for k in range(pods)], axis=1)


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
