"""The engine's answers against pandapower's, and the engine's traps."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.demo.profile import read_profiles
from backend.errors import Rejected
from backend.grid.document import parse_network
from backend.grid.flow import scenarios_of
from backend.grid.forecast import day_scenarios
from tests.backend.grid import three_nodes as small

ROOT = Path(__file__).resolve().parents[3]
NETWORK = parse_network((ROOT / "backend/demo/network.json").read_text())
EXPECTED = json.loads((Path(__file__).parent / "pandapower_expected.json").read_text())["cases"]


@pytest.mark.parametrize("case", EXPECTED, ids=lambda c: f"quarter-{c['quarter']}")
def test_states_agree_with_pandapower_whose_numbers_went_another_way(case):
    network = NETWORK
    if case["works"]:
        lines = [
            replace(line, from_closed=False, to_closed=False)
            if line.name == "MV1.101 Line 75"
            else replace(line, from_closed=True, to_closed=True)
            if line.name == "MV1.101 loop_line 4"
            else line
            for line in network.lines
        ]
        network = replace(network, lines=tuple(lines))
    table = read_profiles((ROOT / "backend/demo/profiles.csv").read_text())
    at, scale = table.first_quarter, case["scale_ppm"]
    k = case["quarter"] - at
    load_w = [round(e.p_nominal_w * int(table.values[f"load/{e.profile}/p"][k]) * scale / 1e12) for e in network.loads]
    load_var = [
        round(e.q_nominal_var * int(table.values[f"load/{e.profile}/q"][k]) * scale / 1e12) for e in network.loads
    ]
    made_w = [round(e.p_nominal_w * int(table.values[f"generator/{e.profile}/p"][k]) / 1e6) for e in network.generators]
    rows = scenarios_of(network, np.array([load_w]), np.array([load_var]), np.array([made_w]))
    tap = [case["tap"] if t.on_load else t.tap_position for t in network.transformers]
    states = PowerGridFlow(network).solve(rows.with_tap(np.array([tap])))
    voltage = [case["voltage_ppb"][str(n.id)] * 1_000 for n in network.nodes]
    assert np.abs(states.voltage_ppt[0] - voltage).max() < 2 * 10**6
    loading = [case["line_ppb"][str(line.id)] * 1_000 for line in network.lines]
    assert np.abs(states.line_ppt[0] - loading).max() < 10**7
    power = [case["transformer_w"][str(t.id)] for t in network.transformers]
    assert np.abs(states.transformer_w[0] - power).max() < 500


def rows_of(network, watts):
    load_w = np.array(watts, dtype=np.int64)
    return scenarios_of(network, load_w, np.zeros_like(load_w), np.zeros((len(load_w), 0), dtype=np.int64))


def same(a, b, at=slice(None)):
    return all(
        (getattr(a, field) == getattr(b, field)[at]).all()
        for field in ("solved", "voltage_ppt", "line_ppt", "transformer_ppt", "transformer_w", "transformer_var")
    )


def test_the_answer_is_the_same_whatever_the_threads_the_order_or_the_batch():
    day = load_day()
    scenarios = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
    alone = PowerGridFlow(day.network, threads=-1).solve(scenarios)
    for threads in (0, 2, 5):
        assert same(PowerGridFlow(day.network, threads=threads).solve(scenarios), alone)
    flow, back = PowerGridFlow(day.network), list(range(95, -1, -1))
    assert same(flow.solve(scenarios.rows(back)), alone, back)
    assert same(flow.solve(scenarios.rows([40])), alone, [40])


def test_a_scenario_without_solution_is_masked_and_alone():
    network = small.network()
    states = PowerGridFlow(network).solve(rows_of(network, [[0, 1_000], [0, 900_000_000], [0, 2_000]]))
    assert states.solved.tolist() == [True, False, True]
    assert not states.voltage_ppt[1].any() and not states.line_ppt[1].any()
    good = PowerGridFlow(network).solve(rows_of(network, [[0, 1_000], [0, 2_000]]))
    assert same(good, states, [0, 2])


def test_a_failure_in_one_batch_leaves_no_mark_on_the_next():
    network = small.network()
    flow = PowerGridFlow(network)
    flow.solve(rows_of(network, [[0, 900_000_000]]))
    assert flow.solve(rows_of(network, [[0, 1_000]])).solved.all()


def test_the_source_is_stiff():
    network = small.network()
    states = PowerGridFlow(network).solve(rows_of(network, [[0, 1_400_000]]))
    assert abs(int(states.voltage_ppt[0, 0]) - 10**12) < 10**3


def test_raising_a_tap_on_the_high_side_lowers_the_voltage_below():
    rows = rows_with_loads(NETWORK)
    tap = np.array([[1 if t.on_load else 0 for t in NETWORK.transformers]])
    flow, busbar = PowerGridFlow(NETWORK), 2
    plain, raised = flow.solve(rows), flow.solve(rows.with_tap(tap))
    step = int(plain.voltage_ppt[0, busbar] - raised.voltage_ppt[0, busbar])
    assert 14 * 10**9 < step < 16 * 10**9


def rows_with_loads(network):
    load_w = np.array([[e.p_nominal_w // 2 for e in network.loads]], dtype=np.int64)
    made = np.zeros((1, len(network.generators)), dtype=np.int64)
    return scenarios_of(network, load_w, load_w // 4, made)


def test_power_at_a_pod_adds_to_the_load_of_its_node():
    network = NETWORK.connected({"POD": NETWORK.loads[5].node})
    rows, flow = rows_with_loads(network), PowerGridFlow(network)
    by_pod = flow.solve(rows.with_delta(np.array([[12_345]])))
    more = rows.load_w.copy()
    more[0, 5] += 12_345
    by_load = flow.solve(scenarios_of(network, more, rows.load_var, rows.generator_w))
    assert np.abs(by_pod.voltage_ppt - by_load.voltage_ppt).max() <= 5


def test_no_scenarios_give_no_states():
    network = small.network()
    states = PowerGridFlow(network).solve(rows_of(network, np.zeros((0, 2))))
    assert states.solved.shape == (0,) and states.voltage_ppt.shape == (0, 3)


def test_columns_that_are_not_the_networks_are_refused():
    network = small.network()
    rows = rows_of(network, [[0, 0]])
    with pytest.raises(Rejected, match="scenarios delta_w: shape"):
        PowerGridFlow(network).solve(rows.with_delta(np.zeros((1, 3))))
    with pytest.raises(Rejected, match="load_w: int64"):
        rows_of(network, [[0, 0, 0]])
