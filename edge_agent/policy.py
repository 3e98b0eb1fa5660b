"""Pure: from what rules at the POD to what the resource shall do.

1. Target: resource = target - other load, clipped to what the resource can do.
2. Maximum withdrawal and maximum injection: the resource keeps its own way (None) while the POD stays inside the limit;
   else it goes as far as the limit asks. What it would do by itself is what it last did unbidden; as long as that is not
   known, it is held where it is or at the limit.
3. A ramp limits the change of the resource's power; it starts from what the resource does now.
"""

from dataclasses import dataclass

from lightwire import decision, records

from edge_agent.ems import Bounds, Measured


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the POD shall do: control (TARGET, MAX_WITHDRAWAL, MAX_INJECTION) and value [W, a magnitude for limits]."""

    control: int
    value_w: int
    ramp_w_per_s: int = 0


def resource_target(wanted: Wanted, measured: Measured, unbidden_w: int | None, bounds: Bounds) -> int | None:
    """The resource's power [W] that makes the POD do as wanted; None: nothing needs to be commanded.

    unbidden_w: what the resource last did by itself; None if it has been commanded ever since we came.
    """
    if wanted.control == records.TARGET:
        return bounds.clip(wanted.value_w - measured.other_w)
    own_w = measured.der_w if unbidden_w is None else unbidden_w
    if wanted.control == records.MAX_WITHDRAWAL:
        limit_w = wanted.value_w - measured.other_w
        kept, power_w = own_w <= limit_w, min(own_w, limit_w)
    else:
        limit_w = -wanted.value_w - measured.other_w
        kept, power_w = own_w >= limit_w, max(own_w, limit_w)
    return None if kept and unbidden_w is not None else bounds.clip(power_w)


def next_step(previous_w: int, target_w: int, ramp_w_per_s: int, elapsed_ms: int) -> int:
    """The resource's power now on its way to the target."""
    return decision.ramped(previous_w, target_w, ramp_w_per_s, elapsed_ms)
