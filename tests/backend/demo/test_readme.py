"""The figures of the example day's README are those of the day."""

import json

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import HERE, load_day
from backend.grid.congestion import Limits, violations
from backend.grid.forecast import day_scenarios
from backend.grid.need import Capability, size
from backend.grid.remedy import own_remedy

DAY = load_day()
FLOW = PowerGridFlow(DAY.network)
FRAMES = list(DAY.frames)
SERIES = [DAY.forecast(DAY.day_ahead_gate), DAY.forecast(DAY.near_real_time_gate), DAY.actual()]
TABLE = {
    cells[0]: cells[1:]
    for line in (HERE / "README.md").read_text().splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
}


def broken(scenarios):
    return violations(DAY.network, FLOW.solve(scenarios), FRAMES, Limits())


@pytest.mark.parametrize("column", range(3))
def test_the_table_says_what_the_day_does(column):
    plain = day_scenarios(DAY.network, SERIES[column])
    states = FLOW.solve(plain)
    after = broken(own_remedy(FLOW, plain, FRAMES, Limits())[0])
    tie = next(k for k, line in enumerate(DAY.network.lines) if line.name == "MV1.101 loop_line 4")
    medium = [k for k, node in enumerate(DAY.network.nodes) if node.u_rated_v == 20_000]
    tapped = own_remedy(FLOW, plain, FRAMES, DAY.margin_kept)[0]
    able = [Capability(c.pod, c.up_w, c.down_w) for c in DAY.customers]
    least = np.array(list(size(FLOW, tapped, FRAMES, DAY.margin_kept, able).least_w.values()))
    said = {row: cells[column] for row, cells in TABLE.items()}
    assert said["violations, taps as they stand"] == str(len(broken(plain)))
    assert said["after the operator's own taps"] == str(len(after))
    window = {v.frame for v in after if v.frame in DAY.window}
    assert said["frames violated in the evening (18:15 to 20:15)"] == str(len(window))
    overload = int(states.line_ppt[:, tie].max()) / 1e10 - 100
    assert said["greatest overload of `loop_line 4`"] == f"{overload:.1f} %"
    assert said["lowest voltage"] == f"{int(states.voltage_ppt[:, medium].min()) / 1e12:.4f}"
    assert said["watts to buy in the worst quarter-hour"] == f"{-int(least.sum(axis=0).min()):,}"


def test_counts_and_sums_are_as_said():
    text = (HERE / "README.md").read_text()
    network = json.loads((HERE / "network.json").read_text())
    assert f"{len(network['nodes'])} nodes, {len(network['lines'])} lines, three transformers" in text
    assert f"{len(network['loads'])} loads, {len(network['generators'])} generators" in text
    columns = (HERE / "profiles.csv").read_text().split("\n", 1)[0].count(",")
    assert f"{columns} profiles of the market day" in text
    assert f"{sum(c.up_w for c in DAY.customers) // 1000} kW, of which 120 kW" in text
