"""Local days have 92, 96 or 100 quarter-hours, and a kind."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.local_day import Calendar, Kind, easter, holidays
from backend.errors import Rejected

ROME = Calendar()


@pytest.mark.parametrize(("day", "count"), [((2026, 3, 29), 92), ((2026, 10, 25), 100), ((2026, 11, 26), 96)])
def test_rule_1_a_day_has_its_quarter_hours(day, count):
    assert len(ROME.frames(date(*day))) == count


@settings(max_examples=50)
@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_rule_1_days_follow_one_another(day):
    frames = ROME.frames(day)
    assert len(frames) in (92, 96, 100) and frames.stop == ROME.frames(day + timedelta(days=1)).start
    assert ROME.place(frames[0]) == (day, 0) and ROME.place(frames[-1]) == (day, 95)


def test_rule_2_the_clock_on_the_wall():
    autumn, spring = date(2026, 10, 25), date(2026, 3, 29)
    walls = [ROME.place(frame)[1] for frame in ROME.frames(autumn)]
    assert walls == [*range(12), *range(8, 96)], "02:00 to 03:00 twice"
    assert [ROME.place(frame)[1] for frame in ROME.frames(spring)] == [*range(8), *range(12, 96)]
    assert ROME.frame(autumn, 8) == ROME.frames(autumn)[8]
    assert ROME.place(ROME.frame(spring, 9)) == (spring, 12), "the next one that is there"


@settings(max_examples=50)
@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, 95))
def test_rule_2_place_undoes_frame(day, wall):
    place = ROME.place(ROME.frame(day, wall))
    assert place == (day, wall) or (len(ROME.frames(day)) == 92 and place == (day, 12) and wall in range(8, 12))


def test_rule_2_a_frame_is_like_that_of_another_day_at_the_same_time_of_the_clock():
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    noon = ROME.frame(spring, 48)
    assert noon - ROME.like(noon, spring - timedelta(days=1)) == 92
    assert ROME.like(ROME.frame(spring - timedelta(days=1), 10), spring) is None, "half past two is not there"
    twice = [frame for frame in ROME.frames(autumn) if ROME.place(frame)[1] == 10]
    assert len(twice) == 2 and ROME.like(twice[1], autumn) == twice[0]
    assert len({ROME.like(frame, autumn - timedelta(days=7)) for frame in twice}) == 1


@pytest.mark.parametrize(("year", "day"), [(2016, (3, 27)), (2025, (4, 20)), (2026, (4, 5)), (2038, (4, 25))])
def test_rule_3_easter(year, day):
    assert easter(year) == date(year, *day)


def test_rule_3_the_holidays_of_italy():
    assert len(holidays(2025)) == 12 and len(holidays(2026)) == 13
    assert date(2026, 4, 6) in holidays(2026) and date(2026, 6, 2) in holidays(2026)
    assert date(2026, 10, 4) in holidays(2026) and date(2025, 10, 4) not in holidays(2025)


def test_rule_4_the_kind_of_a_day():
    assert ROME.kind(date(2026, 11, 26)) is Kind.WORKING
    assert ROME.kind(date(2026, 11, 28)) is Kind.SATURDAY
    assert ROME.kind(date(2026, 8, 15)) is Kind.FREE, "a Saturday and a holiday"
    assert ROME.kind(date(2026, 6, 29)) is Kind.WORKING
    assert Calendar(patron=(6, 29)).kind(date(2026, 6, 29)) is Kind.FREE


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd"])
def test_an_unknown_zone_is_named(zone):
    with pytest.raises(Rejected, match="time zone"):
        Calendar(zone)
