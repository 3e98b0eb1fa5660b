"""The example day's market: forecast, own remedies, requests, offers, two sessions, orders; numbers only, no devices.

1. Day-ahead: the forecast made before its gate, taps first, the remaining need as DSO requests, the TSO's request from
   its own grid with the substation profile; offers of two aggregators; clearing, technical validation.
2. Near real time: the forecast renewed at its gate on top of what was awarded; only what nobody took yet is offered,
   and the TSO asks day-ahead only.
3. Orders: every award whose set passes the power flow once more, as it will really be active.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.trade import Award, Order, Outcome
from backend.errors import Rejected
from backend.grid.congestion import Violation, constraints, pod_deltas, violations
from backend.grid.flow import Scenarios
from backend.grid.forecast import day_scenarios
from backend.grid.need import Capability, Sizing, size
from backend.grid.remedy import DevicePlan, own_remedy
from backend.grid.substation import substation_profile
from backend.grid.transmission import parse_transmission, transmission_request
from backend.grid.validation import Decision, Proposal, validate
from backend.market.activation import order
from backend.market.awarded import moves, remaining, unserved, with_allowed
from backend.market.clearing import clear
from backend.market.judged import to_judge
from backend.market.portfolio import Resource, build_offers
from backend.market.session import Answer, MarketSession, State

FRAME_MS = 900_000
DAY_AHEAD, NEAR_REAL_TIME = "day-ahead", "near-real-time"
Change = Mapping[str, tuple[int, ...]]
Moves = Mapping[tuple[str, int], Direction]


@dataclass(frozen=True, slots=True)
class Session:
    """One session: what was asked, offered and decided, and the state it was decided on."""

    requests: tuple[Request, ...]
    offers: tuple[Offer, ...]
    outcome: Outcome
    scenarios: Scenarios
    sizing: Sizing


@dataclass(frozen=True, slots=True)
class Trades:
    """The day's trades. Scenarios are rows of the window's quarter-hours, taps set, without the market's changes."""

    tap: DevicePlan
    forecast_violations: tuple[Violation, ...]
    after_remedy: tuple[Violation, ...]
    day_ahead: Session
    near_real_time: Session
    orders: tuple[Order, ...]
    planned: Scenarios
    planned_violations: tuple[Violation, ...]
    baseline_w: Mapping[tuple[str, int], int]


