"""The literal rule, by hand: it takes the cheapest at nodes that help, whatever the network says of it.

line:1 is over by 20,000 (ppt): A eats 2 per W, B 1. The literal need is 20,000 / 2 = 10,000 W. B1 is cheaper per W (60),
so all 10,000 W are B's: relief 10,000; the other half of the need stays. C1 helps nothing and is not at the nodes.
"""

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Reason
from backend.market.literal import clear_literally
from tests.backend.market.books import F

OFFERS = [
    Offer("A1", "A", Direction.UP, {F: 8_000}, {"a": 8_000}, 100, 0),
    Offer("B1", "A", Direction.UP, {F: 20_000}, {"b": 20_000}, 60, 0),
    Offer("C1", "A", Direction.UP, {F: 20_000}, {"c": 20_000}, 1, 0),
]
TABLE = [Constraint("line:1", F, -20_000, {"a": 2, "b": 1}), Constraint("line:2", F, 100, {"b": -1})]
ASKED = Request("dso", Buyer.DSO, Direction.UP, "line:1", {F: 20_000}, 300)


def test_1_and_2_the_cheapest_that_helps_wins_and_limits_do_not_count() -> None:
    outcome = clear_literally("s", [ASKED], OFFERS, TABLE)
    assert [(a.offer, a.request, a.volume_w) for a in outcome.awards] == [("B1", "dso", 10_000)]
    assert {r.offer: r.reason for r in outcome.results}["C1"] is Reason.NOT_AT_NODE


def test_3_what_stays_unserved_is_what_the_limits_say() -> None:
    assert clear_literally("s", [ASKED], OFFERS, TABLE).unserved == {("dso", F): 10_000}


def test_volume_at_nodes_is_asked_at_the_pods_of_these_nodes() -> None:
    at = Request("n", Buyer.DSO, Direction.UP, "", {F: 3_000}, 300, nodes=("7",))
    outcome = clear_literally("s", [at], OFFERS, TABLE, node_of={"a": "7"})
    assert [(a.offer, a.volume_w) for a in outcome.awards] == [("A1", 3_000)]
