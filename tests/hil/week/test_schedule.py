"""The faults of a week come from its seed alone, and none is left out; the numbers are those of the module's rules."""

import pytest

from hil.meters.faults import fault
from hil.week.schedule import HEAVY, LIES, LIGHT, METER, schedule, shortest_hours

OUTAGE = 695


def test_1_the_same_seed_makes_the_same_week_and_another_one_another() -> None:
    assert schedule(7, 48, OUTAGE) == schedule(7, 48, OUTAGE)
    assert schedule(7, 48, OUTAGE) != schedule(8, 48, OUTAGE)


@pytest.mark.parametrize("hours", [shortest_hours(OUTAGE), 12, 168])
def test_1_every_kind_occurs_however_short_the_week_is(hours: float) -> None:
    kinds = {one.kind for one in schedule(3, hours, OUTAGE, lies=True)}
    assert kinds == {*METER, *LIES, *LIGHT, *HEAVY}
    assert not {*LIES} & {one.kind for one in schedule(3, hours, OUTAGE)}


@pytest.mark.parametrize("seed", range(20))
def test_2_nothing_else_begins_while_the_journal_overflows_or_a_store_is_lost(seed: int) -> None:
    found = schedule(seed, 12, OUTAGE)
    for heavy in (one for one in found if one.kind in HEAVY):
        over_s = heavy.at_s + heavy.slots * 4 + 600
        assert [one.kind for one in found if heavy.at_s <= one.at_s < over_s] == [heavy.kind]


@pytest.mark.parametrize("seed", range(20))
def test_3_the_last_quarter_of_an_hour_is_calm(seed: int) -> None:
    found = schedule(seed, 12, OUTAGE)
    assert all(0 < one.at_s < 12 * 3600 - 900 and one.at_s % 4 == 0 and one.slots > 0 for one in found)


def test_every_meter_fault_is_one_that_the_emulated_meters_play() -> None:
    assert all(fault(kind).text for kind in (*METER, *LIES))
