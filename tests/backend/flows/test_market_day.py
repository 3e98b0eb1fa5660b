"""A market day on three nodes: a line for 1.73 MW and two PODs behind it, four quarter-hours, two near-real-time sessions."""

from collections.abc import Mapping, Sequence

import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.domain.bids import Buyer, Direction, Offer
from backend.errors import Rejected
from backend.flows.market_day import DayTrades, MarketDay, Slot, Trading
from backend.grid.congestion import Limits
from backend.grid.flow import Scenarios
from backend.grid.need import Capability
from backend.grid.substation import SubstationProfile
from backend.grid.transmission import TransmissionRequest
from tests.backend.grid import three_nodes as small
from tests.backend.grid.test_renewal import CALM_W, FULL_W, GRID, NEEDED, expected

F = 1_993_108
FRAMES = (F, F + 1, F + 2, F + 3)
AHEAD = Slot("ahead", FRAMES, F - 48, tso_asks=True)
NEAR = (Slot("near-1", FRAMES[:2], F - 1), Slot("near-2", FRAMES[2:], F + 1))
CALM, FULL = (300_000, 600_000), (300_000, 1_300_000)
FLOW = PowerGridFlow(small.network())
CAN = {"POD2": "A", "POD3": "B"}


def offer(id: str, pod: str, watts: int, price: int, direction: Direction = Direction.UP) -> Offer:
    return Offer(id, CAN[pod], direction, dict.fromkeys(FRAMES, watts), {pod: watts}, price, 1)


OFFERS = (
    offer("cheap", "POD3", 100_000, 50), offer("dear", "POD3", 300_000, 90), offer("far", "POD2", 50_000, 10),
    offer("more", "POD2", 400_000, 10, Direction.DOWN),
)  # fmt: skip


