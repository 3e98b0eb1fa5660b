"""What buyers order of an outcome: an example by hand, each answer, and sequences that never order more than was awarded.

By hand: offer A-1 gives 60 W up in each of F and F+1 from a (2 parts) and b (1 part), 40 W of them for the DSO's request d
(a 27, b 13) and 20 W for the TSO's t (a 13, b 7). Its price steps in F are 40 W at 10 and 20 W at 30; it needs 600 s and
moves 12 W per minute.
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request, Step
from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Award, OrderKind, Outcome
from backend.market.canonical import text
from backend.market.order_row import BuyerOrder, EmergencyOrder
from backend.market.ordered import EmergencyTerms, OrderAnswer, ordered_of
from backend.market.orders import OrderBook
from backend.market.session import Registered

F = 1_993_108
BEGIN = F * FRAME_MS
EARLY = BEGIN - 3_600_000
A1 = Offer(
    "A-1", "A", Direction.UP, {F: 60, F + 1: 60}, {"a": 40, "b": 20}, 20, 0, steps={F: (Step(40, 10), Step(20, 30))},
    lead_s=600, ramp_w_per_min=12,
)  # fmt: skip
Q1 = Offer("Q-1", "A", Direction.UP, {F: 50}, {"c": 50}, 5, 0, product=Product.REACTIVE)
L1 = Offer("L-1", "B", Direction.DOWN, {F: 90, F + 1: 60}, {"e": 90}, 7, 0, minimum_ppm=500_000, linked=True)
M1 = Offer("M-1", "B", Direction.UP, {F: 100}, {"g": 100}, 9, 0, minimum_ppm=600_000)
OFFERS = {one.id: one for one in (A1, Q1, L1, M1)}
REQUESTS = {
    "d": Request("d", Buyer.DSO, Direction.UP, "line:1", {F: 9, F + 1: 9}, 50),
    "t": Request("t", Buyer.TSO, Direction.UP, "substation", {F: 9, F + 1: 9}, 50),
}
AWARDS = (
    Award("A-1", "d", F, 40, {"a": 27, "b": 13}, 0, price_ueur_per_mwh=10),
    Award("A-1", "t", F, 20, {"a": 13, "b": 7}, 1, price_ueur_per_mwh=30),
    Award("A-1", "d", F + 1, 40, {"a": 27, "b": 13}),
    Award("A-1", "d", F + 1, 6, {"a": 4, "b": 2}, reserve=True),
    Award("Q-1", "d", F, 50, {"c": 50}),
    Award("L-1", "d", F, 90, {"e": 90}),
    Award("L-1", "d", F + 1, 60, {"e": 60}),
    Award("M-1", "d", F, 70, {"g": 70}),
    Award("M-1", "t", F, 30, {"g": 30}),
)
TERMS = EmergencyTerms(300, 1_500_000)
REGISTERED = Registered({"a": "A", "e": "B", "x": "B"}, {("a", Direction.UP): 45, ("x", Direction.UP): 10})


def book() -> OrderBook:
    return OrderBook("s", range(F, F + 4), OFFERS, REQUESTS, TERMS, Outcome("s", AWARDS, (), {}))


def dso(id: str, frames: dict[int, int], offer: str = "A-1", **more: Any) -> BuyerOrder:
    return BuyerOrder(id, Buyer.DSO, offer, "d", frames, **more)


def tso(id: str, frames: dict[int, int], offer: str = "A-1", **more: Any) -> BuyerOrder:
    return BuyerOrder(id, Buyer.TSO, offer, "t", frames, **more)


def help_(id: str, frames: dict[int, int], pods: dict[str, int], way: Direction = Direction.UP) -> EmergencyOrder:
    return EmergencyOrder(id, Buyer.DSO, way, frames, pods, "a line fell")


def take(into: OrderBook, order: BuyerOrder | EmergencyOrder, now_ms: int = EARLY, party: str = "") -> OrderAnswer:
    who = party or order.buyer.value
    if isinstance(order, EmergencyOrder):
        return into.take_emergency(order, who, now_ms, {}, REGISTERED)
    return into.take(order, who, now_ms, {})


def parts(of: OrderBook) -> list[tuple[str, int, dict[str, int], int]]:
    return [(one.called, one.frame, dict(one.parts_w), one.price_ueur_per_mwh) for one in of.standing()]


def test_rule_1_by_hand_an_order_in_two_parts_takes_what_was_awarded_of_each_pod() -> None:
    one = book()
    assert take(one, dso("o1", {F: 10, F + 1: 40})) is OrderAnswer.TAKEN
    assert take(one, dso("o2", {F: 30})) is OrderAnswer.TAKEN
    assert take(one, tso("o1-t", {F: 5})) is OrderAnswer.TAKEN
    assert parts(one) == [
        ("o1", F, {"a": 7, "b": 3}, 10), ("o1", F + 1, {"a": 27, "b": 13}, 20), ("o2", F, {"a": 20, "b": 10}, 10),
        ("o1-t", F, {"a": 3, "b": 2}, 30),
    ]  # fmt: skip


def test_rule_1_the_cheapest_step_goes_first_and_the_reserve_is_ordered_apart() -> None:
    both = [replace(a, request="d", volume_w=w, parts_w={"a": w}) for a, w in zip(AWARDS[:2], (40, 20), strict=True)]
    one = replace(book(), published=Outcome("s", (*both, AWARDS[3]), (), {}))
    assert take(one, dso("o", {F: 50})) is OrderAnswer.TAKEN
    assert [(x.step, x.volume_w, x.price_ueur_per_mwh) for x in one.standing()] == [(0, 40, 10), (1, 10, 30)]
    assert len({x.id for x in one.standing()}) == 2
    assert take(one, dso("n", {F + 1: 6})) is OrderAnswer.NOT_AWARDED
    assert take(one, dso("r", {F + 1: 6}, reserve=True)) is OrderAnswer.TAKEN


def test_rule_1_over_all_orders_never_more_than_was_awarded() -> None:
    one = book()
    assert take(one, dso("o1", {F: 41})) is OrderAnswer.TOO_MUCH
    assert take(one, dso("o1", {F: 25})) is OrderAnswer.TAKEN
    assert take(one, dso("o2", {F: 16})) is OrderAnswer.TOO_MUCH
    assert take(one, dso("o2", {F: 15})) is OrderAnswer.TAKEN


def test_rule_2_the_same_again_changes_nothing_another_content_is_refused() -> None:
    one = book()
    assert take(one, dso("o", {F: 10})) is OrderAnswer.TAKEN
    before = one.standing()
    assert take(one, dso("o", {F: 10}), BEGIN + 1) is OrderAnswer.AGAIN
    assert take(one, dso("o", {F: 11})) is OrderAnswer.OTHER_CONTENT
    assert take(one, help_("o", {F: 5}, {"x": 5})) is OrderAnswer.OTHER_CONTENT
    assert one.standing() == before
    assert one.withdraw("o", "DSO", EARLY) is OrderAnswer.WITHDRAWN and one.standing() == ()
    assert take(one, dso("o", {F: 10})) is OrderAnswer.GONE
    assert one.withdraw("o", "DSO", EARLY) is OrderAnswer.GONE


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        (dso("o", {F: 1}, "Z-1"), OrderAnswer.NOT_AWARDED),
        (dso("o", {F + 2: 1}), OrderAnswer.NOT_AWARDED),
        (replace(dso("o", {F: 1}), request="zz"), OrderAnswer.NOT_AWARDED),
        (replace(tso("o", {F: 1}), request="d"), OrderAnswer.OTHER_BUYER),
        (dso("o", {F: 1}, "Q-1"), OrderAnswer.OTHER_PRODUCT),
        (dso("o", {F: 1}, product=Product.REACTIVE), OrderAnswer.OTHER_PRODUCT),
        (dso("o", {F: 9}, "Q-1", product=Product.REACTIVE), OrderAnswer.TAKEN),
        (dso("o", {F: 1}, supersedes="none"), OrderAnswer.NOT_HERE),
    ],
    ids=lambda v: v.name if isinstance(v, OrderAnswer) else "",
)
def test_an_order_is_held_against_the_published_outcome(order: BuyerOrder, answer: OrderAnswer) -> None:
    assert take(book(), order) is answer


def test_nothing_is_ordered_before_an_outcome_is_published_nor_for_another_buyer() -> None:
    assert take(replace(book(), published=None), dso("o", {F: 1})) is OrderAnswer.NOT_PUBLISHED
    assert take(book(), dso("o", {F: 1}), party="TSO") is OrderAnswer.NOT_THEIRS
    assert book().withdraw("o", "DSO", EARLY) is OrderAnswer.NOT_HERE
    one = book()
    take(one, dso("o", {F: 1}))
    assert one.withdraw("o", "TSO", EARLY) is OrderAnswer.NOT_THEIRS


def test_rule_3_lead_time_and_ramp_to_the_millisecond() -> None:
    lead = BEGIN - 600_000
    assert take(book(), dso("o", {F: 12}), lead - 60_000) is OrderAnswer.TAKEN
    assert take(book(), dso("o", {F: 12}), lead - 59_999) is OrderAnswer.RAMP
    assert take(book(), dso("o", {F: 12}), lead) is OrderAnswer.RAMP
    assert take(book(), dso("o", {F: 12}), lead + 1) is OrderAnswer.LEAD
    assert take(book(), dso("o", {F: 12}), BEGIN + FRAME_MS - 1) is OrderAnswer.LEAD
    assert take(book(), dso("o", {F: 12}), BEGIN + FRAME_MS) is OrderAnswer.OVER
    one = book()
    assert take(one, tso("t", {F: 12})) is OrderAnswer.TAKEN
    assert take(one, dso("o", {F: 12}), lead - 60_000) is OrderAnswer.RAMP, "24 W are ordered of it then: two minutes"
    quick = {**OFFERS, "A-1": replace(A1, lead_s=0, ramp_w_per_min=0)}
    assert take(replace(book(), offers=quick), dso("o", {F: 12}), BEGIN) is OrderAnswer.TAKEN
    assert take(replace(book(), offers=quick), dso("o", {F: 12}), BEGIN + 1) is OrderAnswer.LEAD


def test_rule_4_the_least_part_stands_for_each_buyer_whole_or_not() -> None:
    one = book()
    assert take(one, dso("o", {F: 59}, "M-1")) is OrderAnswer.LEAST
    assert take(one, tso("t", {F: 29}, "M-1")) is OrderAnswer.LEAST, (
        "30 W were awarded to the TSO, less than the least part"
    )
    assert take(one, tso("t", {F: 30}, "M-1")) is OrderAnswer.TAKEN
    assert take(one, dso("o1", {F: 60}, "M-1")) is OrderAnswer.TAKEN
    assert take(one, dso("o2", {F: 1}, "M-1")) is OrderAnswer.TAKEN
    assert one.withdraw("o1", "DSO", EARLY) is OrderAnswer.LEAST, "1 W would be left"
    assert one.withdraw("o2", "DSO", EARLY) is OrderAnswer.WITHDRAWN
    assert one.withdraw("o1", "DSO", EARLY) is OrderAnswer.WITHDRAWN


def test_rule_4_linked_quarter_hours_are_ordered_together_in_the_same_part() -> None:
    assert take(book(), dso("o", {F: 90}, "L-1")) is OrderAnswer.LINKED
    assert take(book(), dso("o", {F: 45, F + 1: 31}, "L-1")) is OrderAnswer.LINKED
    assert take(book(), dso("o", {F: 45, F + 1: 30}, "L-1")) is OrderAnswer.TAKEN
    assert take(book(), dso("o", {F: 90, F + 1: 60}, "L-1")) is OrderAnswer.TAKEN


def test_rule_5_a_new_order_takes_the_place_of_another_and_keeps_what_stays() -> None:
    one = book()
    take(one, dso("o", {F: 10, F + 1: 40}))
    first = one.standing()[0]
    late = BEGIN - 1
    assert take(one, dso("n", {F: 12, F + 1: 20}, supersedes="o"), late) is OrderAnswer.LEAD, "it would change F"
    assert take(one, dso("n", {F + 1: 20}, supersedes="o"), late) is OrderAnswer.LEAD, "it would leave F out"
    assert take(one, dso("n", {F: 10, F + 1: 20}, supersedes="o"), late) is OrderAnswer.TAKEN
    assert one.standing()[0] == first and parts(one)[1] == ("n", F + 1, {"a": 14, "b": 6}, 20)
    assert one.withdraw("o", "DSO", EARLY) is OrderAnswer.GONE
    assert take(one, dso("m", {F: 10}, supersedes="o")) is OrderAnswer.GONE
    assert take(one, dso("m", {F: 10}, supersedes="n", reserve=True)) is not OrderAnswer.TAKEN
    assert take(one, dso("m", {F: 9}, "Q-1", product=Product.REACTIVE, supersedes="n")) is OrderAnswer.OTHER_AWARD
    assert take(one, tso("m", {F: 10}, supersedes="n")) is OrderAnswer.NOT_THEIRS


def test_rule_5_a_withdrawal_is_in_time_until_the_lead_time() -> None:
    for now_ms, answer in (
        (BEGIN - 600_000, OrderAnswer.WITHDRAWN), (BEGIN - 599_999, OrderAnswer.LEAD), (BEGIN + FRAME_MS, OrderAnswer.OVER),
    ):  # fmt: skip
        one = book()
        take(one, dso("o", {F: 10, F + 1: 1}))
        assert one.withdraw("o", "DSO", now_ms) is answer
        assert bool(one.standing()) is (answer is not OrderAnswer.WITHDRAWN)


def test_rule_6_an_emergency_needs_no_award_and_earns_by_rule() -> None:
    one = book()
    assert take(one, help_("e", {F: 9, F + 1: 9, F + 3: 9}, {"a": 2, "x": 10}), BEGIN + 1) is OrderAnswer.TAKEN
    found = [(x.frame, dict(x.parts_w), x.aggregator, x.price_ueur_per_mwh) for x in one.standing()]
    assert found == [
        (F, {"a": 2}, "A", 45), (F, {"x": 7}, "B", 300), (F + 1, {"a": 2}, "A", 30), (F + 1, {"x": 7}, "B", 300),
        (F + 3, {"a": 2}, "A", 30), (F + 3, {"x": 7}, "B", 300),
    ]  # fmt: skip
    assert {(x.kind, x.offer, x.request) for x in one.standing()} == {(OrderKind.EMERGENCY, "", "")}
    assert one.price_of("a", F, Direction.DOWN) == 300 and one.price_of("a", F - 1, Direction.UP) == 300


@pytest.mark.parametrize(
    ("order", "now_ms", "answer"),
    [
        (help_("e", {F - 1: 1}, {"x": 1}), EARLY, OrderAnswer.OUTSIDE),
        (help_("e", {F: 1}, {"x": 1}), BEGIN + FRAME_MS, OrderAnswer.OVER),
        (help_("e", {F: 1}, {"x": 1}), BEGIN + FRAME_MS - 1, OrderAnswer.TAKEN),
        (help_("e", {F: 1}, {"nobody": 1}), EARLY, OrderAnswer.UNKNOWN_POD),
        (help_("e", {F: 11}, {"x": 11}), EARLY, OrderAnswer.BEYOND_POD),
        (help_("e", {F: 1}, {"e": 1}), EARLY, OrderAnswer.OTHER_WAY),
        (help_("e", {F: 39}, {"a": 39}), EARLY, OrderAnswer.BEYOND_POD),
        (help_("e", {F: 38}, {"a": 38}), EARLY, OrderAnswer.TAKEN),
    ],
    ids=lambda v: v.name if isinstance(v, OrderAnswer) else "",
)
def test_rule_6_and_7_what_an_emergency_may_not(order: EmergencyOrder, now_ms: int, answer: OrderAnswer) -> None:
    one = book()
    take(one, dso("o", {F: 90, F + 1: 60}, "L-1"))
    take(one, dso("p", {F: 10}))
    assert take(one, order, now_ms) is answer


def test_rule_7_an_order_does_not_turn_a_pod_of_an_emergency_nor_of_another_session() -> None:
    one = book()
    assert take(one, help_("e", {F: 1}, {"a": 1}, Direction.DOWN)) is OrderAnswer.TAKEN
    assert take(one, dso("o", {F: 10})) is OrderAnswer.OTHER_WAY
    assert take(one, dso("o", {F + 1: 10})) is OrderAnswer.TAKEN
    assert book().take(dso("o", {F: 10}), "DSO", EARLY, {("b", F): Direction.DOWN}) is OrderAnswer.OTHER_WAY
    late = BEGIN + 1
    assert (
        one.withdraw("e", "DSO", late) is OrderAnswer.LEAD and one.withdraw("e", "DSO", EARLY) is OrderAnswer.WITHDRAWN
    )


def test_what_stands_reads_back_from_its_canonical_row() -> None:
    one = book()
    take(one, dso("o", {F: 10}))
    take(one, help_("e", {F: 1}, {"a": 1}))
    assert tuple(ordered_of(row) for row in json.loads(text(one.standing()))) == one.standing()


STEPS = st.lists(
    st.tuples(st.sampled_from(("d", "t")), st.integers(0, 5), st.sampled_from((F, F + 1)), st.integers(1, 45), st.booleans()),
    max_size=14,
)  # fmt: skip


@settings(max_examples=60)
@given(STEPS)
def test_however_it_is_ordered_and_taken_back_no_pod_gives_more_than_was_awarded(steps: list[Any]) -> None:
    one, sent = book(), 0
    for who, number, frame, watts, back in steps:
        make, party = (dso, "DSO") if who == "d" else (tso, "TSO")
        if back:
            one.withdraw(f"{who}{number}", party, EARLY)
        else:
            sent += 1
            before = {x.called for x in one.standing()}
            old = f"{who}{number}" if f"{who}{number}" in before and watts % 2 else ""
            take(one, make(f"{who}{number}" if not old else f"n{sent}", {frame: watts}, supersedes=old))
        for award in AWARDS[:3]:
            key = award.offer, award.request, award.frame, award.step
            mine = [x for x in one.standing() if (x.offer, x.request, x.frame, x.step) == key]
            for pod, w in award.parts_w.items():
                assert sum(x.parts_w.get(pod, 0) for x in mine) <= w
        assert len({x.id for x in one.standing()}) == len(one.standing())
        assert all(x.volume_w > 0 for x in one.standing())
