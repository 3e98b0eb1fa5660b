"""Localisation by hand on three nodes, against an independent power flow on 33, and what an outage leaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.adapters.power_grid import PowerGridFlow
from backend.errors import Rejected
from backend.grid.congestion import Limits
from backend.grid.document import parse_network
from backend.grid.flow import nominal_scenario, scenarios_of
from backend.grid.localisation import localise, probability_ppm
from tests.backend.grid.sweep import swept

FRAMES = [100, 101]
GRID = parse_network((Path(__file__).parents[3] / "backend/demo/baran_wu_33.json").read_text())


def test_the_probability_is_the_share_of_levels_with_a_negative_margin():
    assert probability_ppm([500_000], [1]) == 0 and probability_ppm([500_000], [-1]) == 1_000_000
    assert probability_ppm([100_000, 500_000, 900_000], [30, 10, -10]) == 300_000, "beyond 0.7, where it is zero"
    assert probability_ppm([100_000, 900_000], [-10, 30]) == 300_000, "too high a voltage at low load"
    assert probability_ppm([100_000, 500_000, 900_000], [-5, 5, -5]) == 300_000 + 300_000


@given(some.lists(some.tuples(some.integers(1, 999_999), some.integers(-9, 9)), min_size=1, unique_by=lambda x: x[0]))
def test_a_probability_is_between_none_and_certain_and_grows_with_less_margin(pairs):
    levels, margins = zip(*sorted(pairs), strict=True)
    chance = probability_ppm(levels, margins)
    assert 0 <= chance <= 1_000_000
    assert probability_ppm(levels, [m - 1 for m in margins]) >= chance
    assert probability_ppm(levels, [-1 - abs(m) for m in margins]) == 1_000_000
    assert probability_ppm(levels, [abs(m) for m in margins]) == 0


def test_an_element_is_named_with_limit_excess_frame_and_probability(flow, states):
    levels = {
        100_000: states((0, 500_000), (0, 1_000_000)),
        500_000: states((0, 500_000), (0, 1_300_000)),
        900_000: states((0, 500_000), (0, 1_600_000)),
    }
    found = localise(flow, levels, FRAMES, Limits())
    (one,) = (c for c in found.congestions if c.element == "node:3:low")
    assert (one.outage, one.frame, one.name, one.limit_ppt, one.level_ppm) == ("", 101, "n3", 970_000_000_000, 900_000)
    assert one.value_ppt == one.limit_ppt - one.amount_ppt and one.worst_ppt == one.amount_ppt > 0
    assert 100_000 < one.probability_ppm < 500_000
    assert found.alert.severity == "medium" and "node:3:low (n3) in frame 101" in found.alert.text


def test_what_holds_at_every_level_is_no_alert(flow, states):
    found = localise(flow, {500_000: states((0, 1), (0, 2))}, FRAMES, Limits())
    assert found.congestions == () and found.lost == () and found.alert is None


def test_the_mid_level_is_told_if_it_is_violated_and_makes_the_alert_grave(flow, states):
    levels = {500_000: states((0, 1_600_000)), 900_000: states((0, 1_700_000))}
    found = localise(flow, levels, FRAMES[:1], Limits())
    one = next(c for c in found.congestions if c.element == "node:3:low")
    assert one.level_ppm == 500_000 and one.worst_ppt > one.amount_ppt and one.probability_ppm == 1_000_000
    assert found.alert.severity == "high"


def test_a_state_without_solution_is_named_and_the_others_are_judged(flow, states):
    levels = {500_000: states((0, 500_000_000), (0, 1_600_000)), 400_000: states((0, 1_000), (0, 1_000))}
    found = localise(flow, levels, FRAMES, Limits())
    assert {(c.frame, c.element) for c in found.congestions} >= {(100, "network"), (101, "node:3:low")}


def test_a_radial_outage_names_what_is_lost_and_judges_what_remains(flow, states):
    found = localise(
        flow, {500_000: states((700_000, 900_000), (0, 1_000_000))}, FRAMES, Limits(), ["line:1", "line:2"]
    )
    assert [(x.outage, x.nodes, x.load_w) for x in found.lost] == [
        ("line:1", (2, 3), 1_600_000),
        ("line:2", (3,), 1_000_000),
    ]
    assert not [c for c in found.congestions if c.outage], "what is lost breaks no limit, what remains holds"


def test_a_meshed_outage_shows_what_the_rest_must_carry():
    meshed = replace(
        GRID, lines=tuple(replace(e, from_closed=True, to_closed=True, rated_ma=240_000) for e in GRID.lines)
    )
    found = localise(
        PowerGridFlow(meshed), {500_000: nominal_scenario(meshed)}, FRAMES[:1], Limits(), ["line:22", "line:2"]
    )
    assert found.lost == ()
    alone = {
        k: localise(PowerGridFlow(one), {500_000: nominal_scenario(one)}, FRAMES[:1], Limits())
        for k, one in without(meshed)
    }
    for outage, case in alone.items():
        assert [(c.element, c.amount_ppt) for c in found.congestions if c.outage == outage] == [
            (c.element, c.amount_ppt) for c in case.congestions
        ]
    assert [c for c in found.congestions if c.outage == "line:2"], (
        "the loss of the feeder overloads or lowers the others"
    )


def without(network):
    for number in (22, 2):
        gone = [replace(e, from_closed=False, to_closed=False) if e.id == number else e for e in network.lines]
        yield f"line:{number}", replace(network, lines=tuple(gone))


def test_an_outage_is_judged_by_the_emergency_ratings():
    lines = tuple(replace(e, rated_ma=200_000, emergency_ma=260_000) for e in GRID.lines)
    grid = replace(GRID, lines=lines)
    found = localise(PowerGridFlow(grid), {500_000: nominal_scenario(grid)}, FRAMES[:1], Limits(), ["line:18"])
    assert {c.outage for c in found.congestions if c.element == "line:1"} == {""}
    winter = replace(grid, lines=tuple(replace(e, winter_ma=230_000) for e in lines))
    season = Limits(season="winter")
    assert not localise(PowerGridFlow(winter), {500_000: nominal_scenario(winter)}, FRAMES[:1], season).congestions
    with pytest.raises(Rejected, match="season = 'spring'"):
        Limits(season="spring")


@pytest.mark.parametrize("percent", [60, 100, 130])
def test_every_violation_that_an_independent_calculation_finds_is_found_and_no_other(percent):
    band = replace(
        GRID,
        nodes=tuple(replace(n, u_min_ppm=950_000, u_max_ppm=1_050_000) for n in GRID.nodes),
        lines=tuple(replace(e, rated_ma=120_000) for e in GRID.lines),
    )
    load_w = np.array([[e.p_nominal_w * percent // 100 for e in GRID.loads]], dtype=np.int64)
    load_var = np.array([[e.q_nominal_var * percent // 100 for e in GRID.loads]], dtype=np.int64)
    state = scenarios_of(band, load_w, load_var, np.zeros((1, 0), dtype=np.int64))
    found = localise(PowerGridFlow(band), {500_000: state}, FRAMES[:1], Limits())
    voltage, current, _ = swept(band, load_w[0], load_var[0])
    expected = {f"node:{n}:low": 0.95 - abs(u) for n, u in voltage.items() if abs(u) < 0.95}
    expected |= {f"line:{k}": i / 120 - 1 for k, i in current.items() if i > 120}
    assert {c.element for c in found.congestions} == set(expected)
    for one in found.congestions:
        assert one.amount_ppt == pytest.approx(expected[one.element] * 1e12, abs=2e5)


def test_wrong_levels_and_outages_are_refused(flow, states):
    for levels in ({}, {0: states((0, 1))}, {1_000_000: states((0, 1))}):
        with pytest.raises(Rejected, match="expected at least one between 1 and 999999"):
            localise(flow, levels, FRAMES[:1], Limits())
    for outage in ("line:9", "node:1", "", "line:x"):
        if outage:
            with pytest.raises(Rejected, match="no such line, link or transformer"):
                localise(flow, {500_000: states((0, 1))}, FRAMES[:1], Limits(), [outage])
