"""Sessions in the real store: a day by hand, every step again, corrections by two, and SIGKILL at any commit."""

import json
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import DocumentRow, SqliteStore
from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.flows.trade import BY, VERDICTS, Sessions
from backend.market.canonical import text
from backend.market.clearing import clear
from backend.market.row_field import Code
from backend.market.schedule import Window
from backend.market.session import Registered, SessionRules, State
from backend.market.submission import Refusal, Submission

F, GATE = 1_993_108, 1_000_000
WINDOW = Window((F, F + 1), GATE)
REGISTERED = Registered({"a": "A", "b": "B"}, {("a", Direction.UP): 30})
OFFER = Offer("o", "A", Direction.UP, {F: 20}, {"a": 20}, 5, 0)
REQUEST = Request("r", Buyer.TSO, Direction.UP, "substation", {F: 15}, 50)


class Clock:
    """Injected time."""

    def __init__(self, now_ms: int = 0) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms


class Floor:
    """Sessions on a database file, with what they published."""

    def __init__(self, path: Path, now_ms: int = 0) -> None:
        self.store = SqliteStore(path)
        self.clock = Clock(now_ms)
        self.sessions = Sessions(MarketStore(self.store), self.clock, REGISTERED, self.publish)

    def publish(self, kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        self.store.add_document(DocumentRow(kind, id, version, body, b"", 3, 0))

    def opened(self, session: str = "s") -> "Floor":
        self.sessions.announce(session, WINDOW, SessionRules(), "operator")
        if self.sessions.load(session).state is State.ANNOUNCED:
            self.sessions.move(session, State.OPEN, "operator")
        return self

    def published(self, session: str = "s") -> "Floor":
        self.opened(session)
        self.sessions.submit(session, Submission((OFFER,), (), ()), "A")
        self.sessions.submit(session, Submission((), (REQUEST,), ()), "TSO")
        return self.concluded(session)

    def concluded(self, session: str = "s") -> "Floor":
        self.clock.at_ms = GATE
        requests, offers = self.sessions.close(session, "operator")
        outcome = clear(session, requests, offers, ())
        self.sessions.decide(session, State.CLEARED, outcome, "operator")
        self.sessions.decide(session, State.VALIDATED, outcome, "DSO")
        self.sessions.publish(session, "operator")
        return self

    def outcomes(self) -> list[tuple[int, str]]:
        return [(row.version, row.body) for row in self.store.documents("outcome")]


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path / "scd.sqlite")


def test_rule_1_a_session_stands_where_its_events_left_it_after_any_restart(tmp_path: Path) -> None:
    Floor(tmp_path / "a").opened().sessions.submit("s", Submission((OFFER,), (), ()), "A")
    again = Floor(tmp_path / "a", 5)
    one = again.sessions.load("s")
    assert one.state is State.OPEN and [o.id for o in one.book()[1]] == ["o"]
    again.sessions.submit("s", Submission((Offer("o2", "A", Direction.UP, {F: 20}, {"a": 20}, 1, 0),), (), ()), "A")
    assert [o.id for o in Floor(tmp_path / "a").sessions.load("s").book()[1]] == ["o"], "a has 30 W, 20 are offered"


def test_rule_2_every_bid_and_every_row_that_was_none_is_answered_in_one_commit(floor: Floor) -> None:
    floor.opened()
    theirs = Offer("x", "B", Direction.UP, {F: 1}, {"b": 1}, 5, 0)
    refused = Refusal(3, "y", "pods", Code.MISSING, "is missing")
    answers = floor.sessions.submit("s", Submission((OFFER, theirs), (REQUEST,), (refused,)), "A")
    assert answers == [
        ("o", "taken"), ("x", "the id belongs to another party"), ("r", "the id belongs to another party"),
        ("y", "field-missing: pods: is missing"),
    ]  # fmt: skip
    kinds = [event.what for event in MarketStore(floor.store).events("s")]
    assert kinds == ["announced", "moved", "offer", "offer", "request", "refused"]


