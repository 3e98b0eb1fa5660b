"""A session done again from its bundle: clearing, validation, publication, orders, activation, settlement, to the byte.

1. Every document that follows from others is made again from them and compared; the first difference is named, and that is
   the answer.
2. What came from outside is taken as it was answered: bids, orders, limits, solutions, verdicts, the register of an emergency.
   A bid that was taken must be one that the session's rules take at its time; every answer to an order is given again.
3. The gate, the moves, versions without a gap, and a second person for a correction are held to as when it was done.
4. A round is cleared by the rules of the first one, and only where the verdicts cut something and the rules allow another; the
   outcome is validated only where they do not.
5. A settlement is made of an input that stands on the latest published outcome and the orders of the last activation list;
   each version names what it changed, and one that changes anything was proposed by one person and made by another.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.domain.bids import Direction, Offer
from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.flows.orders import ACTIVATED, EMERGENCY, JUDGED, ORDER, REFUSED, WITHDRAWAL, Desk, Outcomes, follow
from backend.flows.profiles import PROFILE
from backend.flows.settle import ANSWERED, DISPUTED, PROPOSED, SETTLED, who
from backend.flows.trade import BY, VERDICTS, WITHIN, announcement_text, digest_of, window_of
from backend.market import exchange
from backend.market.canonical import text
from backend.market.decided import Basis, basis_of, cleared, judged
from backend.market.order_row import EmergencyOrder, buyer_order_of, emergency_of
from backend.market.ordered import STANDS, EmergencyTerms
from backend.market.orders import OrderBook
from backend.market.rounds import Round
from backend.market.session import Answer, MarketSession, State
from backend.market.session_bundle import Event, SessionBundle, difference
from backend.market.settled import settled, settlement_text
from backend.market.settled_awards import called_of, check_against, reserved_of
from backend.market.settled_difference import difference as difference_of
from backend.market.settled_difference import moves
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import SettlementInput
from backend.market.settled_kept import check_kept
from backend.market.submission_field import offer_of, request_of
from backend.ports import MarketEvent

_MOST_FRAMES = 400


class Different(Exception):
    """The first difference."""


def bundled(events: Iterable[MarketEvent], session: str, versions: Mapping[str, str]) -> SessionBundle:
    """The bundle of a session from its events; versions: of the programs that made them."""
    return SessionBundle(session, tuple(Event(e.time_ms, e.party, e.what, e.body) for e in events), versions)


def recomputed(bundle: SessionBundle) -> dict[str, int]:
    """How many documents were made again, by what they are. Rejected with the first difference."""
    again = _Again(bundle.session)
    try:
        for number, event in enumerate(bundle.events, 1):
            again.at = f"event {number} ({event.what})"
            again.follow(event)
    except Different as different:
        raise Rejected(f"{again.at}{different}") from different
    except Rejected as rejected:
        raise Rejected(f"{again.at}: {rejected.reason}") from rejected
    return again.made


@dataclass(slots=True)
class _Again:
    """A session as far as it is done again; at: where."""

    id: str
    at: str = ""
    made: dict[str, int] = field(default_factory=dict)
    _session: MarketSession | None = None
    _desk: Desk | None = None
    _outcomes: Outcomes = field(default_factory=Outcomes)
    _documents: dict[str, str] = field(default_factory=dict)
    _basis: Basis | None = None
    _rounds: list[tuple[Outcome, str]] = field(default_factory=list)
    _next: Round | Outcome | None = field(default_factory=Round)
    _proposed: tuple[str, str] = ("", "")
    _published: list[str] = field(default_factory=list)
    _settlements: list[str] = field(default_factory=list)
    _stood: SettlementInput | None = None
    _resettled: tuple[str, str] = ("", "")
    _to_activate: bool = False

    def follow(self, event: Event) -> None:
        """Does again what an event says."""
        if event.what not in _STEPS:
            raise Different(": is no event of a session")
        if (self._session is None) is not (event.what == "announced"):
            raise Different(": a session is announced once, before anything else")
        if self._to_activate and event.what != ACTIVATED:
            raise Different(": the verdicts before it are followed by no activation list")
        _STEPS[event.what](self, event)

    @property
    def session(self) -> MarketSession:
        """It is there after the announcement."""
        assert self._session is not None
        return self._session

    @property
    def desk(self) -> Desk:
        """The same."""
        assert self._desk is not None
        return self._desk

    def _compare(self, what: str, kept: str, made: str) -> None:
        if kept != made:
            _same("", _object(kept), json.loads(made))
            raise Different(": is not written canonically")
        self.made[what] = self.made.get(what, 0) + 1

    def _announced(self, event: Event) -> None:
        body = _object(event.body)
        for name, value in body.items():
            if type(value) is not (list if name == "products" else int):
                raise Different(f", {name}: {value!r:.60}, expected a whole number")
        if not 1 <= body.get("frames", 0) <= _MOST_FRAMES:
            raise Different(f", frames: expected 1 to {_MOST_FRAMES}")
        try:
            window, rules = window_of(event.body)
        except (KeyError, TypeError, ValueError) as error:
            raise Different(f": is no announcement: {error!r:.80}") from error
        _same("", body, json.loads(announcement_text(window, rules)))
        self._session = MarketSession(self.id, window.frames, window.gate_ms, {}, rules=rules)
        terms = EmergencyTerms(rules.emergency_ueur_per_mwh, rules.emergency_ppm)
        self._desk = Desk(window.frames, OrderBook(self.id, window.frames, {}, {}, terms))

    def _moved(self, event: Event) -> None:
        if event.body == State.CLOSED:
            requests, offers = self.session.close(event.time_ms)
            self.desk.book.offers = {one.id: one for one in offers}
            self.desk.book.requests = {one.id: one for one in requests}
        elif event.body in (State.OPEN, State.CANCELLED):
            self.session.move(State(event.body))
        else:
            raise Different(f": {event.body[:60]!r}, expected open, closed or cancelled")

    def _bid(self, event: Event) -> None:
        """Rule 2; what the register and other sessions said is taken as it was said."""
        body = _object(event.body)
        bid, refused = (offer_of if event.what == "offer" else request_of)(_part(body, "row", dict))
        if bid is None:
            raise Different(f", row, {refused[0].field}: {refused[0].reason}")
        answer = Answer.__members__.get(_part(body, "answer", str))
        if answer in _BY_REGISTER:
            return
        if isinstance(bid, Offer):
            self.session.aggregator_of = dict.fromkeys(bid.shares_w, bid.aggregator)
        self._answered(body, self.session.submit(bid, event.time_ms, event.party).name)

    def _withdrawal(self, event: Event) -> None:
        body = _object(event.body)
        self._answered(body, self.session.withdraw(_part(body, "id", str), event.party, event.time_ms).name)

    def _answered(self, body: Mapping[str, Any], answer: str) -> None:
        if body["answer"] != answer:
            raise Different(f", answer: the bundle has {body['answer']!r:.80}, recomputed is {answer!r}")
        self.made["answers"] = self.made.get("answers", 0) + 1

    def _given(self, event: Event) -> None:
        self._documents[event.what] = event.body

    def _document(self, what: str) -> str:
        if what not in self._documents:
            raise Different(f": the {what} that it was decided by is missing")
        return self._documents[what]

    def _cleared(self, event: Event) -> None:
        """Rule 4."""
        limits, basis = exchange.constraints_of(self._document(WITHIN)), basis_of(self._document(BY))
        at, self._next = self._next, None
        if not isinstance(at, Round):
            raise Different(": there is nothing that would be cleared once more")
        first = self._basis = self._basis or basis
        if replace(basis, solutions=first.solutions) != first:
            raise Different(": by other rules than the round before it")
        made = text(cleared(self.id, self.session.book(), limits, basis, at).outcome)
        self.session.move(State.CLEARED)
        self._compare("outcomes", event.body, made)
        self._documents[event.what] = event.body

    def _verdicts(self, event: Event) -> None:
        if self._basis is None or self._next is not None:
            raise Different(": there is nothing that would be judged")
        self._rounds.append((exchange.outcome_of(self._document("cleared")), event.body))
        limits, session = exchange.constraints_of(self._document(WITHIN)), self.session
        self._next = judged(session.frames, session.book(), limits, self._basis.rules, self._rounds)

    def _validated(self, event: Event) -> None:
        """Rule 4."""
        if not isinstance(self._next, Outcome):
            raise Different(": the verdicts before it leave another round, or are missing")
        self.session.move(State.VALIDATED)
        self._compare("outcomes", event.body, text(self._next))
        self._to_desk(event)

    def _proposes(self, event: Event) -> None:
        body = _object(event.body)
        if self.session.state is not State.PUBLISHED or not _part(body, "reason", str).strip():
            raise Different(": a correction needs a published outcome and a reason")
        exchange.outcome_of(_part(body, "outcome", str))
        self._proposed = (digest_of(body["outcome"]), event.party)
        self._to_desk(event)

    def _publishes(self, event: Event) -> None:
        digest, by = self._proposed
        if not self._published:
            self.session.move(State.PUBLISHED)
            (digest,), by = self._outcomes.by_digest, ""
        elif not digest or digest in self._published or by == event.party:
            raise Different(": a correction is proposed by one person and published by another, once")
        expected = {"version": len(self._published) + 1, "sha256": digest}
        self._compare("versions", event.body, text(expected))
        self._published.append(digest)
        self._to_desk(event)

    def _orders(self, event: Event) -> None:
        body = _object(event.body)
        row, ways = _part(body, "row", dict), _ways(_part(body, "ways", list))
        order, refused = (buyer_order_of if event.what == ORDER else emergency_of)(row)
        if order is None:
            raise Different(f", row, {refused[0].field}: {refused[0].reason}")
        book = self.desk.book
        if isinstance(order, EmergencyOrder):
            registered = _recorded(_part(body, "registered", list))
            answer = book.take_emergency(order, event.party, event.time_ms, ways, registered)
        else:
            answer = book.take(order, event.party, event.time_ms, ways)
        self._answered(body, answer.name)
        if answer in STANDS:
            _same(", orders", _part(body, "orders", list), json.loads(text(book.of(order.id))))
            self.made["orders"] = self.made.get("orders", 0) + 1

    def _takes_back(self, event: Event) -> None:
        body = _object(event.body)
        self._answered(body, self.desk.book.withdraw(_part(body, "id", str), event.party, event.time_ms).name)

    def _judged(self, event: Event) -> None:
        body = _object(event.body)
        for name, kind in (("first_frame", int), ("frames", int), ("verdicts", list)):
            _part(body, name, kind)
        if not 1 <= body["frames"] <= _MOST_FRAMES:
            raise Different(f", frames: expected 1 to {_MOST_FRAMES}")
        self._to_desk(event)
        self._to_activate = True

    def _activated(self, event: Event) -> None:
        made = self.desk.next_list() if self._to_activate else None
        if made is None:
            raise Different(": nothing was judged that would change the list before it")
        self._compare("activation lists", event.body, made)
        self._to_activate = False
        self._to_desk(event)

    def _to_desk(self, event: Event) -> None:
        follow(self.desk, self._outcomes, MarketEvent(self.id, event.time_ms, event.party, event.what, event.body))

    def _settled(self, event: Event) -> None:
        """Rule 5."""
        body = _object(event.body)
        made_of = input_of(_part(body, "input", str))
        made = settlement_text(settled(made_of))
        self._compare("settlements", _part(body, "settlement", str), made)
        book, lists = self.desk.book, self.desk.lists
        if made_of.session != self.id or not _stands_on(made_of, self._published) or book.published is None:
            raise Different(", input: does not stand on the session's latest published outcome")
        awards = reserved_of(book.published, book.offers.values(), book.requests.values())
        check_against(made_of, awards, called_of(lists[-1]) if lists else None)
        if self._stood is not None:
            check_kept(self._stood, made_of, len(self._settlements))
        changed = difference_of(_object(self._settlements[-1]), _object(made)) if self._settlements else {}
        expected = {"version": len(self._settlements) + 1, "difference": changed, "input": input_text(made_of)}
        _same("", {name: body.get(name) for name in expected}, expected)
        if self._settlements and not _part(body, "reason", str).strip():
            raise Different(", reason: a re-settlement needs one")
        if changed and moves(changed) and (event.body != self._resettled[0] or who(event.party) == self._resettled[1]):
            raise Different(": changes what somebody gains, and no second person approved it")
        self._settlements.append(made)
        self._stood = made_of

    def _proposes_settlement(self, event: Event) -> None:
        """What a second person may make the next version."""
        _same(", proposed_by", _object(event.body).get("proposed_by"), who(event.party))
        self._resettled = event.body, who(event.party)


def _stands_on(made_of: SettlementInput, published: Sequence[str]) -> bool:
    """Whether a settlement stands on the latest of these digests."""
    return (made_of.outcome_version, [made_of.outcome_sha256]) == (len(published), list(published[-1:]))


def _same(where: str, kept: object, made: object) -> None:
    found = difference(where, kept, made)
    if found is not None:
        raise Different(found)


_BY_REGISTER = (Answer.NOT_ITS_POD, Answer.SOLD)
_STEPS: dict[str, Callable[[_Again, Event], None]] = {
    "announced": _Again._announced, "moved": _Again._moved, "offer": _Again._bid, "request": _Again._bid,
    "withdrawal": _Again._withdrawal, "refused": _Again._given, WITHIN: _Again._given, BY: _Again._given,
    VERDICTS: _Again._verdicts, "cleared": _Again._cleared, "validated": _Again._validated, "proposed": _Again._proposes,
    "published": _Again._publishes, ORDER: _Again._orders, EMERGENCY: _Again._orders, WITHDRAWAL: _Again._takes_back,
    REFUSED: _Again._given, JUDGED: _Again._judged, ACTIVATED: _Again._activated, SETTLED: _Again._settled,
    PROPOSED: _Again._proposes_settlement,
    DISPUTED: _Again._given, ANSWERED: _Again._given, PROFILE: _Again._given,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The register as it was when an emergency was ordered: aggregator and W by (POD, quarter-hour)."""

    rows: Mapping[tuple[str, int], tuple[str, int | None]]

    def whose(self, pod: str, frame: int) -> str | None:
        """The POD's aggregator."""
        return self.rows.get((pod, frame), (None, None))[0]

    def has_w(self, pod: str, frame: int, direction: Direction) -> int | None:
        """W in the direction of the emergency."""
        return self.rows.get((pod, frame), (None, None))[1]


def _recorded(rows: list[Any]) -> _Recorded:
    try:
        found = {(pod, frame): (aggregator, watts) for pod, frame, aggregator, watts in rows}
    except (TypeError, ValueError) as error:
        raise Different(f", registered: {error!r:.80}") from error
    if any(type(w) not in (int, type(None)) or type(name) is not str for name, w in found.values()):
        raise Different(", registered: expected POD, quarter-hour, aggregator, W")
    return _Recorded(found)


def _ways(rows: list[Any]) -> dict[tuple[str, int], Direction]:
    try:
        return {(pod, frame): Direction(way) for pod, frame, way in rows}
    except (TypeError, ValueError) as error:
        raise Different(f", ways: {error!r:.80}") from error


def _object(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Different(": is no JSON document") from error
    if not isinstance(found, dict):
        raise Different(": is no JSON object")
    return found


def _part(body: Mapping[str, Any], name: str, kind: type) -> Any:
    if type(body.get(name)) is not kind:
        raise Different(f", {name}: {body.get(name)!r:.60}, expected {kind.__name__}")
    return body[name]
