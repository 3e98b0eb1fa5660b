"""Orders in the real store: a day by hand with the operator's answer, every step again, and SIGKILL at any commit.

By hand: offer o gives 20 W up of a in F; the TSO's request r is awarded 15 W of it. In session t the same offer's rest, 5 W,
is awarded to the DSO's request q. The operator judges both sessions' orders of F together.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import DocumentRow, SqliteStore
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.quantity import FRAME_MS, split
from backend.domain.trade import OrderKind, Outcome
from backend.errors import Rejected
from backend.flows.orders import Orders
from backend.flows.trade import Sessions
from backend.market import exchange
from backend.market.active import active_orders, list_for, parties_of
from backend.market.clearing import clear
from backend.market.order_row import Handed, emergencies_of, orders_of
from backend.market.ordered import OrderAnswer
from backend.market.schedule import Window
from backend.market.session import Registered, SessionRules, State
from backend.market.submission import Submission

F = 1_993_108
GATE = F * FRAME_MS - 7_200_000
WINDOW = Window((F, F + 1), GATE)
Book = tuple[tuple[Request, ...], tuple[Offer, ...]]
REGISTERED = Registered({"a": "A", "x": "B"}, {("a", Direction.UP): 30})
OFFER = Offer("o", "A", Direction.UP, {F: 20}, {"a": 20}, 5, 0)
TSO_ASKS = Request("r", Buyer.TSO, Direction.UP, "substation", {F: 15}, 50)
DSO_ASKS = Request("q", Buyer.DSO, Direction.UP, "", {F: 5}, 50, nodes=("a",))


class Clock:
    """Injected time."""

    def __init__(self, now_ms: int) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms


class Floor:
    """Sessions and orders on a database file, with what they published."""

    def __init__(self, path: Path, now_ms: int = 0) -> None:
        self.store = SqliteStore(path)
        self.clock = Clock(now_ms)
        kept = MarketStore(self.store)
        self.sessions = Sessions(kept, self.clock, REGISTERED, self.publish)
        self.orders = Orders(kept, self.clock, self.sessions, REGISTERED, self.publish)

    def publish(self, kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        self.store.add_document(DocumentRow(kind, id, version, body, b"", 3, 0))

    def published(self, session: str, offer: Offer, request: Request) -> None:
        def decide(session: str, book: Book) -> None:
            outcome = clear(session, *book, ())
            self.sessions.decide(session, State.CLEARED, outcome, "operator")
            self.sessions.decide(session, State.VALIDATED, outcome, "DSO")

        self.published_as((offer,), (request,), decide, session)

    def published_as(
        self,
        offers: Sequence[Offer],
        requests: Sequence[Request],
        decide: Callable[[str, Book], None],
        session: str = "s",
    ) -> None:
        """A session published with an outcome that is decided by a function."""
        self.clock.at_ms = GATE - 1
        self.sessions.announce(session, WINDOW, SessionRules(emergency_ueur_per_mwh=77), "operator")
        if self.sessions.load(session).state is State.ANNOUNCED:
            self.sessions.move(session, State.OPEN, "operator")
        for offer in offers:
            self.sessions.submit(session, Submission((offer,), (), ()), offer.aggregator)
        for request in requests:
            self.sessions.submit(session, Submission((), (request,), ()), request.buyer)
        self.clock.at_ms = GATE
        decide(session, self.sessions.close(session, "operator"))
        self.sessions.publish(session, "operator")

    def both(self) -> "Floor":
        self.published("s", OFFER, TSO_ASKS)
        self.published("t", Offer("o", "A", Direction.UP, {F: 5}, {"a": 5}, 5, 0), DSO_ASKS)
        return self

    def order(self, session: str, watts: int, id: str = "1", **more: Any) -> list[tuple[str, str]]:
        buyer, request = ("TSO", "r") if session == "s" else ("DSO", "q")
        row = {"id": id, "buyer": buyer, "offer": "o", "request": request, "frames": {str(F): watts}, **more}
        return self.ask(session, buyer, row)

    def ask(self, session: str, buyer: str, *rows: Any) -> list[tuple[str, str]]:
        """Orders by their rows."""
        return self.orders.order(session, handed(*rows), buyer)

    def judge(self, session: str, cut: dict[str, int] | None = None) -> str:
        """As an operator who lets everything pass, but for W of the offers that are named."""
        document = json.loads(self.orders.to_judge(session))
        verdicts = []
        for row in document["awards"]:
            given = {
                pod: [max(w, -(cut or {}).get(row["offer"], 99)) for w in of] for pod, of in row["delta_w"].items()
            }
            stops = [] if given == row["delta_w"] else [{"element": "line:9", "frame": F, "passed_w": 1}]
            verdicts.append({"offer": row["offer"], "buyer": row["buyer"], "delta_w": given, "stops": stops})
        return json.dumps({"format": "lightnode-verdicts/1", "verdicts": verdicts})

    def documents(self, kind: str) -> list[tuple[str, int]]:
        return [(row.id, row.version) for row in self.store.documents(kind)]


def handed(*rows: Any) -> Handed:
    """A file of orders."""
    return orders_of(json.dumps({"format": "lightnode-orders/1", "orders": rows}))


def emergency(id: str, pods: dict[str, int], way: str = "up", frame: int = F) -> Handed:
    row = {
        "id": id, "buyer": "DSO", "direction": way, "frames": {str(frame): sum(pods.values())}, "pods": pods,
        "reason": "a line fell",
    }  # fmt: skip
    return emergencies_of(json.dumps({"format": "lightnode-emergency-orders/1", "orders": [row]}))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with both sessions published."""
    path = tmp_path_factory.mktemp("published") / "scd.sqlite"
    Floor(path).both().store.close()
    return path