def test_a_withdrawal_and_an_amendment_outlive_a_restart_with_their_times(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "a", 3).opened()
    floor.sessions.submit("s", Submission((OFFER,), (), ()), "A")
    floor.clock.at_ms = 8
    floor.sessions.submit("s", Submission((OFFER,), (), ()), "A")
    assert Floor(tmp_path / "a").sessions.load("s").book()[1][0].received_ms == 8
    floor.sessions.withdraw("s", "o", "A")
    assert Floor(tmp_path / "a").sessions.load("s").book() == ((), ())


def test_rule_3_every_step_may_be_asked_for_again_and_the_outcome_stays_one(floor: Floor) -> None:
    floor.published()
    (first,) = floor.outcomes()
    other = Outcome("s", (), (), {})
    assert json.loads(floor.sessions.decide("s", State.CLEARED, other, "operator"))["awards"]
    assert floor.sessions.publish("s", "operator") == first[1]
    floor.published()
    assert floor.outcomes() == [first] and floor.sessions.published("s")[0][0] == 1


def test_steps_out_of_order_are_refused_and_nothing_is_kept(floor: Floor) -> None:
    with pytest.raises(Rejected, match="never announced"):
        floor.sessions.load("s")
    floor.opened()
    before = MarketStore(floor.store).events("s")
    with pytest.raises(Rejected, match="cannot become"):
        floor.sessions.decide("s", State.CLEARED, Outcome("s", (), (), {}), "operator")
    with pytest.raises(Rejected, match="gate closes"):
        floor.sessions.close("s", "operator")
    with pytest.raises(Rejected, match="cannot become"):
        floor.sessions.publish("s", "operator")
    with pytest.raises(Rejected, match="announced otherwise"):
        floor.sessions.announce("s", Window((F,), GATE), SessionRules(), "operator")
    with pytest.raises(Rejected, match="its own step"):
        floor.sessions.move("s", State.PUBLISHED, "operator")
    with pytest.raises(Rejected, match="nothing is published"):
        floor.sessions.propose("s", Outcome("s", (), (), {}), "why", "ann")
    assert MarketStore(floor.store).events("s") == before


@pytest.mark.parametrize("session", ["", " da", "da\n", "x" * 65, "da/1", "dé"])
def test_a_session_without_a_plain_id_is_refused(floor: Floor, session: str) -> None:
    with pytest.raises(Rejected):
        floor.sessions.announce(session, WINDOW, SessionRules(), "operator")
    assert MarketStore(floor.store).sessions() == []


def test_rule_4_a_correction_needs_a_second_person_and_adds_a_version(floor: Floor) -> None:
    floor.published()
    (first,) = floor.outcomes()
    with pytest.raises(Rejected, match="needs a reason"):
        floor.sessions.propose("s", Outcome("s", (), (), {}), " ", "ann")
    digest = floor.sessions.propose("s", Outcome("s", (), (), {}), "a meter was swapped", "ann")
    with pytest.raises(Rejected, match="another person"):
        floor.sessions.approve("s", digest, "ann")
    with pytest.raises(Rejected, match="no correction with the digest"):
        floor.sessions.approve("s", "00" * 32, "bob")
    assert floor.sessions.approve("s", digest, "bob") == 2
    with pytest.raises(Rejected, match="published already"):
        floor.sessions.approve("s", digest, "bob")
    versions = floor.outcomes()
    assert [v for v, _ in versions] == [1, 2] and versions[0] == first
    assert floor.sessions.published("s")[1] == (2, digest)
    assert floor.sessions.publish("s", "market operator") == text(Outcome("s", (), (), {})), "the one that stands"


def test_no_watt_is_sold_twice_over_several_sessions(floor: Floor) -> None:
    floor.published("first")
    floor.clock.at_ms = 0
    floor.opened("second")
    answers = floor.sessions.submit("second", Submission((OFFER,), (), ()), "A")
    assert answers == [("o", "more of a POD than it has left to sell")], "15 of 30 W are awarded, 20 are offered"
    small = Offer("o2", "A", Direction.UP, {F: 15}, {"a": 15}, 5, 0)
    assert floor.sessions.submit("second", Submission((small,), (), ()), "A") == [("o2", "taken")]


