"""The operator's own plan of a day (I-11): devices first, then switches, then devices again; nothing is bought before.

1. Taps and banks come first: they cost an operation, no switching crew. Switches only if limits stay broken, or if the
   operator asks for less losses.
2. After the switches moved, the devices are placed anew for the configuration that will be.
3. The plan says of each measure what it was for; what no own measure heals is left, by name, for the market.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.grid.congestion import Limits, Violation, violations
from backend.grid.exchange import Exchanges, Reconfiguration, with_open
from backend.grid.flow import PowerFlow, Scenarios, States
from backend.grid.loss import loss_w
from backend.grid.network import Network
from backend.grid.radial import Ways, branches_of, ways_of
from backend.grid.remedy import MOST_OPERATIONS, DevicePlan, own_remedy, with_positions
from backend.grid.renewal import renewed

QUARTERS_OF_HOUR = 4
MOST_SWITCHED = 12


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows a day: operations of devices, of switches; switches also for losses; which of them."""

    device_operations: int = MOST_OPERATIONS
    switch_operations: int = MOST_SWITCHED
    for_losses: bool = False
    switchable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DayPlan:
    """Devices, switches (None: none allowed or needed), what was broken before and is after, the states that result."""

    devices: DevicePlan
    switches: Reconfiguration | None
    before: tuple[Violation, ...]
    after: tuple[Violation, ...]
    loss_before_wh: int
    loss_after_wh: int
    scenarios: Scenarios


def switchable_of(network: Network) -> tuple[str, ...]:
    """The lines and links that the operator marked as switchable."""
    lines = [f"line:{e.id}" for e in network.lines if e.switchable]
    return (*lines, *(f"link:{e.id}" for e in network.links if e.switchable))


def plan_day(flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, allowed: Allowed) -> DayPlan:
    """The plan. Raises Rejected for a switchable element that is not in the network."""
    network, ways = flow.network, ways_of(flow.network, allowed.switchable)
    first = flow.solve(scenarios)
    before = violations(network, first, frames, limits)
    placed, devices = own_remedy(flow, scenarios, frames, limits, allowed.device_operations)
    left = violations(network, flow.solve(placed), frames, limits)
    switches = None
    if ways.ends and allowed.switch_operations and (left or allowed.for_losses):
        placed, devices, switches = _switched(flow, (scenarios, placed), devices, frames, limits, allowed, ways)
    last = flow.solve(placed)
    after = violations(network, last, frames, limits)
    lost = (_loss_wh(network, scenarios, first), _loss_wh(network, placed, last))
    return DayPlan(devices, switches, before, after, *lost, placed)


def renew_day(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, held: DevicePlan, most_operations: int
) -> DayPlan:
    """A plan whose devices are placed anew in these frames of it (backend.grid.renewal); switches stay as in the scenarios."""
    made = renewed(flow, scenarios, frames, limits, held, most_operations)
    states = [_placed(flow.network, scenarios, plan, frames) for plan in (held, made)]
    solved = [flow.solve(one) for one in states]
    before, after = (violations(flow.network, one, frames, limits) for one in solved)
    lost_before, lost_after = (_loss_wh(flow.network, *one) for one in zip(states, solved, strict=True))
    return DayPlan(made, None, before, after, lost_before, lost_after, states[1])


def _placed(network: Network, scenarios: Scenarios, plan: DevicePlan, frames: Sequence[int]) -> Scenarios:
    return with_positions(network, scenarios, plan.devices, plan.table(frames))


def _switched(
    flow: PowerFlow,
    states: tuple[Scenarios, Scenarios],
    devices: DevicePlan,
    frames: Sequence[int],
    limits: Limits,
    allowed: Allowed,
    ways: Ways,
) -> tuple[Scenarios, DevicePlan, Reconfiguration | None]:
    """``states``: as they stand, and with the devices placed."""
    scenarios, placed = states
    standing = opened_in(flow.network, ways.ends)
    found = Exchanges(flow, placed, limits, ways).run(standing, allowed.switch_operations, allowed.for_losses)
    if not found.steps:
        return placed, devices, None
    wanted = [frozenset(found.opened)] * scenarios.count
    if not any(d.positions[1:] for d in devices.devices):
        return with_open(flow.network, placed, ways, wanted), devices, found
    switched = with_open(flow.network, scenarios, ways, wanted)
    return *own_remedy(flow, switched, frames, limits, allowed.device_operations), found


def opened_in(network: Network, names: Iterable[str]) -> frozenset[str]:
    """Which of these lines and links stand open."""
    branches = branches_of(network)
    return frozenset(name for name in names if not branches[name][2])


def _loss_wh(network: Network, scenarios: Scenarios, states: States) -> int:
    lost = loss_w(network, scenarios, states)
    return int(np.sum(lost)) // QUARTERS_OF_HOUR