@pytest.fixture
def floor(tmp_path: Path, published: Path) -> Floor:
    return Floor(shutil.copy(published, tmp_path), GATE)


def volumes(list_text: str) -> list[tuple[str, int, int, str]]:
    return [
        (row["called"], row["ordered_w"], row["volume_w"], row["element"]) for row in json.loads(list_text)["orders"]
    ]


def test_by_hand_the_set_that_will_be_active_is_judged_over_both_sessions(floor: Floor) -> None:
    assert floor.order("s", 15) == [("1", "taken")] and floor.order("t", 5) == [("1", "taken")]
    asked = json.loads(floor.orders.to_judge("s"))
    rows = [(row["offer"], row["buyer"], row["delta_w"]) for row in asked["awards"]]
    assert rows == [("s/o", "TSO", {"a": [-15, 0]}), ("t/o", "DSO", {"a": [-5, 0]})]
    assert volumes(floor.orders.activate("s", floor.judge("s", {"s/o": 8}))) == [("1", 15, 7, "line:9")]
    assert volumes(floor.orders.activation("t")) == [("1", 5, 5, "")], "the other session has its list too"
    (order,) = active_orders(floor.orders.activation("s"))
    assert (order.parts_w, order.buyer, order.kind) == ({"a": 7}, "TSO", OrderKind.MARKET)
    assert ("s", 1) in floor.documents("activation") and ("t", 1) in floor.documents("activation")


def test_rule_1_the_same_order_again_adds_nothing_another_content_is_answered_and_kept(floor: Floor) -> None:
    floor.order("s", 10)
    events = len(MarketStore(floor.store).events("s"))
    assert floor.order("s", 10) == [("1", "taken before")]
    assert len(MarketStore(floor.store).events("s")) == events and floor.documents("order") == [("s/1", 1)]
    assert floor.order("s", 11) == [("1", "the id stands for another order")]
    assert floor.order("s", 6, "2") == [("2", "more than was awarded, over all orders")]
    assert floor.order("s", 5, "2") == [("2", "taken")]
    assert len(MarketStore(floor.store).events("s")) == events + 3


def test_a_row_that_is_no_order_is_answered_with_its_reason_code_and_takes_no_other_with_it(floor: Floor) -> None:
    good = {"id": "g", "buyer": "TSO", "offer": "o", "request": "r", "frames": {str(F): 1}}
    bad = [7, {**good, "id": "b", "frames": {str(F): 1.5}}, {**good, "id": "c", "why": 1}, good]
    assert floor.orders.order("s", handed(*bad), "TSO") == [
        ("g", "taken"), ("", "malformed: row 1: expected an object"),
        ("b", f"wrong-kind: frames.{F}: 1.5, expected a whole number"), ("c", "field-unknown: why: no such field"),
    ]  # fmt: skip


