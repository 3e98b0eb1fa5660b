"""Writes the example day's grid, profiles and expected power flow from SimBench; run by hand, never by a test.

    python3 -m venv v && v/bin/pip install pandapower==3.5.6 simbench==1.6.3 'pandas<3'
    v/bin/python tests/backend/demo/make_day.py

Only this script needs pandapower and simbench; its results are committed. Trap: pandapower >= 3 ignores the taps of
SimBench transformers unless ``tap_changer_type`` is set.
"""

# mypy: ignore-errors
import copy
import json
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import simbench

warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "backend/demo"
EXPECTED = ROOT / "tests/backend/adapters/pandapower_expected.json"
PUBLISHED_DAY = date(2016, 3, 16)
DAYS_BEFORE = 7
DEVIATION_KEPT = 0.4
LV_AT = "MV1.101 Bus 87"
LV_OFFSET = 101


def published():
    """MV rural grid with the equivalent of one LV grid taken out, and the LV rural 1 grid that replaces it."""
    mv = simbench.get_simbench_net("1-MV-rural--0-sw")
    lv = simbench.get_simbench_net("1-LV-rural1--0-sw")
    at = mv.bus.index[mv.bus.name == LV_AT][0]
    for table in ("load", "sgen"):
        mv[table] = mv[table][mv[table].bus != at]
    return mv, lv, at


def joined():
    """One pandapower net: MV + LV, node numbers as in network.json."""
    mv, lv, at = published()
    renumber(mv, {b: b + 1 for b in mv.bus.index})
    lv_bus = {b: b + LV_OFFSET for b in lv.bus.index}
    hv_side = lv.trafo.hv_bus.iloc[0]
    lv.switch = lv.switch[lv.switch.bus != hv_side]
    lv_bus[hv_side] = at + 1
    renumber(lv, lv_bus)
    lv.bus = lv.bus.drop(index=at + 1)
    merge(mv, lv)
    mv.trafo["tap_changer_type"] = "Ratio"
    mv.trafo["tap_pos"] = 0
    return mv


def renumber(net, bus):
    net.bus.index = [bus[b] for b in net.bus.index]
    for table, columns in (
        ("load", ["bus"]),
        ("sgen", ["bus"]),
        ("ext_grid", ["bus"]),
        ("line", ["from_bus", "to_bus"]),
        ("trafo", ["hv_bus", "lv_bus"]),
    ):
        for column in columns:
            net[table][column] = [bus[b] for b in net[table][column]]
    net.switch["bus"] = [bus[b] for b in net.switch.bus]
    buses = net.switch.et == "b"
    net.switch.loc[buses, "element"] = [bus[b] for b in net.switch.element[buses]]


def merge(mv, lv):
    """Appends the LV tables; lines, transformers, loads and generators count on from 1."""
    for table, kind in (("line", "l"), ("trafo", "t"), ("load", None), ("sgen", None)):
        offset = {}
        for net, start in ((mv, 1), (lv, 1 + len(mv[table]))):
            new = dict(zip(net[table].index, range(start, start + len(net[table])), strict=True))
            offset[id(net)] = new
            net[table].index = list(new.values())
            if kind:
                chosen = net.switch.et == kind
                net.switch.loc[chosen, "element"] = [new[e] for e in net.switch.element[chosen]]
        mv[table] = pd.concat([mv[table], lv[table]])
    mv.bus = pd.concat([mv.bus, lv.bus])
    mv.switch = pd.concat([mv.switch, lv.switch], ignore_index=True).astype({"bus": int, "element": int})


def closed(net, kind, element, bus):
    chosen = (net.switch.et == kind) & (net.switch.element == element) & (net.switch.bus == bus)
    return bool(net.switch.closed[chosen].all())


