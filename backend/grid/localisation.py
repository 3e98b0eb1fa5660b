"""Where, how much, when and how likely a grid breaks its limits, in its normal state and without one element (I-10).

1. Every element beyond a limit is named with limit, value and excess: voltages, currents, transformers.
2. The forecast comes as levels: at level p every net load is not exceeded with probability p. The margin of an element
   is a function of the level, straight between levels and level beyond them; the probability is the share of levels at
   which the margin is below nothing. That all loads deviate together is the careful side.
3. Value and excess are those of the named level, the one nearest to one half, or of the worst level if only that is
   violated; both are said.
4. Without one element: what is no longer fed is lost and named with its load; what remains is judged like the rest,
   against the emergency ratings.
5. A state without a solution violates as a whole, with the probability of its levels, and stops no other.
6. If anything was found there is an alert, graver if it breaks in the normal state and is likely.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.domain.constraint import PPT_PER_UNIT
from backend.domain.quantity import half_even
from backend.errors import Rejected
from backend.grid.congestion import NO_SOLUTION, Limits, limit_ppt, margins
from backend.grid.flow import Booleans, Integers, PowerFlow, Scenarios, States
from backend.grid.network import Network

NORMAL = ""
PPM = 1_000_000
_HALF_PPM = 500_000
_LIKELY_PPM = 500_000


@dataclass(frozen=True, slots=True)
class Congestion:
    """One element beyond its limit in one frame (I-10), in 1e-12 of rated; probability in 1e-6.

    ``outage``: the element that is out, "" in the normal state. ``value_ppt``, ``amount_ppt``: at ``level_ppm``.
    ``worst_ppt``: the greatest excess over all levels.
    """

    outage: str
    frame: int
    element: str
    name: str
    limit_ppt: int
    level_ppm: int
    value_ppt: int
    amount_ppt: int
    worst_ppt: int
    probability_ppm: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What an outage leaves without feed: nodes, and the greatest load on them (W) over the frames at the mid level."""

    outage: str
    nodes: tuple[int, ...]
    load_w: int


@dataclass(frozen=True, slots=True)
class Alert:
    """What the operator is told at once: how grave, how many frames and elements, and the worst in words."""

    severity: str
    frames: int
    elements: int
    text: str


@dataclass(frozen=True, slots=True)
class Localisation:
    """Everything found, by outage (the normal state first), frame and element."""

    congestions: tuple[Congestion, ...]
    lost: tuple[Lost, ...]
    alert: Alert | None


def probability_ppm(levels_ppm: Sequence[int], margin_ppt: Sequence[int]) -> int:
    """Share (1e-6) of the levels 0..1 at which the margin is negative (rule 2). Levels ascend."""
    edges = [0, *levels_ppm, PPM]
    values = [margin_ppt[0], *margin_ppt, margin_ppt[-1]]
    share = 0
    for low, high, a, b in zip(edges, edges[1:], values, values[1:], strict=False):
        if a < 0 and b < 0:
            share += high - low
        elif a < 0 <= b:
            share += half_even((high - low) * -a, b - a)
        elif b < 0 <= a:
            share += half_even((high - low) * -b, a - b)
    return share


def localise(
    flow: PowerFlow,
    levels: Mapping[int, Scenarios],
    frames: Sequence[int],
    limits: Limits,
    outages: Sequence[str] = (),
) -> Localisation:
    """Everything beyond its limit. ``levels``: level (1e-6) to its states, rows are ``frames``.

    outages: names of lines, links or transformers that are out, one at a time ("line:7"). Cost: levels x frames x
    (1 + outages) power flows. Raises Rejected without levels, with one outside 0..1, and for a name that is not there.
    """
    order = sorted(levels)
    if not order or not 0 < order[0] <= order[-1] < PPM:
        raise Rejected(f"levels {order}, expected at least one between 1 and 999999 (1e-6)")
    found: list[Congestion] = []
    lost: list[Lost] = []
    for outage in (NORMAL, *outages):
        case = {p: without(flow.network, levels[p], outage) if outage else levels[p] for p in order}
        states = {p: flow.solve(case[p]) for p in order}
        bounds = replace(limits, emergency=True) if outage else limits
        found += _of_case(flow.network, outage, states, frames, bounds)
        if outage:
            lost += _lost(flow.network, outage, states, levels)
    return Localisation(tuple(found), tuple(lost), _alert(found, lost))


def without(network: Network, scenarios: Scenarios, outage: str) -> Scenarios:
    """The states with one line, link or transformer open. Raises Rejected if there is none of that name."""
    kinds: dict[str, tuple[list[bool], tuple[Any, ...], Booleans | None]] = {
        "line": ([e.from_closed and e.to_closed for e in network.lines], network.lines, scenarios.line_closed),
        "link": ([e.closed for e in network.links], network.links, scenarios.link_closed),
        "transformer": ([e.closed for e in network.transformers], network.transformers, scenarios.transformer_closed),
    }
    kind, _, number = outage.partition(":")
    standing, elements, given = kinds.get(kind, ([], (), None))
    place = next((k for k, e in enumerate(elements) if str(e.id) == number), None)
    if place is None:
        raise Rejected(f"outage {outage!r}: no such line, link or transformer in network {network.name!r}")
    closed = np.tile(np.array(standing, dtype=bool), (scenarios.count, 1)) if given is None else given.copy()
    closed[:, place] = False
    return scenarios.with_switches(**{f"{kind}_closed": closed})


