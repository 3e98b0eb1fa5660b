"""A planner's file in pandapower's format: the same results as pandapower, and every finding by its element's name."""

import gzip
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.planner.network import import_grid
from backend.adapters.planner.table import read_tables
from backend.adapters.power_grid import PowerGridFlow
from backend.errors import Rejected
from backend.grid.document import parse_network, written
from backend.grid.flow import nominal_scenario
from backend.grid_commands.model_files import unsolved

HERE = Path(__file__).parents[2] / "vectors" / "grid"
FILES = sorted(HERE.glob("*.json.gz"))
VOLTAGE_PU, LOADING_PERCENT = 1e-6, 1e-4


def text_of(name):
    return gzip.decompress((HERE / f"{name}.json.gz").read_bytes()).decode()


def differences(text):
    """Greatest differences of voltage (pu) and loading (%) between our state and the results in the file."""
    imported, tables = import_grid(text, "x"), read_tables(text)
    states = PowerGridFlow(imported.network).nominal()
    if not states.solved.all():
        raise Rejected(unsolved(imported.network, len(tables.rows("gen"))))
    net = imported.network
    kinds = (
        ("bus", "vm_pu", net.nodes, states.voltage_ppt[0] / 1e12),
        ("line", "loading_percent", net.lines, states.line_ppt[0] / 1e10),
        ("trafo", "loading_percent", net.transformers, states.transformer_ppt[0] / 1e10),
        ("trafo3w", "loading_percent", net.three_windings, states.three_winding_ppt[0] / 1e10),
    )
    found = []
    for table, column, elements, ours in kinds:
        theirs = tables.results(table)
        made = len(tables.rows("impedance", quiet=True)) if table == "line" else 0  # an impedance is a line, after them
        assert len(theirs) == len(elements) - made, f"{table}: nothing is dropped"
        elements = elements[: len(theirs)]
        found.append(
            max(
                (
                    abs(float(v) - theirs[e.id].number(column, 0.0))
                    for e, v in zip(elements, ours[: len(theirs)], strict=True)
                ),
                default=0.0,
            )
        )
    return found[0], max(found[1:])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.removesuffix(".json.gz"))
def test_an_imported_grid_has_pandapowers_state(path):
    voltage, loading = differences(gzip.decompress(path.read_bytes()).decode())
    assert voltage < VOLTAGE_PU and loading < LOADING_PERCENT


@pytest.mark.parametrize("path", [p for p in FILES if p.name < "f"], ids=lambda p: p.name.removesuffix(".json.gz"))
def test_an_imported_grid_is_written_and_read_again_as_the_same(path):
    network = import_grid(gzip.decompress(path.read_bytes()).decode(), "x").network
    assert parse_network(written(network)) == network


def changed(name, table, row, column, value):
    """The file with one cell changed; KeyError as value: the row's index becomes that of the row before."""
    whole = json.loads(text_of(name))
    frame = whole["_object"][table]
    split = json.loads(frame["_object"])
    if value is KeyError:
        split["index"][row] = split["index"][row - 1]
    else:
        if column not in split["columns"]:
            split["columns"].append(column)
            for values in split["data"]:
                values.append(None)
        split["data"][row][split["columns"].index(column)] = value
    frame["_object"] = json.dumps(split)
    return json.dumps(whole)


