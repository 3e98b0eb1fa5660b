"""The whole way on published grids: what independent calculations find broken is found, and at the end nothing is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.demo.profile import read_profiles
from backend.domain.bids import Buyer
from backend.grid.congestion import Limits, pod_deltas, violations
from backend.grid.document import parse_network
from backend.grid.flow import scenarios_of
from backend.grid.forecast import day_scenarios
from backend.grid.localisation import localise
from backend.grid.need import Capability, size
from backend.grid.plan import Allowed, plan_day
from backend.grid.validation import Proposal, validate

ROOT = Path(__file__).resolve().parents[3]
NETWORK = parse_network((ROOT / "backend/demo/network.json").read_text())
CASES = json.loads((ROOT / "tests/backend/adapters/pandapower_expected.json").read_text())["cases"]


def state_of(case):
    """The network and the state of a case that pandapower solved from the published profiles."""
    network = NETWORK
    if case["works"]:
        status = {"MV1.101 Line 75": False, "MV1.101 loop_line 4": True}
        network = replace(
            network,
            lines=tuple(
                replace(e, from_closed=status[e.name], to_closed=status[e.name]) if e.name in status else e
                for e in network.lines
            ),
        )
    table = read_profiles((ROOT / "backend/demo/profiles.csv").read_text())
    k, scale = case["quarter"] - table.first_quarter, case["scale_ppm"]

    def row(elements, kind, part, field, ppm):
        values = [getattr(e, field) * int(table.values[f"{kind}/{e.profile}/{part}"][k]) * ppm for e in elements]
        return np.array([[round(v / 1e12) for v in values]], dtype=np.int64)

    load_w = row(network.loads, "load", "p", "p_nominal_w", scale)
    load_var = row(network.loads, "load", "q", "q_nominal_var", scale)
    rows = scenarios_of(network, load_w, load_var, row(network.generators, "generator", "p", "p_nominal_w", 1_000_000))
    return network, rows.with_tap(
        np.array([[case["tap"] if t.on_load else t.tap_position for t in network.transformers]])
    )


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"quarter-{c['quarter']}")
@pytest.mark.parametrize("kept", [Limits(), Limits(15_000, 50_000), Limits(40_000, 99_000)], ids=str)
def test_what_pandapower_finds_beyond_a_limit_is_found_and_nothing_else(case, kept):
    network, state = state_of(case)
    found = localise(PowerGridFlow(network), {500_000: state}, [7], kept)
    expected, close = set(), set()
    for node in network.nodes:
        value = case["voltage_ppb"][str(node.id)]
        low = (node.u_min_ppm + kept.voltage_margin_ppm) * 1_000 - value
        high = value - (node.u_max_ppm - kept.voltage_margin_ppm) * 1_000
        expected |= {f"node:{node.id}:{side}" for side, over in (("low", low), ("high", high)) if over > 0}
        close |= {f"node:{node.id}:{side}" for side, over in (("low", low), ("high", high)) if abs(over) < 3_000}
    for line in network.lines:
        over = case["line_ppb"][str(line.id)] - (1_000_000 - kept.loading_margin_ppm) * 1_000
        expected |= {f"line:{line.id}"} if over > 0 else set()
        close |= {f"line:{line.id}"} if abs(over) < 10_000 else set()
    ours = {c.element for c in found.congestions if not c.element.startswith("transformer")}
    assert ours - close == expected - close


def test_after_own_means_requests_and_validation_nothing_of_the_published_day_is_broken():
    day = load_day()
    flow, quarters = PowerGridFlow(day.network), [*range(0, 24, 4), *range(72, 82)]
    frames = [day.first_frame + q for q in quarters]
    states = day_scenarios(day.network, day.forecast(day.day_ahead_gate)).rows(quarters)
    assert violations(day.network, flow.solve(states), frames, day.margin_kept)
    plan = plan_day(flow, states, frames, day.margin_kept, Allowed())
    sizing = size(
        flow, plan.scenarios, frames, day.margin_kept, [Capability(c.pod, c.up_w, c.down_w) for c in day.customers]
    )
    assert plan.after and sizing.unserved == ()
    least = {
        pod: tuple(dict(zip(sizing.frames, watts, strict=True)).get(f, 0) for f in frames)
        for pod, watts in sizing.least_w.items()
    }
    tso = Proposal("tso", {pod: (60_000,) * len(frames) for pod in least}, buyer=Buyer.TSO)
    verdicts = validate(
        flow, plan.scenarios, frames, day.margin_kept, [tso, *(Proposal(p, {p: w}) for p, w in least.items())]
    )
    delta = sum(pod_deltas(day.network, v.delta_w, len(frames)) for v in verdicts)
    assert {v.decision.value for v in verdicts if v.buyer is Buyer.DSO} == {"accepted"}
    active = plan.scenarios.with_delta(plan.scenarios.delta_w + delta)
    assert violations(day.network, flow.solve(active), frames, day.margin_kept) == ()
