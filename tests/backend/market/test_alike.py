"""Which entries are alike: by hand, and whatever is changed of one tells it from the other."""

from dataclasses import replace

import numpy as np
import pytest

from backend.domain.bids import Direction, Offer
from backend.domain.constraint import Constraint
from backend.market.alike import alike
from backend.market.book import book_of
from backend.market.limits import limits_of
from backend.market.relief import window

F = 1_970_000
TABLE = [
    Constraint("line:1", F, 0, {"a": 2, "b": 2, "c": 2, "g": 1, "h": 1}), Constraint("line:2", F, 0, {"a": -1, "b": -1, "c": 1}),
]  # fmt: skip
ONE = Offer("1", "A", Direction.UP, {F: 10}, {"a": 10}, 5, 0)
GROUP = Offer("1", "A", Direction.UP, {F: 10}, {"a": 6, "c": 4}, 5, 0)


def numbers(offers: list[Offer], table: list[Constraint] = TABLE, least: tuple[int, ...] = (0, 0)) -> list[int]:
    book = book_of(offers)
    limits = limits_of(table, book)
    left = book.volume_w[np.arange(len(offers))]
    return alike(window(book, limits, limits.at(F), book.offer, left), np.array(least)).tolist()


@pytest.mark.parametrize(
    "table", [TABLE, [replace(c, margin_ppt=10**30) for c in TABLE]], ids=("64 bits", "any length")
)
def test_rule_1_price_name_and_a_pod_of_the_same_effects_make_no_difference(table: list[Constraint]) -> None:
    other = replace(ONE, id="2", price_ueur_per_mwh=9, shares_w={"b": 50}, received_ms=7)
    first, second = numbers([ONE, other], table)
    assert first == second
    first, second = numbers([GROUP, replace(GROUP, id="2", shares_w={"c": 4, "b": 6})], table)
    assert first == second


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        (ONE, replace(ONE, shares_w={"c": 10}), (0, 0)), (ONE, replace(ONE, volume_w={F: 9}), (0, 0)), (ONE, ONE, (0, 1)),
        (GROUP, replace(GROUP, shares_w={"a": 4, "c": 6}), (0, 0)), (GROUP, replace(GROUP, shares_w={"a": 6, "g": 4}), (0, 0)),
        (GROUP, ONE, (0, 0)), (GROUP, replace(GROUP, shares_w={"a": 6, "c": 4, "g": 1}), (0, 0)),
    ],
)  # fmt: skip
def test_rule_1_effects_shares_watts_and_least_part_do(one: Offer, other: Offer, least: tuple[int, ...]) -> None:
    first, second = numbers([one, replace(other, id="2")], least=least)
    assert first != second


def test_rule_2_ten_thousand_that_differ_have_as_many_numbers() -> None:
    offers = [replace(ONE, id=f"{k:05}", volume_w={F: 1 + k}, shares_w={"a": 20_000}) for k in range(10_000)]
    assert len(set(numbers(offers, least=(0,) * 10_000))) == 10_000
