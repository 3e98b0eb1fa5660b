"""The optimal engine: one case by hand, then what it may never do.

By hand: line:1 is over by 20,000 (ppt). A eats 2 per W, B 1. A1 10,000 W at 100 is a block, B1 20,000 W at 60, divisible.
The merit order takes A1 (50 per unit of relief) for all of it: 10,000 W x 100. B1 alone would cost 20,000 x 60, so it is
the optimum too. With a need of 4,000 the block is too much, and B1 is best: 4,000 x 60.
"""

from hypothesis import given, settings

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM
from backend.market.awarded import changes
from backend.market.clearing import clear
from backend.market.optimal import clear_optimally
from tests.backend.market.books import F, books, grids, requests

CAP = 300
A1 = Offer("A1", "A", Direction.UP, {F: 10_000}, {"a": 10_000}, 100, 0, PPM)
B1 = Offer("B1", "A", Direction.UP, {F: 20_000}, {"b": 20_000}, 60, 0)
TABLE = [Constraint("line:1", F, -20_000, {"a": 2, "b": 1})]


def asked(need: int) -> list[Request]:
    return [Request("dso", Buyer.DSO, Direction.UP, "line:1", {F: need}, CAP)]


def taken(outcome):
    return {(a.offer, a.request): a.volume_w for a in outcome.awards}


def test_by_hand_a_block_where_it_fits_and_none_where_it_does_not() -> None:
    outcome, report = clear_optimally("s", asked(20_000), [A1, B1], TABLE)
    assert taken(outcome) == {("A1", "dso"): 10_000} and outcome.unserved == {}
    assert (report.cost_ueur, report.gap_ueur, report.proven) == (0, 0, True)
    outcome, _ = clear_optimally("s", asked(4_000), [A1, B1], TABLE)
    assert taken(outcome) == {("B1", "dso"): 4_000}


def test_two_needs_are_met_by_the_one_offer_that_helps_both() -> None:
    offers = [
        Offer("X", "A", Direction.UP, {F: 1_000_000}, {"x": 1_000_000}, 50_000_000, 0),
        Offer("Y", "A", Direction.UP, {F: 1_000_000}, {"y": 1_000_000}, 50_000_000, 0),
        Offer("Z", "A", Direction.UP, {F: 1_000_000}, {"z": 1_000_000}, 60_000_000, 0),
    ]
    table = [Constraint("line:1", F, -(10**6), {"x": 1, "z": 1}), Constraint("line:2", F, -(10**6), {"y": 1, "z": 1})]
    both = [Request(f"d{k}", Buyer.DSO, Direction.UP, f"line:{k}", {F: 10**6}, 10**9) for k in (1, 2)]
    outcome, report = clear_optimally("s", both, offers, table)
    assert taken(outcome) == {("Z", "d1"): 1_000_000}
    assert report.cost_ueur == 15_000_000 and report.gap_ueur <= 15
    assert len(clear("s", both, offers, table).awards) == 2


def cost(outcome, offers) -> int:
    by_id = {o.id: o for o in offers}
    return sum(a.volume_w * by_id[a.offer].steps_of(a.frame)[a.step].price_ueur_per_mwh for a in outcome.awards)


@settings(max_examples=25)
@given(requests(), books(), grids())
def test_it_breaks_no_limit_loses_no_offer_and_is_never_worse_than_the_merit_order(wanted, offers, table) -> None:
    outcome, _ = clear_optimally("s", wanted, offers, table)
    assert [r.offer for r in outcome.results] == sorted(o.id for o in offers)
    change = changes(offers, outcome.awards)
    for one in table:
        assert one.margin_after(change.get(one.frame, {})) >= min(0, one.margin_ppt)
    points = {}
    by_id = {o.id: o for o in offers}
    for award in outcome.awards:
        offer = by_id[award.offer]
        assert award.volume_w == sum(award.parts_w.values()) > 0
        for point, watts in zip(offer.points, offer.shares_w, strict=True):
            if award.parts_w[watts]:
                assert points.setdefault((point, award.frame), offer.direction) is offer.direction
    for result in outcome.results:
        offer = by_id[result.offer]
        mine = [a for a in outcome.awards if a.offer == offer.id]
        assert sum(a.volume_w for a in mine) == result.accepted_w <= result.offered_w
        for frame in {a.frame for a in mine}:
            assert sum(a.volume_w for a in mine if a.frame == frame) >= (0 if offer.linked else offer.least_w(frame))
    merit = clear("s", wanted, offers, table)
    first = min((r.priority for r in wanted if r.buyer is Buyer.DSO), default=None)
    mine = {r.id for r in wanted if r.buyer is Buyer.DSO and r.priority == first}
    left = [sum(n for (r, _), n in o.unserved.items() if r in mine) for o in (outcome, merit)]
    assert left[0] <= left[1]


@settings(max_examples=8)
@given(requests(), books(6), grids())
def test_the_order_of_input_does_not_matter(wanted, offers, table) -> None:
    assert clear_optimally("s", wanted, offers, table) == clear_optimally("s", wanted[::-1], offers[::-1], table)