class Market:
    """Runs the day's sessions."""

    def __init__(self, day: ExampleDay, seed: int, customers: Sequence[Customer]) -> None:
        """customers: those who take part; the others are load like any other."""
        self._day = day
        self._customers = customers
        self._seed = seed
        self.flow = PowerGridFlow(day.network)
        self.frames = list(day.window)
        self._rows = [f - day.first_frame for f in self.frames]
        self._can = [Capability(c.pod, c.up_w, c.down_w) for c in customers]

    def trade(self) -> Trades:
        """Both sessions and the orders."""
        day, flow = self._day, self.flow
        plain = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
        tapped, tap = own_remedy(flow, plain, list(day.frames), day.margin_kept)
        everything = list(day.frames)
        window = tapped.rows(self._rows)
        ahead = self._session(DAY_AHEAD, window, self._offers(), {})
        awarded = self._change(ahead.outcome.awards, ahead.offers)
        renewed = (
            day_scenarios(day.network, day.forecast(day.near_real_time_gate)).with_tap(tapped.tap).rows(self._rows)
        )
        left = remaining(ahead.offers, ahead.outcome, day.near_real_time_gate, day.near_real_time_gate * FRAME_MS)
        moved = moves(ahead.offers, ahead.outcome.awards)
        near = self._session(NEAR_REAL_TIME, self._changed(renewed, awarded), tuple(left), moved)
        orders, planned = self._orders(renewed, ahead, near)
        return Trades(
            tap=tap,
            forecast_violations=violations(day.network, flow.solve(plain), everything, day.limits),
            after_remedy=violations(day.network, flow.solve(tapped), everything, day.limits),
            day_ahead=ahead,
            near_real_time=Session(near.requests, near.offers, near.outcome, renewed, near.sizing),
            orders=orders,
            planned=planned,
            planned_violations=violations(day.network, flow.solve(planned), self.frames, day.limits),
            baseline_w=self._baselines(),
        )

    def actual(self, tap_of: Scenarios) -> Scenarios:
        """What really happens in the window without the market, under the taps that were set."""
        day = self._day
        return day_scenarios(day.network, day.actual()).rows(self._rows).with_tap(tap_of.tap)

    def _baselines(self) -> dict[tuple[str, int], int]:
        found = {}
        for customer in self._customers:
            schedule = self._day.baseline_w(customer.pod)
            found.update({(customer.pod, f): schedule[f - self._day.first_frame] for f in self.frames})
        return found

    def _offers(self) -> tuple[Offer, ...]:
        resources = [Resource(c.pod, c.aggregator, c.up_w, c.down_w) for c in self._customers]
        return build_offers(resources, self.frames, self._seed, self._day.day_ahead_gate * FRAME_MS - 3_600_000)

    def _session(self, name: str, scenarios: Scenarios, offers: tuple[Offer, ...], moved: Moves) -> Session:
        day, flow = self._day, self.flow
        sizing = size(flow, scenarios, self.frames, day.margin_kept, self._can)
        gate = day.day_ahead_gate if name == DAY_AHEAD else day.near_real_time_gate
        book = MarketSession(name, tuple(self.frames), gate * FRAME_MS, {c.pod: c.aggregator for c in self._customers})
        book.move(State.OPEN)
        bids: list[Offer | Request] = [*self._requests(name, scenarios, sizing), *offers]
        for bid in bids:
            answer = book.submit(bid, gate * FRAME_MS - 1)
            if answer not in (Answer.TAKEN, Answer.AMENDED):
                raise Rejected(f"{name}: {bid.id}: {answer}")
        requests, offers = book.close(gate * FRAME_MS)
        table = constraints(flow, scenarios, self.frames, day.margin_kept, near_ppm=60_000)
        outcome = clear(name, requests, offers, table, moved)
        book.move(State.CLEARED)
        checked = self._validated(Session(requests, offers, outcome, scenarios, sizing), scenarios)
        checked = replace(checked, unserved=unserved(requests, offers, checked.awards, table))
        book.move(State.VALIDATED)
        book.move(State.PUBLISHED)
        return Session(requests, offers, checked, scenarios, sizing)

    def _requests(self, name: str, scenarios: Scenarios, sizing: Sizing) -> tuple[Request, ...]:
        day = self._day
        found = [
            Request(
                f"DSO-{name}-{k}", Buyer.DSO, Direction(need.direction), need.element,
                dict(zip(need.frames, need.relief_ppt, strict=True)), day.prices["dso_cap_ueur_per_mwh"], k,
            )
            for k, need in enumerate(sizing.needs, 1)
        ]  # fmt: skip
        plan = {pod: tuple(self._in_window(sizing.frames, watts)) for pod, watts in sizing.least_w.items()}
        after = self._changed(scenarios, plan)
        profile = substation_profile(day.network, self.flow.solve(after), self.frames)
        asked = transmission_request(parse_transmission(day.hv_text), profile, PowerGridFlow)
        need = {f: w for f, w in zip(asked.frames, asked.volume_w, strict=True) if w}
        if need and name == DAY_AHEAD:
            cap = day.prices["tso_cap_ueur_per_mwh"]
            found.append(Request(f"TSO-{name}", Buyer.TSO, Direction(asked.direction), "substation", need, cap))
        return tuple(found)

    def _in_window(self, hit: Sequence[int], watts: Sequence[int]) -> list[int]:
        by_frame = dict(zip(hit, watts, strict=True))
        return [by_frame.get(f, 0) for f in self.frames]

    def _changed(self, scenarios: Scenarios, change: Change) -> Scenarios:
        return scenarios.with_delta(scenarios.delta_w + pod_deltas(self._day.network, change, len(self.frames)))

    def _change(self, awards: Sequence[Award], offers: Sequence[Offer]) -> dict[str, tuple[int, ...]]:
        signs = {o.id: -1 if o.direction is Direction.UP else 1 for o in offers}
        table: dict[str, list[int]] = {}
        for award in awards:
            for pod, watts in award.parts_w.items():
                row = table.setdefault(pod, [0] * len(self.frames))
                row[self.frames.index(award.frame)] += signs[award.offer] * watts
        return {pod: tuple(row) for pod, row in table.items()}

    def _validated(self, session: Session, scenarios: Scenarios) -> Outcome:
        """What the grid bears of a session's awards, the DSO's before the TSO's."""
        awarded = to_judge(self.frames, session.requests, session.offers, session.outcome)
        proposals = [Proposal(one.offer.id, one.change, one.least_ppm, buyer=one.buyer) for one in awarded]
        verdicts = validate(self.flow, scenarios, self.frames, self._day.margin_kept, proposals)
        allowed: dict[tuple[str, str], dict[int, int]] = {}
        elements: dict[str, str] = {}
        for one, verdict in zip(awarded, verdicts, strict=True):
            if verdict.decision is not Decision.ACCEPTED:
                allowed |= one.allow(self.frames, verdict.delta_w)
                elements[verdict.offer] = verdict.element
        return with_allowed(session.outcome, allowed, elements)

    def _orders(self, renewed: Scenarios, ahead: Session, near: Session) -> tuple[tuple[Order, ...], Scenarios]:
        """Orders on all awards, after the set that will really be active passed the power flow once more."""
        found: list[Order] = []
        scenarios = renewed
        for session in (ahead, near):
            offers = {o.id: o for o in session.offers}
            requests = {r.id: r for r in session.requests}
            checked = self._validated(session, scenarios)
            for award in checked.awards:
                found.append(
                    order(session.outcome.session, award, offers[award.offer], requests[award.request], award.parts_w)
                )
            scenarios = self._changed(scenarios, self._change(checked.awards, session.offers))
        return tuple(found), scenarios
