"""The state from measurements: true where they are true, liars named, blind spots named, one method when the other fails."""

import re
from dataclasses import replace

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.adapters.state_estimation import PowerGridEstimator
from backend.demo.day import load_day
from backend.errors import Rejected
from backend.grid.estimate import Method, estimate, estimate_document
from backend.grid.flow import scenarios_of
from backend.grid.forecast import day_scenarios
from backend.grid.measurement import Measurement, Origin, Quantity, current, fitting, power
from backend.grid.observe import unobservable
from tests.backend.grid import three_nodes as small

WATTS = (600_000, 900_000)


@pytest.fixture(scope="module")
def engine():
    return PowerGridEstimator(small.network().connected({}))


@pytest.fixture(scope="module")
def truth():
    network = small.network().connected({})
    load = np.array([WATTS], dtype=np.int64)
    return PowerGridFlow(network).solve(scenarios_of(network, load, load * 0, np.zeros((1, 0), dtype=np.int64)))


def volts(truth, node, sensor=None, error_mv=0):
    value = int(truth.voltage_ppt[0, node - 1]) * 20_000 // 10**9 + error_mv
    return Measurement(sensor or f"V{node}", Quantity.VOLTAGE, "node", node, value, 20_000)


def loads(origin=Origin.READING):
    return [power(f"P{k}", "load", k, (WATTS[k - 1], 0), origin) for k in (1, 2)]


