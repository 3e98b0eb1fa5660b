"""Activation (I-09): orders, withdrawals, emergencies, the operator's verdicts, the list to all. Every step is an event first.

1. What is ordered is what the events of its session say; each order is answered and kept, with its evidence, in one commit or
   none. The same order again adds nothing.
2. The operator judges all that will be active in the quarter-hours of a session, whatever session it was bought in; each
   session that this changes gets its activation list as the next version, with what each party is told as evidence.
3. A list that would say the same again is none: whatever crashes, the same step goes on.
4. A correction of the outcome takes no award away from under what stands or was activated last: who was ordered is settled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.domain.bids import Direction, Product
from backend.domain.quantity import PPM
from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.flows.trade import Publish, Sessions, digest_of, window_of
from backend.market import exchange
from backend.market.active import (
    SessionOrders,
    Share,
    judged_of,
    list_for,
    name_of,
    open_frames,
    orders_text,
    parties_of,
    shares_of,
)
from backend.market.canonical import text
from backend.market.order_check import Ways
from backend.market.order_row import BuyerOrder, EmergencyOrder, Handed, buyer_order_of, emergency_of, order_row
from backend.market.ordered import STANDS, EmergencyTerms, OrderAnswer, ordered_of
from backend.market.orders import OrderBook
from backend.market.session import Registered, State
from backend.market.settled_awards import called_of, reserved_of
from backend.market.settled_input import check_orders
from backend.ports import Clock, MarketEvent, SessionStore

ORDER, EMERGENCY, WITHDRAWAL, REFUSED = "order", "emergency", "order-withdrawal", "order-refused"
JUDGED, ACTIVATED = "judged", "activated"
LIST, PARTY_LIST = "activation", "activation-list"
_AGAIN = (OrderAnswer.AGAIN,)


@dataclass(slots=True)
class Desk:
    """A session's orders as its events left them: what stands, the share of each that may be active, the lists so far."""

    frames: tuple[int, ...]
    book: OrderBook
    shares: dict[str, Share] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)

    def orders(self) -> SessionOrders:
        """What stands, and the bids behind it."""
        return SessionOrders(self.book.session, self.book.offers, self.book.requests, self.book.standing())

    def next_list(self) -> str | None:
        """The activation list that follows; None if it would say what the last one says, or there is nothing to say."""
        made = orders_text(self.book.session, len(self.lists) + 1, self.book.standing(), self.shares)
        last = json.loads(self.lists[-1])["orders"] if self.lists else []
        return None if json.loads(made)["orders"] == last else made


