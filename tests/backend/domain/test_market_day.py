"""Market days of 92, 96 and 100 quarter-hours, and what is like what on them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.market_day import Calendar, DayKind
from backend.errors import Rejected

ROME = Calendar("Europe/Rome", frozenset({date(2026, 12, 8)}))
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def test_rule_1_a_day_has_92_96_or_100_quarter_hours() -> None:
    assert [len(ROME.frames(day)) for day in (SPRING, date(2026, 11, 26), AUTUMN)] == [92, 96, 100]


@given(st.dates(date(1990, 1, 1), date(2036, 12, 31)))
def test_rule_1_days_follow_each_other_without_a_hole(day: date) -> None:
    frames = ROME.frames(day)
    assert frames.stop == ROME.frames(day + timedelta(days=1)).start
    assert ROME.day(frames.start) == ROME.day(frames.stop - 1) == day


def test_rule_2_the_same_time_on_the_wall_clock_is_like_it_whatever_the_season() -> None:
    noon = next(f for f in ROME.frames(SPRING) if ROME.clock(f) == (720, 0))
    like = ROME.like(noon, SPRING - timedelta(days=1))
    assert like is not None and noon - like == 92 and ROME.clock(like) == (720, 0)


def test_rule_2_what_the_clock_skips_has_no_like_and_what_it_shows_twice_has_one() -> None:
    half_past_two = next(f for f in ROME.frames(SPRING - timedelta(days=1)) if ROME.clock(f) == (150, 0))
    assert ROME.like(half_past_two, SPRING) is None
    twice = [f for f in ROME.frames(AUTUMN) if ROME.clock(f)[0] == 150]
    assert [ROME.clock(f)[1] for f in twice] == [0, 1]
    assert len({ROME.like(f, AUTUMN - timedelta(days=7)) for f in twice}) == 1
    assert ROME.like(twice[1], AUTUMN) == twice[0]


def test_rule_3_three_kinds_of_day() -> None:
    week = [date(2026, 12, 7) + timedelta(days=k) for k in range(7)]
    working, saturday, sunday = DayKind.WORKING, DayKind.SATURDAY, DayKind.SUNDAY
    assert [ROME.kind(day) for day in week] == [working, sunday, working, working, working, saturday, sunday]


def test_a_zone_that_nobody_knows_is_named() -> None:
    for zone in ("Europe/Roma", "", "../etc/passwd"):
        with pytest.raises(Rejected, match="no such time zone"):
            Calendar(zone)