def network_json(net):
    hertz = 50
    nodes = [
        {
            "id": int(i),
            "name": r["name"],
            "u_rated_v": round(r.vn_kv * 1e3),
            "u_min_ppm": round(r.min_vm_pu * 1e6),
            "u_max_ppm": round(r.max_vm_pu * 1e6),
        }
        for i, r in net.bus.iterrows()
    ]
    lines = [
        {
            "id": int(i),
            "name": r["name"],
            "from": int(r.from_bus),
            "to": int(r.to_bus),
            "from_closed": bool(r.in_service) and closed(net, "l", i, r.from_bus),
            "to_closed": bool(r.in_service) and closed(net, "l", i, r.to_bus),
            "r_uohm": round(r.r_ohm_per_km * r.length_km / r.parallel * 1e6),
            "x_uohm": round(r.x_ohm_per_km * r.length_km / r.parallel * 1e6),
            "c_pf": round(r.c_nf_per_km * r.length_km * r.parallel * 1e3),
            "rated_ma": round(r.max_i_ka * r.df * r.parallel * 1e6),
        }
        for i, r in net.line.iterrows()
    ]
    links = [
        {"id": k, "name": f"coupler {k}", "from": int(r.bus), "to": int(r.element), "closed": bool(r.closed)}
        for k, r in enumerate((r for _, r in net.switch[net.switch.et == "b"].iterrows()), 1)
    ]
    source = net.ext_grid.iloc[0]
    return {
        "format": "lightnode-network/1",
        "name": "SimBench 1-MV-rural--0-sw with 1-LV-rural1--0-sw at MV1.101 Bus 87",
        "frequency_hz": hertz,
        "nodes": nodes,
        "lines": lines,
        "transformers": [transformer_json(net, i, r) for i, r in net.trafo.iterrows()],
        "links": links,
        "sources": [{"id": 1, "node": int(source.bus), "u_ref_ppm": round(source.vm_pu * 1e6)}],
        "loads": [
            {
                "id": int(i),
                "name": r["name"],
                "node": int(r.bus),
                "profile": r.profile,
                "p_nominal_w": round(r.p_mw * 1e6),
                "q_nominal_var": round(r.q_mvar * 1e6),
            }
            for i, r in net.load.iterrows()
        ],
        "generators": [
            {
                "id": int(i),
                "name": r["name"],
                "node": int(r.bus),
                "profile": r.profile,
                "p_nominal_w": round(r.p_mw * 1e6),
            }
            for i, r in net.sgen.iterrows()
        ],
    }


def transformer_json(net, i, r):
    p0 = round(r.pfe_kw * 1e3)
    regulated_v = (r.vn_lv_kv if r.tap_side == "lv" else r.vn_hv_kv) * 1e3
    return {
        "id": int(i),
        "name": r["name"],
        "from": int(r.hv_bus),
        "to": int(r.lv_bus),
        "closed": closed(net, "t", i, r.hv_bus) and closed(net, "t", i, r.lv_bus),
        "u_from_v": round(r.vn_hv_kv * 1e3),
        "u_to_v": round(r.vn_lv_kv * 1e3),
        "sn_va": round(r.sn_mva * 1e6),
        "uk_ppm": round(r.vk_percent * 1e4),
        "pk_w": round(r.vkr_percent * r.sn_mva * 1e4),
        "i0_ppm": round(r.i0_percent * 1e4),
        "p0_w": p0,
        "clock": round(r.shift_degree / 30) % 12,
        "tap_side": "to" if r.tap_side == "lv" else "from",
        "tap_min": int(r.tap_min),
        "tap_max": int(r.tap_max),
        "tap_nominal": int(r.tap_neutral),
        "tap_position": int(r.tap_pos),
        "tap_size_mv": round(regulated_v * r.tap_step_percent * 10),
        "on_load": bool(r.vn_hv_kv > 100),
    }


def profiles(net):
    """Column name to relative values of the seven days before and the market day (8 x 96, published)."""
    first = ((PUBLISHED_DAY - date(2016, 1, 1)).days - DAYS_BEFORE) * 96
    rows = slice(first, first + (DAYS_BEFORE + 1) * 96)
    table = simbench_profiles()
    columns = {}
    for name in sorted(net.load.profile.unique()):
        columns[f"load/{name}/p"] = table["load"][f"{name}_pload"].to_numpy()[rows]
        columns[f"load/{name}/q"] = table["load"][f"{name}_qload"].to_numpy()[rows]
    for name in sorted(net.sgen.profile.unique()):
        source = "renewables" if name in table["renewables"] else "powerplants"
        columns[f"generator/{name}/p"] = table[source][name].to_numpy()[rows]
    return {name: calmer(values.astype(float)) for name, values in columns.items()}


