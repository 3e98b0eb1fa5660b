"""Sessions: all pairs of states, every answer to a submission, and a book that the gate freezes."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.errors import Rejected
from backend.market.session import MOVES, Answer, MarketSession, SessionRules, State

F, GATE = 1_970_000, 1_000_000


def session(state: State = State.OPEN) -> MarketSession:
    return MarketSession("s", (F, F + 1), GATE, {"a": "A", "b": "B"}, state)


def offer(id: str = "o", aggregator: str = "A", pod: str = "a", frame: int = F) -> Offer:
    return Offer(id, aggregator, Direction.UP, {frame: 10}, {pod: 10}, 1, 0)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(State, State)))
def test_only_the_moves_of_the_table_are_allowed(start: State, to: State) -> None:
    one = session(start)
    if to in MOVES[start]:
        one.move(to)
        assert one.state is to
    else:
        with pytest.raises(Rejected, match="cannot become"):
            one.move(to)


@pytest.mark.parametrize(
    ("state", "bid", "now_ms", "answer"),
    [
        (State.OPEN, offer(), GATE - 1, Answer.TAKEN),
        (State.OPEN, offer(), GATE, Answer.AFTER_GATE),
        (State.ANNOUNCED, offer(), 0, Answer.NOT_OPEN),
        (State.CLOSED, offer(), 0, Answer.NOT_OPEN),
        (State.OPEN, offer(frame=F + 2), 0, Answer.OUTSIDE),
        (State.OPEN, offer(pod="b"), 0, Answer.NOT_ITS_POD),
        (State.OPEN, Request("r", Buyer.TSO, Direction.UP, "substation", {F: 1}, 1), 0, Answer.TAKEN),
        (State.OPEN, Request("r", Buyer.TSO, Direction.UP, "substation", {F + 9: 1}, 1), 0, Answer.OUTSIDE),
    ],
)
def test_every_submission_is_answered(state: State, bid: Offer | Request, now_ms: int, answer: Answer) -> None:
    assert session(state).submit(bid, now_ms) is answer


def test_the_same_id_amends_and_another_aggregator_may_not() -> None:
    one = session()
    assert one.submit(offer(), 0) is Answer.TAKEN
    assert one.submit(offer(), 1) is Answer.AMENDED
    assert one.submit(offer(aggregator="B", pod="b"), 2) is Answer.NOT_THEIRS


def test_rule_2_an_id_is_of_an_offer_or_of_a_request() -> None:
    one = session()
    assert one.submit(offer("x"), 0) is one.submit(REQUEST, 0) is Answer.TAKEN
    assert one.submit(replace(REQUEST, id="x"), 0) is one.submit(offer("r"), 0) is Answer.NOT_THEIRS
    assert one.withdraw("x", "A", 1) is one.withdraw("r", "TSO", 1) is Answer.WITHDRAWN


def test_the_gate_freezes_the_book_in_order_of_id() -> None:
    one = session()
    for name in ("o2", "o1"):
        one.submit(offer(name), 0)
    with pytest.raises(Rejected, match="gate closes"):
        one.close(GATE - 1)
    _, offers = one.close(GATE)
    one.submit(offer("o0"), GATE)
    assert [o.id for o in offers] == ["o1", "o2"] and one.state is State.CLOSED


REQUEST = Request("r", Buyer.TSO, Direction.UP, "substation", {F: 1}, 50)


def test_rule_2_what_was_withdrawn_is_out_of_the_book_and_only_its_party_may() -> None:
    one = session()
    one.submit(offer(), 0)
    one.submit(REQUEST, 0)
    assert one.withdraw("x", "A", 1) is Answer.NOT_HERE
    assert one.withdraw("o", "B", 1) is one.withdraw("r", "DSO", 1) is Answer.NOT_THEIRS
    assert one.withdraw("o", "A", GATE) is Answer.AFTER_GATE
    assert one.withdraw("o", "A", 1) is one.withdraw("r", "TSO", 1) is Answer.WITHDRAWN
    assert one.book() == ((), ())
    assert one.submit(offer(), 2) is Answer.TAKEN


def test_rule_2_a_party_submits_what_is_its_own_only_and_an_amendment_has_its_own_time() -> None:
    one = session()
    assert one.submit(offer(), 1, "B") is one.submit(REQUEST, 1, "DSO") is Answer.NOT_THEIRS
    assert one.submit(offer(), 5, "A") is Answer.TAKEN
    assert one.submit(offer(), 7, "A") is Answer.AMENDED
    assert one.book()[1][0].received_ms == 7


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        (SessionRules(lot_w=10, most_w=10), Answer.TAKEN),
        (SessionRules(lot_w=3), Answer.LOT),
        (SessionRules(most_w=9), Answer.TOO_LARGE),
        (SessionRules(most_ueur_per_mwh=0), Answer.TOO_DEAR),
        (SessionRules(products=frozenset({Product.REACTIVE})), Answer.PRODUCT),
    ],
)
def test_rule_4_an_offer_outside_the_rules_is_told_which(rules: SessionRules, answer: Answer) -> None:
    one = session()
    one.rules = rules
    assert one.submit(offer(), 0) is answer


@pytest.mark.parametrize(
    "wrong", [{"lot_w": 0}, {"lot_w": 5, "most_w": 4}, {"most_ueur_per_mwh": -1}, {"products": frozenset()}]
)
def test_rule_4_rules_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="rules: "):
        SessionRules(**wrong)


def test_rule_5_no_watt_of_a_pod_is_sold_twice_in_one_session_or_over_several() -> None:
    one = session()
    one.capacity_w = {("a", Direction.UP): 25}
    one.sold_w = {("a", F, Direction.UP): 10}
    assert one.submit(offer("o1"), 0) is Answer.TAKEN
    assert one.submit(offer("o2"), 0) is Answer.SOLD
    assert one.submit(offer("o2", frame=F + 1), 0) is Answer.TAKEN
    assert one.submit(offer("o1"), 0) is Answer.AMENDED, "its own watts are free for its amendment"
    one.withdraw("o1", "A", 1)
    assert one.submit(offer("o3"), 0) is Answer.TAKEN


def test_rule_5_an_amendment_that_is_refused_leaves_what_stood() -> None:
    one = session()
    one.capacity_w = {("a", Direction.UP): 10}
    assert one.submit(offer(), 0) is Answer.TAKEN
    more = Offer("o", "A", Direction.UP, {F: 20}, {"a": 20}, 1, 0)
    assert one.submit(more, 1) is Answer.SOLD
    assert one.book()[1][0].volume_w == {F: 10}
    assert one.submit(offer("other"), 1) is Answer.SOLD


@given(st.lists(st.tuples(st.sampled_from(["o1", "o2", "o3"]), st.integers(1, 30), st.booleans()), max_size=30))
def test_rule_5_whatever_is_submitted_amended_and_withdrawn_a_pod_is_never_oversold(
    moves: list[tuple[str, int, bool]],
) -> None:
    one = session()
    one.capacity_w = {("a", Direction.UP): 40}
    one.sold_w = {("a", F, Direction.UP): 7}
    for id, w, out in moves:
        if out:
            one.withdraw(id, "A", 0)
        else:
            one.submit(Offer(id, "A", Direction.UP, {F: w}, {"a": w}, 1, 0), 0)
        assert sum(o.volume_w[F] for o in one.book()[1]) <= 33
