"""Which corrections may be proposed, and who is another person."""

from dataclasses import replace

import pytest

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.errors import Rejected
from backend.market.correction import check_correction, is_same_person
from backend.market.session import MarketSession, SessionRules, State

F = 1_970_000
AWARD = Award("o", "r", F, 10, {"a": 10})
FIVE = replace(AWARD, volume_w=5, parts_w={"a": 5})
TOLD = Result("o", Fate.REJECTED, Reason.NO_NEED, 10, 0)
NONE = Outcome("s", (), (), {})


def session(product: Product = Product.ACTIVE) -> MarketSession:
    one = MarketSession("s", (F, F + 1), 9, {"a": "A"}, State.OPEN, rules=SessionRules(products=frozenset(Product)))
    one.submit(Offer("o", "A", Direction.UP, {F: 10}, {"a": 10}, 1, 0, product=product), 0)
    one.submit(Request("r", Buyer.TSO, Direction.UP, "substation", {F: 15}, 50, product=product), 0)
    free = Request("free", Buyer.TSO, Direction.UP, "substation", {F: 15}, 0, product=product)
    one.submit(free, 0)
    one.submit(replace(free, id="down", direction=Direction.DOWN, price_cap_ueur_per_mwh=50), 0)
    return one


def test_rule_1_what_stands_in_the_book_may_be_awarded() -> None:
    check_correction(session(), Outcome("s", (AWARD,), (), {}), NONE)
    check_correction(session(), NONE, Outcome("s", (AWARD,), (), {}))


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome("t", (AWARD,), (), {}), "is of session t"),
        (Outcome("s", (replace(AWARD, offer="x"),), (), {}), "the book does not have"),
        (Outcome("s", (replace(AWARD, request="x"),), (), {}), "the book does not have"),
        (Outcome("s", (replace(AWARD, frame=F + 1),), (), {}), "the book does not have"),
        (Outcome("s", (replace(AWARD, parts_w={"b": 10}),), (), {}), "the book does not have"),
        (Outcome("s", (AWARD, replace(AWARD, volume_w=1, parts_w={"a": 1})), (), {}), "11 W of 10"),
        (Outcome("s", (replace(AWARD, volume_w=-1, parts_w={"a": -1}),), (), {}), "-1 W of 10"),
        (Outcome("s", (replace(AWARD, price_ueur_per_mwh=-1),), (), {}), "at -1 micro-EUR/MWh.*expected 0 to 50"),
        (Outcome("s", (replace(AWARD, price_ueur_per_mwh=51),), (), {}), "at 51 micro-EUR/MWh.*expected 0 to 50"),
        (Outcome("s", (replace(AWARD, request="free"),), (), {}), "at 1 micro-EUR/MWh.*expected 0 to 0"),
        (Outcome("s", (replace(AWARD, request="down"),), (), {}), "the book does not have"),
        (Outcome("s", (replace(AWARD, step=1),), (), {}), "the book does not have"),
        (Outcome("s", (replace(AWARD, step=-1),), (), {}), "the book does not have"),
        (Outcome("s", (FIVE, FIVE), (), {}), "an award twice"),
        (Outcome("s", (), (TOLD, TOLD), {}), "what became of an offer twice"),
        (Outcome("s", (), (replace(TOLD, offer="x"),), {}), "tells of x, which"),
        (
            Outcome("s", (), (replace(TOLD, accepted_w=10),), {}),
            "says 10 of o is accepted and awards 0: correct its results",
        ),
        (Outcome("s", (AWARD,), (TOLD,), {}), "says 0 of o is accepted and awards 10"),
        (Outcome("s", (), (), {("x", F): 5}), "tells of x, which"),
    ],
)
def test_rule_1_nothing_else(outcome: Outcome, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        check_correction(session(), outcome, NONE)


@pytest.mark.parametrize(("product", "is_bound"), [(Product.ACTIVE, True), (Product.REACTIVE, False)])
def test_rule_2_the_register_bounds_active_power_only(product: Product, is_bound: bool) -> None:
    one = session(product)
    one.capacity_w = {("a", Direction.UP): 9}
    if is_bound:
        with pytest.raises(Rejected, match=f"takes 10 W of a in {F}, other sessions leave 9"):
            check_correction(one, Outcome("s", (AWARD,), (), {}), NONE)
    check_correction(one, Outcome("s", (AWARD,), (), {}), Outcome("s", (AWARD,), (), {}) if is_bound else NONE)


def test_rule_3_one_person_is_one_however_written() -> None:
    assert is_same_person("Ann Lee", " ann  LEE ") and is_same_person("Ann", "\uff21nn")
    assert not is_same_person("Ann Lee", "Ann Li")
