"""Own devices: banks and taps against a search by hand, the limit of operations, and who may move."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.grid.congestion import Limits, margins
from backend.grid.document import parse_network
from backend.grid.element import Shunt, ThreeWinding, Transformer
from backend.grid.flow import scenarios_of
from backend.grid.forecast import day_scenarios
from backend.grid.remedy import devices_of, own_remedy
from tests.backend.grid import three_nodes as small

FRAMES = [100, 101, 102, 103]


def with_bank(**more):
    """Three nodes with reactive lines and a bank of three steps of 600 kvar at the end."""
    grid = small.network()
    lines = tuple(replace(line, x_uohm=8_000_000, rated_ma=200_000) for line in grid.lines)
    bank = Shunt(1, "bank", 3, 0, -600_000, 0, 3, **({"switchable": True} | more))
    return replace(grid, lines=lines, shunts=(bank,))


def rows(network, *watts):
    load_w = np.array([(0, w) for w in watts], dtype=np.int64)
    return scenarios_of(network, load_w, load_w // 2, np.zeros((len(watts), 0), dtype=np.int64))


def missing(flow, scenarios):
    free = margins(flow.network, flow.solve(scenarios), Limits()).margin_ppt
    return np.where(free < 0, -free, 0).sum(axis=1)


def test_a_bank_goes_in_as_far_as_it_heals_and_no_further():
    grid = with_bank()
    flow, states = PowerGridFlow(grid), rows(grid, 900_000, 1_400_000, 500_000, 1_400_000)
    healed, plan = own_remedy(flow, states, FRAMES, Limits())
    by_hand = []
    for row in range(4):
        lacks = [
            int(missing(flow, states.rows([row]).with_steps(np.array([[step]])))[0]) for step in range(4)
        ]  # fmt: skip
        by_hand.append(lacks.index(min(lacks)))
    assert plan.positions == (tuple(by_hand),) and by_hand[1] > 0 and by_hand[2] == 0
    assert not missing(flow, healed).any() and plan.before[1] > 0 and not any(plan.after)
    assert plan.operations()[0][1:] == ("bank:1", 0, by_hand[0]) or plan.operations()[0][0] == FRAMES[1]


@pytest.mark.parametrize("most", range(5))
def test_operations_are_limited_and_the_schedule_is_the_best_of_all(most):
    grid = with_bank()
    flow, states = PowerGridFlow(grid), rows(grid, 500_000, 1_400_000, -1_000_000, 1_500_000)
    healed, plan = own_remedy(flow, states, FRAMES, Limits(), most)
    assert len(plan.operations()) <= most
    table = np.array([missing(flow, states.with_steps(np.full((4, 1), s))) for s in range(4)])
    free = [margins(grid, flow.solve(states.with_steps(np.full((4, 1), s))), Limits()).margin_ppt for s in range(4)]
    allowed = np.array([(f >= np.minimum(free[0], 0)).all(axis=1) for f in free])
    best = None
    for path in itertools.product(range(4), repeat=4):
        moves = sum(a != b for a, b in itertools.pairwise((0, *path)))
        if moves <= most and all(allowed[s, r] for r, s in enumerate(path)):
            lack = sum(-(-int(table[s, r]) // 10**6) for r, s in enumerate(path))
            best = lack if best is None else min(best, lack)
    assert sum(-(-int(x) // 10**6) for x in missing(flow, healed)) == pytest.approx(best, abs=40)


def test_a_bank_that_is_not_switchable_and_an_off_circuit_tap_stay():
    assert devices_of(with_bank(switchable=False)) == ()
    network = load_day().network
    (device,) = devices_of(network)
    moving = {t.id for t in network.transformers if t.on_load}
    assert set(device.ids) == moving and len(moving) == 2, "parallel transformers are one device"
    assert {t.id for t in network.transformers} - moving, "the MV/LV transformer is off-circuit"


def test_parallel_transformers_move_together_and_within_the_operations():
    day = load_day()
    night_and_evening = [*range(0, 20, 4), *range(72, 80)]
    flow, frames = PowerGridFlow(day.network), [day.first_frame + q for q in night_and_evening]
    plain = day_scenarios(day.network, day.forecast(day.day_ahead_gate)).rows(night_and_evening)
    freely, plan = own_remedy(flow, plain, frames, day.margin_kept)
    assert (freely.tap[:, 0] == freely.tap[:, 1]).all() and (freely.tap[:, 2] == plain.tap[:, 2]).all()
    few, short = own_remedy(flow, plain, frames, day.margin_kept, 1)
    assert len(short.operations()) <= 1 < len(plan.operations())
    assert sum(plan.after) <= sum(short.after) <= sum(plan.before)
    none, still = own_remedy(flow, plain, frames, day.margin_kept, 0)
    assert still.operations() == () and (none.tap == plain.tap).all()


def test_a_frame_without_solution_is_healed_if_a_position_has_one_and_stops_no_other():
    document = small.document()
    grid = replace(
        parse_network(json.dumps(document)), shunts=(Shunt(1, "bank", 3, 0, -600_000, 0, 3, switchable=True),)
    )
    states = rows(grid, 900_000_000, 1_000)
    _, plan = own_remedy(PowerGridFlow(grid), states, FRAMES[:2], Limits())
    assert plan.before[0] == plan.after[0] == 1 and plan.after[1] == 0


def station(*stand, low=(), three_windings=()):
    """A 110/20 kV station, its transformers at these positions, with a feeder of two lines behind it."""
    grid = small.network()
    above = replace(grid.nodes[0], id=9, name="HV", u_rated_v=110_000, u_min_ppm=900_000, u_max_ppm=1_100_000)
    units = tuple(
        Transformer(
            k, f"T{k}", 9, 1, True, 110_000, 20_000, 25_000_000, 120_000, 100_000, 1_000, 15_000, 5, "from", -9, 9, 0, at,
            1_650_000, True,
        )
        for k, at in enumerate(stand, 1)
    )  # fmt: skip
    return replace(
        grid, nodes=(*grid.nodes, above, *low), transformers=units, sources=(replace(grid.sources[0], node=9),),
        three_windings=three_windings,
    )  # fmt: skip


def test_transformers_that_stand_apart_move_by_the_same_steps_and_stay_apart():
    """-1 and +1: two steps between them as they stand and as planned, and the plan's words name both."""
    grid = station(-1, 1)
    flow, states = PowerGridFlow(grid), rows(grid, 100_000, 1_400_000)
    healed, plan = own_remedy(flow, states, FRAMES[:2], Limits())
    (device,) = plan.devices
    assert (device.ids, device.standing, device.positions) == ((1, 2), -1, tuple(range(-9, 8)))
    assert plan.before[1] > 0 and plan.after == (0, 0)
    assert (healed.tap[:, 1] - healed.tap[:, 0] == 2).all() and healed.tap[0].tolist() == [-1, 1]
    assert (healed.tap[:, 0] == plan.positions[0]).all() and len(plan.operations()) == 1
    same, still = own_remedy(flow, states, FRAMES[:2], Limits(), 0)
    assert (same.tap == [-1, 1]).all() and still.operations() == ()


