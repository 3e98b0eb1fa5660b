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
RESULTS = ("res_bus", "res_line", "res_trafo", "res_trafo3w", "res_gen", "res_dcline")


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

    net = getattr(networks, "example_multivoltage" if name == "three_windings" else name)()
    if name == "three_windings":
        net.impedance.drop(net.impedance.index, inplace=True)
        net.xward.drop(net.xward.index, inplace=True)
        net.trafo3w["tap_pos"] = 2
    return solved(net)


def simbench_grid(code):
    """One of SimBench's grids, solved."""
    import simbench

    return solved(simbench.get_simbench_net(code))


if __name__ == "__main__":
    here = Path(__file__).parent
    makers = {name: example for name in (*EXAMPLES, "three_windings")} | {code: simbench_grid for code in CODES}
    for name in sys.argv[1:] or makers:
        text = document(makers[name](name))
        (here / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(name, len(text))