def test_what_stands_in_a_book_that_is_not_decided_is_not_sold_elsewhere(floor: Floor) -> None:
    floor.opened("first").opened("second")
    floor.sessions.submit("first", Submission((OFFER,), (REQUEST,), ()), "A")
    assert floor.sessions.submit("second", Submission((OFFER,), (), ()), "A") == [
        ("o", "more of a POD than it has left to sell")
    ]
    floor.sessions.withdraw("first", "o", "A")
    assert floor.sessions.submit("second", Submission((OFFER,), (), ()), "A") == [("o", "taken")]


def test_what_a_correction_gives_back_may_be_sold_again(floor: Floor) -> None:
    floor.published("first")
    digest = floor.sessions.propose("first", Outcome("first", (), (), {}), "was not there", "ann")
    assert floor.sessions.moves("second"), "proposed only"
    with pytest.raises(Rejected, match="another person"):
        floor.sessions.approve("first", digest, " ANN")
    floor.sessions.approve("first", digest, "bob")
    floor.clock.at_ms = 0
    floor.opened("second")
    assert not floor.sessions.moves("second")
    assert floor.sessions.submit("second", Submission((OFFER,), (), ()), "A") == [("o", "taken")]


def test_a_correction_takes_no_watt_that_another_session_has_sold_meanwhile(floor: Floor) -> None:
    """First has 15 of its 20 W awarded, the register says 30: at most 15 are left to second."""
    floor.published("first")
    more = Outcome("first", (Award("o", "r", F, 20, {"a": 20}),), (), {})
    proposed = floor.sessions.propose("first", more, "read wrongly", "ann")
    floor.clock.at_ms = 0
    floor.opened("second")
    offer = replace(OFFER, volume_w={F: 15}, shares_w={"a": 15})
    assert floor.sessions.submit("second", Submission((offer,), (REQUEST,), ()), "A")[0] == ("o", "taken")
    for refused in (
        lambda: floor.sessions.approve("first", proposed, "bob"),
        lambda: floor.sessions.propose("first", more, "again", "ann"),
    ):
        with pytest.raises(Rejected, match="takes 20 W of a in 1993108, other sessions leave 15"):
            refused()
    floor.sessions.withdraw("second", "o", "A")
    assert floor.sessions.approve("first", proposed, "bob") == 2


def test_a_correction_is_bounded_by_the_register_of_the_bids_where_nobody_says_it_again(floor: Floor) -> None:
    """The command line knows no register when a correction is approved; 30 W were registered when the offers were taken."""
    floor.published("first")
    floor.clock.at_ms = 0
    floor.opened("second")
    offer = replace(OFFER, volume_w={F: 15}, shares_w={"a": 15})
    floor.sessions.submit("second", Submission((offer,), (REQUEST,), ()), "A")
    more = Outcome("first", (Award("o", "r", F, 20, {"a": 20}),), (), {})
    for register, is_bound in ((Registered({}, {}), True), (Registered({}, {("a", Direction.UP): 40}), False)):
        sessions = Sessions(MarketStore(floor.store), floor.clock, register, floor.publish)
        if is_bound:
            with pytest.raises(Rejected, match="takes 20 W of a in 1993108, other sessions leave 15"):
                sessions.propose("first", more, "read wrongly", "ann")
        else:
            assert sessions.approve("first", sessions.propose("first", more, "it has 40 W now", "ann"), "bob") == 2


def test_a_correction_that_takes_less_is_allowed_though_a_pod_is_oversold(floor: Floor) -> None:
    floor.published("first")
    lower = Registered(REGISTERED.aggregator_of, {("a", Direction.UP): 5})
    sessions = Sessions(MarketStore(floor.store), floor.clock, lower, floor.publish)
    less = Outcome("first", (Award("o", "r", F, 12, {"a": 12}),), (), {})
    assert sessions.approve("first", sessions.propose("first", less, "the register was wrong", "ann"), "bob") == 2


