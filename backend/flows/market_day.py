"""A market day, step by step: forecast, own remedies, needs, requests, offers, sessions, orders. Numbers only, no devices.

1. The operator's own devices are placed on what is expected before the day-ahead gate, over the whole day; the market is
   asked for what they leave. Each near-real-time session renews the plan before it asks (backend.grid.renewal).
2. A session asks on what is expected at its own gate, with what earlier sessions bought: the DSO for relief, the TSO, where
   it asks, for what its own grid needs beside that.
3. Clearing and the operator's validation go in turn, in bounded rounds; what stays of a need is named in the outcome.
4. A near-real-time session has its own part of the quarter-hours, and takes only what nobody took yet.
5. Orders are given on the awards whose set passes the power flow once more, as it will really be active: the day-ahead ones
   first, on what is expected at the last gate.
6. A quarter-hour without a power flow is asked nothing for, nothing is taken in it, and it is named among the violations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Award, Order, Outcome
from backend.errors import Rejected
from backend.grid.congestion import Limits, Violation, constraints, pod_deltas, violations
from backend.grid.flow import PowerFlow, Scenarios
from backend.grid.need import Capability, Sizing, size
from backend.grid.remedy import DevicePlan, own_remedy, with_positions
from backend.grid.renewal import renewed
from backend.grid.substation import SubstationProfile, substation_profile
from backend.grid.transmission import TransmissionRequest
from backend.grid.validation import Decision, Proposal, validate
from backend.market.activation import order
from backend.market.awarded import changes, moves, remaining, with_allowed
from backend.market.clearing import clear
from backend.market.judged import to_judge
from backend.market.rounds import Rounds, Verdict, clear_and_validate
from backend.market.rules import GUARDED, Rules
from backend.market.session import Answer, MarketSession, State

NEAR_PPM = 60_000
SUBSTATION = "substation"
Expect = Callable[
    [int], Scenarios
]  # gate (quarter-hour) -> the day's states as expected then, devices where they stand
AskTso = Callable[[SubstationProfile], TransmissionRequest]


@dataclass(frozen=True, slots=True)
class Slot:
    """A session to be held: its id, its quarter-hours in order, the quarter-hour at whose beginning its gate closes."""

    id: str
    frames: tuple[int, ...]
    gate: int
    tso_asks: bool = False


@dataclass(frozen=True, slots=True)
class Trading:
    """What the actors bring: margins and caps of the operators, what the customers can do, their aggregators' offers."""

    margin_kept: Limits
    limits: Limits
    can: tuple[Capability, ...]
    aggregator_of: Mapping[str, str]
    offers: tuple[Offer, ...]
    dso_cap_ueur_per_mwh: int
    tso_cap_ueur_per_mwh: int
    rules: Rules = GUARDED


@dataclass(frozen=True, slots=True)
class Session:
    """One session: what was asked, offered and decided, the states it was decided on, and in how many rounds."""

    requests: tuple[Request, ...]
    offers: tuple[Offer, ...]
    outcome: Outcome
    scenarios: Scenarios
    sizing: Sizing
    rounds: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A near-real-time session and the orders of its quarter-hours; expected: with the taps that are set, without the market;
    planned: with the orders."""

    frames: tuple[int, ...]
    session: Session
    expected: Scenarios
    orders: tuple[Order, ...]
    planned: Scenarios
    planned_violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class DayTrades:
    """The day's trades; placed: the whole day as expected day-ahead, devices placed."""

    devices: DevicePlan
    placed: Scenarios
    expected_violations: tuple[Violation, ...]
    after_remedy: tuple[Violation, ...]
    day_ahead: Session
    stages: tuple[Stage, ...]

    @property
    def orders(self) -> tuple[Order, ...]:
        """Of all stages, in their order."""
        return tuple(one for stage in self.stages for one in stage.orders)


