"""The rules of set-points: time, state and set-point in, decision out. Node and agent run the same code.

1. Authentic or nothing: the caller has checked the signature; the issuer is known and acts in the role it was given.
2. The command number is above the last one accepted; the caller keeps it in flash before acting.
3. The window is at most 25 h and has not ended; the value is within the limits of the point.
4. Without a trusted clock only a set-point that repeats the device's fresh nonce is accepted.
5. An emergency stop outranks all, the local switch outranks remote.
6. One set-point rules at a time. From its beginning, one with a higher number supersedes for good all lower numbers whose
   windows overlap its own, even if it is itself superseded; the others keep their turn.
7. At expiry the signed fallback holds: keep the value, let go, or go to a value. A lost link changes nothing until then.
8. Unknown is never unlimited: without any set-point nothing is commanded, and without a known time a command that stands
   is left standing.
9. After a restart the same rules over the kept set-points give what is still valid; a value whose window has ended never
   resumes, its fallback does.

Sources: CEI 0-16 V5 (hold), SunSpec 704 and IEEE 2030.5 (revert), EEBUS LPC (fail-safe limit).
"""

from collections import namedtuple

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

# reasons of a refusal or a failure; numbers are never given anew
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
ROLE_NOT_ALLOWED = 14
NOT_ACCEPTED = 15
EMS_UNREACHABLE = 16
EMS_REFUSED = 17

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
    "role not allowed",
    "not accepted by the node",
    "energy manager unreachable",
    "energy manager refused",
)

# what rules at an instant
RULES_NOTHING = 0  # no set-point: nothing is commanded
RULES_WINDOW = 1  # a set-point inside its window
RULES_FALLBACK = 2  # the fallback of the set-point that ended last
RULES_UNKNOWN = 3  # the time is not known: what stands is left standing
RULES_LOCAL = 4  # the local switch: nothing remote is commanded
RULES_STOP = 5  # emergency stop: the resource goes to zero

# mode: RULES_; point: the SetPoint behind it or None; value: W in the sense of the point's control, None commands nothing
Ruling = namedtuple("Ruling", ("mode", "point", "value"))


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
    reason = _standing(point, issuer_role, state) or _timing(point, state, now_ms) or _value(point, state)
    return (REFUSED, reason) if reason else (ACCEPTED, NONE)


def _standing(point: SetPoint, issuer_role: int, state: State) -> int:
    if not issuer_role:
        return UNKNOWN_ISSUER
    if issuer_role != point.role:
        return ROLE_NOT_ALLOWED
    if point.device != state.device:
        return WRONG_DEVICE
    if state.emergency_stop:
        return EMERGENCY_STOP
    if state.local_switch:
        return LOCAL_SWITCH
    return NONE


def _timing(point: SetPoint, state: State, now_ms: int) -> int:
    if point.command <= state.last_command:
        return NUMBER_NOT_ABOVE_LAST
    if point.not_after_ms - point.not_before_ms > WINDOW_MAX_MS:
        return WINDOW_TOO_LONG
    if not state.clock_trusted:
        fresh = any(state.nonce) and point.nonce == state.nonce
        return NONE if fresh else CLOCK_NOT_TRUSTED
    return ALREADY_EXPIRED if point.not_after_ms <= now_ms else NONE


def _value(point: SetPoint, state: State) -> int:
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


def is_superseded(point: SetPoint, points: list[SetPoint], now_ms: int) -> bool:
    """Whether another of the points took its place (rule 6); never false again once true."""
    for other in points:
        if (
            other.command > point.command
            and other.not_before_ms <= now_ms
            and other.not_before_ms < point.not_after_ms
            and point.not_before_ms < other.not_after_ms
        ):
            return True
    return False


def in_force(
    points: list[SetPoint], now_ms: int | None, emergency_stop: bool = False, local_switch: bool = False
) -> Ruling:
    """What rules at now_ms (None: the time is not known) over all accepted set-points, in any order."""
    if emergency_stop:
        return Ruling(RULES_STOP, None, 0)
    if local_switch:
        return Ruling(RULES_LOCAL, None, None)
    if now_ms is None:
        return Ruling(RULES_UNKNOWN if points else RULES_NOTHING, None, None)
    point = _latest(points, now_ms)
    if point is None:
        return Ruling(RULES_NOTHING, None, None)
    if now_ms < point.not_after_ms:
        return Ruling(RULES_WINDOW, point, point.value)
    return Ruling(RULES_FALLBACK, point, _fallback(point))


def _latest(points: list[SetPoint], now_ms: int) -> SetPoint | None:
    """Of those that have begun and are not superseded, the one whose window ends last: two never overlap."""
    found = None
    for point in points:
        if (
            point.not_before_ms <= now_ms
            and (found is None or point.not_after_ms > found.not_after_ms)
            and not is_superseded(point, points, now_ms)
        ):
            found = point
    return found


def _fallback(point: SetPoint) -> int | None:
    if point.fallback == FALLBACK_HOLD:
        return point.value
    return point.fallback_value if point.fallback == FALLBACK_VALUE else None


def bounds(ruling: Ruling, max_withdrawal_w: int, max_injection_w: int) -> tuple[int | None, int | None, int | None]:
    """(target, maximum withdrawal, maximum injection) in W that hold at the POD under a ruling; None is not commanded.

    max_...: limits of the point, which hold beside what is commanded. Without a command all three are None (rule 8).
    """
    if ruling.point is None or ruling.value is None:
        return None, None, None
    control, value = ruling.point.control, ruling.value
    if control == MAX_WITHDRAWAL:
        return None, min(value, max_withdrawal_w), max_injection_w
    if control == MAX_INJECTION:
        return None, max_withdrawal_w, min(value, max_injection_w)
    return value, max_withdrawal_w, max_injection_w


def still_needed(points: list[SetPoint], now_ms: int) -> list[SetPoint]:
    """What to keep, over a restart too: what can still rule, and what keeps another from ruling (rule 6).

    Dropping the others changes no later ruling. Nothing but the last fallback is kept longer than 25 h after its end.
    """
    ruling = _latest(points, now_ms)
    return [p for p in points if p is ruling or p.not_after_ms > now_ms or _outranks_later(p, points, now_ms)]


def _outranks_later(point: SetPoint, points: list[SetPoint], now_ms: int) -> bool:
    for other in points:
        if other.command < point.command and now_ms < other.not_after_ms and other.not_before_ms < point.not_after_ms:
            return True
    return False


def ramped(previous_w: int, target_w: int, ramp_w_per_s: int, elapsed_ms: int) -> int:
    """The next value on the way from previous to target; a ramp of 0 is a step."""
    if not ramp_w_per_s:
        return target_w
    step = ramp_w_per_s * elapsed_ms // 1000
    if target_w > previous_w:
        return min(target_w, previous_w + step)
    return max(target_w, previous_w - step)
