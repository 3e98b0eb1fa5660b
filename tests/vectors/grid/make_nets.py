"""Writes pandapower's example nets and SimBench grids, each with pandapower's own results, for the tests of the import.

Needs the extra `import` (pandapower, simbench); from the root of the repository, in an environment that has it:

    python tests/vectors/grid/make_nets.py

The power flow of a file: taps honoured (`tap_changer_type` set to "Ratio" where pandapower would pass over a tap in
silence), angles calculated, transformer loading as apparent power, mismatch at most 1e-9 MVA (1e-6 where that is not
reached). Only the tables that describe the grid and the results are kept. Sources and licences: README.md here.
"""

import gzip
import json
import sys
from pathlib import Path

EXAMPLES = (
    "case9", "case33bw", "create_cigre_network_mv", "create_kerber_landnetz_freileitung_1", "example_simple",
    "mv_oberrhein", "simple_mv_open_ring_net",
)  # fmt: skip
CODES = ("1-LV-rural1--2-sw", "1-MV-semiurb--2-sw", "1-LV-urban6--1-no_sw")
KEPT = (
    "bus", "line", "trafo", "trafo3w", "switch", "ext_grid", "load", "sgen", "gen", "storage", "shunt", "ward", "dcline",
    "asymmetric_load", "asymmetric_sgen", "impedance", "xward", "motor",
)  # fmt: skip
RESULTS = ("res_bus", "res_line", "res_trafo", "res_trafo3w", "res_gen", "res_dcline", "res_xward")


def solved(net):
    """The net with the results of its power flow."""
    import pandapower

    for kind in ("trafo", "trafo3w"):
        table = net[kind]
        if len(table) and "tap_changer_type" in table:
            silent = table.tap_changer_type.isna() & table.tap_pos.notna() & table.tap_step_percent.notna()
            table.loc[silent, "tap_changer_type"] = "Ratio"
    for tolerance_mva in (1e-9, 1e-6):  # a grid of gigawatts cannot be told to 1e-9
        try:
            pandapower.runpp(
                net, trafo_loading="power", calculate_voltage_angles=True, tolerance_mva=tolerance_mva, max_iteration=50,
                numba=False,
            )  # fmt: skip
        except pandapower.LoadflowNotConverged as error:
            failed = error
        else:
            return net
    raise failed


def document(net):
    """The file's text: the net's own to_json without what is no part of the grid."""
    import pandapower

    whole = json.loads(pandapower.to_json(net))
    content = {k: v for k, v in whole["_object"].items() if k in (*KEPT, *RESULTS, "f_hz", "name", "sn_mva")}
    for table in content.values():
        if isinstance(table, dict):
            split = json.loads(table["_object"])
            keep = [k for k, name in enumerate(split["columns"]) if name not in ("geo", "std_type", "type", "zone")]
            split["columns"] = [split["columns"][k] for k in keep]
            split["data"] = [[row[k] for k in keep] for row in split["data"]]
            table.pop("dtype", None)
            table["_object"] = json.dumps(split)
    return json.dumps({**whole, "_object": content})


def example(name):
    """One of pandapower's example nets, solved."""
    from pandapower import networks

    if name == "equivalents":
        return solved(equivalents())
    net = getattr(networks, "example_multivoltage" if name == "three_windings" else name)()
    if name == "three_windings":
        net.impedance.drop(net.impedance.index, inplace=True)
        net.xward.drop(net.xward.index, inplace=True)
        net.trafo3w["tap_pos"] = 2
    return solved(net)


def equivalents():
    """A net of our own: taps that turn the phase of every kind, negative impedances, an impedance, a motor, held voltages."""
    import pandapower

    net = pandapower.create_empty_network("equivalents", sn_mva=10.0)
    top = [pandapower.create_bus(net, 220.0, name=f"top {k}") for k in range(4)]
    low = [pandapower.create_bus(net, 110.0, name=f"low {k}") for k in range(5)]
    pandapower.create_ext_grid(net, top[0], vm_pu=1.02, va_degree=5.0)
    for a, b in zip(top, top[1:], strict=False):
        pandapower.create_line_from_parameters(net, a, b, 30.0, 0.04, 0.3, 9.0 if b != top[3] else -9.0, 1.2)
    turning = (
        {"tap_side": "hv", "tap_changer_type": "Ideal", "tap_step_degree": 1.3, "tap_pos": 3},
        {"tap_side": "lv", "tap_changer_type": "Ideal", "tap_step_percent": 1.1, "tap_pos": -2},
        {"tap_side": "hv", "tap_changer_type": "Ratio", "tap_step_percent": 1.5, "tap_step_degree": 60.0, "tap_pos": 2},
        {"tap_side": "lv", "tap_changer_type": "Symmetrical", "tap_step_percent": 1.2, "tap_step_degree": 90.0, "tap_pos": 4},
        {"tap_side": "lv", "tap_changer_type": "Ratio", "tap_step_percent": 1.5, "tap_pos": 1},
    )  # fmt: skip
    for k, tap in enumerate(turning):
        pandapower.create_transformer_from_parameters(
            net, top[min(k, 3)], low[k], 100.0, 225.0, 112.0, 0.3, -1.5 if k == 4 else 12.0, 40.0, 0.1,
            shift_degree=(150.0, 0.0, 2.5, -357.5, 0.0)[k], tap_neutral=0, tap_min=-9, tap_max=9, name=f"unit {k}", **tap,
        )  # fmt: skip
        pandapower.create_load(net, low[k], 20.0 + k, 5.0)
    pandapower.create_impedance(net, low[1], low[2], 0.02, 0.4, 80.0, gf_pu=0.001, bf_pu=0.01, gt_pu=0.001, bt_pu=0.01)
    pandapower.create_xward(net, low[2], 3.0, 1.0, 2.0, -1.0, 0.5, 12.0, 1.01)
    pandapower.create_motor(net, low[0], 4.0, 0.86, efficiency_percent=95.0, loading_percent=80.0)
    for bus in (top[2], top[2], top[3]):
        pandapower.create_gen(net, bus, 25.0, vm_pu=1.03)
    pandapower.create_gen(net, low[3], 10.0, vm_pu=1.0)
    return net


def simbench_grid(code):
    """One of SimBench's grids, solved."""
    import simbench

    return solved(simbench.get_simbench_net(code))


if __name__ == "__main__":
    here = Path(__file__).parent
    makers = {name: example for name in (*EXAMPLES, "three_windings", "equivalents")} | {
        code: simbench_grid for code in CODES
    }
    for name in sys.argv[1:] or makers:
        text = document(makers[name](name))
        (here / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(name, len(text))
