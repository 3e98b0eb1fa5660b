"""A bank at the end of a line, planned day-ahead, and what becomes of the plan near real time; rules of backend/grid/renewal.py."""

from dataclasses import replace

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.grid.congestion import Limits
from backend.grid.element import Shunt
from backend.grid.flow import scenarios_of
from backend.grid.remedy import DevicePlan, own_remedy
from backend.grid.renewal import renewed
from tests.backend.grid import three_nodes as small

FRAMES = (100, 101, 102, 103)
CALM_W, FULL_W = 500_000, 1_400_000
LINES = tuple(replace(line, x_uohm=8_000_000, rated_ma=200_000) for line in small.network().lines)
BANK = Shunt(1, "bank", 3, 0, -600_000, 0, 3, switchable=True)
GRID = replace(small.network(), lines=LINES, shunts=(BANK,))
FLOW = PowerGridFlow(GRID)


def expected(*watts: int):
    load_w = np.array([(0, w) for w in watts], dtype=np.int64)
    return scenarios_of(GRID, load_w, load_w // 2, np.zeros((len(watts), 0), dtype=np.int64))


def planned(*watts: int) -> DevicePlan:
    return own_remedy(FLOW, expected(*watts), FRAMES, Limits())[1]


CALM, EVENING = planned(*[CALM_W] * 4), planned(CALM_W, FULL_W, FULL_W, CALM_W)
(NEEDED,) = {EVENING.positions[0][1]}


def test_the_bank_is_needed_in_the_evening_only() -> None:
    assert CALM.positions == ((0, 0, 0, 0),) and NEEDED > 0
    assert EVENING.positions[0][0] == 0 and EVENING.positions[0][2] == NEEDED


def test_rule_1_a_plan_that_breaks_nothing_stands() -> None:
    assert renewed(FLOW, expected(CALM_W, FULL_W), FRAMES[:2], Limits(), EVENING) is EVENING
    late = replace(EVENING, positions=((0, 0, 1, 1),))
    assert renewed(FLOW, expected(CALM_W, CALM_W), FRAMES[2:], Limits(), late) is late, "needed or not"


def test_rule_2_what_was_not_expected_moves_the_bank_in_these_frames_and_in_no_other() -> None:
    found = renewed(FLOW, expected(FULL_W, CALM_W), FRAMES[1:3], Limits(), CALM)
    assert found.positions[0][1] == NEEDED and (found.positions[0][0], found.positions[0][3]) == (0, 0)
    assert found.devices == CALM.devices and (found.before, found.after) == (CALM.before, CALM.after)


def test_rule_2_it_goes_on_from_where_it_stood_last() -> None:
    before = replace(CALM, positions=((NEEDED, NEEDED, 0, 0),))
    found = renewed(FLOW, expected(FULL_W, FULL_W), FRAMES[2:], Limits(), before, 1)
    assert found.positions == ((NEEDED,) * 4,), "its one operation was in the first quarter-hour"


def test_rule_2_what_no_position_heals_leaves_the_plan() -> None:
    hopeless = expected(900_000_000, CALM_W)
    assert renewed(FLOW, hopeless, FRAMES[:2], Limits(), CALM) is CALM


@pytest.mark.parametrize("most", range(4))
def test_rule_3_operations_of_the_whole_day_are_limited(most: int) -> None:
    plan = CALM
    for first, watts in ((0, (FULL_W, CALM_W)), (2, (FULL_W, FULL_W))):
        plan = renewed(FLOW, expected(*watts), FRAMES[first : first + 2], Limits(), plan, most)
        assert len([one for one in plan.operations() if one[0] < FRAMES[0] + first + 2]) <= most
    assert [row == NEEDED for row in plan.positions[0][:3]] == [most > 0, most == 1, most in (1, 3)], "first come"


def test_rule_3_a_plan_with_more_operations_than_are_left_is_not_followed() -> None:
    found = renewed(FLOW, expected(CALM_W, FULL_W), FRAMES[:2], Limits(), EVENING, 0)
    assert found.positions[0][:2] == (0, 0)


def test_without_devices_there_is_nothing_to_renew() -> None:
    grid = small.network()
    flow = PowerGridFlow(grid)
    _, plan = own_remedy(flow, small.states(*[(0, CALM_W)] * 4), FRAMES, Limits())
    assert renewed(flow, small.states((0, 2_000_000)), FRAMES[:1], Limits(), plan) == plan