class Orders:
    """What is ordered in the sessions of a store."""

    def __init__(
        self, store: SessionStore, clock: Clock, sessions: Sessions, registered: Registered, publish: Publish
    ) -> None:
        self._store = store
        self._clock = clock
        self._sessions = sessions
        self._registered = registered
        self._publish = publish

    def order(self, session: str, handed: Handed, party: str) -> list[tuple[str, str]]:
        """Answers each order of a file and each row that was none, as (id, answer), in one commit (rule 1)."""
        answers = []
        with self._store.writing():
            desk = self.desk(session)
            ways = self._ways(desk)
            for order in handed.orders:
                answer = self._take(session, desk.book, order, party, ways)
                answers.append((order.id, answer.value))
            for row in handed.refused:
                answers.append((row.id, f"{row.code}: {row.field or f'row {row.number}'}: {row.reason}"))
                self._add(session, party, REFUSED, {"id": row.id, "answer": row.code.value})
        return answers

    def withdraw(self, session: str, id: str, party: str) -> OrderAnswer:
        """Takes an order back, or says why not."""
        with self._store.writing():
            desk, now_ms = self.desk(session), self._clock.now_ms()
            answer = desk.book.withdraw(id, party, now_ms)
            self._add(session, party, WITHDRAWAL, {"id": id, "answer": answer.name}, now_ms)
            if answer is OrderAnswer.WITHDRAWN:
                self._gone(session, id, "withdrawn", now_ms)
        return answer

    def propose(self, session: str, outcome: Outcome, reason: str, party: str) -> str:
        """Proposes a correction as Sessions does; its digest. Rejected if it takes an award from under an order (rule 4)."""
        with self._store.writing():
            digest = self._sessions.propose(session, outcome, reason, party)
            self._check_under(session, outcome)
        return digest

    def approve(self, session: str, digest: str, party: str) -> int:
        """Approves a correction as Sessions does; the version. Rejected as before, for what was ordered meanwhile too."""
        with self._store.writing():
            version = self._sessions.approve(session, digest, party)
            published = self.desk(session).book.published
            assert published is not None
            self._check_under(session, published)
        return version

    def _check_under(self, session: str, outcome: Outcome) -> None:
        """Rule 4: of what stands, and of what was activated last."""
        desk = self.desk(session)
        awards = reserved_of(outcome, desk.book.offers.values(), desk.book.requests.values())
        active = json.loads(desk.lists[-1])["orders"] if desk.lists else []
        called = {row["id"]: row["called"] for row in (*active, *json.loads(text(desk.book.standing())))}
        shares = {one.id: Share(PPM) for one in desk.book.standing()}
        for body in (orders_text(session, 0, desk.book.standing(), shares), *desk.lists[-1:]):
            orders = [replace(one, id=called[one.id]) for one in called_of(body)]
            check_orders(f"session {session}: the correction", awards, orders)

    def to_judge(self, session: str) -> str:
        """The document that the operator judges (rule 2); Rejected if all quarter-hours of the session are over."""
        desk = self.desk(session)
        if not open_frames(desk.frames, self._clock.now_ms()):
            raise Rejected(f"session {session}: all its quarter-hours are over")
        called = [other.orders() for other in self._desks(desk.frames)]
        return exchange.awards_text(judged_of(desk.frames, self._clock.now_ms(), called))

    def activate(self, session: str, verdicts: str) -> str:
        """Takes over the operator's verdicts; the session's activation list. Rejected if they are not on what stands."""
        with self._store.writing():
            now_ms, frames = self._clock.now_ms(), self.desk(session).frames
            desks = self._desks(frames)
            exchange.verdicts_of(verdicts, frames, judged_of(frames, now_ms, [d.orders() for d in desks]))
            for desk in desks:
                rows = _rows_of(verdicts, desk.orders())
                if rows or desk.book.session == session:
                    self._judge(desk, frames, rows, now_ms)
            return self.activation(session)

    def activation(self, session: str) -> str:
        """The latest activation list; Rejected before there is one."""
        lists = self.desk(session).lists
        if not lists:
            raise Rejected(f"session {session}: nothing is activated yet")
        return lists[-1]

    def desk(self, session: str) -> Desk:
        """The session's orders as its events left them; Rejected if it was never announced."""
        one = self._sessions.load(session)
        requests, offers = one.book()
        terms = EmergencyTerms(one.rules.emergency_ueur_per_mwh, one.rules.emergency_ppm)
        book = OrderBook(session, one.frames, {o.id: o for o in offers}, {r.id: r for r in requests}, terms)
        desk, said = Desk(one.frames, book), Outcomes()
        for event in self._store.events(session):
            follow(desk, said, event)
        return desk

    def _desks(self, frames: Sequence[int]) -> list[Desk]:
        """Of every session that has some of these quarter-hours."""
        wanted = set(frames)
        windows = {session: window_of(self._store.events(session)[0].body)[0] for session in self._store.sessions()}
        return [self.desk(session) for session, window in windows.items() if not wanted.isdisjoint(window.frames)]

    def _take(
        self, session: str, book: OrderBook, order: BuyerOrder | EmergencyOrder, party: str, ways: Ways
    ) -> OrderAnswer:
        now_ms = self._clock.now_ms()
        pods = _pods(book, order)
        near = {key: way for key, way in ways.items() if key[0] in pods and key[1] in order.volume_w}
        body: dict[str, Any] = {"row": order_row(order)}
        if isinstance(order, EmergencyOrder):
            answer, what = book.take_emergency(order, party, now_ms, near, self._registered), EMERGENCY
            body["registered"] = _registered_rows(self._registered, order)
        else:
            answer, what = book.take(order, party, now_ms, near), ORDER
        if answer in _AGAIN:
            return answer
        body |= {"answer": answer.name, "ways": [[*key, near[key].value] for key in sorted(near)]}
        if answer in STANDS:
            body["orders"] = json.loads(text(book.of(order.id)))
            document = {
                "format": "lightnode-order/1",
                "session": session,
                "order": body["row"],
                "orders": body["orders"],
            }
            self._publish(what, f"{session}/{order.id}", 1, text(document), now_ms)
            if isinstance(order, BuyerOrder) and order.supersedes:
                self._gone(session, order.supersedes, "superseded", now_ms)
        self._add(session, party, what, body, now_ms)
        return answer

    def _gone(self, session: str, id: str, how: str, now_ms: int) -> None:
        kinds = {
            json.loads(event.body)["row"]["id"]: event.what
            for event in self._store.events(session)
            if event.what in (ORDER, EMERGENCY)
        }
        document = {"format": "lightnode-order/1", "session": session, "id": id, "state": how}
        self._publish(kinds[id], f"{session}/{id}", 2, text(document), now_ms)

    def _judge(self, desk: Desk, frames: Sequence[int], rows: Sequence[Any], now_ms: int) -> None:
        session = desk.book.session
        body = {"first_frame": frames[0], "frames": len(frames), "verdicts": rows}
        judged = MarketEvent(session, now_ms, "DSO", JUDGED, text(body))
        before = desk.lists[-1:]
        follow(desk, Outcomes(), judged)
        made = desk.next_list()
        if made is None:
            return
        self._store.add_event(judged)
        self._add(session, "market operator", ACTIVATED, json.loads(made), now_ms)
        self._publish(LIST, session, len(desk.lists) + 1, made, now_ms)
        for party in dict.fromkeys((*parties_of(made), *(p for old in before for p in parties_of(old)))):
            self._publish(PARTY_LIST, f"{session}/{party}", len(desk.lists) + 1, list_for(made, party), now_ms)

    def _ways(self, mine: Desk) -> Ways:
        """Which way PODs are ordered in other sessions."""
        found: dict[tuple[str, int], Direction] = {}
        for desk in self._desks(mine.frames):
            if desk.book.session != mine.book.session:
                for one in desk.book.standing():
                    if one.product is Product.ACTIVE:
                        found |= {(pod, one.frame): one.direction for pod in one.parts_w}
        return found

    def _add(self, session: str, party: str, what: str, body: Mapping[str, Any], time_ms: int | None = None) -> None:
        at_ms = self._clock.now_ms() if time_ms is None else time_ms
        self._store.add_event(MarketEvent(session, at_ms, party, what, text(body)))


