"""Before, planned and measured side by side; the measured state replaces base loads by meters."""

import pytest

from backend.errors import Rejected
from backend.grid.congestion import Limits
from backend.grid.series import measured_violations, series, with_measured

FRAMES = [7, 8]


def test_a_measured_pod_takes_the_place_of_its_base_load(flow, three_nodes, states):
    really = states((200_000, 1_500_000), (200_000, 1_500_000))
    changed = with_measured(three_nodes, really, {"POD3": (300_000, 300_000)}, {"POD3": (250_000, 310_000)})
    assert changed.delta_w.tolist() == [[0, -50_000], [0, 10_000]]
    direct = states((200_000, 1_450_000), (200_000, 1_510_000))
    assert (flow.solve(changed).voltage_ppt == flow.solve(direct).voltage_ppt).all()


def test_what_was_measured_decides_what_was_violated(flow, states):
    really, base = states((0, 1_500_000), (0, 1_500_000)), {"POD3": (300_000, 300_000)}
    found = measured_violations(flow, really, FRAMES, base, {"POD3": (200_000, 300_000)}, Limits())
    assert [(v.frame, v.element) for v in found] == [(8, "node:3:low")]
    none = measured_violations(flow, really, FRAMES, base, {}, Limits())
    assert [v.frame for v in none] == [7, 8]


def test_the_worst_elements_come_first_with_whole_numbers(flow, states):
    named = {"before": states((0, 1_500_000), (0, 1_000_000)), "planned": states((0, 1_400_000), (0, 1_000_000))}
    traces = series(flow, named, FRAMES, Limits(), count=1)
    assert [t.unit for t in traces] == ["ppm", "upu"] and traces[1].element == "node:3"
    voltage = traces[1]
    assert (voltage.low, voltage.high, voltage.frames) == (970_000, 1_030_000, (7, 8))
    assert voltage.values["before"][0] < 970_000 < voltage.values["planned"][0]
    assert voltage.values["before"][1] == voltage.values["planned"][1] == 979_583


def test_a_measurement_of_an_unknown_pod_is_refused(three_nodes, states):
    with pytest.raises(Rejected, match="PODX"):
        with_measured(three_nodes, states((0, 0)), {"PODX": (0,)}, {"PODX": (1,)})