def test_worked_example_perfect_measurements_give_the_power_flow_back(engine, truth):
    """Two lines of 4 ohm at 20 kV: the state of the power flow to a millionth, no residual beyond rounding."""
    made = estimate(engine, [volts(truth, 1), volts(truth, 3), *loads()])
    assert made.solved.method is Method.NEWTON and not made.tried and not made.bad
    assert np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() <= 2
    assert np.abs(made.solved.line_ppm - truth.line_ppt[0] // 10**6).max() <= 50
    assert all(abs(r.normalised_milli or 0) < 100 for r in made.residuals)


def test_rule_1_a_load_that_nothing_tells_is_named_and_stands_at_its_nominal(engine, truth):
    made = estimate(engine, [volts(truth, 1), loads()[0]])
    assert made.blind.branches == ("line:1", "line:2") and made.blind.injections == ("load:2", "source:1")
    assert [r.origin for r in made.residuals].count("assumed") == 2


def test_rule_1_the_flow_in_a_line_tells_the_load_behind_it(engine, truth):
    """The only load at the end of the line whose other end is measured."""
    flow = Measurement("F", Quantity.POWER, "line", 2, 900_000, 9_000, 0, 9_000, "from")
    made = estimate(engine, [volts(truth, 1), loads()[0], flow])
    assert made.blind.branches == () and made.blind.injections == ()
    assert made.solved.voltage_upu[2] < made.solved.voltage_upu[1]


def test_rule_1_without_a_voltage_the_reference_of_the_source_stands_in(engine):
    made = estimate(engine, loads())
    assert ("reference", "node:1") in [(r.sensor, r.place) for r in made.residuals]
    assert abs(int(made.solved.voltage_upu[0]) - 1_000_000) < 100


@pytest.mark.parametrize("first", list(Method))
def test_rule_2_both_methods_give_the_same_state(engine, truth, first):
    made = estimate(engine, [volts(truth, 1), volts(truth, 3), *loads()], first=first)
    assert made.solved.method is first
    assert np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() <= 2


class Fails:
    """The engine, whose one method does not converge."""

    def __init__(self, engine, *methods):
        self._engine, self._methods = engine, methods
        self.network, self.follow_ppm = engine.network, engine.follow_ppm

    def solve(self, measured, opened, method):
        if method in self._methods:
            return self._engine.solve([], opened, method)
        return self._engine.solve(measured, opened, method)


@pytest.mark.parametrize(("fails", "stands"), [(Method.LINEAR, Method.NEWTON), (Method.NEWTON, Method.LINEAR)])
def test_rule_2_when_one_method_fails_the_other_is_tried_and_it_is_reported(engine, truth, fails, stands):
    made = estimate(Fails(engine, fails), [volts(truth, 1), *loads()], first=fails)
    assert made.solved.method is stands
    assert [method for method, reason in made.tried if reason] == [fails.value]


def test_rule_2_when_both_fail_both_reasons_are_said(engine, truth):
    with pytest.raises(Rejected, match="no method gives a state .Newton-Raphson: .*; iterative linear: "):
        estimate(Fails(engine, *Method), [volts(truth, 1), *loads()])


def test_rule_3_a_sensor_that_lies_is_named_and_taken_out(engine, truth):
    """V3 is 400 V off; V1, V2 and both loads agree against it."""
    measured = [volts(truth, 1), volts(truth, 2), volts(truth, 3, "liar", 400_000), *loads()]
    made = estimate(engine, measured)
    assert [(b.sensor, b.place) for b in made.bad] == [("liar", "node:3")] and made.bad[0].normalised_milli > 4_000
    assert abs(made.bad[0].expected - int(truth.voltage_ppt[0, 2]) * 20_000 // 10**9) < 40_000
    assert np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() < 1_000


def test_rule_3_two_liars_go_one_at_a_time(engine, truth):
    twice = [volts(truth, k, f"{name}{k}") for k in (1, 2, 3) for name in "ab"]
    measured = [*twice, volts(truth, 2, "liar", -600_000), volts(truth, 3, "worse", 900_000), *loads()]
    assert [b.sensor for b in estimate(engine, measured).bad] == ["worse", "liar"]


def test_rule_3_a_quarter_hour_that_says_nothing_of_this_moment_is_named_too(engine, truth):
    far = [power("Q1", "load", 1, (1, 0), Origin.QUARTER), loads()[1]]
    flow = Measurement("F", Quantity.POWER, "line", 1, 1_520_000, 15_000, 0, 15_000, "from")
    made = estimate(engine, [volts(truth, 1), volts(truth, 2), volts(truth, 3), *far, flow])
    assert [(b.sensor, b.origin) for b in made.bad] == [("Q1", "quarter-hour")]
    assert abs(made.bad[0].expected - WATTS[0]) < 60_000


def test_rule_4_a_sensor_that_nothing_else_checks_is_named(engine, truth):
    made = estimate(engine, [volts(truth, 1), *loads()])
    assert "P2 (load:2)" in made.unchecked and "V1 (node:1)" in made.unchecked


def test_rule_6_the_same_input_in_any_order_gives_the_same_document(engine, truth):
    measured = [volts(truth, 1), volts(truth, 2, error_mv=5_000), volts(truth, 3), *loads()]
    documents = [estimate_document(engine.network, estimate(engine, order)) for order in (measured, measured[::-1])]
    assert documents[0] == documents[1] and documents[0]["format"] == "lightnode-estimate/1"


def test_a_current_without_direction_helps_where_no_power_is_known(engine, truth):
    amps = int(truth.line_ppt[0, 1]) * 50_000 // 10**12
    made = estimate(engine, [volts(truth, 1), volts(truth, 2), loads()[0], current("I", "line", 2, amps, 100, "from")])
    assert made.blind.branches == () and abs(int(made.solved.line_ppm[1]) - int(truth.line_ppt[0, 1]) // 10**6) < 20_000


def test_a_current_beside_a_power_is_left_out(engine):
    flow = Measurement("F", Quantity.POWER, "line", 2, 1, 1, 0, 1, "from")
    both = [flow, current("I", "line", 2, 5_000, 100, "from"), current("I", "line", 2, 5_000, 100, "to")]
    assert [(m.quantity, m.side) for m in fitting(engine.network, both)] == [("power", "from"), ("current", "to")]


def test_an_open_breaker_takes_its_branch_out_and_names_what_is_dead(engine, truth):
    made = estimate(engine, [volts(truth, 1), *loads()], ["line:2"])
    assert made.dead == ("node:3",) and made.opened == ("line:2",)
    assert int(made.solved.line_w[1]) == 0 and not made.solved.fed[2]
    with pytest.raises(Rejected, match="'line:9' is no line"):
        estimate(engine, [volts(truth, 1)], ["line:9"])


def test_meshes_are_solved_by_rank_not_by_guess():
    """A ring of three: with the flow of one line and the load of one node the others follow; without, none does."""
    document = small.document()
    document["lines"].append({**document["lines"][0], "id": 3, "name": "c", "from": 1, "to": 3})
    import json

    from backend.grid.document import parse_network

    network = parse_network(json.dumps(document))
    known = [power("P1", "load", 1, (1, 0), Origin.READING)]
    assert unobservable(network, known).injections == ("load:2", "source:1")
    tied = [*known, Measurement("F", Quantity.POWER, "line", 2, 1, 1, 0, 1, "from")]
    found = unobservable(network, tied)
    assert found.branches == ("line:3",) and "load:2" in found.injections
    assert unobservable(network, [*known, power("P2", "load", 2, (1, 0), Origin.READING)]).branches == ()


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda: Measurement("S", Quantity.VOLTAGE, "load", 1, 1, 1), "voltage at a load, expected node"),
        (lambda: Measurement("S", Quantity.POWER, "line", 1, 1, 1, 1, 1, "middle"), "side 'middle'"),
        (lambda: Measurement("S", Quantity.VOLTAGE, "node", 1, 1, 0), "sigma 0"),
        (lambda: Measurement("S", Quantity.VOLTAGE, "node", 1, -1, 1), "voltage -1 is negative"),
        (lambda: current("S", "node", 1, 1, 1, ""), "current at a node"),
    ],
)
def test_what_cannot_be_measured_is_named(made, named):
    with pytest.raises(Rejected, match=named):
        made()


