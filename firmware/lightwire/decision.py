"""The rules of set-points: time, state and set-point in, decision out. Node and agent run the same code.

1. Authentic or nothing: the caller has checked the signature; the issuer is known and may act in its role.
2. The command number is above the last one accepted; the caller keeps it in flash before acting.
3. The window is at most 25 h and has not ended; the value is within the limits of the point.
4. Without a trusted clock only a set-point that repeats the device's fresh nonce is accepted.
5. An emergency stop outranks all, the local switch outranks remote.
6. At expiry the signed fallback holds: keep the value, let go, or go to a value. Unknown is never unlimited: without
   any set-point nothing is commanded, and a lost link changes nothing until expiry.

Sources: CEI 0-16 V5 (hold), SunSpec 704 and IEEE 2030.5 (revert), EEBUS LPC (fail-safe limit).
"""

from .choice import (
    ACCEPTED,
    FALLBACK_HOLD,
    FALLBACK_VALUE,
    MAX_INJECTION,
    MAX_WITHDRAWAL,
    POD_NET,
    REACTIVE_TARGET,
    REFUSED,
    TARGET,
)
from .records import SetPoint

WINDOW_MAX_MS = 25 * 3600 * 1000

# reasons of a refusal
NONE = 0
BAD_SIGNATURE = 1
UNKNOWN_ISSUER = 2
WRONG_DEVICE = 3
NUMBER_NOT_ABOVE_LAST = 4
WINDOW_TOO_LONG = 5
ALREADY_EXPIRED = 6
BEYOND_LIMITS = 7
CLOCK_NOT_TRUSTED = 8
EMERGENCY_STOP = 9
LOCAL_SWITCH = 10
UNKNOWN_RESOURCE = 11
UNKNOWN_CONTROL = 12
MALFORMED = 13

REASONS = (
    "none",
    "bad signature",
    "unknown issuer",
    "another device's",
    "command number not above the last",
    "window longer than 25 h",
    "already expired",
    "beyond the limits of the point",
    "clock not trusted and no fresh nonce",
    "emergency stop",
    "local switch",
    "unknown resource",
    "unknown control",
    "malformed",
)


class State:
    """What a decision depends on beside the set-point. Powers in W, withdrawal positive; limits as magnitudes."""

    def __init__(
        self,
        device: bytes,
        last_command: int,
        max_withdrawal_w: int,
        max_injection_w: int,
        clock_trusted: bool = True,
        nonce: bytes = b"",
        emergency_stop: bool = False,
        local_switch: bool = False,
    ) -> None:
        self.device = device
        self.last_command = last_command
        self.max_withdrawal_w = max_withdrawal_w
        self.max_injection_w = max_injection_w
        self.clock_trusted = clock_trusted
        self.nonce = nonce
        self.emergency_stop = emergency_stop
        self.local_switch = local_switch


def decide(point: SetPoint, issuer_role: int, state: State, now_ms: int) -> tuple[int, int]:
    """(ACCEPTED, NONE) or (REFUSED, reason) for an authentic set-point; issuer_role: its issuer's, 0 if unknown."""
    reason = _refusal(point, issuer_role, state, now_ms)
    return (REFUSED, reason) if reason else (ACCEPTED, NONE)


def _refusal(point: SetPoint, issuer_role: int, state: State, now_ms: int) -> int:
    if issuer_role != point.role:
        return UNKNOWN_ISSUER
    if point.device != state.device:
        return WRONG_DEVICE
    if state.emergency_stop:
        return EMERGENCY_STOP
    if state.local_switch:
        return LOCAL_SWITCH
    if point.command <= state.last_command:
        return NUMBER_NOT_ABOVE_LAST
    if point.not_after_ms - point.not_before_ms > WINDOW_MAX_MS:
        return WINDOW_TOO_LONG
    if not state.clock_trusted and (not state.nonce or point.nonce != state.nonce):
        return CLOCK_NOT_TRUSTED
    if state.clock_trusted and point.not_after_ms <= now_ms:
        return ALREADY_EXPIRED
    if point.resource != POD_NET:
        return UNKNOWN_RESOURCE
    if point.control == REACTIVE_TARGET:
        return UNKNOWN_CONTROL
    if not _within(point.control, point.value, state):
        return BEYOND_LIMITS
    if point.fallback == FALLBACK_VALUE and not _within(point.control, point.fallback_value, state):
        return BEYOND_LIMITS
    return NONE


def _within(control: int, value: int, state: State) -> bool:
    if control == TARGET:
        return -state.max_injection_w <= value <= state.max_withdrawal_w
    if control == MAX_WITHDRAWAL:
        return 0 <= value <= state.max_withdrawal_w
    return control == MAX_INJECTION and 0 <= value <= state.max_injection_w


def ruling(points: list[SetPoint], now_ms: int) -> SetPoint | None:
    """The set-point whose window holds now; of several the one with the highest command number."""
    found = None
    for point in points:
        if point.not_before_ms <= now_ms < point.not_after_ms and (found is None or point.command > found.command):
            found = point
    return found


def last_expired(points: list[SetPoint], now_ms: int) -> SetPoint | None:
    """The set-point that ended last (its fallback rules when none is in force)."""
    found = None
    for point in points:
        if point.not_after_ms <= now_ms and (
            found is None or (point.not_after_ms, point.command) > (found.not_after_ms, found.command)
        ):
            found = point
    return found


def in_force(points: list[SetPoint], now_ms: int) -> tuple[SetPoint | None, int | None]:
    """(set-point, value in W) that rules now; the value is None when nothing is commanded.

    Within a window its value; after it what its fallback says. Ramps are the agent's.
    """
    point = ruling(points, now_ms)
    if point is not None:
        return point, point.value
    point = last_expired(points, now_ms)
    if point is None:
        return None, None
    if point.fallback == FALLBACK_HOLD:
        return point, point.value
    if point.fallback == FALLBACK_VALUE:
        return point, point.fallback_value
    return point, None


def ramped(previous_w: int, target_w: int, ramp_w_per_s: int, elapsed_ms: int) -> int:
    """The next value on the way from previous to target; a ramp of 0 is a step."""
    if not ramp_w_per_s:
        return target_w
    step = ramp_w_per_s * elapsed_ms // 1000
    if target_w > previous_w:
        return min(target_w, previous_w + step)
    return max(target_w, previous_w - step)
