"""The account finds every line that is lost, altered, doubled or nobody's; the rate is one of a counter."""

from typing import Any

import pytest

from hil.fleet.account import account
from hil.fleet.meters import Rate

DEVICE = "49" * 8


def line(seq: int, **other: Any) -> dict[str, Any]:
    return {"device": DEVICE, "boot": 1, "seq": seq, "time_ms": 4000 * seq, "flags": 0, "power_w": 100 * seq, **other}


def test_all_stored_is_balanced() -> None:
    produced = [line(seq) for seq in (1, 2, 3)]
    found = account(produced, produced)
    assert (found.produced, found.stored, found.named, found.is_balanced) == (3, 3, (), True)


def test_a_lost_line_is_counted_and_named() -> None:
    found = account([line(1), line(2)], [line(1)])
    assert (found.stored, found.lost, found.is_balanced) == (1, 1, False)
    assert found.named == (f"lost: device {DEVICE} boot 1 seq 2",)


@pytest.mark.parametrize("other", [{"power_w": 7}, {"time_ms": 8}])
def test_rule_1_another_content_is_altered(other: dict[str, int]) -> None:
    found = account([line(1)], [line(1, **other)])
    assert (found.stored, found.altered, found.is_balanced) == (0, 1, False)


def test_rule_1_a_line_without_trusted_time_may_get_its_time_later() -> None:
    assert account([line(1, flags=1)], [line(1, time_ms=None)]).is_balanced
    assert account([line(1, flags=1)], [line(1, time_ms=10**12)]).is_balanced
    assert not account([line(1, flags=1)], [line(1, power_w=0)]).is_balanced


@pytest.mark.parametrize(("produced", "exported"), [([1, 1], [1]), ([1], [1, 1])])
def test_rule_2_an_identity_twice_is_duplicated(produced: list[int], exported: list[int]) -> None:
    found = account([line(s) for s in produced], [line(s) for s in exported])
    assert (found.duplicated, found.is_balanced) == (1, False)


def test_rule_2_what_nobody_produced_is_foreign() -> None:
    found = account([line(1)], [line(1), line(2)])
    assert (found.foreign, found.is_balanced) == (1, False)


def test_the_rate_is_that_of_the_last_stretch_and_its_peak_over_two_seconds() -> None:
    rate = Rate()
    for wall_s, count in ((0.0, 0), (2.0, 400), (4.0, 600), (5.0, 600)):
        rate.note(wall_s, count)
    assert (rate.mean(), rate.peak()) == (150.0, 200.0)
    rate.note(6.0, 0)
    assert rate.mean() == 0.0
