"""Settlement prices: as bid and as cleared, by hand."""

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Request, Step
from backend.market.activation import order
from backend.market.clearing import clear
from backend.market.rules import Pricing, Rules
from tests.backend.market.books import F, books, grids, requests

STEPS = {F: (Step(1_000, 10), Step(2_000, 40))}
OFFERS = [
    Offer("S", "A", Direction.UP, {F: 3_000}, {"s": 3_000}, 10, 0, steps=STEPS),
    Offer("T", "A", Direction.UP, {F: 1_000}, {"t": 1_000}, 30, 0),
]
ASKED = [Request("tso", Buyer.TSO, Direction.UP, "substation", {F: 3_000}, 300)]


def prices(rules: Rules) -> list[tuple[str, int, int, int | None, bool]]:
    outcome = clear("s", ASKED, OFFERS, [], None, rules)
    return [(a.offer, a.step, a.volume_w, a.price_ueur_per_mwh, a.reserve) for a in outcome.awards]


def test_1_as_bid_each_step_has_its_own_price_and_a_plain_offer_needs_none() -> None:
    assert prices(Rules()) == [("S", 0, 1_000, 10, False), ("T", 0, 1_000, None, False), ("S", 1, 1_000, 40, False)]


def test_2_as_cleared_all_have_the_dearest_and_reserve_its_own() -> None:
    found = prices(Rules(pricing=Pricing.AS_CLEARED, reserve_ppm=200_000))
    assert [price for _, _, _, price, reserve in found if not reserve] == [40, 40, 40]
    assert found[-1] == ("S", 1, 600, 40, True)


def test_an_order_on_each_step_has_its_own_id_and_the_award_s_price() -> None:
    awards = clear("s", ASKED, OFFERS, []).awards
    orders = [order("s", a, next(o for o in OFFERS if o.id == a.offer), ASKED[0], a.parts_w) for a in awards]
    assert len({one.id for one in orders}) == 3
    assert [one.price_ueur_per_mwh for one in orders] == [10, 30, 40]


@settings(max_examples=25)
@given(requests(), books(6), grids(), st.sampled_from((0, 300_000)))
def test_cleared_prices_are_uniform_and_never_below_a_bid(asked, offers, table, reserve) -> None:
    outcome = clear("s", asked, offers, table, None, Rules(pricing=Pricing.AS_CLEARED, reserve_ppm=reserve))
    by_id, uniform = {o.id: o for o in offers}, {}
    for award in outcome.awards:
        own = by_id[award.offer].steps_of(award.frame)[award.step].price_ueur_per_mwh
        if not award.reserve:
            assert award.price_ueur_per_mwh >= own
            assert (
                uniform.setdefault((award.request, award.frame), award.price_ueur_per_mwh) == award.price_ueur_per_mwh
            )
