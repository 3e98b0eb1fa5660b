"""States of a day side by side for people: the worst elements before, as planned, as measured; and the check of it.

1. Voltages in micro per unit of rated, loadings in ppm of rated.
2. What was measured at the PODs takes the place of their base load; everything else is as it really was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.grid.congestion import Limits, Violation, margins, pod_deltas, violations
from backend.grid.flow import Integers, PowerFlow, Scenarios, States
from backend.grid.network import Network

PPT_PER_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """One element over the frames. ``unit`` is "upu" (voltage) or "ppm" (loading); ``values`` by name of the state."""

    element: str
    name: str
    unit: str
    low: int
    high: int
    frames: tuple[int, ...]
    values: Mapping[str, tuple[int, ...]]


def with_measured(
    network: Network,
    scenarios: Scenarios,
    base_w: Mapping[str, Sequence[int]],
    measured_w: Mapping[str, Sequence[int]],
) -> Scenarios:
    """Scenarios (what really was, base loads included) with the PODs at their measured W instead of their base W.

    A POD without measurement stays at its base load. Raises Rejected for an unknown POD or a wrong length.
    """
    change = {pod: [m - b for m, b in zip(watts, base_w[pod], strict=True)] for pod, watts in measured_w.items()}
    return scenarios.with_delta(scenarios.delta_w + pod_deltas(network, change, scenarios.count))


def measured_violations(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    base_w: Mapping[str, Sequence[int]],
    measured_w: Mapping[str, Sequence[int]],
    limits: Limits,
) -> tuple[Violation, ...]:
    """Violations of the state that the PODs' measured quarter-hours lead to, by AC power flow."""
    changed = with_measured(flow.network, scenarios, base_w, measured_w)
    return violations(flow.network, flow.solve(changed), frames, limits)


def series(
    flow: PowerFlow,
    named: Mapping[str, Scenarios],
    frames: Sequence[int],
    limits: Limits,
    count: int = 4,
) -> tuple[Trace, ...]:
    """The ``count`` branches and the ``count`` voltages with the least head-room over all states, worst first.

    ``named``: name of the state ("before", "planned", "measured") to its scenarios, one row per frame.
    """
    network = flow.network
    solved = {name: flow.solve(scenarios) for name, scenarios in named.items()}
    tables = {name: margins(network, states, limits) for name, states in solved.items()}
    worst = np.min([table.margin_ppt.min(axis=0) for table in tables.values()], axis=0)
    elements = next(iter(tables.values())).elements
    ranked = sorted(range(len(elements)), key=lambda k: (int(worst[k]), k))
    branches = [elements[k] for k in ranked if not elements[k].startswith("node:")][:count]
    nodes = list(dict.fromkeys(elements[k].rsplit(":", 1)[0] for k in ranked if elements[k].startswith("node:")))[
        :count
    ]
    return tuple(_trace(network, element, solved, frames) for element in (*branches, *nodes))


def _trace(network: Network, element: str, solved: Mapping[str, States], frames: Sequence[int]) -> Trace:
    kind, _, number = element.partition(":")
    if kind == "node":
        place, node = next((k, n) for k, n in enumerate(network.nodes) if n.id == int(number))
        values = {name: _micro(states.voltage_ppt[:, place]) for name, states in solved.items()}
        return Trace(element, node.name, "upu", node.u_min_ppm, node.u_max_ppm, tuple(frames), values)
    if kind == "line":
        place, line = next((k, e) for k, e in enumerate(network.lines) if e.id == int(number))
        values = {name: _micro(states.line_ppt[:, place]) for name, states in solved.items()}
        return Trace(element, line.name, "ppm", 0, 1_000_000, tuple(frames), values)
    place, unit = next((k, t) for k, t in enumerate(network.transformers) if t.id == int(number))
    values = {name: _micro(states.transformer_ppt[:, place]) for name, states in solved.items()}
    return Trace(element, unit.name, "ppm", 0, 1_000_000, tuple(frames), values)


def _micro(values: Integers) -> tuple[int, ...]:
    return tuple(int(v) // PPT_PER_MICRO for v in values)
