"""A buyer's files: what the grid found as requests, and orders on what was awarded, whole or as much as is still needed."""

import json

import pytest

from backend.domain.bids import Buyer, Direction, Product, Request
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.market.calling import called, orders_on, orders_text, requests_of, short_w
from backend.market.order_row import orders_of

F = 1_995_326
MINE = Request("T-up", Buyer.TSO, Direction.UP, "substation", {F: 100, F + 1: 100}, 50)
AWARDS = (
    Award("o", "T-up", F, 60, {"a": 60}),
    Award("p", "T-up", F, 40, {"b": 40}, step=1),
    Award("p", "T-up", F, 10, {"b": 10}, reserve=True),
    Award("o", "T-up", F + 1, 100, {"a": 100}),
    Award("o", "DSO-1", F, 5, {"a": 5}),
)
OUTCOME = Outcome("da", AWARDS, (), {})
UP = Direction.UP


def test_rule_3_awards_are_ordered_whole_and_reserve_is_not():
    parts = called(OUTCOME, [MINE])
    assert [(a.offer, a.frame, w) for a, w in parts] == [("o", F, 60), ("p", F, 40), ("o", F + 1, 100)]


@pytest.mark.parametrize(
    ("needed", "ordered"),
    [
        (0, []),
        (50, [("o", 50)]),
        (60, [("o", 60)]),
        (75, [("o", 60), ("p", 15)]),
        (105, [("o", 60), ("p", 40), ("p", 5)]),
        (500, [("o", 60), ("p", 40), ("p", 10)]),
    ],
)
def test_rule_3_with_a_newer_need_in_the_order_of_merit_until_it_is_met(needed, ordered):
    parts = called(OUTCOME, [MINE], {(F, UP): needed})
    assert [(a.offer, w) for a, w in parts] == ordered
    assert sum(short_w(parts, [MINE], {(F, UP): needed}).values()) == max(0, needed - 110)


def test_rule_2_only_on_its_own_and_never_in_the_other_direction():
    assert all(a.request == "T-up" for a, _ in called(OUTCOME, [MINE]))
    assert called(OUTCOME, []) == called(OUTCOME, [MINE], {(F, Direction.DOWN): 100}) == []


def test_orders_are_what_the_market_reads():
    made = orders_on(called(OUTCOME, [MINE], {(F, UP): 105, (F + 1, UP): 7}), Buyer.TSO, "T")
    handed = orders_of(orders_text(made))
    assert handed.refused == () and handed.orders == made
    assert [(o.id, o.offer, dict(o.volume_w), o.reserve) for o in made] == [
        ("T-1", "o", {F: 60, F + 1: 7}, False), ("T-2", "p", {F: 40}, False), ("T-3", "p", {F: 5}, True),
    ]  # fmt: skip


NEED = {
    "id": "DSO-1", "buyer": "DSO", "element": "line:97", "name": "loop", "direction": "up", "product": "active",
    "frames": [{"frame": F, "relief_ppt": 5, "volume_w": 9, "volume_var": 0}], "nodes": [],
}  # fmt: skip


def document(*rows):
    return json.dumps(
        {"format": "lightnode-requests/1", "network": "n", "requests": list(rows), "least": {}, "unserved": []}
    )


def test_rule_1_a_need_is_asked_as_relief_of_its_element_in_its_order():
    first, second = requests_of(document(NEED, NEED | {"element": "node:3:low", "product": "reactive"}), 7, "D")
    assert first == Request("D-1", Buyer.DSO, UP, "line:97", {F: 5}, 7, 1)
    assert (second.id, second.element, second.priority, second.product) == ("D-2", "node:3:low", 2, Product.REACTIVE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"direction": "left"}, "direction 'left'"),
        ({"product": "heat"}, "product 'heat'"),
        ({"frames": [{"frame": F}]}, "relief_ppt = None"),
        ({"frames": [{"frame": F, "relief_ppt": -5, "volume_w": 9, "volume_var": 0}]}, "a need is negative"),
        ({"more": 1}, "no such field"),
    ],
)
def test_a_wrong_need_is_refused_in_one_line(change, words):
    with pytest.raises(Rejected, match=words):
        requests_of(document(NEED | change), 7, "D")
