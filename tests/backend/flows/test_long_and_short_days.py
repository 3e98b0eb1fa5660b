"""Days of 92, 96 and 100 quarter-hours, Europe/Rome, from the gate to the statement: the real sessions, clearing, validation by
power flow, orders, settlement; on three nodes, so that each day takes a second."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.power_grid import PowerGridFlow
from backend.adapters.sqlite import DocumentRow, SqliteStore
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_MS, FRAME_S
from backend.domain.trade import Order
from backend.errors import Rejected
from backend.flows.trade import Registered, Sessions
from backend.grid.congestion import Limits, constraints, pod_deltas, violations
from backend.grid.flow import Scenarios
from backend.grid.need import Capability, size
from backend.grid.validation import Decision, Proposal, validate
from backend.market.activation import order
from backend.market.clearing import clear
from backend.market.judged import to_judge
from backend.market.rounds import Rounds, Verdict, clear_and_validate
from backend.market.rules import GUARDED
from backend.market.schedule import Window, day_ahead
from backend.market.session import Answer, SessionRules, State
from backend.market.settled import Settlement, settled
from backend.market.settled_money import unbalanced_ueur
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from backend.market.statement import statement_document
from backend.market.submission import Submission
from tests.backend.grid import three_nodes as small
from tests.backend.market.settlement_case import case_of

ROME, ZONE = Calendar("Europe/Rome"), ZoneInfo("Europe/Rome")
GATE = time(11)
MARGIN = Limits(500, 5_000)
PODS = {"POD2": "A", "POD3": "B"}
DAYS = {  # day: quarter-hours, its gate as UTC has it
    date(2026, 3, 29): (92, "2026-03-28T10:00+00:00"),
    date(2026, 3, 30): (96, "2026-03-29T09:00+00:00"),
    date(2026, 10, 25): (100, "2026-10-24T09:00+00:00"),
    date(2026, 10, 26): (96, "2026-10-25T10:00+00:00"),
}
FLOW = PowerGridFlow(small.network())
TERMS = SettlementTerms((PenaltyTable((PenaltyStep(50_000, 500_000),)),), {"A": 100_000, "B": 120_000})


class Clock:
    """Injected time."""

    at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


def wall(frame: int) -> str:
    return datetime.fromtimestamp(frame * FRAME_S, UTC).astimezone(ZONE).strftime("%H:%M")


def load_w(frame: int) -> tuple[int, int]:
    """W at both nodes: too much for the line from 01:30 to 03:30 and from 18:00 to 20:00 by the clock on the wall."""
    return 300_000, 1_450_000 if "01:30" <= wall(frame) < "03:30" or "18:00" <= wall(frame) < "20:00" else 600_000


@dataclass
class Day:
    """A day that was traded, and what came of it."""

    window: Window
    scenarios: Scenarios
    outcome: dict
    orders: list[Order]
    made: Settlement
    statement: dict
    published: list[str]


def requests_of(window: Window, scenarios: Scenarios) -> tuple[Request, ...]:
    can = [Capability(pod, 500_000, 0) for pod in PODS]
    sizing = size(FLOW, scenarios, window.frames, MARGIN, can)
    return tuple(
        Request(f"dso-{k}", Buyer.DSO, Direction(need.direction), need.element,
                dict(zip(need.frames, need.relief_ppt, strict=True)), 10**9, k)
        for k, need in enumerate(sizing.needs)
    )  # fmt: skip


def decided(window: Window, scenarios: Scenarios, requests, offers) -> Rounds:
    table = constraints(FLOW, scenarios, window.frames, MARGIN, 60_000)

    def judged(outcome) -> Verdict:
        asked = to_judge(window.frames, requests, offers, outcome)
        proposals = [Proposal(one.offer.id, one.change, one.least_ppm, buyer=one.buyer) for one in asked]
        allowed, elements = {}, {}
        for one, verdict in zip(asked, validate(FLOW, scenarios, window.frames, MARGIN, proposals), strict=True):
            if verdict.decision is not Decision.ACCEPTED:
                allowed |= one.allow(window.frames, verdict.delta_w)
                elements[verdict.offer] = verdict.element
        return Verdict(allowed, elements)

    return clear_and_validate(
        lambda caps: clear("da", requests, offers, table, {}, GUARDED, caps), judged, requests, offers, table, GUARDED
    )


@pytest.fixture(scope="module", params=DAYS, ids=str)
def day(request, tmp_path_factory) -> Day:
    local = request.param
    store, clock, published = SqliteStore(tmp_path_factory.mktemp("day") / "scd.sqlite"), Clock(), []

    def publish(kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        published.append(body)
        store.add_document(DocumentRow(kind, id, version, body, b"", 3, 0))

    registered = Registered(PODS, {(pod, Direction.UP): 500_000 for pod in PODS})
    sessions = Sessions(MarketStore(store), clock, registered, publish)
    window = day_ahead(ROME, local, GATE)
    sessions.announce("da", window, SessionRules(), "operator")
    sessions.move("da", State.OPEN, "operator")
    clock.at_ms = window.gate_ms - 1
    scenarios = small.states(*(load_w(frame) for frame in window.frames))
    offers = tuple(
        Offer(f"o-{pod}", party, Direction.UP, dict.fromkeys(window.frames, 500_000), {pod: 500_000}, 50_000_000, 0)
        for pod, party in PODS.items()
    )
    for offer in offers:
        assert sessions.submit("da", Submission((offer,), (), ()), offer.aggregator) == [(offer.id, Answer.TAKEN.value)]
    asked = Submission((), requests_of(window, scenarios), ())
    assert {answer for _, answer in sessions.submit("da", asked, "DSO")} == {Answer.TAKEN.value}
    with pytest.raises(Rejected, match="gate closes"):
        sessions.close("da", "operator")
    clock.at_ms = window.gate_ms
    late = sessions.submit("da", Submission((offers[0],), (), ()), "A")
    assert late == [("o-POD2", Answer.AFTER_GATE.value)]
    requests, frozen = sessions.close("da", "operator")
    outcome = decided(window, scenarios, requests, frozen).outcome
    sessions.decide("da", State.CLEARED, outcome, "operator")
    sessions.decide("da", State.VALIDATED, outcome, "DSO")
    body = sessions.publish("da", "operator")
    by_offer, by_request = {o.id: o for o in frozen}, {r.id: r for r in requests}
    orders = [order("da", a, by_offer[a.offer], by_request[a.request], a.parts_w) for a in outcome.awards]
    return Day(window, scenarios, json.loads(body), orders, *half_delivered(window, orders), published)


def half_delivered(window: Window, orders: list[Order]) -> tuple[Settlement, dict]:
    """Every order delivered to the half at POD2 and whole at POD3; baseline is the load of each quarter-hour."""
    baseline = {(pod, f): load_w(f)[k] for k, pod in enumerate(PODS) for f in window.frames}
    given = {"POD2": 2, "POD3": 1}
    energy_ws = {}
    for pod, frame in baseline:
        watts = sum(o.parts_w.get(pod, 0) for o in orders if o.frame == frame) // given[pod]
        energy_ws[pod, frame] = (baseline[pod, frame] - watts) * FRAME_S
    made = settled(case_of(orders, {f"o-{pod}": party for pod, party in PODS.items()}, baseline, energy_ws, TERMS))
    period = (window.frames[0] * FRAME_MS, (window.frames[-1] + 1) * FRAME_MS)
    return made, statement_document("POD3", period, made.lines, TERMS, [])


def test_the_day_has_its_quarter_hours_each_once_in_order_and_its_gate_by_the_local_clock(day: Day) -> None:
    local = ROME.day(day.window.frames[0])
    count, gate = DAYS[local]
    assert list(day.window.frames) == list(range(day.window.frames[0], day.window.frames[0] + count))
    assert day.window.gate_ms == datetime.fromisoformat(gate).timestamp() * 1000
    assert wall(day.window.frames[0]) == "00:00" and wall(day.window.frames[-1]) == "23:45"


def test_what_was_bought_is_of_the_quarter_hours_that_the_wall_clock_means(day: Day) -> None:
    """The night's need is there two hours long: one hour on the short day, three on the long one."""
    night = {92: 4, 96: 8, 100: 12}[len(day.window.frames)]
    bought = sorted({award["frame"] for award in day.outcome["awards"]})
    assert bought == [f for f in day.window.frames if load_w(f)[1] > 10**6] and len(bought) == night + 8
    assert day.outcome["unserved"] in ([], {})


