"""Baselines: examples by hand for each rule, then what must hold for any history."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.local_day import Calendar
from backend.domain.local_day import Kind as Day
from backend.errors import Rejected
from backend.market.baseline import Adjustment, Baseline, Kind, Known, Method, baseline

ROME = Calendar("Europe/Rome")
TODAY = date(2026, 11, 26)
PERIOD = list(ROME.frames(TODAY))[72:76]  # 18:00 to 19:00
MID, HIGH = Method(Kind.MID, 2, 4), Method(Kind.HIGH, 2, 4)


def working_days(count: int) -> list[date]:
    """The last working days before today, latest first."""
    days = [TODAY - timedelta(days=k) for k in range(1, 60)]
    return [day for day in days if ROME.kind(day) is Day.WORKING][:count]


def history(watts: list[int]) -> dict[int, int]:
    """The last working days at these W all day, latest first; other days at 9 MW, so that using one shows."""
    known = dict.fromkeys(range(ROME.frames(TODAY - timedelta(days=59)).start, ROME.frames(TODAY).start), 9_000_000)
    for day, w in zip(working_days(len(watts)), watts, strict=True):
        known.update(dict.fromkeys(ROME.frames(day), w))
    return known


def made(method: Method, measured: dict[int, int], ordered: set[int] | None = None) -> Baseline:
    return baseline(method, PERIOD, Known(measured, ordered or set(), {}), ROME)


def test_rule_2_the_schedule_is_taken_as_given_and_a_hole_in_it_makes_none() -> None:
    schedule = {frame: 100 * k for k, frame in enumerate(PERIOD)}
    method = Method(Kind.SCHEDULE)
    assert baseline(method, PERIOD, Known({}, set(), schedule), ROME).frame_w == schedule
    found = baseline(method, PERIOD, Known({}, set(), {f: 0 for f in PERIOD[:2]}), ROME)
    assert found.frame_w == {} and str(PERIOD[2]) in found.reason


def test_rule_3_mid_leaves_out_the_least_and_the_most_and_high_takes_the_most() -> None:
    measured = history([1_000, 2_000, 4_000, 8_000])
    assert set(made(MID, measured).frame_w.values()) == {3_000}
    assert set(made(HIGH, measured).frame_w.values()) == {6_000}
    assert made(HIGH, measured).days == tuple(working_days(4)[2:])


def test_rule_3_of_equal_days_high_takes_the_later() -> None:
    assert made(HIGH, history([5_000] * 4)).days == tuple(working_days(2))


def test_rule_3_the_mean_is_half_to_even() -> None:
    assert set(made(replace(MID, keep=2, of=2), history([1_000, 1_001])).frame_w.values()) == {1_000}
    assert set(made(replace(MID, keep=2, of=2), history([1_001, 1_002])).frame_w.values()) == {1_002}


@pytest.mark.parametrize("why", ["missing", "ordered"])
def test_rule_4_an_earlier_day_stands_for_one_that_is_missing_or_had_an_order(why: str) -> None:
    measured, ordered = history([1_000, 2_000, 4_000, 8_000, 6_000]), set()
    first = ROME.like(PERIOD[3], working_days(1)[0])
    assert first is not None
    if why == "missing":
        del measured[first]
    else:
        ordered = {first}
    assert set(made(MID, measured, ordered).frame_w.values()) == {5_000}, "of 2, 4, 8 and 6 kW: 4 and 6"


def test_rule_4_too_few_days_make_no_baseline_and_say_so() -> None:
    measured = history([1_000, 2_000, 4_000])
    oldest = ROME.frames(working_days(3)[-1]).start
    found = made(MID, {f: w for f, w in measured.items() if f >= oldest})
    assert (
        found.frame_w == {}
        and found.reason.startswith("3 whole days like 2026-11-26")
        and "4 are needed" in found.reason
    )


def test_rule_5_the_adjustment_is_the_mean_difference_before_the_notice_and_capped() -> None:
    method = replace(MID, adjustment=Adjustment(frames=4, gap=2, cap_ppm=200_000))
    measured = history([3_000] * 4)
    window = range(PERIOD[0] - 6, PERIOD[0] - 2)
    for shown, shift in ((3_300, 300), (2_800, -200), (9_000, 600), (0, -600)):
        measured.update(dict.fromkeys(window, shown))
        found = made(method, measured)
        assert (found.adjustment_w, set(found.frame_w.values())) == (shift, {3_000 + shift})
    assert made(method, measured, set(window)).reason.startswith("not adjusted")


def test_rule_6_meter_before_needs_every_quarter_hour_of_its_window() -> None:
    method = Method(Kind.BEFORE, before=3, gap=1)
    measured = {PERIOD[0] - 4: 100, PERIOD[0] - 3: 200, PERIOD[0] - 2: 600, PERIOD[0] - 1: 10**9}
    assert made(method, measured).frame_w == dict.fromkeys(PERIOD, 300)
    assert made(method, measured, {PERIOD[0] - 3}).frame_w == {}
    del measured[PERIOD[0] - 2]
    assert str(PERIOD[0] - 2) in made(method, measured).reason


def test_a_day_of_100_quarter_hours_has_a_baseline_for_each_and_one_of_92_too() -> None:
    for day in (date(2026, 10, 25), date(2026, 3, 29)):
        frames = list(ROME.frames(day))
        measured = {f: 1_000 for f in range(frames[0] - 96 * 60, frames[0])}
        found = baseline(replace(MID, keep=3, of=4), frames, Known(measured, set(), {}), ROME)
        assert list(found.frame_w) == frames and set(found.frame_w.values()) == {1_000}


@pytest.mark.parametrize("frames", [[], [PERIOD[1], PERIOD[0]], [PERIOD[0]] * 2, [PERIOD[0], PERIOD[0] + 96]])
def test_a_period_that_is_none_is_refused(frames: list[int]) -> None:
    with pytest.raises(Rejected, match="quarter-hours of one market day"):
        baseline(MID, frames, Known({}, set(), {}), ROME)


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"keep": 11}, {"of": 46}, {"before": 0}, {"gap": -1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Rejected, match="expected"):
        replace(Method(Kind.MID), **wrong)  # type: ignore[arg-type]


days_w = st.lists(st.integers(-(10**6), 10**6), min_size=6, max_size=6)


@given(days_w, st.sets(st.integers(0, 5), max_size=2))
def test_any_baseline_lies_between_the_days_it_is_made_of_and_missing_days_are_never_zero(
    watts: list[int], missing: set[int]
) -> None:
    measured = history(watts)
    oldest = ROME.frames(working_days(6)[-1]).start
    gone = {f for k in missing for f in ROME.frames(working_days(6)[k])}
    measured = {f: w for f, w in measured.items() if f >= oldest and f not in gone}
    there = [w for k, w in enumerate(watts) if k not in missing]
    for method in (MID, HIGH):
        found = made(method, measured)
        assert all(min(there[:4]) <= w <= max(there[:4]) for w in found.frame_w.values()) and found.frame_w


@given(days_w)
def test_the_order_in_which_history_is_given_does_not_matter(watts: list[int]) -> None:
    measured = history(watts)
    assert made(MID, measured) == made(MID, dict(sorted(measured.items(), reverse=True)))
