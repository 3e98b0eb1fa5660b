"""Pure: from what the set-point says about the POD to what the DER is told. Powers in W, withdrawal positive.

1. The POD's target is reached by the DER alone: DER = target - (POD - DER), the rest of the customer being what it is.
2. A maximum only moves the DER when the POD would break it; the DER is never told more than its nameplate.
3. No set-point in force: nothing is commanded (None), the DER does what it does by itself.
"""

from lightwire import records


def wanted_w(
    point: records.SetPoint | None, value_w: int | None, pod_w: int, der_w: int, nameplate_w: int
) -> int | None:
    """What the DER shall do now, or None."""
    if point is None or value_w is None:
        return None
    rest_w = pod_w - der_w
    if point.control == records.MAX_WITHDRAWAL:
        target_w = min(value_w, pod_w)
    elif point.control == records.MAX_INJECTION:
        target_w = max(-value_w, pod_w)
    else:
        target_w = value_w
    return max(-nameplate_w, min(nameplate_w, target_w - rest_w))