class MarketDay:
    """Runs the sessions of one day on one grid. frames: the day's quarter-hours, the rows of what is expected."""

    def __init__(
        self, flow: PowerFlow, frames: Sequence[int], expect: Expect, ask_tso: AskTso, trading: Trading
    ) -> None:
        self._flow = flow
        self._frames = tuple(frames)
        self._expect = expect
        self._ask_tso = ask_tso
        self._trading = trading

    def trade(self, ahead: Slot, near: Sequence[Slot]) -> DayTrades:
        """The day-ahead session, then the others. Rejected unless these have each of its quarter-hours once."""
        if sorted(frame for slot in near for frame in slot.frames) != list(ahead.frames):
            raise Rejected(
                f"session {ahead.id}: its quarter-hours are not those of its near-real-time sessions, each once"
            )
        plain = self._expect(ahead.gate)
        margin, limits = self._trading.margin_kept, self._trading.limits
        placed, devices = own_remedy(self._flow, plain, self._frames, margin)
        first = self._session(ahead, self._rows(placed, ahead.frames), self._trading.offers, {})
        plan, stages = devices, []
        for slot in near:
            plan = self._renewed(slot, plan, first)
            stages.append(self._stage(slot, plan, first))
        return DayTrades(
            devices, placed, self._violations(plain, self._frames, limits),
            self._violations(placed, self._frames, limits), first, tuple(stages),
        )  # fmt: skip

    def _stage(self, slot: Slot, plan: DevicePlan, first: Session) -> Stage:
        expected = with_positions(self._flow.network, self._at(slot), plan.devices, plan.table(slot.frames))
        bought = self._moved(expected, slot.frames, first.offers, first.outcome.awards)
        left = _within(remaining(first.offers, first.outcome, slot.gate, slot.gate * FRAME_MS), slot.frames)
        near = self._session(slot, bought, left, moves(first.offers, first.outcome.awards))
        orders, planned = self._orders(slot, expected, (first, near))
        after = self._violations(planned, slot.frames, self._trading.limits)
        return Stage(slot.frames, near, expected, orders, planned, after)

    def _renewed(self, slot: Slot, plan: DevicePlan, first: Session) -> DevicePlan:
        """The plan of the operator's devices as a session finds it, with what was bought day-ahead."""
        bought = self._moved(self._at(slot), slot.frames, first.offers, first.outcome.awards)
        return renewed(self._flow, bought, slot.frames, self._trading.margin_kept, plan)

    def _at(self, slot: Slot) -> Scenarios:
        """What a session expects of its quarter-hours, devices where they stand in the network."""
        return self._rows(self._expect(slot.gate), slot.frames)

    def _session(
        self, slot: Slot, scenarios: Scenarios, offers: Sequence[Offer], moved: Mapping[tuple[str, int], Direction]
    ) -> Session:
        """Asks, takes bids until the gate, clears and validates in rounds."""
        sizing = size(self._flow, scenarios, slot.frames, self._trading.margin_kept, self._trading.can)
        book = MarketSession(slot.id, slot.frames, slot.gate * FRAME_MS, self._trading.aggregator_of)
        book.move(State.OPEN)
        bids: list[Offer | Request] = [*self._requests(slot, scenarios, sizing), *offers]
        for bid in bids:
            answer = book.submit(bid, slot.gate * FRAME_MS - 1)
            if answer not in (Answer.TAKEN, Answer.AMENDED):
                raise Rejected(f"{slot.id}: {bid.id}: {answer}")
        requests, taken = book.close(slot.gate * FRAME_MS)
        limits = constraints(self._flow, scenarios, slot.frames, self._trading.margin_kept, NEAR_PPM)
        decided = self._decided(slot, scenarios, (requests, taken), limits, moved)
        for state in (State.CLEARED, State.VALIDATED, State.PUBLISHED):
            book.move(state)
        return Session(requests, taken, decided.outcome, scenarios, sizing, decided.rounds)

    def _requests(self, slot: Slot, scenarios: Scenarios, sizing: Sizing) -> tuple[Request, ...]:
        cap = self._trading.dso_cap_ueur_per_mwh
        found = [
            Request(
                f"DSO-{slot.id}-{k}", Buyer.DSO, Direction(need.direction), need.element,
                dict(zip(need.frames, need.relief_ppt, strict=True)), cap, k,
            )
            for k, need in enumerate(sizing.needs, 1)
        ]  # fmt: skip
        need = self._tso_need(slot, scenarios, sizing) if slot.tso_asks else None
        if need is not None:
            volume_w = {f: w for f, w in zip(need.frames, need.volume_w, strict=True) if w}
            cap = self._trading.tso_cap_ueur_per_mwh
            if volume_w:
                direction = Direction(need.direction)
                found.append(Request(f"TSO-{slot.id}", Buyer.TSO, direction, SUBSTATION, volume_w, cap))
        return tuple(found)

    def _tso_need(self, slot: Slot, scenarios: Scenarios, sizing: Sizing) -> TransmissionRequest | None:
        """What the TSO asks for beside the least change that heals the DSO's grid; None without any power flow."""
        plan = {
            pod: tuple(dict(zip(sizing.frames, watts, strict=True)).get(f, 0) for f in slot.frames)
            for pod, watts in sizing.least_w.items()
        }
        after = scenarios.with_delta(scenarios.delta_w + pod_deltas(self._flow.network, plan, len(slot.frames)))
        states = self._flow.solve(after)
        if not states.solved.any():
            return None
        return self._ask_tso(substation_profile(self._flow.network, states, slot.frames))

    def _decided(
        self,
        slot: Slot,
        scenarios: Scenarios,
        book: tuple[tuple[Request, ...], tuple[Offer, ...]],
        limits: Sequence[Constraint],
        moved: Mapping[tuple[str, int], Direction],
    ) -> Rounds:
        requests, offers = book
        rules = self._trading.rules
        return clear_and_validate(
            lambda caps: clear(slot.id, requests, offers, limits, moved, rules, caps),
            lambda outcome: self._verdict(scenarios, slot.frames, requests, offers, outcome),
            requests, offers, limits, rules,
        )  # fmt: skip

    def _verdict(
        self,
        scenarios: Scenarios,
        frames: Sequence[int],
        requests: Sequence[Request],
        offers: Sequence[Offer],
        outcome: Outcome,
    ) -> Verdict:
        """What the grid bears of these awards (I-07), the DSO's before the TSO's."""
        judged = to_judge(frames, requests, offers, outcome)
        proposals = [
            Proposal(one.offer.id, one.change, one.least_ppm, one.offer.linked, one.buyer, rebound_w=one.rebound)
            for one in judged
        ]
        verdicts = validate(self._flow, scenarios, frames, self._trading.margin_kept, proposals)
        allowed: dict[tuple[str, str], Mapping[int, int]] = {}
        elements: dict[str, str] = {}
        for one, verdict in zip(judged, verdicts, strict=True):
            if verdict.decision is not Decision.ACCEPTED:
                allowed |= one.allow(frames, verdict.delta_w)
                elements[verdict.offer] = verdict.element
        return Verdict(allowed, elements)

    def _orders(
        self, slot: Slot, expected: Scenarios, sessions: Sequence[Session]
    ) -> tuple[tuple[Order, ...], Scenarios]:
        """Rule 5: the orders, and the states with them."""
        found: list[Order] = []
        scenarios = expected
        for session in sessions:
            offers, requests = {o.id: o for o in session.offers}, {r.id: r for r in session.requests}
            mine = tuple(award for award in session.outcome.awards if award.frame in slot.frames)
            part = Outcome(session.outcome.session, mine, (), {})
            verdict = self._verdict(scenarios, slot.frames, session.requests, session.offers, part)
            checked = with_allowed(part, verdict.allowed_ppm, verdict.elements).awards
            found += [order(part.session, a, offers[a.offer], requests[a.request], a.parts_w) for a in checked]
            scenarios = self._moved(scenarios, slot.frames, session.offers, checked)
        return tuple(found), scenarios

    def _moved(
        self, scenarios: Scenarios, frames: Sequence[int], offers: Sequence[Offer], awards: Sequence[Award]
    ) -> Scenarios:
        """The states with these awards active, rebounds included."""
        by_frame = changes(offers, awards)
        pods = sorted({pod for frame in frames for pod in by_frame.get(frame, {})})
        rows = {pod: [by_frame.get(frame, {}).get(pod, 0) for frame in frames] for pod in pods}
        return scenarios.with_delta(scenarios.delta_w + pod_deltas(self._flow.network, rows, len(frames)))

    def _rows(self, scenarios: Scenarios, frames: Sequence[int]) -> Scenarios:
        return scenarios.rows([frame - self._frames[0] for frame in frames])

    def _violations(self, scenarios: Scenarios, frames: Sequence[int], limits: Limits) -> tuple[Violation, ...]:
        return violations(self._flow.network, self._flow.solve(scenarios), frames, limits)


def _within(offers: Sequence[Offer], frames: Sequence[int]) -> tuple[Offer, ...]:
    """The offers' parts in these quarter-hours; an offer of linked ones is there whole or not at all."""
    mine = frozenset(frames)
    found = []
    for offer in offers:
        volume_w = {f: w for f, w in offer.volume_w.items() if f in mine}
        if volume_w and not (offer.linked and len(volume_w) < len(offer.volume_w)):
            steps = {f: of for f, of in offer.steps.items() if f in mine}
            found.append(replace(offer, volume_w=volume_w, steps=steps))
    return tuple(found)