def _lost(network: Network, outage: str, states: Mapping[int, States], levels: Mapping[int, Scenarios]) -> list[Lost]:
    """What has no feed in any solved state of the outage although it should."""
    dark = np.zeros(len(network.nodes), dtype=bool)
    for one in states.values():
        dark |= (~one.energized[one.solved]).any(axis=0)
    gone = tuple(n.id for n, is_dark in zip(network.nodes, dark.tolist(), strict=True) if is_dark and not n.dead)
    middle = levels[min(levels, key=lambda p: (abs(p - _HALF_PPM), p))]
    return [Lost(outage, gone, _load_w(network, middle, gone))] if gone else []


def _of_case(
    network: Network, outage: str, states: Mapping[int, States], frames: Sequence[int], limits: Limits
) -> list[Congestion]:
    order = list(states)
    tables = [margins(network, states[p], limits) for p in order]
    lows = [k for k, e in enumerate(tables[0].elements) if e.startswith("node:") and e.endswith(":low")]
    free = np.stack([t.margin_ppt for t in tables])
    fed = np.stack([s.energized for s in states.values()])
    if not fed.all():
        free[:, :, lows] = np.where(fed, free[:, :, lows], PPT_PER_UNIT)
    solved = np.stack([t.solved for t in tables])
    broken = np.asarray(np.any(np.logical_and(free < 0, solved[:, :, None]), axis=0))
    found = []
    for row in np.flatnonzero(broken.any(axis=1) | ~solved.all(axis=0)).tolist():
        good = np.flatnonzero(solved[:, row])
        if len(good) < len(order):
            found.append(_unsolved(outage, frames[row], order, solved[:, row]))
        for column in np.flatnonzero(broken[row]):
            at = {order[k]: int(free[k, row, column]) for k in good}
            found.append(_congestion(network, outage, frames[row], tables[0].elements[column], at, limits))
    return found


def _congestion(
    network: Network, outage: str, frame: int, element: str, margin_at: Mapping[int, int], limits: Limits
) -> Congestion:
    levels = sorted(margin_at)
    middle = min(levels, key=lambda p: (abs(p - _HALF_PPM), p))
    worst = min(levels, key=lambda p: (margin_at[p], p))
    told = middle if margin_at[middle] < 0 else worst
    limit, amount = limit_ppt(network, element, limits), -margin_at[told]
    value = limit - amount if element.endswith(":low") else limit + amount
    chance = probability_ppm(levels, [margin_at[p] for p in levels])
    name = name_of(network, element)
    return Congestion(outage, frame, element, name, limit, told, value, amount, -margin_at[worst], chance)


def _unsolved(outage: str, frame: int, levels: Sequence[int], solved: Booleans) -> Congestion:
    chance = probability_ppm(levels, [1 if s else -1 for s in solved.tolist()])
    level = levels[int(np.argmin(solved))]
    return Congestion(outage, frame, NO_SOLUTION, "no solution", 0, level, 0, PPT_PER_UNIT, PPT_PER_UNIT, chance)


def _load_w(network: Network, states: Scenarios, gone: Sequence[int]) -> int:
    loads = [k for k, load in enumerate(network.loads) if load.node in gone]
    pods = [k for k, c in enumerate(network.connections) if c.node in gone]
    total: Integers = states.load_w[:, loads].sum(axis=1) + states.delta_w[:, pods].sum(axis=1)
    return int(total.max(initial=0))


def name_of(network: Network, element: str) -> str:
    """The planner's name of a monitored element: its line, transformer or node."""
    kind, _, rest = element.partition(":")
    number = int(rest.partition(":")[0])
    of_kind: dict[str, tuple[Any, ...]] = {
        "line": network.lines, "transformer": network.transformers, "three_winding": network.three_windings,
        "node": network.nodes,
    }  # fmt: skip
    return str(next(e.name for e in of_kind[kind] if e.id == number))


def _alert(found: Sequence[Congestion], lost: Sequence[Lost]) -> Alert | None:
    """The one thing to be told first: normal state before outages, then the likeliest, then the greatest excess."""
    if not found and not lost:
        return None
    if not found:
        most = max(lost, key=lambda one: (one.load_w, one.outage))
        text = f"without {most.outage}: {len(most.nodes)} nodes and {most.load_w} W are lost"
        return Alert("low", 0, 0, text)
    ranked = sorted(found, key=lambda c: (c.outage != NORMAL, -c.probability_ppm, -c.worst_ppt, c.frame, c.element))
    worst, normal = ranked[0], [c for c in found if c.outage == NORMAL]
    likely = any(c.probability_ppm >= _LIKELY_PPM for c in normal)
    severity = "high" if likely else "medium" if normal else "low"
    where = f"{worst.element} ({worst.name})" if worst.element != NO_SOLUTION else "network without solution"
    out = f", without {worst.outage}" if worst.outage else ""
    text = (
        f"{where} in frame {worst.frame}{out}: {_percent(worst.amount_ppt)} of rated beyond its limit, "
        f"probability {worst.probability_ppm // 10_000} %"
    )
    return Alert(severity, len({c.frame for c in found}), len({c.element for c in found}), text)


def _percent(ppt: int) -> str:
    return f"{ppt // 10**10}.{ppt // 10**8 % 100:02d} %"
