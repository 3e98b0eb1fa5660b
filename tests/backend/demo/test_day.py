"""The example day: published data, what was changed, and what it shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.customer import pod_code
from backend.demo.day import HERE, load_day
from backend.demo.profile import read_profiles
from backend.errors import Rejected
from backend.grid.congestion import Limits, violations
from backend.grid.document import parse_network
from backend.grid.forecast import day_scenarios

DAY = load_day()


def test_it_is_a_whole_local_day_of_96_quarter_hours():
    start = datetime.fromtimestamp(DAY.first_frame * 900, UTC).astimezone(ZoneInfo(DAY.zone))
    end = datetime.fromtimestamp((DAY.first_frame + DAY.frame_count) * 900, UTC).astimezone(ZoneInfo(DAY.zone))
    assert (start.date(), start.hour, start.minute) == (DAY.day, 0, 0)
    assert (end.hour, end.minute, DAY.frame_count) == (0, 0, 96)
    assert DAY.actual().end_frame == DAY.first_frame + 96


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in HERE.iterdir() if path.is_file()) < 600_000


def test_sixteen_customers_of_two_aggregators_at_both_voltages():
    assert len(DAY.customers) == 16
    assert len({c.aggregator for c in DAY.customers}) == len({c.brp for c in DAY.customers}) == 2
    assert sum(c.medium_voltage for c in DAY.customers) == 10
    rated = {n.id: n.u_rated_v for n in DAY.network.nodes}
    assert all((rated[c.node] == 20_000) == c.medium_voltage for c in DAY.customers)
    assert {c.kind for c in DAY.customers} == {"battery", "charging", "heat_pump"}


def test_pod_codes_come_from_the_seed_and_nothing_else():
    assert [c.pod for c in load_day().customers] == [c.pod for c in DAY.customers]
    other = {c.pod for c in load_day(seed=2).customers}
    assert not other & {c.pod for c in DAY.customers}
    assert pod_code(1, 1) == DAY.customers[0].pod and DAY.customers[0].pod.startswith("IT001E")


def test_splitting_customers_off_leaves_every_sum_as_published():
    published = parse_network((HERE / "network.json").read_text())
    for field in ("p_nominal_w", "q_nominal_var"):
        assert sum(getattr(e, field) for e in published.loads) == sum(getattr(e, field) for e in DAY.network.loads)


def test_devices_that_only_reduce_never_reduce_more_than_their_base_load():
    for customer in DAY.customers:
        if customer.kind != "battery":
            for series in (DAY.actual(), DAY.forecast(DAY.day_ahead_gate)):
                window = DAY.base_w(series, customer.pod)[73:81]
                assert min(window) > customer.up_w


def test_the_forecast_day_breaks_voltage_and_current_and_only_in_the_window_after_the_taps():
    flow = PowerGridFlow(DAY.network)
    found = violations(
        DAY.network,
        flow.solve(day_scenarios(DAY.network, DAY.forecast(DAY.day_ahead_gate))),
        list(DAY.frames),
        Limits(),
    )
    evening = [v for v in found if v.frame in DAY.window]
    assert {v.element.split(":")[0] for v in evening} == {"line", "node"}
    assert {v.element.rsplit(":", 1)[1] for v in found if v.frame not in DAY.window} == {"high"}


def test_customers_keep_close_to_their_schedule():
    for customer in DAY.customers:
        schedule = DAY.baseline_w(customer.pod)[73:81]
        real = DAY.base_w(DAY.actual(), customer.pod)[73:81]
        assert max(abs(a - b) / a for a, b in zip(schedule, real, strict=True)) < 0.15


def test_the_schedule_is_made_before_the_gate():
    changed = replace(DAY.series, load_w=DAY.series.load_w.copy())
    changed.load_w[DAY.day_ahead_gate - DAY.series.first_frame :] = 0
    later = replace(DAY, series=changed)
    assert all(later.baseline_w(c.pod) == DAY.baseline_w(c.pod) for c in DAY.customers)


def test_two_loads_of_the_day_are_the_same():
    again = load_day()
    assert (again.series.load_w == DAY.series.load_w).all() and again.network == DAY.network


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open_lines": ["nowhere"]}, "line 'nowhere'"),
        ({"window": {}}, "field 'first_quarter' is missing"),
        ({"operator_margin": {"voltage_margin_ppm": -1, "loading_margin_ppm": 0}}, "voltage_margin_ppm = -1"),
    ],
)
def test_a_wrong_day_is_refused(tmp_path: Path, change, words):
    for name in ("network.json", "profiles.csv", "hv.json"):
        (tmp_path / name).write_text((HERE / name).read_text())
    plan = {**json.loads((HERE / "day.json").read_text()), **change}
    (tmp_path / "day.json").write_text(json.dumps(plan))
    with pytest.raises(Rejected) as refused:
        load_day(tmp_path / "day.json")
    assert words in refused.value.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"),
        ("quarter,a\n0,1\n2,1\n", "without a gap"),
        ("quarter,a\n0,x\n", "line 2 a = 'x'"),
        ("quarter,a\n0\n", "line 2 has 1 cells"),
        ("quarter,a\n0,1.5\n", "'1.5'"),
    ],
)
def test_a_wrong_profile_table_is_refused_with_its_place(text, words):
    with pytest.raises(Rejected) as refused:
        read_profiles(text)
    assert words in refused.value.reason
