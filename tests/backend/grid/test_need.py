"""Own remedies first, then the least that is left to buy, on the example day and on the small grid."""

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.grid.congestion import Limits, margins, pod_deltas, violations
from backend.grid.forecast import day_scenarios
from backend.grid.need import Capability, size
from backend.grid.remedy import own_remedy


@pytest.fixture(scope="module")
def day():
    return load_day()


@pytest.fixture(scope="module")
def grid(day):
    return PowerGridFlow(day.network)


@pytest.fixture(scope="module")
def ahead(day, grid):
    """Scenarios of the day-ahead forecast before and after the taps, and the plan of taps."""
    scenarios = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
    return scenarios, *own_remedy(grid, scenarios, list(day.frames), day.margin_kept)


def capabilities(day):
    return [Capability(c.pod, c.up_w, c.down_w) for c in day.customers]


def test_taps_heal_the_night_and_cannot_heal_the_evening(day, ahead):
    _, _, plan = ahead
    quarters = [frame - day.first_frame for frame, b in zip(plan.frames, plan.before, strict=True) if b]
    left = [frame - day.first_frame for frame, a in zip(plan.frames, plan.after, strict=True) if a]
    assert set(left) < set(quarters) and set(left) <= set(range(73, 81))
    assert [plan.position[q] for q in left] == [0] * len(left)


def test_a_tap_moves_only_if_no_limit_gets_worse_by_it(day, grid, ahead):
    standing, tapped, plan = ahead
    before = margins(day.network, grid.solve(standing), day.margin_kept).margin_ppt
    after = margins(day.network, grid.solve(tapped), day.margin_kept).margin_ppt
    assert (after >= np.minimum(before, 0)).all()
    moved = [q for q, position in enumerate(plan.position) if position]
    assert moved and all((after[q] < 0).sum() < (before[q] < 0).sum() for q in moved)


def test_without_an_on_load_transformer_there_is_no_own_remedy(flow, states):
    scenarios, plan = own_remedy(flow, states((0, 2_000_000)), [7], Limits())
    assert plan.before == plan.after == (3,) and scenarios.tap.shape == (1, 0)


def test_needs_name_the_line_and_the_worst_voltage_and_can_be_met(day, grid, ahead):
    _, tapped, _ = ahead
    sizing = size(grid, tapped, list(day.frames), day.margin_kept, capabilities(day))
    assert [(n.element, n.direction) for n in sizing.needs] == [("line:97", "up"), ("node:79:low", "up")]
    assert sizing.unserved == ()
    frames = sizing.needs[0].frames
    assert set(frames) <= set(day.window)
    rows = [f - day.first_frame for f in frames]
    relieved = tapped.rows(rows).with_delta(pod_deltas(day.network, sizing.least_w, len(frames)))
    assert not violations(day.network, grid.solve(relieved), frames, day.margin_kept)


def test_the_least_change_is_close_to_what_is_needed(day, grid, ahead):
    """Four fifths of the least change do not heal the worst frame."""
    _, tapped, _ = ahead
    sizing = size(grid, tapped, list(day.frames), day.margin_kept, capabilities(day))
    frames = sizing.needs[0].frames
    part = {pod: [w * 4 // 5 for w in watts] for pod, watts in sizing.least_w.items()}
    rows = [f - day.first_frame for f in frames]
    relieved = tapped.rows(rows).with_delta(pod_deltas(day.network, part, len(frames)))
    assert violations(day.network, grid.solve(relieved), frames, day.margin_kept)


def test_the_renewed_forecast_leaves_need_in_frames_the_first_did_not_have(day, grid, ahead):
    _, tapped, _ = ahead
    first = size(grid, tapped, list(day.frames), day.margin_kept, capabilities(day)).needs[0]
    renewed = day_scenarios(day.network, day.forecast(day.near_real_time_gate)).with_tap(tapped.tap)
    later = size(grid, renewed, list(day.frames), day.margin_kept, capabilities(day)).needs[0]
    assert set(later.frames) - set(first.frames)
    more = dict(zip(later.frames, later.volume_w, strict=True))
    assert any(more[f] > w for f, w in zip(first.frames, first.volume_w, strict=True) if f in more)


def test_what_nobody_can_serve_is_published(flow, states):
    able = [Capability("POD2", 10_000, 0), Capability("POD3", 10_000, 0)]
    sizing = size(flow, states((0, 1_600_000)), [7], Limits(), able)
    assert {v.element for v in sizing.unserved} == {"node:3:low"}
    assert sizing.least_w == {"POD2": (-10_000,), "POD3": (-10_000,)}


def test_the_pod_with_most_effect_comes_first(flow, states):
    able = [Capability("POD2", 500_000, 0), Capability("POD3", 500_000, 0)]
    sizing = size(flow, states((0, 1_600_000)), [7], Limits(), able)
    assert set(sizing.least_w) == {"POD3"} and sizing.needs[0].pods == ("POD3", "POD2")
    ((watts,),) = sizing.least_w.values()
    assert -150_000 < watts < -140_000


def test_too_high_a_voltage_asks_for_more_withdrawal(flow, states):
    sizing = size(flow, states((0, -1_800_000)), [7], Limits(), [Capability("POD3", 0, 500_000)])
    high = next(n for n in sizing.needs if n.element == "node:3:high")
    assert high.direction == "down" and sizing.least_w["POD3"][0] > 0 and sizing.unserved == ()


def test_no_violation_no_need(flow, states):
    sizing = size(flow, states((0, 100_000)), [7], Limits(), [Capability("POD3", 1, 1)])
    assert sizing.needs == () and sizing.least_w == {} and sizing.unserved == ()
