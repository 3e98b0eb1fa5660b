"""Offers and requests that cannot be made, each with the rule it breaks."""

import pytest

from backend.domain.bids import Buyer, Direction, Offer, Product, Request, Step
from backend.domain.quantity import PPM
from backend.errors import Rejected

F = 1_970_000


def offer(**more) -> Offer:
    return Offer("X", "A", Direction.UP, {F: 300}, {"a": 300}, 10, 0, **more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"steps": {F: (Step(100, 1), Step(100, 2))}}, "add up to 300 W"),
        ({"steps": {F: (Step(100, 2), Step(200, 2))}}, "rise from step to step"),
        ({"steps": {F: (Step(100, -1), Step(200, 2))}}, "0 or more"),
        ({"steps": {F + 1: (Step(300, 1),)}}, "no volume_w"),
        ({"steps": {F: ()}}, "0 price steps"),
        ({"steps": {F: (Step(0, 1), Step(300, 2))}}, "1 W or more"),
        ({"steps": {F: (Step(100, 1), Step(200, 2))}, "minimum_ppm": 500_000}, "first price step"),
        ({"steps": {F: (Step(100, 1), Step(200, 2))}, "linked": True}, "one where linked"),
        ({"rebound_ppm": {0: 10}}, "rebound"),
        ({"rebound_ppm": {1: PPM + 1}}, "rebound"),
        ({"lead_s": -1}, "lead_s"),
        ({"ramp_w_per_min": -1}, "ramp_w_per_min"),
        ({"availability_ueur_per_mw_h": -1}, "availability"),
    ],
)
def test_an_offer_that_breaks_a_rule_says_which(more, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        offer(**more)


def test_numbers_beyond_any_grid_are_refused() -> None:
    with pytest.raises(Rejected, match="more than"):
        Offer("X", "A", Direction.UP, {F: 1}, {"a": 10**13}, 10, 0)
    with pytest.raises(Rejected, match="more than"):
        Offer("X", "A", Direction.UP, {F: 1}, {"a": 1}, 10**13, 0)


def test_steps_points_and_least_part() -> None:
    assert offer().steps_of(F) == (Step(300, 10),)
    assert offer(minimum_ppm=500_001).least_w(F) == 151
    assert offer(product=Product.REACTIVE).points == {"a/var": 300}


def test_a_request_names_an_element_or_nodes() -> None:
    with pytest.raises(Rejected, match="neither an element nor nodes"):
        Request("r", Buyer.DSO, Direction.UP, "", {F: 1}, 10)
    assert Request("r", Buyer.DSO, Direction.UP, "", {F: 1}, 10, nodes=("n",)).by_volume
