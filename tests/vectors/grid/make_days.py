"""Writes days/days.json.gz: published days of two SimBench grids, and what breaks a limit in them by pandapower's power flow.

Needs the extra `import` (pandapower, simbench); from the root of the repository, in an environment that has it:

    python tests/vectors/grid/make_days.py

The grids are the committed files of make_nets.py, the profiles SimBench's own (absolute values), rounded to W and var: the day
on which most is generated beyond the load. Per quarter-hour: pandapower's list of violations, in ppt of rated.
"""

import gzip
import json
from pathlib import Path

HERE = Path(__file__).parent
DAYS = {"1-LV-rural1--2-sw": (140, range(96)), "1-MV-semiurb--2-sw": (206, range(36, 60, 2))}
COLUMNS = (("load", "p_mw"), ("load", "q_mvar"), ("sgen", "p_mw"), ("storage", "p_mw"))
PPT = 10**12


def net_of(code):
    """The grid of the committed file as a net of pandapower."""
    from make_nets import simbench_grid

    return simbench_grid(code)


def set_state(net, states, row):
    """Puts a row of states (W and var) into the net."""
    for table, column in COLUMNS:
        held = states[f"{table}/{column}"]
        net[table].loc[held["index"], column] = [w / 1e6 for w in held["rows"][row]]


def violations(net):
    """[element, ppt beyond] of a solved net, in the order of our list."""
    found = []
    for table, kind, ids in (("res_line", "line", net.line.index), ("res_trafo", "transformer", net.trafo.index)):
        for k in ids:
            beyond = round(net[table].loading_percent[k] * PPT / 100) - PPT
            if beyond > 0:
                found.append([f"{kind}:{k}", beyond])
    for side, column in (("low", "min_vm_pu"), ("high", "max_vm_pu")):
        for k in net.bus.index:
            gap = round((net.res_bus.vm_pu[k] - net.bus[column][k]) * PPT)
            if (gap < 0) if side == "low" else (gap > 0):
                found.append([f"node:{k}:{side}", abs(gap)])
    return found


def solve(net):
    """As make_nets.py solves."""
    import pandapower

    pandapower.runpp(
        net, trafo_loading="power", calculate_voltage_angles=True, tolerance_mva=1e-9, max_iteration=50, numba=False
    )


def profiles_of(code, day, quarters):
    """SimBench's absolute values of these quarters, whole W and var."""
    import simbench

    net = simbench.get_simbench_net(code)
    values = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    rows = [day * 96 + quarter for quarter in quarters]
    return {
        f"{table}/{column}": {
            "index": [int(k) for k in values[table, column].columns],
            "rows": [[round(w * 1e6) for w in values[table, column].iloc[row]] for row in rows],
        }
        for table, column in COLUMNS
    }


def main():
    import pandapower

    found = {"made_with": f"pandapower {pandapower.__version__}", "days": {}}
    for code, (day, quarters) in DAYS.items():
        net, states = net_of(code), profiles_of(code, day, quarters)
        broken = []
        for row in range(len(quarters)):
            set_state(net, states, row)
            solve(net)
            broken.append(violations(net))
        found["days"][code] = {"quarters": list(quarters), "states": states, "violations": broken}
    text = json.dumps(found, separators=(",", ":"))
    (HERE / "days" / "days.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