def simbench_profiles():
    mv, lv, _ = published()
    out = {}
    for kind in ("load", "renewables", "powerplants"):
        a, b = mv.profiles[kind], lv.profiles[kind]
        out[kind] = a.join(b[[c for c in b.columns if c not in a.columns]])
    return out


def calmer(values):
    """The market day keeps a part of its published deviation from the mean of the week days before it."""
    day = values.reshape(-1, 96).copy()
    weekdays = [k for k in range(DAYS_BEFORE) if (PUBLISHED_DAY.weekday() - DAYS_BEFORE + k) % 7 < 5]
    mean = day[weekdays].mean(0)
    day[-1] = mean + DEVIATION_KEPT * (day[-1] - mean)
    return np.round(day.reshape(-1) * 1e6).astype(int)


def write_profiles(columns):
    lines = ["quarter," + ",".join(columns)]
    for k in range((DAYS_BEFORE + 1) * 96):
        lines.append(",".join(str(v) for v in (k - DAYS_BEFORE * 96, *(int(c[k]) for c in columns.values()))))
    (DEMO / "profiles.csv").write_text("\n".join(lines) + "\n")


def expected(net, columns):
    """pandapower's own answer for four states of the day as published, with outage and taps as said in each."""
    cases = []
    for quarter, tap, scale, works in (
        (12, 0, 1.0, False),
        (50, 1, 1.0, False),
        (75, -2, 1.6, True),
        (79, -1, 2.0, True),
    ):
        n = copy.deepcopy(net)
        k = DAYS_BEFORE * 96 + quarter
        for table, kind in (("load", "load"), ("sgen", "generator")):
            n[table]["p_mw"] *= [columns[f"{kind}/{p}/p"][k] / 1e6 for p in n[table].profile]
        n.load["q_mvar"] *= [columns[f"load/{p}/q"][k] / 1e6 for p in n.load.profile]
        n.load["p_mw"] *= scale
        n.load["q_mvar"] *= scale
        n.trafo.loc[n.trafo.vn_hv_kv > 100, "tap_pos"] = tap
        if works:
            n.line.loc[n.line.name == "MV1.101 Line 75", "in_service"] = False
            tie = n.line.index[n.line.name == "MV1.101 loop_line 4"][0]
            n.switch.loc[(n.switch.et == "l") & (n.switch.element == tie), "closed"] = True
        pp.runpp(
            n, trafo_model="pi", trafo_loading="power", calculate_voltage_angles=True, tolerance_mva=1e-10, numba=False
        )
        cases.append(
            {
                "quarter": quarter,
                "tap": tap,
                "scale_ppm": round(scale * 1e6),
                "works": works,
                "voltage_ppb": {str(i): round(v * 1e9) for i, v in n.res_bus.vm_pu.items()},
                "line_ppb": {str(i): round(v * 1e7) for i, v in n.res_line.loading_percent.fillna(0).items()},
                "transformer_w": {str(i): round(v * 1e6) for i, v in n.res_trafo.p_hv_mw.items()},
                "transformer_var": {str(i): round(v * 1e6) for i, v in n.res_trafo.q_hv_mvar.items()},
            }
        )
    EXPECTED.write_text(
        json.dumps({"made_with": f"pandapower {pp.__version__}", "cases": cases}, separators=(",", ":")) + "\n"
    )


def main():
    net = joined()
    text = network_json(net)
    rows = [
        f'"{key}": '
        + (
            ("[\n" + ",\n".join("  " + json.dumps(v) for v in value) + "\n]")
            if isinstance(value, list)
            else json.dumps(value)
        )
        for key, value in text.items()
    ]
    (DEMO / "network.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")
    columns = profiles(net)
    write_profiles(columns)
    expected(net, columns)


if __name__ == "__main__":
    main()
