"""Whose each POD is in a quarter-hour: one aggregator, named conflicts, offers taken for its period only."""

import json
from itertools import permutations

import pytest

from backend.domain.bids import Direction, Offer
from backend.errors import Rejected
from backend.market.exchange import resources_of, resources_text
from backend.market.register import END_FRAME, Register, Resource
from backend.market.session import Answer, MarketSession, Registered, State

F = 1_973_000


def row(pod="a", aggregator="A", first=0, end=END_FRAME, up_w=10):
    return Resource(pod, aggregator, up_w, 0, first, end)


def test_rule_1_a_row_is_valid_in_its_period_only():
    one = Register([row(first=F, end=F + 4), row(aggregator="B", first=F + 4, end=F + 8)])
    assert [one.of("a", F + k).aggregator for k in (0, 3, 4, 7)] == ["A", "A", "B", "B"]
    assert one.of("a", F - 1) is None and one.of("a", F + 8) is None and one.of("b", F) is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_rule_2_periods_that_meet_are_named_whatever_the_order(order):
    rows = [row(first=F, end=F + 4), row(aggregator="B", first=F + 3, end=F + 8), row("b")]
    with pytest.raises(Rejected) as refused:
        Register([rows[k] for k in order])
    assert refused.value.reason == f"resources: a stands twice, of A and of B from quarter-hour {F + 3} up to {F + 3}"


def test_rule_2_without_a_period_too_and_every_conflict_is_said():
    with pytest.raises(Rejected) as refused:
        Register([row(pod, a) for pod in "abcdefg" for a in "AB"])
    assert refused.value.reason.count("of A and of B") == 5 and refused.value.reason.endswith("; and 2 more")


@pytest.mark.parametrize(("first", "end"), [(F, F), (F + 1, F), (-1, F), (F, END_FRAME + 1)])
def test_a_period_ends_after_its_begin(first, end):
    with pytest.raises(Rejected):
        row(first=first, end=end)


def test_a_list_is_read_as_it_is_written_and_several_are_one():
    first, second = [row(first=F, end=F + 4), Resource("b", "A", 1, 2, brp="P")], [row("c", "B")]
    made = resources_of(resources_text(first), resources_text(second))
    assert made.rows() == [*first, *second]
    with pytest.raises(Rejected, match="c stands twice, of B and of C"):
        resources_of(resources_text(second), resources_text([row("c", "C")]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"up_w": True}, "up_w = True, expected int"),
        ({"up_w": -1}, "expected 0 or more"),
        ({"owner": "x"}, "no such field"),
        ({"until_frame": 0}, "an end after its begin"),
    ],
)
def test_a_wrong_row_is_refused_in_one_line(change, words):
    document = {
        "format": "lightnode-resources/1",
        "resources": [{"pod": "a", "aggregator": "A", "up_w": 1, "down_w": 1} | change],
    }
    with pytest.raises(Rejected, match=words):
        resources_of(json.dumps(document))


def test_a_field_that_stands_twice_is_refused():
    text = '{"format":"lightnode-resources/1","resources":[{"pod":"a","pod":"b","aggregator":"A","up_w":1,"down_w":1}]}'
    with pytest.raises(Rejected, match="pod stands twice"):
        resources_of(text)


def offer(id, aggregator, frames, w=10):
    return Offer(id, aggregator, Direction.UP, dict.fromkeys(frames, w), {"a": w}, 1, 0)


def test_rule_6_of_the_session_a_pod_is_sold_by_the_aggregator_of_the_quarter_hour():
    register = Register([row(first=F, end=F + 2), row(aggregator="B", first=F + 2, end=F + 4, up_w=5)])
    one = MarketSession("s", tuple(range(F, F + 4)), 100, {}, State.OPEN, register=register)
    assert one.submit(offer("A-1", "A", [F, F + 1]), 1) is Answer.TAKEN
    assert one.submit(offer("A-2", "A", [F + 1, F + 2]), 1) is Answer.NOT_ITS_POD
    assert one.submit(offer("B-1", "B", [F + 2]), 1) is Answer.SOLD
    assert one.submit(offer("B-2", "B", [F + 2], 5), 1) is Answer.TAKEN
    assert one.submit(offer("B-3", "B", [F + 2], 1), 1) is Answer.SOLD


def test_rule_5_of_the_session_no_watt_is_sold_twice_over_several_sessions():
    one = MarketSession(
        "s",
        (F, F + 1),
        100,
        {},
        State.OPEN,
        sold_w={("a", F, Direction.UP): 8},
        register=Register([row(first=F, end=F + 2)]),
    )
    assert one.submit(offer("A-1", "A", [F], 3), 1) is Answer.SOLD
    assert one.submit(offer("A-2", "A", [F], 2), 1) is Answer.TAKEN
    assert one.submit(offer("A-3", "A", [F + 1], 10), 1) is Answer.TAKEN
    assert Registered({}, {}, one.register).has_w("a", F, Direction.DOWN) == 0