def test_what_a_cancelled_session_took_is_free_again(floor: Floor) -> None:
    floor.opened("first")
    floor.sessions.submit("first", Submission((OFFER,), (REQUEST,), ()), "A")
    floor.sessions.move("first", State.CANCELLED, "operator")
    floor.sessions.move("first", State.CANCELLED, "operator")
    floor.opened("second")
    assert floor.sessions.submit("second", Submission((OFFER,), (), ()), "A") == [("o", "taken")]


LAST_MS = (F + 1) * 900_000


def test_who_is_refused_is_told_which_session_holds_the_watts_and_how_they_are_freed(floor: Floor) -> None:
    """a has 30 W: first, closed and never cleared, may take 20 of them, second has 5 in its book and is offered 20 more."""
    floor.opened("first").opened("second")
    floor.sessions.submit("first", Submission((OFFER,), (), ()), "A")
    own = Offer("own", "A", Direction.UP, {F: 5}, {"a": 5}, 5, 0)
    floor.sessions.submit("second", Submission((own,), (), ()), "A")
    words = "a has 30 W up in 1993108, held: 5 W other offers of this session; 20 W session first"
    free = "`market close` or `market cancel` it"
    assert floor.sessions.who_holds("second", [OFFER, own]) == {"o": f"{words} (open, not decided: {free})"}
    assert floor.sessions.how_freed("first") == "", "its gate is still to come"
    floor.clock.at_ms = GATE
    assert floor.sessions.how_freed("first") == free
    floor.sessions.close("first", "operator")
    assert floor.sessions.how_freed("first") == "`market clear` or `market cancel` it"
    assert "first (closed, not decided: `market clear`" in floor.sessions.who_holds("second", [OFFER])["o"]
    floor.sessions.move("first", State.CANCELLED, "operator")
    assert floor.sessions.who_holds("second", [OFFER]) == {} and floor.sessions.how_freed("first") == ""


def test_who_holds_by_an_award_has_nothing_to_free(floor: Floor) -> None:
    floor.published("first").opened("second")
    (words,) = floor.sessions.who_holds("second", [OFFER]).values()
    assert words == "a has 30 W up in 1993108, held: 15 W session first (published)"


def test_a_session_that_is_not_decided_holds_nothing_once_its_last_quarter_hour_has_begun(floor: Floor) -> None:
    """Decided all the same, it awards what others have left: a correction of second takes what first let go."""
    floor.opened("first").opened("second")
    floor.sessions.submit("first", Submission((replace(OFFER, id="f"),), (), ()), "A")
    floor.sessions.submit("second", Submission((replace(OFFER, volume_w={F: 10}),), (REQUEST,), ()), "")
    floor.concluded("second")
    more = Outcome("second", (Award("o", "r", F, 10, {"a": 10}),), (), {})
    floor.clock.at_ms = LAST_MS - 1
    floor.sessions.close("first", "operator")
    assert floor.sessions.load("second").others_leave_w(("a", F, Direction.UP)) == 10
    floor.clock.at_ms = LAST_MS
    assert floor.sessions.load("second").others_leave_w(("a", F, Direction.UP)) == 30
    assert floor.sessions.propose("second", more, "as it was", "ann")
    late = Outcome("first", (Award("f", "g", F, 20, {"a": 20}),), (), {})
    floor.sessions.decide("first", State.CLEARED, late, "operator")
    assert floor.sessions.how_freed("first") == ""
    other = Sessions(MarketStore(floor.store), floor.clock, Registered({}, {("a", Direction.UP): 29}), floor.publish)
    with pytest.raises(Rejected, match="takes 20 W of a in 1993108, other sessions leave 19"):
        other.decide("first", State.VALIDATED, late, "DSO")
    floor.sessions.decide("first", State.VALIDATED, late, "DSO")
    assert floor.sessions.load("second").others_leave_w(("a", F, Direction.UP)) == 10
    floor.sessions.move("first", State.CANCELLED, "operator")