def test_rule_2_what_is_withdrawn_or_superseded_leaves_the_next_list_and_every_party_hears_of_it(floor: Floor) -> None:
    floor.order("s", 15)
    floor.orders.activate("s", floor.judge("s"))
    assert floor.order("s", 4, "2", supersedes="1") == [("2", "taken")]
    second = floor.orders.activate("s", floor.judge("s"))
    assert volumes(second) == [("2", 4, 4, "")] and json.loads(second)["version"] == 2
    assert floor.orders.withdraw("s", "2", "TSO") is OrderAnswer.WITHDRAWN
    third = floor.orders.activate("s", floor.judge("s"))
    assert volumes(third) == [] and json.loads(third)["version"] == 3
    assert floor.documents("order") == [("s/1", 1), ("s/1", 2), ("s/2", 1), ("s/2", 2)]
    told = floor.documents("activation-list")
    assert ("s/aggregator/A", 3) in told and ("s/SCD", 3) in told


def test_rule_3_a_list_that_would_say_the_same_is_none(floor: Floor) -> None:
    with pytest.raises(Rejected, match="nothing is activated yet"):
        floor.orders.activation("s")
    floor.order("s", 15)
    first = floor.orders.activate("s", floor.judge("s"))
    events = len(MarketStore(floor.store).events("s"))
    assert floor.orders.activate("s", floor.judge("s")) == first
    assert len(MarketStore(floor.store).events("s")) == events


def test_verdicts_on_another_set_than_what_stands_are_refused(floor: Floor) -> None:
    floor.order("s", 15)
    before = floor.judge("s")
    floor.order("t", 5)
    with pytest.raises(Rejected, match="none on t/o for the DSO"):
        floor.orders.activate("s", before)
    with pytest.raises(Rejected, match="was not to be judged"):
        floor.orders.activate("s", before.replace("s/o", "s/x"))
    assert "activated" not in [event.what for event in MarketStore(floor.store).events("s")]


def test_a_quarter_hour_that_is_over_stays_as_it_was(floor: Floor) -> None:
    floor.order("s", 15)
    first = floor.orders.activate("s", floor.judge("s"))
    floor.clock.at_ms = (F + 1) * FRAME_MS
    assert json.loads(floor.orders.to_judge("s"))["awards"] == []
    assert floor.orders.activate("s", floor.judge("s")) == first
    floor.orders.order("s", emergency("e", {"x": 3}, frame=F + 1), "DSO")
    assert volumes(floor.orders.activate("s", floor.judge("s"))) == [("1", 15, 15, ""), ("e", 3, 3, "")]
    floor.clock.at_ms = (F + 2) * FRAME_MS
    with pytest.raises(Rejected, match="are over"):
        floor.orders.to_judge("s")


def test_an_emergency_is_marked_paid_by_rule_and_judged_first(floor: Floor) -> None:
    floor.order("s", 15)
    floor.clock.at_ms = F * FRAME_MS + 1
    assert floor.orders.order("t", emergency("e", {"a": 2, "x": 4}), "DSO") == [("e", "taken")]
    asked = json.loads(floor.orders.to_judge("t"))["awards"]
    assert [row["offer"] for row in asked] == ["t/emergency/e/a", "t/emergency/e/x", "s/o"]
    made = floor.orders.activate("t", floor.judge("t", {"t/emergency/e/x": 2}))
    rows = [(row["kind"], row["price_ueur_per_mwh"], row["volume_w"]) for row in json.loads(made)["orders"]]
    assert rows == [("emergency", 5, 2), ("emergency", 77, 2)]
    assert [one.kind for one in active_orders(made)] == [OrderKind.EMERGENCY] * 2
    assert floor.orders.order("s", emergency("f", {"a": 2}, "down"), "DSO") == [
        ("f", "a POD is ordered the other way in that quarter-hour")
    ], "the emergency of the other session holds a up"
    assert floor.documents("emergency") == [("t/e", 1)]


def test_each_party_is_told_what_concerns_it_and_nothing_else(floor: Floor) -> None:
    floor.order("s", 15)
    floor.orders.order("s", emergency("e", {"x": 3}), "DSO")
    whole = floor.orders.activate("s", floor.judge("s"))
    assert parties_of(whole) == ("aggregator/A", "aggregator/B", "SCD", "DSO TP", "DSO", "TSO")
    told = {party: json.loads(list_for(whole, party)) for party in parties_of(whole)}
    assert [row["parts_w"] for row in told["aggregator/A"]["orders"]] == [{"a": 15}]
    assert [row["parts_w"] for row in told["aggregator/B"]["orders"]] == [{"x": 3}]
    assert [(row["pod"], row["volume_w"], row["emergency"]) for row in told["SCD"]["pods"]] == [
        ("a", 15, False), ("x", 3, True),
    ]  # fmt: skip
    (frame,) = told["DSO TP"]["frames"]
    assert [(one["shares_w"], one["volume_w"]) for one in frame["orders"]] == [({"a": 15}, 15), ({"x": 3}, 3)]
    assert len(frame["emergency"]) == 1
    (tso,) = told["TSO"]["orders"]
    assert tso["volume_w"] == 15 and "parts_w" not in tso and "a" not in tso.values()
    assert "price" not in json.dumps(told["SCD"]) + json.dumps(told["DSO TP"])


