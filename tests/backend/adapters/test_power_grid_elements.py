"""What a network of version 2 adds, in the engine: steps, storages, switches, var at PODs, phases, three windings."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.errors import Rejected
from backend.grid.element import Line, Link, Node, Shunt, Storage, ThreeWinding, Transformer
from backend.grid.flow import nominal_scenario
from tests.backend.grid import three_nodes as small

NET = small.network()
TIE = Line(9, "tie", 1, 3, True, False, 6_000_000, 0, 0, 50_000, switchable=True)


def rows(network, count=1):
    return nominal_scenario(network).rows([0] * count)


def volts(flow, scenarios):
    return flow.solve(scenarios).voltage_ppt


def test_a_capacitor_bank_in_steps_raises_the_voltage_step_by_step():
    network = replace(
        NET,
        lines=tuple(replace(k, x_uohm=4_000_000) for k in NET.lines),
        shunts=(Shunt(1, "bank", 3, 0, -500_000, 0, 3, switchable=True),),
    )
    flow = PowerGridFlow(network)
    u = volts(flow, rows(network, 4).with_steps(np.array([[0], [1], [2], [3]])))[:, 2]
    assert (np.diff(u) > 8 * 10**9).all() and (np.diff(u) < 12 * 10**9).all()  # 0.5 Mvar x 8 ohm / (20 kV)^2 = 1 %
    with pytest.raises(Rejected, match="steps_max"):
        flow.solve(rows(network).with_steps(np.array([[4]])))


def test_a_storage_that_charges_is_a_load_and_one_that_discharges_a_generator():
    network = replace(NET, storages=(Storage(1, "battery", 3, 200_000, 0),))
    flow = PowerGridFlow(network)
    charging = flow.solve(rows(network))
    empty = replace(rows(network), storage_w=np.array([[0]]))
    more = flow.solve(empty.with_delta(np.array([[0, 200_000]])))
    assert (more.voltage_ppt == charging.voltage_ppt).all()
    giving = flow.solve(replace(rows(network), storage_w=np.array([[-200_000]])))
    assert giving.voltage_ppt[0, 2] > charging.voltage_ppt[0, 2]


def test_reactive_power_at_a_pod_moves_the_voltage_over_a_reactance():
    network = replace(NET, lines=tuple(replace(k, x_uohm=4_000_000) for k in NET.lines))
    flow = PowerGridFlow(network)
    flat = rows(network)
    moved = flat.with_delta(np.zeros((1, 2), dtype=np.int64), np.array([[0, 400_000]]))
    assert 7 * 10**9 < volts(flow, flat)[0, 2] - volts(flow, moved)[0, 2] < 9 * 10**9


def test_a_branch_exchange_is_a_row_of_switches():
    network = replace(NET, lines=(*NET.lines, TIE))
    flow = PowerGridFlow(network)
    closed = np.array([[True, True, False], [True, False, True], [False, True, True], [True, True, True]])
    states = flow.solve(rows(network, 4).with_switches(closed))
    assert states.energized.all() and states.solved.all()
    assert (states.line_ppt[0, 2], states.line_ppt[1, 1], states.line_ppt[2, 0]) == (0, 0, 0)
    assert (states.line_ppt[3] > 0).all()
    assert (flow.solve(rows(network)).voltage_ppt == states.voltage_ppt[:1]).all(), "as it stands is the first row"
    dark = flow.solve(rows(network).with_switches(np.array([[True, False, False]])))
    assert dark.energized.tolist() == [[True, True, False]] and dark.voltage_ppt[0, 2] == 0


def test_links_and_transformers_open_by_row():
    nodes = (*NET.nodes, replace(NET.nodes[0], id=4, name="n4"))
    network = replace(NET, nodes=nodes, links=(Link(1, "coupler", 3, 4, True, switchable=True),))
    flow = PowerGridFlow(network)
    states = flow.solve(rows(network, 2).with_switches(link_closed=np.array([[True], [False]])))
    assert states.energized[:, 3].tolist() == [True, False]


def three_winding():
    nodes = (
        Node(1, "HV", 110_000, 900_000, 1_100_000),
        Node(2, "MV", 20_000, 900_000, 1_100_000),
        Node(3, "MV2", 10_000, 900_000, 1_100_000),
    )
    unit = ThreeWinding(
        1, "T3", 1, 2, 3, True, True, True, 110_000, 20_000, 10_000, 40_000_000, 25_000_000, 15_000_000,
        100_000, 100_000, 60_000, 60_000, 50_000, 40_000, 1_000, 20_000, 0, 0, "1", -8, 8, 0, 0, 1_650_000, True,
    )  # fmt: skip
    loads = (
        replace(NET.loads[0], node=2, p_nominal_w=10_000_000),
        replace(NET.loads[1], node=3, p_nominal_w=5_000_000),
    )
    return replace(NET, nodes=nodes, lines=(), loads=loads, connections=(), three_windings=(unit,))


def test_a_transformer_with_three_windings_feeds_two_voltages_and_its_tap_moves_both():
    network = three_winding()
    flow = PowerGridFlow(network)
    taps = replace(rows(network, 3), three_winding_tap=np.array([[0], [1], [-1]]))
    states = flow.solve(taps)
    assert states.solved.all() and (states.three_winding_ppt[0] > 330 * 10**9).all()
    steps = states.voltage_ppt[:, 1:]
    assert (steps[2] > steps[0]).all() and (steps[0] > steps[1]).all()
    assert (flow.solve(rows(network)).voltage_ppt == states.voltage_ppt[:1]).all()


def test_equal_phases_are_the_balanced_calculation_and_one_phase_draws_alone():
    flow = PowerGridFlow(NET)
    flat = rows(NET)
    balanced, phases = flow.solve(flat), flow.solve_phases(flat)
    assert np.abs(phases.voltage_ppt[0] - balanced.voltage_ppt[0][:, None]).max() < 100
    network = NET.connected({"POD2": 2, "POD3": 3}, {"POD3": "b"})
    single = PowerGridFlow(network).solve_phases(flat.with_delta(np.array([[0, 300_000]])))
    a, b, c = single.voltage_ppt[0, 2]
    assert b < min(a, c) - 10**9
    assert single.line_ma[0, 1, 1] > single.line_ma[0, 1, 0]
    with pytest.raises(Rejected, match="POD9"):
        NET.connected({"POD2": 2}, {"POD9": "a"})


def turned(clock, turn_mdeg=0, phases="abc"):
    """A unit transformer behind node 3 that turns the phase, with a load of 100 kW behind it."""
    unit = Transformer(
        7, "PST east", 3, 4, True, 20_000, 20_000, 5_000_000, 60_000, 20_000, 1_000, 2_000, clock, "from", 0, 0, 0, 0, 0, False,
        equivalent=bool(turn_mdeg), turn_mdeg=turn_mdeg,
    )  # fmt: skip
    load = replace(NET.loads[0], id=9, node=4, p_nominal_w=100_000, phases=phases)
    nodes = (*NET.nodes, replace(NET.nodes[2], id=4, name="n4"))
    return replace(NET, nodes=nodes, transformers=(unit,), loads=(*NET.loads, load))


@pytest.mark.parametrize("clock", range(12))
def test_a_transformer_turns_by_any_whole_hour_per_phase_too(clock):
    """Equal phases are the balanced calculation; 4 hours on, what a phase draws is seen in the next phase above it."""
    network = turned(clock)
    flow = PowerGridFlow(network)
    balanced, phases = flow.solve(rows(network)), flow.solve_phases(rows(network))
    assert np.abs(phases.voltage_ppt[0] - balanced.voltage_ppt[0][:, None]).max() < 100
    assert np.abs(phases.transformer_ppt - balanced.transformer_ppt).max() < 100
    alone = [turned(clock % 4 + hours, phases="a") for hours in (0, 4, 8)]
    above = [PowerGridFlow(n).solve_phases(rows(n)).voltage_ppt[0, 2] for n in alone]
    for k in (1, 2):
        assert np.abs(np.roll(above[0], k) - above[k]).max() < 1_000 < 10**9 < np.ptp(above[0])


def test_a_transformer_that_turns_by_part_of_an_hour_is_refused_per_phase_by_name():
    network = turned(5, turn_mdeg=13_000)
    assert PowerGridFlow(network).solve(rows(network)).solved.all()
    expected = (
        r'transformer:7 "PST east" \(turns the phase by 13000 mdeg\): equivalent = true, .* calculate the grid balanced'
    )
    with pytest.raises(Rejected, match=expected):
        PowerGridFlow(network).solve_phases(rows(network))
    many = tuple(replace(network.transformers[0], id=k, name="") for k in range(1, 9))
    network = replace(network, transformers=many)
    with pytest.raises(Rejected, match=r"transformer:5 .* and 3 more: equivalent"):
        PowerGridFlow(network).solve_phases(rows(network))


def test_flows_enter_each_end_and_losses_are_what_is_between():
    flow = PowerGridFlow(NET)
    flat = rows(NET)
    states, flows = flow.solve(flat), flow.flows(flat)
    lost = (flows.line_from_w + flows.line_to_w).sum()
    assert abs(int(states.source_w.sum()) - int(flat.load_w.sum()) - int(lost)) <= 3
    expected = states.line_ppt[0] * 50_000 // 10**12
    assert np.abs(np.maximum(flows.line_from_ma, flows.line_to_ma)[0] - expected).max() <= 1


def test_an_engine_goes_to_a_worker_as_its_network():
    flow = pickle.loads(pickle.dumps(PowerGridFlow(NET)))
    assert (flow.solve(rows(NET)).voltage_ppt == PowerGridFlow(NET).solve(rows(NET)).voltage_ppt).all()


def test_parts_of_a_batch_are_the_batch():
    flow = PowerGridFlow(NET)
    many = rows(NET, 7).with_delta(np.arange(14).reshape(7, 2) * 10_000)
    parts = [flow.solve(part).voltage_ppt for part in many.parts(3)]
    assert [len(p) for p in parts] == [3, 3, 1]
    assert (np.concatenate(parts) == flow.solve(many).voltage_ppt).all()


def test_a_rest_of_a_quantity_reaches_the_engine():
    network = replace(NET, loads=tuple(replace(e, rest=(("p_nominal_w", 500_000),)) for e in NET.loads))
    flow = PowerGridFlow(network)
    assert 0 < int(flow.nominal().line_ppt[0, 0] - flow.solve(rows(network)).line_ppt[0, 0]) < 10**7


def test_columns_that_do_not_fit_are_named():
    with pytest.raises(Rejected, match=r"scenarios shunt_step: shape \(1, 2\), expected \(1, 0\)"):
        PowerGridFlow(NET).solve(rows(NET).with_steps(np.array([[0, 1]])))