def test_with_all_orders_active_no_limit_is_broken_in_any_quarter_hour(day: Day) -> None:
    frames = list(day.window.frames)
    change = {pod: [-sum(o.parts_w.get(pod, 0) for o in day.orders if o.frame == f) for f in frames] for pod in PODS}
    before = violations(FLOW.network, FLOW.solve(day.scenarios), frames, Limits())
    after = day.scenarios.with_delta(pod_deltas(FLOW.network, change, len(frames)))
    assert before and violations(FLOW.network, FLOW.solve(after), frames, Limits()) == ()


def test_orders_are_one_for_each_award_and_of_its_quarter_hour(day: Day) -> None:
    assert len({one.id for one in day.orders}) == len(day.orders) == len(day.outcome["awards"])
    assert [(o.offer, o.request, o.frame, sum(o.parts_w.values())) for o in day.orders] == [
        (a["offer"], a["request"], a["frame"], a["volume_w"]) for a in day.outcome["awards"]
    ]


def test_the_statement_has_each_ordered_quarter_hour_once_in_order_and_the_days_own_bounds(day: Day) -> None:
    mine = [(row["frame"], row["order"]) for row in day.statement["lines"]]
    assert mine == sorted(mine) == sorted((o.frame, o.id) for o in day.orders if "POD3" in o.parts_w)
    hours = len(day.window.frames) // 4
    assert day.statement["end_ms"] - day.statement["start_ms"] == hours * 3_600_000
    assert list(day.statement["baseline_w"]) == [str(f) for f in sorted({frame for frame, _ in mine})]
    assert all(row["delivered_ws"] == row["ordered_ws"] == row["paid_ws"] for row in day.statement["lines"])


def test_money_sums_to_zero_and_only_what_was_delivered_is_paid(day: Day) -> None:
    assert unbalanced_ueur(day.made.lines, (), day.made.payments) == sum(day.made.gained_ueur.values()) == 0
    for line in day.made.lines:
        part = 2 if line.pod == "POD2" else 1
        assert line.paid_ws == line.ordered_ws // FRAME_S // part * FRAME_S or line.ordered_ws == 0
        assert bool(line.penalty_ueur) == (line.pod == "POD2" and line.ordered_ws > 10**6)


def test_one_outcome_is_published_and_its_frames_are_of_this_day_alone(day: Day) -> None:
    assert len(day.published) == 1
    assert {award["frame"] for award in day.outcome["awards"]} <= set(day.window.frames)
