"""Writes feeders/feeders.json.gz: four grids made to be awkward, a day on each, and what breaks a limit there by pandapower's power flow.

Needs the extra `import` (pandapower); from the root of the repository, in an environment that has it:

    python tests/vectors/grid/make_feeders.py

A low-voltage feeder of 1.4 km with a roof on every house; two transformers of different size in parallel that stand at different
taps; an open ring with a double line, a derated one and a line open at both ends; a transformer with three windings that feeds two
voltages. 24 hours each (W and var, seeded), as they stand and without some elements: pandapower's violations in ppt of rated, and
the buses that are then without supply.
"""

import gzip
import json
import math
import random
from pathlib import Path

HERE = Path(__file__).parent
PPT = 10**12
OUT = {
    "long feeder": ["line:1", "line:12"],
    "parallel": ["transformer:0", "transformer:1", "line:8"],
    "ring": ["line:2", "line:9", "line:13"],
    "three windings": ["line:2", "line:7"],
}
TAP = {
    "tap_side": "hv",
    "tap_neutral": 0,
    "tap_min": -9,
    "tap_max": 9,
    "tap_step_percent": 1.5,
    "tap_changer_type": "Ratio",
}


def chain(pp, net, start, count, volts, band, line, load, roof):
    """Buses in a row behind a bus; load and roof: (MW, Mvar) and MW at the k-th, None for none."""
    buses = []
    for k in range(count):
        bus = pp.create_bus(net, volts, min_vm_pu=1 - band, max_vm_pu=1 + band)
        km, r, x, c, ka, more = line(k)
        pp.create_line_from_parameters(net, buses[-1] if buses else start, bus, km, r, x, c, ka, **more)
        pp.create_load(net, bus, *load(k))
        if roof(k):
            pp.create_sgen(net, bus, roof(k))
        buses.append(bus)
    return buses


def head(pp, net, above, below, band, tap, sn, vk):
    """A transformer from a new bus below an external grid to a new busbar; both."""
    high = pp.create_bus(net, above, min_vm_pu=0.9, max_vm_pu=1.1)
    bar = pp.create_bus(net, below, min_vm_pu=1 - band, max_vm_pu=1 + band)
    pp.create_ext_grid(net, high, 1.01)
    unit(pp, net, high, bar, above, below, tap, sn, vk)
    return high, bar


def unit(pp, net, high, bar, above, below, tap, sn, vk):
    pp.create_transformer_from_parameters(
        net, high, bar, sn, above, below, 0.4, vk, 14 if sn > 1 else 0.6, 0.07, shift_degree=150, tap_pos=tap, **TAP
    )


def long_feeder(pp, net):
    _, bar = head(pp, net, 20, 0.4, 0.1, 0, 0.25, 4.2)
    line = (0.06, 0.32, 0.082, 260, 0.2, {})
    chain(pp, net, bar, 24, 0.4, 0.1, lambda k: line, lambda k: (0.0018, 0.0005), lambda k: 0.006)


def parallel(pp, net):
    high, bar = head(pp, net, 110, 20, 0.04, -1, 25, 12)
    other = pp.create_bus(net, 20, min_vm_pu=0.96, max_vm_pu=1.04)
    unit(pp, net, high, other, 110, 20, 1, 16, 10.5)
    pp.create_switch(net, bar, other, "b", closed=True)
    line = (2.2, 0.25, 0.12, 230, 0.32, {})
    for start, count in ((bar, 6), (other, 5), (bar, 4)):
        chain(pp, net, start, count, 20, 0.04, lambda k: line, lambda k: (2.1, 0.6), lambda k: k % 2 * 2.0)


def ring(pp, net):
    _, bar = head(pp, net, 110, 10, 0.05, -2, 25, 12)
    special = {0: {"parallel": 2}, 3: {"df": 0.9}}
    usual = (1.4, 0.2, 0.11, 300, 0.36)
    buses = chain(
        pp, net, bar, 12, 10, 0.05, lambda k: (*usual, special.get(k, {})), lambda k: (0.75 if k < 6 else 0.5, 0.2),
        lambda k: 1.5 if k in (3, 8) else 0,
    )  # fmt: skip
    pp.create_line_from_parameters(net, buses[-1], bar, *usual)
    pp.create_switch(net, buses[7], 8, "l", closed=False)
    (spur,) = chain(pp, net, buses[2], 1, 10, 0.05, lambda k: (3, *usual[1:], {}), lambda k: (0.4, 0.1), lambda k: 0)
    tie = pp.create_line_from_parameters(net, spur, buses[9], 2, *usual[1:])
    for bus in (spur, buses[9]):
        pp.create_switch(net, bus, tie, "l", closed=False)


