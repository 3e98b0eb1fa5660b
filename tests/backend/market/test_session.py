"""Sessions: all pairs of states, every answer to a submission, and a book that the gate freezes."""

import itertools

import pytest

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.errors import Rejected
from backend.market.session import MOVES, Answer, MarketSession, State

F, GATE = 1_970_000, 1_000_000


def session(state: State = State.OPEN) -> MarketSession:
    return MarketSession("s", (F, F + 1), GATE, {"a": "A", "b": "B"}, state)


def offer(id: str = "o", aggregator: str = "A", pod: str = "a", frame: int = F) -> Offer:
    return Offer(id, aggregator, Direction.UP, {frame: 10}, {pod: 10}, 1, 0)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(State, State)))
def test_only_the_moves_of_the_table_are_allowed(start: State, to: State) -> None:
    one = session(start)
    if MOVES.get(start) is to:
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


def test_the_gate_freezes_the_book_in_order_of_id() -> None:
    one = session()
    for name in ("o2", "o1"):
        one.submit(offer(name), 0)
    with pytest.raises(Rejected, match="gate closes"):
        one.close(GATE - 1)
    _, offers = one.close(GATE)
    one.submit(offer("o0"), GATE)
    assert [o.id for o in offers] == ["o1", "o2"] and one.state is State.CLOSED