@dataclass(slots=True)
class Outcomes:
    """What was validated and proposed, so that what is published can be found by its digest."""

    by_digest: dict[str, str] = field(default_factory=dict)

    def follow(self, event: MarketEvent) -> str | None:
        """The outcome that an event publishes, None if it publishes none."""
        if event.what in (State.VALIDATED, "proposed"):
            body = event.body if event.what == State.VALIDATED else json.loads(event.body)["outcome"]
            self.by_digest[digest_of(body)] = body
        return self.by_digest[json.loads(event.body)["sha256"]] if event.what == State.PUBLISHED else None


def follow(desk: Desk, outcomes: Outcomes, event: MarketEvent) -> None:
    """Does again what an event did to the orders."""
    book = desk.book
    if (published := outcomes.follow(event)) is not None:
        book.published = exchange.outcome_of(published)
    elif event.what in (ORDER, EMERGENCY):
        body = json.loads(event.body)
        if OrderAnswer[body["answer"]] in STANDS:
            order, _ = (buyer_order_of if event.what == ORDER else emergency_of)(body["row"])
            assert order is not None
            book.restore(order, [ordered_of(row) for row in body["orders"]])
    elif event.what == WITHDRAWAL:
        body = json.loads(event.body)
        if OrderAnswer[body["answer"]] is OrderAnswer.WITHDRAWN:
            book.remove(body["id"])
    elif event.what == JUDGED:
        desk.shares |= _shares(desk, json.loads(event.body), event.time_ms)
    elif event.what == ACTIVATED:
        desk.lists.append(event.body)


def _shares(desk: Desk, body: Mapping[str, Any], time_ms: int) -> dict[str, Share]:
    """What the operator's verdicts on a session's own orders leave of each."""
    frames = range(body["first_frame"], body["first_frame"] + body["frames"])
    verdicts = text({"format": exchange.VERDICTS, "verdicts": body["verdicts"]})
    allowed, elements = exchange.verdicts_of(verdicts, frames, judged_of(frames, time_ms, [desk.orders()]))
    return shares_of(desk.orders(), open_frames(frames, time_ms), allowed, elements)


def _rows_of(verdicts: str, orders: SessionOrders) -> list[Any]:
    """The verdicts on the orders of one session."""
    names = {name_of(orders.session, one) for one in orders.standing}
    return [row for row in json.loads(verdicts)["verdicts"] if row["offer"] in names]


def _pods(book: OrderBook, order: BuyerOrder | EmergencyOrder) -> frozenset[str]:
    if isinstance(order, EmergencyOrder):
        return frozenset(order.shares_w)
    offer = book.offers.get(order.offer)
    return frozenset() if offer is None else frozenset(offer.shares_w)


def _registered_rows(registered: Registered, order: EmergencyOrder) -> list[list[Any]]:
    """[POD, quarter-hour, aggregator, W] of what the register says of an emergency's PODs, as far as it knows them."""
    return [
        [pod, frame, aggregator, registered.has_w(pod, frame, order.direction)]
        for pod in sorted(order.shares_w)
        for frame in sorted(order.volume_w)
        if (aggregator := registered.whose(pod, frame)) is not None
    ]
