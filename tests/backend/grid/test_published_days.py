"""Published grids on published days: pandapower's list of violations is ours, and after remedies, market and validation none
is left whose need is not named. pandapower's lists are committed (tests/vectors/grid/make_days.py); with it installed,
`--long` asks it again, also about what the market left."""

import gzip
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.planner.network import import_grid
from backend.adapters.power_grid import PowerGridFlow
from backend.campaign.reality import compared
from backend.domain.bids import Direction, Offer
from backend.flows.market_day import MarketDay, Slot, Trading
from backend.grid.congestion import Limits, Violation, violations
from backend.grid.flow import nominal_scenario
from backend.grid.need import Capability
from backend.grid.transmission import TransmissionRequest

HERE = Path(__file__).parents[2] / "vectors" / "grid"
DAYS = json.loads(gzip.decompress((HERE / "days" / "days.json.gz").read_bytes()))["days"]
F = 1_993_108
_LOW, _MEDIUM = "1-LV-rural1--2-sw", "1-MV-semiurb--2-sw"
MOVES_W = {_LOW: 14_000, _MEDIUM: 150_000}
NEAR_PPT = 2_000_000


class Case:
    """A grid on its day, each load's node a customer that can move either way."""

    def __init__(self, code: str) -> None:
        self.code, self.day = code, DAYS[code]
        plain = import_grid(gzip.decompress((HERE / f"{code}.json.gz").read_bytes()).decode(), "x").network
        self.pods = {f"pod-{node}": node for node in sorted({load.node for load in plain.loads})}
        self.network = plain.connected(self.pods)
        self.flow = PowerGridFlow(self.network)
        self.frames = tuple(F + k for k in range(len(self.day["quarters"])))
        self.scenarios = self._scenarios()

    def _scenarios(self):
        state = nominal_scenario(self.network).rows([0] * len(self.frames))

        def table(name, elements):
            held = self.day["states"][name]
            place = {id: k for k, id in enumerate(held["index"])}
            return np.array([[row[place[e.id]] for e in elements] for row in held["rows"]], dtype=np.int64)

        return replace(
            state,
            load_w=table("load/p_mw", self.network.loads),
            load_var=table("load/q_mvar", self.network.loads),
            generator_w=table("sgen/p_mw", self.network.generators),
            storage_w=table("storage/p_mw", self.network.storages),
        )

    def theirs(self) -> list[Violation]:
        rows = zip(self.frames, self.day["violations"], strict=True)
        return [Violation(frame, element, 0, 0, ppt) for frame, found in rows for element, ppt in found]

    def ours(self, scenarios) -> tuple[Violation, ...]:
        return violations(self.network, self.flow.solve(scenarios), self.frames, Limits())

    def traded(self):
        watts = MOVES_W[self.code]
        offers = tuple(
            Offer(f"{way.value}-{pod}", "A", way, dict.fromkeys(self.frames, watts), {pod: watts}, 10**8 + k, 1)
            for k, pod in enumerate(self.pods)
            for way in Direction
        )
        can = tuple(Capability(pod, watts, watts) for pod in self.pods)
        trading = Trading(Limits(200, 1_000), Limits(), can, dict.fromkeys(self.pods, "A"), offers, 10**9, 10**9)
        nothing = TransmissionRequest("up", (), (), (), ())
        one = MarketDay(self.flow, self.frames, lambda _gate: self.scenarios, lambda _profile: nothing, trading)
        return one.trade(Slot("ahead", self.frames, F - 48), [Slot("near", self.frames, F - 1)])


@pytest.fixture(scope="module", params=sorted(DAYS))
def case(request) -> Case:
    return Case(request.param)


@pytest.fixture(scope="module", params=[_LOW, pytest.param(_MEDIUM, marks=pytest.mark.long)])
def traded(request):
    """A case and its trades; the larger one with `--long`."""
    found = Case(request.param)
    return found, found.traded()


def test_all_violations_that_pandapower_finds_are_found_and_no_other(case: Case) -> None:
    ours = case.ours(case.scenarios)
    both, only = compared(ours, case.theirs())
    assert both > 10 and only == []
    amounts = {(v.frame, v.element): v.amount_ppt for v in ours}
    assert all(
        abs(amounts[v.frame, v.element] - v.amount_ppt) < NEAR_PPT for v in case.theirs() if v.amount_ppt > NEAR_PPT
    )


def test_after_remedies_market_and_validation_none_is_left_or_the_need_is_named(traded) -> None:
    _, trades = traded
    (stage,) = trades.stages
    named = {frame for _, frame in stage.session.outcome.unserved} | {v.frame for v in stage.session.sizing.unserved}
    left = stage.planned_violations
    assert {v.frame for v in left} <= named
    assert len(left) < len(trades.expected_violations)


def test_no_limit_is_broken_more_than_before(traded) -> None:
    _, trades = traded
    before = {(v.frame, v.element): v.amount_ppt for v in trades.expected_violations}
    after = {(v.frame, v.element): v.amount_ppt for v in trades.stages[0].planned_violations}
    assert after.keys() <= before.keys() and all(amount <= before[key] for key, amount in after.items())


@pytest.mark.long
@pytest.mark.timeout(0)
def test_pandapower_finds_the_same_before_and_after_the_market(traded, monkeypatch) -> None:
    case, trades = traded
    pandapower = pytest.importorskip("pandapower", reason="needs the extra import")
    spec = importlib.util.spec_from_file_location("make_days", HERE / "make_days.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    monkeypatch.syspath_prepend(HERE)
    net = make.net_of(case.code)
    moved = [pandapower.create_load(net, c.node, 0.0) for c in case.network.connections]
    planned = trades.stages[0].planned
    for states, ours in ((case.scenarios, case.ours(case.scenarios)), (planned, trades.stages[0].planned_violations)):
        theirs = []
        for row, frame in enumerate(case.frames):
            make.set_state(net, case.day["states"], row)
            net.load.loc[moved, "p_mw"] = states.delta_w[row] / 1e6
            net.trafo.loc[[t.id for t in case.network.transformers], "tap_pos"] = states.tap[row]
            make.solve(net)
            theirs += [Violation(frame, element, 0, 0, ppt) for element, ppt in make.violations(net)]
        assert compared(ours, theirs)[1] == []
