"""The rules of set-points: every refusal with its reason, both ends of a window, fallbacks, ramps."""

from typing import Any

import pytest
from lightwire import decision, records

NOW = 1_796_040_000_000
DEVICE = b"devicedv"


def point(**more: Any) -> records.SetPoint:
    values: dict[str, Any] = dict(
        id=bytes(16), device=DEVICE, issuer=b"issueris", role=1, command=5, not_before_ms=NOW, not_after_ms=NOW + 900_000,
        resource=0, control=1, value=-1000, ramp_w_per_s=0, fallback=2, fallback_value=0, reason=0, order=bytes(16),
        nonce=bytes(16), salt=bytes(16),
    )  # fmt: skip
    return records.SetPoint(**{**values, **more})


def state(**more: Any) -> decision.State:
    return decision.State(
        **{"device": DEVICE, "last_command": 4, "max_withdrawal_w": 5000, "max_injection_w": 2000, **more}
    )


def test_an_authentic_set_point_within_the_rules_is_accepted() -> None:
    assert decision.decide(point(), 1, state(), NOW) == (records.ACCEPTED, decision.NONE)


@pytest.mark.parametrize(
    ("made", "role", "known", "reason"),
    [
        (point(), 0, state(), decision.UNKNOWN_ISSUER),
        (point(role=2), 1, state(), decision.UNKNOWN_ISSUER),
        (point(device=b"other___"), 1, state(), decision.WRONG_DEVICE),
        (point(), 1, state(last_command=5), decision.NUMBER_NOT_ABOVE_LAST),
        (point(not_after_ms=NOW + 25 * 3_600_000 + 1), 1, state(), decision.WINDOW_TOO_LONG),
        (point(not_before_ms=NOW - 10, not_after_ms=NOW), 1, state(), decision.ALREADY_EXPIRED),
        (point(value=-2001), 1, state(), decision.BEYOND_LIMITS),
        (point(value=5001), 1, state(), decision.BEYOND_LIMITS),
        (point(control=2, value=-1), 1, state(), decision.BEYOND_LIMITS),
        (point(fallback=3, fallback_value=9999), 1, state(), decision.BEYOND_LIMITS),
        (point(), 1, state(clock_trusted=False), decision.CLOCK_NOT_TRUSTED),
        (point(nonce=b"n" * 16), 1, state(clock_trusted=False, nonce=b"m" * 16), decision.CLOCK_NOT_TRUSTED),
        (point(), 1, state(emergency_stop=True), decision.EMERGENCY_STOP),
        (point(), 1, state(local_switch=True), decision.LOCAL_SWITCH),
        (point(resource=3), 1, state(), decision.UNKNOWN_RESOURCE),
        (point(control=4), 1, state(), decision.UNKNOWN_CONTROL),
    ],
)
def test_each_refusal_has_its_reason(made: records.SetPoint, role: int, known: decision.State, reason: int) -> None:
    assert decision.decide(made, role, known, NOW) == (records.REFUSED, reason)


def test_without_a_trusted_clock_the_fresh_nonce_opens_the_door() -> None:
    nonce = b"n" * 16
    assert decision.decide(point(nonce=nonce), 1, state(clock_trusted=False, nonce=nonce), NOW)[0] == records.ACCEPTED


@pytest.mark.parametrize(
    ("fallback", "value", "expected"),
    [(1, 0, -1000), (2, 0, None), (3, 700, 700)],
    ids=["hold", "release", "value"],
)
def test_after_the_window_the_signed_fallback_holds(fallback: int, value: int, expected: int | None) -> None:
    one = point(fallback=fallback, fallback_value=value)
    assert decision.in_force([one], NOW - 1) == (None, None)
    assert decision.in_force([one], NOW) == (one, -1000)
    assert decision.in_force([one], NOW + 899_999) == (one, -1000)
    assert decision.in_force([one], NOW + 900_000) == (one, expected)


def test_the_higher_command_number_rules_whatever_the_order() -> None:
    old, new = point(), point(command=6, value=10, id=b"n" * 16)
    assert decision.in_force([new, old], NOW)[0] is new and decision.in_force([old, new], NOW)[0] is new


def test_a_ramp_moves_by_its_rate_and_stops_at_the_target() -> None:
    assert decision.ramped(0, -1000, 100, 4000) == -400
    assert decision.ramped(-900, -1000, 100, 4000) == -1000
    assert decision.ramped(0, 1000, 0, 1) == 1000
