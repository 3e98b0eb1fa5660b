"""Grids made to be awkward: what is located, as they stand and without an element, is what pandapower finds (make_feeders.py)."""

import gzip
import json
from pathlib import Path

import pytest

from backend.adapters.planner.network import import_grid
from backend.adapters.power_grid import PowerGridFlow
from backend.grid.congestion import Limits, violations
from backend.grid.localisation import localise
from backend.grid.plan import Allowed, plan_day
from backend.grid.states import parse_states

VECTORS = Path(__file__).parents[2] / "vectors" / "grid"
FEEDERS = json.loads(gzip.decompress((VECTORS / "feeders" / "feeders.json.gz").read_bytes()))["feeders"]
F = 1_993_108
FRAMES = tuple(range(F, F + 24))
NEAR_PPT = 2_000_000


def case_of(name):
    """The engine, the day's states, and pandapower's cases by outage."""
    made = FEEDERS[name]
    network = import_grid(made["net"], name).network
    level = {"level_ppm": 500_000, **made["day"]}
    document = {"format": "lightnode-states/1", "frames": list(FRAMES), "levels": [level]}
    return PowerGridFlow(network), parse_states(json.dumps(document), network), made["cases"]


def theirs(case):
    return {(F + hour, element): ppt for hour, found in enumerate(case["violations"]) for element, ppt in found}


def same(ours, theirs):
    """Whether both name the same, to the same amount; what is only just broken may fall either side."""
    found = {key for key, ppt in ours.items() if ppt > NEAR_PPT or key in theirs}
    wanted = {key for key, ppt in theirs.items() if ppt > NEAR_PPT or key in ours}
    return found == wanted and all(abs(ours[key] - theirs[key]) < NEAR_PPT for key in found)


@pytest.mark.parametrize("name", FEEDERS)
def test_all_that_pandapower_finds_is_located_with_and_without_an_element_and_no_other(name):
    flow, day, cases = case_of(name)
    found = localise(flow, day.levels, FRAMES, Limits(), [outage for outage in cases if outage])
    for outage, case in cases.items():
        ours = {(c.frame, c.element): c.amount_ppt for c in found.congestions if (c.outage or "") == outage}
        assert same(ours, theirs(case)), outage
    assert {x.outage: list(x.nodes) for x in found.lost} == {o: c["lost"] for o, c in cases.items() if c["lost"]}
    assert sum(len(theirs(case)) for case in cases.values()) > 20


@pytest.mark.parametrize("name", FEEDERS)
def test_own_remedies_break_and_worsen_nothing_in_them(name):
    flow, day, cases = case_of(name)
    made = plan_day(flow, day.middle(), FRAMES, Limits(), Allowed())
    before, after = ({(v.frame, v.element): v.amount_ppt for v in of} for of in (made.before, made.after))
    assert same(before, theirs(cases[""]))
    assert after.keys() <= before.keys() and all(ppt <= before[key] for key, ppt in after.items())
    has_devices = bool(made.devices.devices)
    assert has_devices is (name != "long feeder") and (len(after) < len(before)) is has_devices
    again = violations(flow.network, flow.solve(made.scenarios), FRAMES, Limits())
    assert {(v.frame, v.element): v.amount_ppt for v in again} == after
