"""The small grid by hand, and effects against full power flows."""

from math import sqrt

import pytest

from backend.domain.constraint import PPT_PER_UNIT
from backend.errors import Rejected
from backend.grid.congestion import Limits, closed_frames, constraints, limit_ppt, pod_deltas, violations, worst

FRAMES = [1_970_949, 1_970_950]


def by_hand_ppt(power_w):
    """Voltage at node 3 with one load there: v^2 - v + r p = 0 with r = 8 ohm / 400 ohm per MW."""
    return (1 + sqrt(1 - 4 * 0.02 * power_w / 1e6)) / 2 * 1e12


def test_voltage_and_loading_are_those_of_the_hand_calculation(flow, states):
    solved = flow.solve(states((0, 1_000_000)))
    assert solved.voltage_ppt[0, 2] == pytest.approx(by_hand_ppt(1e6), abs=2e3)
    current_a = 1e6 / (sqrt(3) * 20_000 * by_hand_ppt(1e6) / 1e12)
    assert solved.line_ppt[0, 0] == pytest.approx(current_a / 50 * 1e12, abs=1e6)


def test_every_element_beyond_its_limit_is_a_violation_with_its_amount(three_nodes, flow, states):
    scenarios = states((0, 500_000), (0, 2_000_000))
    found = violations(three_nodes, flow.solve(scenarios), FRAMES, Limits())
    assert {(v.frame, v.element) for v in found} == {(FRAMES[1], e) for e in ("line:1", "line:2", "node:3:low")}
    low = worst(found)["node:3:low"]
    assert low.limit_ppt == 970_000_000_000 and low.value_ppt == low.limit_ppt - low.amount_ppt
    assert low.value_ppt == pytest.approx(by_hand_ppt(2e6), abs=2e3)


def test_a_margin_of_the_operator_tightens_both_sides(three_nodes, flow, states):
    kept = Limits(voltage_margin_ppm=20_000, loading_margin_ppm=50_000)
    solved = flow.solve(states((0, 1_000_000)))
    assert not violations(three_nodes, solved, FRAMES[:1], Limits())
    assert set(worst(violations(three_nodes, solved, FRAMES[:1], kept))) == {"node:2:low", "node:3:low"}
    assert limit_ppt(three_nodes, "node:3:high", kept) == 1_010_000_000_000
    assert limit_ppt(three_nodes, "line:1", kept) == 950_000_000_000
    with pytest.raises(Rejected, match="voltage_margin_ppm = -1"):
        Limits(voltage_margin_ppm=-1)


def test_a_state_without_solution_is_a_violation_of_the_network_and_spoils_no_other(three_nodes, flow, states):
    found = violations(three_nodes, flow.solve(states((0, 500_000_000), (0, 1_000))), FRAMES, Limits())
    assert [(v.frame, v.element, v.amount_ppt) for v in found] == [(FRAMES[0], "network", PPT_PER_UNIT)]


def test_effects_predict_the_margin_that_a_power_flow_finds(three_nodes, flow, states):
    scenarios = states((200_000, 1_600_000))
    table = constraints(flow, scenarios, FRAMES[:1], Limits(), near_ppm=100_000)
    change = {"POD2": 10_000, "POD3": -40_000}
    moved = scenarios.with_delta(pod_deltas(three_nodes, {pod: [w] for pod, w in change.items()}, 1))
    exact = {c.element: c.margin_ppt for c in constraints(flow, moved, FRAMES[:1], Limits(), near_ppm=100_000)}
    assert any(c.need_ppt > 0 for c in table)
    for c in table:
        assert c.margin_after(change) == pytest.approx(exact[c.element], abs=3e8), c.element


def test_more_withdrawal_eats_the_low_side_and_feeds_the_high_side(flow, states):
    table = constraints(flow, states((0, 1_500_000)), FRAMES[:1], Limits(), near_ppm=200_000)
    effect = {c.element: c.effect_ppt_per_w["POD3"] for c in table}
    assert effect["node:3:low"] == -effect["node:3:high"] > 0 and effect["line:2"] > 0


def test_constraints_cover_every_frame_for_elements_near_the_limit_in_one(flow, states):
    table = constraints(flow, states((0, 0), (0, 1_480_000)), FRAMES, Limits(), near_ppm=2_000)
    assert {(c.frame, c.element) for c in table} == {(f, "node:3:low") for f in FRAMES}


def test_unknown_pods_and_wrong_lengths_are_refused(three_nodes):
    with pytest.raises(Rejected, match="POD PODX: not connected"):
        pod_deltas(three_nodes, {"PODX": [1]}, 1)
    with pytest.raises(Rejected, match="POD POD2: 2 values, expected 1"):
        pod_deltas(three_nodes, {"POD2": [1, 2]}, 1)


AT_ITS_LIMIT_W = 12_490_000  # 12.5 MW is the most that can be carried: v^2 - v + 0.02 p = 0


def test_rule_5_a_frame_without_a_solution_is_closed_and_the_others_have_theirs(flow, states):
    """One that has none, one that has none with a small step, one that is whole: as if it stood alone."""
    frames = [*FRAMES, FRAMES[1] + 1]
    three = states((0, 500_000_000), (0, AT_ITS_LIMIT_W), (0, 1_480_000))
    assert flow.solve(three).solved.tolist() == [False, True, True]
    found = constraints(flow, three, frames, Limits(), with_reactive=True)
    assert closed_frames(found) == tuple(frames[:2])
    for frame in frames[:2]:
        both = [c for c in found if c.frame == frame]
        assert [(c.element, c.margin_ppt) for c in both] == [("network", 0)] * 2
        for change in ({"POD2": 1}, {"POD3": -1}, {"POD3/var": 1}, {"POD2/var": -1}):
            assert min(c.margin_after(change) for c in both) == -1, change
    alone = constraints(flow, states((0, 1_480_000)), frames[2:], Limits(), with_reactive=True)
    seen = {c.element: c for c in found if c.frame == frames[2]}
    assert alone and all(seen[c.element] == c for c in alone)


def test_rule_5_without_any_solution_every_frame_is_closed(flow, states):
    found = constraints(flow, states((0, 500_000_000), (0, 600_000_000)), FRAMES, Limits())
    assert closed_frames(found) == tuple(FRAMES) and {c.element for c in found} == {"network"}