def test_the_on_load_tap_of_a_three_winding_transformer_is_moved_too():
    """One of 110/20/10 kV feeds a line at 20 kV; its tap heals what its standing leaves broken."""
    low = replace(small.network().nodes[0], id=10, u_rated_v=10_000)
    unit = ThreeWinding(
        7, "T3", 9, 1, 10, True, True, True, 110_000, 20_000, 10_000, 40_000_000, 25_000_000, 15_000_000,
        100_000, 100_000, 60_000, 60_000, 50_000, 40_000, 1_000, 20_000, 0, 0, "1", -8, 8, 0, 0, 1_650_000, True,
    )  # fmt: skip
    grid = station(low=(low,), three_windings=(unit,))
    flow, states = PowerGridFlow(grid), rows(grid, 100_000, 1_400_000)
    healed, plan = own_remedy(flow, states, FRAMES[:2], Limits())
    assert [(d.kind, d.ids, d.positions) for d in plan.devices] == [("three_winding_tap", (7,), tuple(range(-8, 9)))]
    assert plan.before[1] > 0 and plan.after == (0, 0)
    assert healed.three_winding_tap[:, 0].tolist() == list(plan.positions[0]) and plan.positions[0][1] < 0
    fixed = replace(grid, three_windings=(replace(unit, on_load=False),))
    assert devices_of(fixed) == ()