def three_windings(pp, net):
    high = pp.create_bus(net, 110, min_vm_pu=0.9, max_vm_pu=1.1)
    bars = [pp.create_bus(net, volts, min_vm_pu=0.97, max_vm_pu=1.03) for volts in (20, 10)]
    pp.create_ext_grid(net, high, 1.02, va_degree=12)
    pp.create_transformer3w_from_parameters(
        net, high, *bars, 110, 20, 10, 40, 25, 15, 10.4, 10.4, 10.4, 0.28, 0.32, 0.35, 35, 0.1, shift_mv_degree=0,
        shift_lv_degree=150, tap_pos=1, **(TAP | {"tap_min": -8, "tap_max": 8}),
    )  # fmt: skip
    for bar, volts, count, km, ka, mw in ((bars[0], 20, 6, 3, 0.25, 1.7), (bars[1], 10, 5, 1.5, 0.3, 1.1)):
        row = (km, 0.2, 0.12, 250, ka, {})
        last = chain(
            pp, net, bar, count, volts, 0.03, lambda k, row=row: row, lambda k, mw=mw: (mw, 0.4),
            lambda k, count=count: 2.5 if k == count - 1 else 0,
        )[-1]  # fmt: skip
    pp.create_shunt(net, last, -0.6, 0, step=0, max_step=3)


MAKE = {"long feeder": long_feeder, "parallel": parallel, "ring": ring, "three windings": three_windings}


def day_of(net, name):
    """W and var of loads and W of generators by id, 24 values each."""
    dice = random.Random(name)
    evening = [0.3 + 1.2 * math.exp(-(((h - 19.5) / 2) ** 2)) for h in range(24)]
    sun = [max(0.0, math.sin((h - 6) / 12 * math.pi)) for h in range(24)]
    factors = {k: [e * max(0.1, 1 + 0.3 * dice.gauss(0, 1)) for e in evening] for k in net.load.index}
    return {
        "load_w": {str(k): [round(net.load.p_mw[k] * 1e6 * f) for f in row] for k, row in factors.items()},
        "load_var": {str(k): [round(net.load.q_mvar[k] * 1e6 * f) for f in row] for k, row in factors.items()},
        "generator_w": {str(k): [round(net.sgen.p_mw[k] * 1e6 * s) for s in sun] for k in net.sgen.index},
    }


def solved(pp, net, day, hour):
    """([element, ppt beyond], buses without supply) of an hour."""
    for name, table, column in (
        ("load_w", "load", "p_mw"),
        ("load_var", "load", "q_mvar"),
        ("generator_w", "sgen", "p_mw"),
    ):
        for k, row in day[name].items():
            net[table].at[int(k), column] = row[hour] / 1e6
    how = {"trafo_loading": "power", "calculate_voltage_angles": True, "tolerance_mva": 1e-9, "max_iteration": 30}
    try:
        pp.runpp(net, numba=False, **how)
    except pp.LoadflowNotConverged:
        return [["network", PPT]], []
    found = []
    for table, kind in (("line", "line"), ("trafo", "transformer"), ("trafo3w", "three_winding")):
        percent = net[f"res_{table}"].loading_percent if len(net[table]) else {}
        over = [k for k in net[table].index if net[table].in_service[k] and percent[k] > 100]
        found += [[f"{kind}:{k}", round(percent[k] * PPT / 100) - PPT] for k in over]
    for k, volts in net.res_bus.vm_pu.items():
        for side, gap in (("low", net.bus.min_vm_pu[k] - volts), ("high", volts - net.bus.max_vm_pu[k])):
            if gap > 0:
                found.append([f"node:{k}:{side}", round(gap * PPT)])
    return found, [int(k) for k, volts in net.res_bus.vm_pu.items() if math.isnan(volts)]


def main():
    import pandapower as pp

    made = {}
    for name, make in MAKE.items():
        net = pp.create_empty_network(name=name)
        make(pp, net)
        text, day = pp.to_json(net), day_of(net, name)
        cases = {}
        for outage in ("", *OUT[name]):
            kind, _, number = outage.partition(":")
            table = {"line": net.line, "transformer": net.trafo}.get(kind)
            if table is not None:
                table.at[int(number), "in_service"] = False
            hours = [solved(pp, net, day, hour) for hour in range(24)]
            cases[outage] = {"violations": [found for found, _ in hours], "lost": hours[0][1]}
            if table is not None:
                table.at[int(number), "in_service"] = True
        made[name] = {"net": text, "day": day, "cases": cases}
    body = json.dumps({"pandapower": pp.__version__, "feeders": made}, sort_keys=True).encode()
    (HERE / "feeders" / "feeders.json.gz").write_bytes(gzip.compress(body, 9, mtime=0))


if __name__ == "__main__":
    main()
