"""The plan of the operator's own devices, renewed as their quarter-hours come near.

1. Devices go where they were planned while that, as now expected, leaves no limit broken.
2. Else every position is tried once more from where they stood last, as backend.grid.remedy does; what leaves less broken than
   the plan is taken.
3. The operations of the whole day stay within what is allowed: what was moved before counts.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backend.grid.congestion import Limits
from backend.grid.flow import Integers, PowerFlow, Scenarios
from backend.grid.remedy import MOST_OPERATIONS, DevicePlan, lacking_ppm, own_remedy, with_positions


def renewed(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    plan: DevicePlan,
    most_operations: int = MOST_OPERATIONS,
) -> DevicePlan:
    """The plan with other positions in these frames of it, in a row, where that is better; scenarios: these frames.

    Raises Rejected for frames that are not in the plan like that."""
    planned, table = plan.table(frames), plan.table(plan.frames)
    first = plan.frames.index(frames[0])
    start = np.array([device.standing for device in plan.devices], dtype=np.int64)
    standing = table[first - 1] if first else start
    left = most_operations - _moves(start, table[:first])
    allowed = _moves(standing, planned) <= left
    lacks = lacking_ppm(flow, with_positions(flow.network, scenarios, plan.devices, planned), limits)
    if allowed and not lacks:
        return plan
    devices = [replace(d, standing=int(at)) for d, at in zip(plan.devices, standing, strict=True)]
    better, found = own_remedy(flow, scenarios, frames, limits, left, devices)
    if allowed and lacks <= lacking_ppm(flow, better, limits):
        return plan
    table[first : first + len(frames)] = found.table(frames)
    return replace(plan, positions=tuple(tuple(row) for row in table.T.tolist()))


def _moves(standing: Integers, table: Integers) -> int:
    """Operations of a table, frames x devices, that begins where devices stand."""
    return int((np.diff(table, axis=0, prepend=standing[None, :]) != 0).sum())
