"""What awards leave: the rest of steps and links for the next session, and what rebounds."""

from dataclasses import replace

from backend.domain.bids import Buyer, Direction, Offer, Request, Step
from backend.domain.constraint import Constraint
from backend.domain.trade import Reason
from backend.market.awarded import changes, remaining, unserved
from backend.market.clearing import clear
from tests.backend.market.books import F

TSO = Request("tso", Buyer.TSO, Direction.UP, "substation", {F: 1_500, F + 1: 1_500}, 300)
STEPS = {F: (Step(1_000, 10), Step(2_000, 40))}
STEPPED = Offer("S", "A", Direction.UP, {F: 3_000}, {"s": 3_000}, 10, 0, steps=STEPS, minimum_ppm=100_000)
LINKED = Offer("L", "A", Direction.UP, {F: 1_000, F + 1: 2_000}, {"l": 2_000}, 10, 0, linked=True)
BOUNCING = Offer("B", "A", Direction.UP, {F: 1_000}, {"b": 1_000}, 10, 0, rebound_ppm={1: 500_000})


def test_the_rest_of_a_step_and_later_steps_are_offered_again() -> None:
    outcome = clear("s", [TSO], [STEPPED], [])
    (left,) = remaining([STEPPED], outcome, F, 0)
    assert left.steps == {F: (Step(1_500, 40),)} and left.volume_w == {F: 1_500}


def test_linked_quarter_hours_are_taken_alike_and_only_together() -> None:
    outcome = clear("s", [TSO], [LINKED], [])
    assert {a.frame: a.volume_w for a in outcome.awards} == {F: 750, F + 1: 1_500}
    one = replace(TSO, need={F: 1_500})
    (result,) = clear("s", [one], [LINKED], []).results
    assert result.reason is Reason.LINKED
    assert remaining([LINKED], outcome, F + 1, 0) == []


def test_11_a_rebound_is_held_against_the_limits_of_its_quarter_hour() -> None:
    later = [Constraint("line:1", F + 1, 203, {"b": 1})]
    outcome = clear("s", [TSO], [BOUNCING], later)
    (award,) = outcome.awards
    assert (award.frame, award.volume_w) == (F, 400)  # half of it, and 3 W for rounding, fit in 203 ppt
    assert changes([BOUNCING], outcome.awards) == {F: {"b": -400}, F + 1: {"b": 200}}
    assert outcome.results[0].element == "line:1"


def test_a_rebound_leaves_unserved_what_it_takes_back() -> None:
    asked = Request("d", Buyer.DSO, Direction.UP, "line:1", {F + 1: 100}, 300)
    award = clear("s", [TSO], [BOUNCING], []).awards
    assert unserved([asked], [BOUNCING], award, [Constraint("line:1", F + 1, 0, {"b": 1})]) == {("d", F + 1): 600}
