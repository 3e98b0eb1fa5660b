"""The primary substation's profile: P, Q and voltage, at the transformers or at the sources."""

import json
from pathlib import Path

import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.errors import Rejected
from backend.grid.answer import substation, text_of
from backend.grid.document import parse_network
from backend.grid.flow import nominal_scenario
from backend.grid.forecast import day_scenarios
from backend.grid.substation import SubstationProfile, parse_substation, substation_profile

GRID = parse_network((Path(__file__).parents[3] / "backend/demo/baran_wu_33.json").read_text())


def test_a_grid_without_a_tap_changer_is_seen_at_its_source():
    profile = substation_profile(GRID, PowerGridFlow(GRID).solve(nominal_scenario(GRID)), [7])
    assert profile.power_w[0] == pytest.approx(3_715_000 + 202_677, abs=2)
    assert profile.power_var[0] == pytest.approx(2_300_000 + 135_141, abs=40)
    assert profile.voltage_ppt[1][0] == pytest.approx(10**12, abs=10**3)


def test_the_busbars_voltages_are_told_and_less_load_lifts_them():
    day = load_day()
    flow, frames = PowerGridFlow(day.network), list(day.frames)[:4]
    states = day_scenarios(day.network, day.forecast(day.day_ahead_gate)).rows([0, 1, 2, 3])
    before = substation_profile(day.network, flow.solve(states), frames)
    less = states.with_delta(states.delta_w - 50_000)
    after = substation_profile(day.network, flow.solve(less), frames)
    assert set(before.voltage_ppt) == {t.to_node for t in day.network.transformers if t.on_load}
    relieved = 50_000 * len(day.customers)
    for k in range(4):
        assert before.power_w[k] - after.power_w[k] == pytest.approx(relieved, rel=0.05)
        assert all(after.voltage_ppt[node][k] > row[k] for node, row in before.voltage_ppt.items())


def test_a_frame_without_solution_is_named_and_left_out(flow, states):
    profile = substation_profile(flow.network, flow.solve(states((0, 500_000_000), (0, 1_000))), [7, 8])
    assert (profile.frames, profile.unsolved) == ((8,), (7,)) and len(profile.power_w) == 1
    with pytest.raises(Rejected, match="no frame has a power flow"):
        substation_profile(flow.network, flow.solve(states((0, 500_000_000))), [7])


BEFORE = SubstationProfile((7, 8), (1, -2), (3, 4), {5: (10**12, 10**12)}, (9,))
AFTER = SubstationProfile((7,), (6,), (0,), {}, ())


def test_a_profile_is_read_as_it_is_written():
    text = text_of(substation(GRID, BEFORE, AFTER))
    assert parse_substation(text, "before") == BEFORE and parse_substation(text) == AFTER


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": [8, 7]}, "ascending"),
        ({"frames": [7, 7]}, "ascending"),
        ({"frames": []}, "one or more frames"),
        ({"power_w": [1]}, "one power_w and power_var"),
        ({"power_w": [1, 2.5]}, "power_w: expected whole numbers"),
        ({"power_var": [1, True]}, "power_var: expected whole numbers"),
        ({"power_w": [1, 10**13]}, "within 1000000000000"),
        ({"power_w": 7}, "not iterable"),
        ({"voltage_ppt": []}, "items"),
    ],
)
def test_a_wrong_profile_is_refused_in_one_line(change, words):
    document = substation(GRID, BEFORE, AFTER)
    document["after"] = document["before"] | change
    with pytest.raises(Rejected, match=words):
        parse_substation(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":"lightnode-substation/1"}', "[" * 100])
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(Rejected):
        parse_substation(text)