def test_a_sensor_at_a_place_that_the_grid_has_not_is_named(engine):
    with pytest.raises(Rejected, match="sensor V9: node:9 is not in grid"):
        estimate(engine, [Measurement("V9", Quantity.VOLTAGE, "node", 9, 20_000_000, 1)])


@pytest.fixture(scope="module")
def evening():
    """The example day's grid at 18:30 as it was: (engine, true voltages, what the platform knows of it)."""
    day = load_day()
    network, now = day.network, 74
    actual, expected = day.actual(), day.forecast(day.day_ahead_gate)
    truth = PowerGridFlow(network).solve(day_scenarios(network, actual).rows([now]))
    known = []
    for k, load in enumerate(network.loads):
        if load.name in day.pod_column:
            known.append(
                power(
                    load.name,
                    "load",
                    load.id,
                    (int(actual.load_w[now, k]), int(actual.load_var[now, k])),
                    Origin.READING,
                )
            )
        watts_var = (int(expected.load_w[now, k]), int(expected.load_var[now, k]))
        known.append(power(f"quarter-hour of {load.name}", "load", load.id, watts_var, Origin.QUARTER))
    for k, made in enumerate(network.generators):
        watts = int(expected.generator_w[now, k])
        known.append(power(f"quarter-hour of {made.name}", "generator", made.id, (watts, 0), Origin.QUARTER))
    for place in (0, 20, 50, 80, 105):
        node = network.nodes[place]
        value = int(truth.voltage_ppt[0, place]) * node.u_rated_v // 10**9
        known.append(Measurement(f"U {node.name}", Quantity.VOLTAGE, "node", node.id, value, 2 * node.u_rated_v))
    unit = network.transformers[0]
    through = (int(truth.transformer_w[0, 0]), int(truth.transformer_var[0, 0]))
    known.append(
        Measurement("feed", Quantity.POWER, "transformer", unit.id, through[0], 50_000, through[1], 50_000, "from")
    )
    return PowerGridEstimator(network), truth.voltage_ppt[0] // 10**6, known


def test_on_the_published_grid_a_forecast_and_a_few_sensors_give_voltages_to_three_per_mille(evening):
    engine, volts_upu, known = evening
    made = estimate(engine, known)
    assert made.solved.method is Method.NEWTON and made.bad == () and made.blind.branches == ()
    assert np.abs(made.solved.voltage_upu - volts_upu).max() < 3_000


@pytest.mark.parametrize("first", list(Method))
def test_on_the_published_grid_a_liar_is_found_by_either_method(evening, first):
    engine, volts_upu, known = evening
    node = engine.network.nodes[50]
    value = int(volts_upu[50]) * node.u_rated_v // 1_000 * 103 // 100
    liar = Measurement("liar", Quantity.VOLTAGE, "node", node.id, value, 2 * node.u_rated_v)
    made = estimate(engine, [*known, liar], first=first)
    assert [one.sensor for one in made.bad] == ["liar"] and made.solved.method is first
    assert np.abs(made.solved.voltage_upu - volts_upu).max() < 6_000


def test_on_the_published_grid_without_the_feed_the_sum_of_all_that_is_known_tells_it(evening):
    """The engine alone calls this singular: nothing is measured at the source, two transformers and two couplers beside it."""
    engine, volts_upu, known = evening
    made = estimate(engine, [one for one in known if one.sensor != "feed"])
    assert made.solved.method is Method.NEWTON and not made.tried
    assert ("nominal", "source:1") in [(r.sensor, r.place) for r in made.residuals if r.origin == "assumed"]
    assert np.abs(made.solved.voltage_upu - volts_upu).max() < 3_000


