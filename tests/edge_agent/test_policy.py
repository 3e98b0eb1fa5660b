"""From the POD to the resource, by hand and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import records

from edge_agent.ems import Bounds, Measured
from edge_agent.policy import Wanted, next_step, resource_target

BOUNDS = Bounds(injection_w=40_000, withdrawal_w=20_000)
TARGET, MAX_WITHDRAWAL, MAX_INJECTION = records.TARGET, records.MAX_WITHDRAWAL, records.MAX_INJECTION
WATTS = st.integers(-(10**6), 10**6)


def measured(other_w: int, der_w: int = 0) -> Measured:
    return Measured(other_w + der_w, der_w, None, False, False)


@pytest.mark.parametrize(
    ("control", "value_w", "other_w", "unbidden_w", "expected"),
    [
        (TARGET, 10_000, 30_000, 0, -20_000),
        (TARGET, 10_000, 100_000, 0, -40_000),
        (TARGET, 90_000, 30_000, 0, 20_000),
        (MAX_WITHDRAWAL, 25_000, 30_000, 0, -5_000),
        (MAX_WITHDRAWAL, 30_000, 30_000, 0, None),
        (MAX_WITHDRAWAL, 40_000, 30_000, 20_000, 10_000),
        (MAX_INJECTION, 5_000, 10_000, -30_000, -15_000),
        (MAX_INJECTION, 5_000, 10_000, -15_000, None),
        (MAX_INJECTION, 0, -5_000, 0, 5_000),
    ],
)
def test_worked_examples(control: int, value_w: int, other_w: int, unbidden_w: int, expected: int | None) -> None:
    assert resource_target(Wanted(control, value_w), measured(other_w, 7), unbidden_w, BOUNDS) == expected


def test_rule_2_unknown_is_never_unlimited() -> None:
    wanted = Wanted(MAX_WITHDRAWAL, 30_000)
    assert resource_target(wanted, measured(10_000, 5_000), None, BOUNDS) == 5_000, "held where it is"
    assert resource_target(wanted, measured(28_000, 5_000), None, BOUNDS) == 2_000, "held at the limit"
    assert resource_target(Wanted(MAX_INJECTION, 0), measured(5_000, -9_000), None, BOUNDS) == -5_000


@given(st.sampled_from([TARGET, MAX_WITHDRAWAL, MAX_INJECTION]), WATTS, WATTS, WATTS, WATTS)
def test_the_pod_does_as_told_as_far_as_the_resource_can(
    control: int, value: int, other: int, der: int, own: int
) -> None:
    value_w = value if control == TARGET else abs(value)
    target = resource_target(Wanted(control, value_w), measured(other, der), own, BOUNDS)
    assert target is None or -BOUNDS.injection_w <= target <= BOUNDS.withdrawal_w
    pod_w = other + (own if target is None else target)
    if control == TARGET:
        assert pod_w == value_w or target in (-BOUNDS.injection_w, BOUNDS.withdrawal_w)
    elif control == MAX_WITHDRAWAL:
        assert pod_w <= value_w or target == -BOUNDS.injection_w
    else:
        assert -pod_w <= value_w or target == BOUNDS.withdrawal_w


def test_rule_3_a_ramp_takes_its_time() -> None:
    powers, at = [], 0
    for _ in range(4):
        at = next_step(at, -10_000, 1_000, 4_000)
        powers.append(at)
    assert powers == [-4_000, -8_000, -10_000, -10_000]