SIMPLE, RING = "example_simple", "simple_mv_open_ring_net"
WRONG = {
    "a NaN": (changed(SIMPLE, "load", 0, "p_mw", None), 'load:0 "load" p_mw = None, expected a number'),
    "a text for a number": (changed(SIMPLE, "line", 1, "r_ohm_per_km", "x"), "r_ohm_per_km = 'x', expected a number"),
    "a duplicate index": (changed(SIMPLE, "line", 1, "", KeyError), "an index that no other line has"),
    "a bus that is not there": (changed(SIMPLE, "load", 0, "bus", 99), "bus = 99, expected the index of a bus"),
    "a line of length zero": (changed(SIMPLE, "line", 0, "length_km", 0.0), "length_km = 0.0, expected km, above 0"),
    "kW for MW": (changed(RING, "load", 0, "p_mw", 850.0), "is it mW, or MW for kW?"),
    "V for kV": (changed(SIMPLE, "bus", 3, "vn_kv", 20_000.0), "u_rated_v = 20000000, expected V, at most 1200000"),
    "no reactance": (changed(SIMPLE, "trafo", 0, "vk_percent", 0.0), "vk_percent = 0.0, expected a reactance"),
    "a second tap": (changed(SIMPLE, "trafo", 0, "tap2_pos", 3), "tap2_pos = 3.0, expected 0: one tap only"),
    "m for km": (changed(RING, "line", 0, "length_km", 3_000.0), "is it a length in m?"),
    "a phase shift of three windings": (
        changed("three_windings", "trafo3w", 0, "shift_mv_degree", 17.0),
        "expected a multiple of 30 degrees",
    ),
    "an impedance between voltages": (
        changed("equivalents", "impedance", 0, "from_bus", 0),
        "impedance:0 to_bus = 6, expected a bus of 220 kV, not 110 kV",
    ),
    "an impedance of two minds": (
        changed("equivalents", "impedance", 0, "xtf_pu", 0.5),
        "0.4: the same from both ends",
    ),
    "an extended ward without a result": (changed("equivalents", "res_xward", 0, "p_mw", None), "xward:0 vm_pu = 1.01"),
    "a motor of no efficiency": (
        changed("equivalents", "motor", 0, "efficiency_percent", 0.0),
        "efficiency_percent = 0.0, expected above 0, at most 100 %",
    ),
    "a generator without a result": (changed(SIMPLE, "res_gen", 0, "q_mvar", None), 'gen:0 "generator" vm_pu'),
    "a load of constant impedance": (changed(SIMPLE, "load", 0, "const_z_p_percent", 5.0), "const_z_p_percent = 5.0"),
    "a switch at no line": (changed(RING, "switch", 0, "element", 77), "element = 77, expected the index of a line"),
    "an uneven tap": (changed(SIMPLE, "trafo", 0, "tap_pos", 0.5), "tap_pos = 0.5, expected a whole number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_element_field_value_and_what_is_expected(name):
    text, words = WRONG[name]
    with pytest.raises(Rejected) as refused:
        import_grid(text, "x")
    assert words in refused.value.reason


def test_an_open_switch_that_leaves_loads_without_supply_is_an_island_by_name():
    whole = json.loads(text_of(RING))
    split = json.loads(whole["_object"]["switch"]["_object"])
    for values in split["data"]:
        values[split["columns"].index("closed")] = False
    whole["_object"]["switch"]["_object"] = json.dumps(split)
    with pytest.raises(Rejected, match=r'node:\d "bus \d" feed = .none., expected a closed way to a source \(island\)'):
        import_grid(json.dumps(whole), "x")


def test_an_element_that_cannot_be_taken_is_a_finding_and_never_left_out():
    whole = json.loads(text_of(SIMPLE))
    choke = {"columns": ["name", "bus", "in_service"], "index": [4], "data": [["choke", 1, True]]}
    whole["_object"]["svc"] = {"_class": "DataFrame", "_object": json.dumps(choke)}
    with pytest.raises(Rejected, match='svc:4 "choke" element'):
        import_grid(json.dumps(whole), "x")


def test_a_tap_counts_although_its_changer_has_no_type():
    plain = import_grid(changed(SIMPLE, "trafo", 0, "tap_pos", 0), "x").network
    silent = changed(SIMPLE, "trafo", 0, "tap_pos", 2)
    whole = json.loads(silent)
    split = json.loads(whole["_object"]["trafo"]["_object"])
    split["data"][0][split["columns"].index("tap_changer_type")] = None
    whole["_object"]["trafo"]["_object"] = json.dumps(split)
    raised = import_grid(json.dumps(whole), "x").network
    volts = [PowerGridFlow(n).nominal().voltage_ppt[0, 4] for n in (plain, raised)]
    assert volts[0] - volts[1] > 10**10


def test_what_turns_the_phase_stands_fixed_as_an_equivalent_and_says_so():
    imported = import_grid(text_of("equivalents"))
    apart = imported.network.transformers
    assert [t.equivalent for t in apart] == [True, True, True, True, True]
    assert [t.on_load for t in apart] == [False] * 5 and apart[4].uk_ppm < 0
    assert (apart[0].clock, apart[0].turn_mdeg) == (5, 3900)
    assert (
        'trafo:0 "unit 0": turns the phase, or no machine\'s impedance: an equivalent, fixed as it stands'
        in imported.notes
    )


def test_a_generator_above_150_kv_goes_on_holding_its_voltage_by_a_source_that_carries_nothing():
    network = import_grid(text_of("equivalents")).network
    assert sorted(s.node for s in network.sources) == [0, 2, 3]  # the feed, then one a bus; not the generator at 110 kV
    assert len(network.generators) == 4
    states = PowerGridFlow(network).nominal()
    assert abs(states.source_w[0, 1:]).max() < 10 and abs(states.source_var[0, 1:]).max() < 10


def test_a_transformer_calculated_as_an_equivalent_has_the_same_state_also_when_it_is_switched():
    network = import_grid(text_of(SIMPLE)).network
    other = replace(
        network, transformers=tuple(replace(t, equivalent=True, on_load=False) for t in network.transformers)
    )
    nominal = nominal_scenario(network)
    for scenario in (
        nominal,
        replace(nominal, transformer_closed=np.zeros((1, len(network.transformers)), dtype=bool)),
    ):
        one, two = PowerGridFlow(network).solve(scenario), PowerGridFlow(other).solve(scenario)
        assert one.solved.all() and two.solved.all()
        assert abs(one.voltage_ppt - two.voltage_ppt).max() <= 10
        assert abs(one.transformer_ppt - two.transformer_ppt).max() <= 1_000
        assert (one.energized == two.energized).all()


def test_a_grid_of_many_couplers_is_solved_per_phase_and_with_couplers_switched():
    """34 couplers: balanced loads give the balanced state in every phase, and the couplers' own flow."""
    network = import_grid(text_of("three_windings")).network
    flow, nominal = PowerGridFlow(network), nominal_scenario(network)
    balanced, phases = flow.solve(nominal), flow.solve_phases(nominal)
    assert phases.solved.all() and abs(phases.voltage_ppt[0] - balanced.voltage_ppt[0, :, None]).max() < 10**7
    closed = np.array([[link.closed for link in network.links]])
    assert flow.solve(replace(nominal, link_closed=closed)).solved.all() and flow.flows(nominal).solved.all()


def test_an_equivalent_is_not_calculated_per_phase():
    network = import_grid(text_of("equivalents")).network
    with pytest.raises(
        Rejected, match=r'transformer:0 "unit 0" \(turns the phase by 3900 mdeg\), .*: equivalent = true'
    ):
        PowerGridFlow(network).solve_phases(nominal_scenario(network))


def test_what_is_out_of_service_is_said():
    imported = import_grid(changed(SIMPLE, "load", 0, "in_service", False), "x")
    assert 'load:0 "load": out of service, left out' in imported.notes


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"_class": "pandapowerNet", "_object": {}}', '{"_class": "x"}', "[" * 9_999]
)
def test_any_other_text_is_refused(text):
    with pytest.raises(Rejected, match="grid file"):
        import_grid(text)