def activated(floor: Floor) -> None:
    """An order and its activation; each step as the command line does it."""
    floor.order("s", 15)
    floor.orders.activate("s", floor.judge("s", {"s/o": 8}))


def killed_after(path: Path, writes: int) -> None:
    """The same in a process that is gone at the write after these, counted from the order on."""
    floor, left = Floor(path, GATE), iter(range(writes))
    change = floor.store._do

    def counted(sql: str, *values: object) -> int:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(sql, *values)

    floor.store._do = counted  # type: ignore[method-assign]
    activated(floor)


def kept(path: Path) -> list[tuple[str, str, int, str]]:
    sql = "select kind, id, version, body from document where kind <> 'outcome' order by kind, id, version"
    return sqlite3.connect(path).execute(sql).fetchall()


def test_a_kill_at_any_write_leaves_none_or_one_order_and_list(tmp_path: Path, published: Path) -> None:
    shutil.copy(published, tmp_path / "whole")
    activated(Floor(tmp_path / "whole", GATE))
    whole, seen = kept(tmp_path / "whole"), set()
    for writes in range(12):
        path = shutil.copy(published, tmp_path / f"killed-{writes}")
        process = multiprocessing.get_context("fork").Process(target=killed_after, args=(path, writes))
        process.start()
        process.join()
        found = kept(path)
        assert found in ([], [row for row in whole if row[0] == "order"], whole), writes
        seen.add((process.exitcode, len(found)))
        activated(Floor(path, GATE))
        assert kept(path) == whole, writes
    assert seen == {(-signal.SIGKILL, 0), (-signal.SIGKILL, 1), (0, len(whole))}


def corrected(floor: Floor, watts: int, **more: Any) -> Outcome:
    """The outcome of s with these W of its one award instead."""
    before = exchange.outcome_of(floor.sessions.kept("s", State.VALIDATED))
    (award,) = before.awards
    made = replace(award, volume_w=watts, parts_w=split(watts, OFFER.shares_w), **more)
    results = tuple(replace(result, accepted_w=watts) for result in before.results)
    return replace(before, awards=(made,) if watts else (), results=results)


def test_rule_4_a_correction_takes_no_award_from_under_an_order_nor_its_price(floor: Floor) -> None:
    floor.order("s", 6, "1")
    for wrong, says in ((corrected(floor, 0), "order 1: nothing was awarded"), (corrected(floor, 5), "order 1: . is ordered 1 W more"),
                        (corrected(floor, 6, price_ueur_per_mwh=1), "order 1: price")):  # fmt: skip
        with pytest.raises(Rejected, match=says):
            floor.orders.propose("s", wrong, "a meter was swapped", "ann")
    events = len(MarketStore(floor.store).events("s"))
    digest = floor.orders.propose("s", corrected(floor, 7), "a meter was swapped", "ann")
    assert floor.orders.approve("s", digest, "bob") == 2 and len(MarketStore(floor.store).events("s")) == events + 2


def test_rule_4_what_was_ordered_or_activated_since_it_was_proposed_counts_too(floor: Floor) -> None:
    digest = floor.orders.propose("s", corrected(floor, 0), "a meter was swapped", "ann")
    floor.order("s", 6, "1")
    with pytest.raises(Rejected, match="order 1: nothing was awarded"):
        floor.orders.approve("s", digest, "bob")
    floor.orders.activate("s", floor.judge("s"))
    floor.orders.withdraw("s", "1", "TSO")
    with pytest.raises(Rejected, match="order 1: nothing was awarded"):
        floor.orders.approve("s", digest, "bob")
    assert len(floor.sessions.published("s")) == 1 and floor.documents("outcome") == [("s", 1), ("t", 1)]
    floor.orders.activate("s", floor.judge("s"))
    assert floor.orders.approve("s", digest, "bob") == 2
