"""Seven published weeks on the example day's grid: what a day knows, when, and what its customers do of it."""

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from backend.demo.season import FIRST_DAY, load_season, read_weeks
from backend.domain.quantity import PPM
from backend.errors import Rejected
from backend.grid.candidate import History

SEASON = load_season()
DAY = date(2026, 1, 14)
ONE = SEASON.day(DAY)


def test_rule_1_and_2_days_are_whole_local_days_with_two_weeks_before_them() -> None:
    assert (SEASON.days[0], SEASON.days[-1], len(SEASON.days)) == (date(2026, 1, 5), date(2026, 2, 8), 35)
    start = datetime.fromtimestamp(ONE.frames[0] * 900, ZoneInfo("Europe/Rome"))
    assert (start.date(), start.hour, len(ONE.frames)) == (DAY, 0, 96)
    first = datetime.fromtimestamp(SEASON.profiles.first_frame * 900, ZoneInfo("Europe/Rome"))
    assert (first.date(), first.hour) == (FIRST_DAY, 0)


def test_rule_1_a_sunday_of_the_published_year_stands_for_a_sunday() -> None:
    """Shops (G3) are calm on Sundays: the least noon load of a week is on one."""
    noon = SEASON.profiles.values[12 * 4 :: 96, SEASON.profiles.names.index("load/G3-A/p")]
    weeks = [noon[k : k + 7] for k in range(0, 49, 7)]
    assert sum(int(np.argmin(week)) == 6 for week in weeks) >= 5


@pytest.mark.parametrize("gate", [ONE.day_ahead_gate, ONE.frames[40]])
def test_rule_3_nothing_from_the_gate_on_is_read(gate: int) -> None:
    values = SEASON.profiles.values.copy()
    values[gate - SEASON.profiles.first_frame :] = 999_999
    blind = replace(SEASON, profiles=History(SEASON.profiles.first_frame, SEASON.profiles.names, values)).day(DAY)
    for name in ("load_w", "load_var", "generator_w"):
        assert (getattr(blind.expected(gate), name) == getattr(ONE.expected(gate), name)).all()


def test_what_has_passed_is_expected_as_it_was() -> None:
    gate = ONE.frames[40]
    assert (ONE.expected(gate).load_w[:40] == ONE.actual().load_w[:40]).all()
    assert (ONE.expected(gate).load_w[40:] != ONE.actual().load_w[40:]).any()


def test_rule_4_customers_keep_a_quarter_of_their_deviation() -> None:
    customer = next(c for c in SEASON.customers if c.owner == "Hospital")
    kept = SEASON.plan["customer_deviation_ppm"]
    schedule, real = ONE.baseline_w(customer.pod), ONE.base_w(ONE.actual(), customer.pod)
    load = next(e for e in SEASON.network.loads if e.name == customer.pod)
    shape = SEASON.profiles.rows(ONE.frames)[:, SEASON.profiles.names.index(f"load/{load.profile}/p")]
    scale = {n: g["ppm"] for g in SEASON.plan["scale"]["groups"] for n in g["nodes"]}.get(load.node, PPM)
    for k in range(96):
        published_w = load.p_nominal_w * int(shape[k]) * scale / PPM / PPM
        assert abs(real[k] - (schedule[k] + (published_w - schedule[k]) * kept / PPM)) <= 2
    assert ONE.base_w(ONE.expected(ONE.day_ahead_gate), customer.pod) == schedule


def test_rule_5_two_customers_stand_where_the_wind_is() -> None:
    assert len(SEASON.customers) == 18 and len({c.pod for c in SEASON.customers}) == 18
    assert {c.node for c in SEASON.customers[16:]} == {16}
    assert sum(e.p_nominal_w for e in SEASON.network.loads if e.node == 16) == 350_000


@pytest.mark.parametrize("day", [date(2026, 1, 4), date(2026, 2, 9), date(2016, 1, 5)])
def test_a_day_outside_is_refused_with_the_days_there_are(day: date) -> None:
    with pytest.raises(Rejected, match="2026-01-05 to 2026-02-08"):
        SEASON.day(day)


def test_pod_codes_come_from_the_seed() -> None:
    assert not {c.pod for c in load_season(2).customers} & {c.pod for c in SEASON.customers}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "of one length"),
        ("a,1,2\n", "line 1 has 2"),
        ("a," + ",".join(["1"] * 95) + ",x\n", "line 1 has 'x'"),
        ("a," + ",".join(["1"] * 96) + "\nb," + ",".join(["1"] * 192) + "\n", "of one length"),
        ("a," + ",".join(["1"] * 96) + "\na," + ",".join(["1"] * 96) + "\n", "there twice"),
    ],
)
def test_wrong_weeks_are_refused_with_their_line(text: str, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        read_weeks(text)