@pytest.mark.parametrize("kept", [True, False])
def test_on_the_published_grid_an_open_breaker_names_its_island_and_the_rest_is_estimated(evening, kept):
    """23 nodes are dead; what the feed still says of the whole grid is found to be false, and taken out."""
    engine, volts_upu, known = evening
    made = estimate(engine, [one for one in known if kept or one.sensor != "feed"], ["line:45"])
    assert len(made.dead) == 23 and made.opened == ("line:45",)
    assert [one.sensor for one in made.bad] == ["feed"] * kept
    alive = np.array([f"node:{n.id}" not in made.dead for n in engine.network.nodes])
    assert np.abs(made.solved.voltage_upu - volts_upu)[alive].max() < 10_000
    assert not made.solved.voltage_upu[~alive].any()


def test_the_flow_in_a_coupler_can_be_measured(evening):
    """Half of the feed goes through the second transformer, and through the coupler before it."""
    engine, volts_upu, known = evening
    watts, var = next((one.value, one.second) for one in known if one.sensor == "feed")
    through = Measurement("K", Quantity.POWER, "link", 1, watts, 30_000, var, 30_000, "from")
    made = estimate(engine, [*known, through])
    assert made.bad == () and np.abs(made.solved.voltage_upu - volts_upu).max() < 3_000
    opened = estimate(engine, [*known, through], ["link:1"])
    assert [(s.sensor, s.reason) for s in opened.suspects] == [("K", "expected 0: the branch is reported open")]


def test_a_sensor_that_says_the_same_twice_is_named(engine, truth):
    with pytest.raises(Rejected, match="sensor V1: voltage at node:1 is given twice, expected once"):
        estimate(engine, [volts(truth, 1), volts(truth, 1, error_mv=5), *loads()])


def test_voltages_in_v_or_kv_are_named_and_left_out(engine, truth):
    right = volts(truth, 3)
    wrong = [replace(right, sensor="in V", value=right.value // 1_000), replace(right, sensor="in kV", value=20)]
    wrong += [replace(right, sensor="in uV", value=right.value * 1_000)]
    made = estimate(engine, [volts(truth, 1), right, *wrong, *loads()])
    assert [(s.sensor, s.kept) for s in made.suspects] == [("in V", False), ("in kV", False), ("in uV", False)]
    assert "expected mV near 20000000 (is it V or kV?)" in made.suspects[0].reason
    assert made.bad == () and np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() <= 2


def test_power_and_current_far_above_what_their_place_is_rated_for_are_left_out(engine, truth):
    """Load 1 is 850 kW, line 2 is 220 A of 20 kV."""
    wrong = [
        Measurement("P1 mW", Quantity.POWER, "load", 1, 600_000_000, 1_000, 0, 1_000),
        Measurement("F mW", Quantity.POWER, "line", 2, 900_000_000_000, 1_000, 0, 1_000, "from"),
        current("I uA", "line", 2, 26_000_000_000, 100, "to"),
    ]
    made = estimate(engine, [volts(truth, 1), *loads(), *wrong])
    assert sorted(s.sensor for s in made.suspects) == ["F mW", "I uA", "P1 mW"]
    assert "is it mW?" in made.suspects[-1].reason and not any(s.kept for s in made.suspects)
    assert np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() <= 2


def test_a_flow_in_kw_is_bad_data_and_its_unit_is_said(engine, truth):
    flow = Measurement("F", Quantity.POWER, "line", 1, 1_520, 15_000, 0, 15_000, "from")
    made = estimate(engine, [volts(truth, 1), volts(truth, 2), volts(truth, 3), *loads(), flow])
    assert [(b.sensor, b.unit) for b in made.bad] == [("F", "kW for W")]


def test_a_load_in_kw_is_named_with_what_the_others_say_of_it(engine, truth):
    in_kw = power("P2", "load", 2, (WATTS[1] // 1_000, 30_000), Origin.READING)
    made = estimate(engine, [volts(truth, 1), volts(truth, 2), volts(truth, 3), loads()[0], in_kw])
    assert [(s.sensor, s.kept) for s in made.suspects] == [("P2", True)] and "is it kW" in made.suspects[0].reason
    assert re.search(r"; the others say (8|9)\d{5}: kW for W$", made.suspects[0].reason)
    assert made.bad == ()  # no innocent is blamed for it
    assert np.abs(made.solved.voltage_upu - truth.voltage_ppt[0] // 10**6).max() < 1_000


def test_a_voltage_where_the_breakers_leave_no_supply_is_named(engine, truth):
    made = estimate(engine, [volts(truth, 1), volts(truth, 3), *loads()], ["line:2"])
    assert [(s.sensor, s.place, s.kept) for s in made.suspects] == [("V3", "node:3", False)]
    assert "the open breakers leave no supply here" in made.suspects[0].reason and made.dead == ("node:3",)