def makers():
    """The generator of the committed files, with pandapower; a skip without the extra."""
    pytest.importorskip("pandapower", reason="needs the extra import")
    pytest.importorskip("simbench", reason="needs the extra import")
    spec = importlib.util.spec_from_file_location("make_nets", HERE / "make_nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agrees(text):
    voltage, loading = differences(text)
    return voltage < VOLTAGE_PU and loading < LOADING_PERCENT


UNSOLVED = {"case11_iwamoto"}
"""What pandapower itself does not solve, at any tolerance."""


def compared(names, solved):
    """(names without a solution of pandapower's, names that disagree or are refused) of every net that ``solved`` makes."""
    import pandapower

    make, unsolved, wrong = makers(), set(), []
    for name in names:
        try:
            text = make.document(solved(make, name))
        except pandapower.LoadflowNotConverged:
            unsolved.add(name)
            continue
        try:
            if not agrees(text):
                wrong.append(name)
        except Rejected as refusal:
            wrong.append(f"{name}: {refusal.reason[:300]}")
    return unsolved, wrong


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_example_agrees_with_pandapower():
    makers()
    names = list(example_names())
    assert len(names) == 60
    assert compared(names, lambda make, name: make.example(name)) == (UNSOLVED, [])


def example_names():
    """pandapower's functions that make an example network and need no argument."""
    import inspect

    from pandapower import networks

    for name, function in inspect.getmembers(networks, inspect.isfunction):
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty and p.kind < 2]
        if function.__module__.startswith("pandapower.networks.") and not needed and not name.startswith("_"):
            yield name


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_simbench_code_agrees_with_pandapower():
    makers()
    import simbench

    codes = simbench.collect_all_simbench_codes()
    assert len(codes) == 246
    assert compared(codes, lambda make, code: make.simbench_grid(code)) == (set(), [])