class TsoSaid:
    """A TSO that asks for these W by quarter-hour, and remembers what it was told of the substation (kW)."""

    def __init__(self, asks: Mapping[int, int], direction: str = "down") -> None:
        self.asks, self.direction = asks, direction
        self.told: list[tuple[int, ...]] = []

    def __call__(self, profile: SubstationProfile) -> TransmissionRequest:
        self.told.append(tuple(w // 1000 for w in profile.power_w))
        frames = tuple(f for f in self.asks if f in profile.frames)
        return TransmissionRequest(self.direction, frames, tuple(self.asks[f] for f in frames), ("",) * len(frames), ())


def traded(
    expected: Mapping[int, Sequence[tuple[int, int]]],
    ask: TsoSaid | None = None,
    offers: tuple[Offer, ...] = OFFERS,
    near: Sequence[Slot] = NEAR,
) -> DayTrades:
    """expected: by gate, W at nodes 2 and 3 in the four quarter-hours; the gate of a session that has none: as day-ahead."""

    def at(gate: int) -> Scenarios:
        return small.states(*expected.get(gate, expected[AHEAD.gate]))

    trading = Trading(
        Limits(500, 5_000), Limits(), tuple(Capability(pod, 400_000, 400_000) for pod in CAN), CAN, offers, 300, 300,
    )  # fmt: skip
    return MarketDay(FLOW, FRAMES, at, ask or TsoSaid({}), trading).trade(AHEAD, near)


def ordered_w(day: DayTrades) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for one in day.orders:
        found[one.offer, one.frame - F] = found.get((one.offer, one.frame - F), 0) + sum(one.parts_w.values())
    return found


def test_what_is_expected_to_break_is_healed_by_the_cheapest_relief_and_ordered() -> None:
    day = traded({AHEAD.gate: [CALM, (300_000, 1_400_000), CALM, CALM]})
    assert {v.frame for v in day.expected_violations} == {v.frame for v in day.after_remedy} == {F + 1}
    assert {(r.buyer, r.element) for r in day.day_ahead.requests} == {(Buyer.DSO, "line:1"), (Buyer.DSO, "node:3:low")}
    assert day.day_ahead.outcome.unserved == {}
    assert {key[1] for key in ordered_w(day)} == {1} and not any(s.planned_violations for s in day.stages)
    assert ordered_w(day)["far", 1] == 50_000, "10 at half the effect is cheaper than 50: whole, the rest from the next"
    assert 0 < ordered_w(day)["cheap", 1] < 100_000 and ("dear", 1) not in ordered_w(day)
    again_w = sum(award.volume_w for stage in day.stages for award in stage.session.outcome.awards)
    assert again_w < 1_000, "near real time buys what the linear effects missed, no more"


def test_rule_1_what_comes_up_near_real_time_is_mended_with_own_means_before_the_market_is_asked() -> None:
    def at(gate: int) -> Scenarios:
        return expected(*[CALM_W] * 4) if gate == AHEAD.gate else expected(CALM_W, CALM_W, CALM_W, FULL_W)

    trading = Trading(Limits(), Limits(), (Capability("POD3", 400_000, 400_000),), CAN, OFFERS[:1], 300, 300)
    day = MarketDay(PowerGridFlow(GRID), FRAMES, at, TsoSaid({}), trading).trade(AHEAD, NEAR)
    assert day.devices.positions == ((0, 0, 0, 0),) and day.after_remedy == ()
    steps = [stage.expected.shunt_step for stage in day.stages]
    assert [one.tolist() for one in steps if one is not None] == [[[0], [0]], [[0], [NEEDED]]]
    assert all(stage.session.requests == () and stage.planned_violations == () for stage in day.stages)


def test_rule_4_a_later_session_buys_what_its_own_forecast_lacks_of_what_nobody_took() -> None:
    first = [(300_000, 1_360_000)] * 4
    later = [*first[:2], (300_000, 1_450_000), (300_000, 1_360_000)]
    day = traded({AHEAD.gate: first, NEAR[1].gate: later})
    taken = {a.offer: a.volume_w for a in day.day_ahead.outcome.awards if a.frame == F + 2}
    left = {o.id: o.volume_w for o in day.stages[1].session.offers}
    for offer in OFFERS:
        assert left.get(offer.id, {}).get(F + 2, 0) == offer.volume_w[F + 2] - taken.get(offer.id, 0)
    bought_w = [sum(award.volume_w for award in stage.session.outcome.awards) for stage in day.stages]
    assert bought_w[0] < 1_000 < 50_000 < bought_w[1]
    assert all(set(o.volume_w) <= set(FRAMES[2:]) for o in day.stages[1].session.offers)
    assert not any(s.planned_violations for s in day.stages)


def test_rule_2_the_tso_hears_the_substation_as_it_is_once_the_grid_is_healed_and_is_served_with_what_is_left() -> None:
    ask = TsoSaid({F: 200_000})
    day = traded({AHEAD.gate: [CALM, (300_000, 1_400_000), CALM, CALM]}, ask)
    assert len(ask.told) == 1, "near real time it does not ask"
    before = FLOW.solve(small.states((300_000, 1_400_000))).source_w[0, 0] // 1000
    assert ask.told[0][1] < before
    assert [r.id for r in day.day_ahead.requests if r.buyer is Buyer.TSO] == ["TSO-ahead"]
    assert ordered_w(day)["more", 0] == 200_000


def test_rule_5_what_the_grid_no_longer_bears_is_not_ordered() -> None:
    ask = TsoSaid({F + 2: 200_000})
    grown = [CALM, CALM, FULL, CALM]
    calm, full = traded({AHEAD.gate: [CALM] * 4}, ask), traded({AHEAD.gate: [CALM] * 4, NEAR[1].gate: grown}, ask)
    assert ordered_w(calm) == {("more", 2): 200_000}
    assert ordered_w(full).get(("more", 2), 0) < 200_000 and full.day_ahead.outcome == calm.day_ahead.outcome
    assert len(full.stages[1].planned_violations) <= len(traded({AHEAD.gate: grown}, TsoSaid({})).expected_violations)


def test_rule_3_what_nobody_can_serve_is_named() -> None:
    day = traded({AHEAD.gate: [CALM, (300_000, 1_900_000), CALM, CALM]})
    assert {frame for _, frame in day.day_ahead.outcome.unserved} == {F + 1}
    assert day.stages[0].planned_violations and not day.stages[1].planned_violations
    assert len(day.stages[0].planned_violations) <= len(day.expected_violations)


def test_rule_6_a_quarter_hour_without_a_power_flow_is_named_and_the_others_are_served() -> None:
    day = traded({AHEAD.gate: [CALM, (300_000, 1_400_000), (0, 900_000_000), CALM]}, TsoSaid({F + 2: 100_000}))
    assert [v.element for v in day.expected_violations if v.frame == F + 2] == ["network"]
    assert all(F + 2 not in request.need for request in day.day_ahead.requests)
    assert {frame for _, frame in ordered_w(day)} == {1} and day.stages[0].planned_violations == ()
    awarded = {a.frame for a in day.day_ahead.outcome.awards}
    assert F + 2 not in awarded and day.day_ahead.rounds == 1, "validation has nothing to take back"
    dark = traded({AHEAD.gate: [(0, 900_000_000)] * 4})
    assert dark.day_ahead.requests == () and dark.orders == ()


def test_rule_6_a_quarter_hour_at_the_edge_of_its_solutions_is_asked_nothing_for_and_stops_no_other() -> None:
    """It has a power flow, but none with a small step more: nothing tells what a watt would do there."""
    edge = (0, 12_490_000)
    day = traded({AHEAD.gate: [CALM, (300_000, 1_400_000), edge, CALM]}, TsoSaid({F + 2: 100_000, F + 3: 100_000}))
    assert {f for request in day.day_ahead.requests if request.buyer is Buyer.DSO for f in request.need} == {F + 1}
    assert {v.element for v in day.day_ahead.sizing.unserved if v.frame == F + 2} == {
        "network", "line:1", "line:2", "node:2:low", "node:3:low",
    }  # fmt: skip
    assert {frame for _, frame in ordered_w(day)} == {1, 3}
    assert day.day_ahead.outcome.unserved == {("TSO-ahead", F + 2): 100_000}


def test_of_linked_quarter_hours_none_goes_alone_into_a_near_real_time_session() -> None:
    linked = Offer("linked", "B", Direction.UP, dict.fromkeys(FRAMES, 50_000), {"POD3": 50_000}, 1, 1, linked=True)
    day = traded({AHEAD.gate: [CALM] * 4}, offers=(*OFFERS, linked))
    assert "linked" in {o.id for o in day.day_ahead.offers}
    assert all("linked" not in {o.id for o in stage.session.offers} for stage in day.stages)


@pytest.mark.parametrize("near", [(), NEAR[:1], (*NEAR, NEAR[0])])
def test_near_real_time_sessions_have_each_quarter_hour_once(near: Sequence[Slot]) -> None:
    with pytest.raises(Rejected, match="each once"):
        traded({AHEAD.gate: [CALM] * 4}, near=near)


def test_an_offer_that_the_session_does_not_take_is_our_mistake_and_said() -> None:
    stranger = Offer("x", "C", Direction.UP, {F: 1}, {"POD2": 1}, 1, 1)
    with pytest.raises(Rejected, match="ahead: x: a POD of another aggregator"):
        traded({AHEAD.gate: [CALM] * 4}, offers=(stranger,))