def test_an_award_counts_in_its_own_direction_and_reactive_power_not_as_active(floor: Floor) -> None:
    """A refused amendment to the other direction changes nothing of what is sold; neither does reactive power."""
    rules = SessionRules(products=frozenset({Product.ACTIVE, Product.REACTIVE}))
    floor.sessions.announce("first", WINDOW, rules, "operator")
    floor.sessions.move("first", State.OPEN, "operator")
    var = Offer("q", "B", Direction.UP, {F: 7}, {"b": 7}, 5, 0, product=Product.REACTIVE)
    asked = Request("rq", Buyer.TSO, Direction.UP, "substation", {F: 7}, 50, product=Product.REACTIVE)
    floor.sessions.submit("first", Submission((OFFER, var), (REQUEST, asked), ()), "")
    turned = replace(OFFER, direction=Direction.DOWN, shares_w={"b": 20})
    assert floor.sessions.submit("first", Submission((turned,), (), ()), "A") == [("o", "a POD of another aggregator")]
    floor.concluded("first").opened("second")
    assert floor.sessions.moves("second") == {("a", F): Direction.UP, ("b/var", F): Direction.UP}
    assert floor.sessions.load("second").others_leave_w(("a", F, Direction.UP)) == 15


def killed_after(path: Path, writes: int) -> None:
    """A whole session whose process is gone at the write after these."""
    floor, left = Floor(path), iter(range(writes))
    change = floor.store._do

    def counted(sql: str, *values: object) -> int:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(sql, *values)

    floor.store._do = counted  # type: ignore[method-assign]
    floor.published()


def test_a_kill_at_any_write_leaves_none_or_one_outcome_and_the_rest_can_be_done_again(tmp_path: Path) -> None:
    whole = Floor(tmp_path / "whole").published().outcomes()
    seen = set()
    for writes in range(12):
        path = tmp_path / f"killed-{writes}"
        process = multiprocessing.get_context("fork").Process(target=killed_after, args=(path, writes))
        process.start()
        process.join()
        found = sqlite3.connect(path).execute("select version, body from document").fetchall()
        assert found in ([], whole), writes
        seen.add((process.exitcode, len(found)))
        assert Floor(path).published().outcomes() == whole, writes
    assert seen == {(-signal.SIGKILL, 0), (0, 1)}


def test_rule_3_a_round_is_kept_with_its_verdicts_or_not_at_all(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    floor.opened()
    floor.clock.at_ms = GATE
    floor.sessions.close("s", "operator")
    first, second = Outcome("s", (), (), {}), Outcome("s", (), (), {("r", F): 1})
    floor.sessions.decide("s", State.CLEARED, first, "operator", {BY: "1"})
    before, change = MarketStore(floor.store).events("s"), floor.store._do
    for writes in range(3):
        left = iter(range(writes))

        def broken(sql: str, *values: object, left: Iterator[int] = left) -> int:
            if next(left, None) is None:
                raise OSError("the disk is full")
            return change(sql, *values)

        with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
            patch.setattr(floor.store, "_do", broken)
            floor.sessions.decide("s", State.CLEARED, second, "operator", {VERDICTS: "v", BY: "2"}, 2)
        assert MarketStore(floor.store).events("s") == before
    with pytest.raises(Rejected, match="1 rounds are cleared, this is of round 3"):
        floor.sessions.decide("s", State.CLEARED, second, "operator", {}, 3)
    made = floor.sessions.decide("s", State.CLEARED, second, "operator", {VERDICTS: "v", BY: "2"}, 2)
    assert floor.sessions.decide("s", State.CLEARED, first, "operator", {}, 2) == made
    with pytest.raises(Rejected, match="2 rounds are cleared, this is of round 1"):
        floor.sessions.decide("s", State.VALIDATED, first, "DSO", {}, 1)
    assert floor.sessions.rounds("s") == ("1", [text(first), made], ["v"])
