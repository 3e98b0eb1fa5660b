"""What must hold of every outcome, over books of all kinds: steps, blocks, links, rebound, groups, reserve, both products."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Offer, Product, Request, Step
from backend.domain.constraint import Constraint
from backend.domain.quantity import FRAME_S, value_ueur
from backend.domain.trade import Outcome
from backend.market.activation import order
from backend.market.awarded import changes
from backend.market.clearing import clear
from backend.market.optimal import clear_optimally
from backend.market.rules import Engine, Pricing, Rules
from backend.market.settled import settled
from backend.market.settled_money import unbalanced_ueur
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from tests.backend.market.books import books, grids, requests
from tests.backend.market.settlement_case import case_of

RESERVES = st.sampled_from((0, 100_000, 1_000_000))


def decided(
    engine: Engine, asked: Sequence[Request], offers: Sequence[Offer], table: Sequence[Constraint], rules: Rules
) -> Outcome:
    if engine is Engine.OPTIMAL:
        return clear_optimally("s", asked, offers, table, None, rules)[0]
    return clear("s", asked, offers, table, None, rules)


ENGINES = st.sampled_from((Engine.GUARDED, Engine.GUARDED, Engine.OPTIMAL))


def no_list_violates_more_than_before_rebounds_and_reserve_included(engine, asked, offers, table, reserve) -> None:
    outcome = decided(engine, asked, offers, table, Rules(reserve_ppm=reserve))
    change = changes(offers, outcome.awards)
    for one in table:
        assert one.margin_after(change.get(one.frame, {})) >= min(one.margin_ppt, 0), (one.element, one.frame)


def a_tso_never_lowers_a_dso_award(engine, asked, offers, table, reserve) -> None:
    rules = Rules(reserve_ppm=reserve)
    alone = [one for one in asked if one.buyer is Buyer.DSO]
    mine = {one.id for one in alone}
    both = decided(engine, asked, offers, table, rules)
    assert [a for a in both.awards if a.request in mine] == list(decided(engine, alone, offers, table, rules).awards)


def volume_and_money_are_conserved_over_steps_blocks_and_prices(engine, asked, offers, table, reserve, pricing) -> None:
    outcome = decided(engine, asked, offers, table, Rules(pricing=pricing, reserve_ppm=reserve))
    by_id, buyer = {o.id: o for o in offers}, {r.id: r for r in asked}
    taken: dict[tuple[str, int, int], int] = {}
    orders = []
    for award in outcome.awards:
        one = by_id[award.offer]
        assert sum(award.parts_w.values()) == award.volume_w > 0
        assert all(0 <= w <= one.shares_w[pod] for pod, w in award.parts_w.items())
        key = award.offer, award.frame, award.step
        taken[key] = taken.get(key, 0) + award.volume_w
        price = one.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
        assert price >= one.steps_of(award.frame)[award.step].price_ueur_per_mwh
        if one.product is Product.ACTIVE:
            orders.append((order("s", award, one, buyer[award.request], award.parts_w), price))
    for (id, frame, step), watts in taken.items():
        steps = by_id[id].steps_of(frame)
        assert watts <= steps[step].volume_w
        assert all(taken.get((id, frame, before), 0) == steps[before].volume_w for before in range(step))
    for result in outcome.results:
        mine = [w for (id, _, _), w in taken.items() if id == result.offer]
        assert result.accepted_w == sum(mine) <= result.offered_w == sum(by_id[result.offer].volume_w.values())
    assert sorted(r.offer for r in outcome.results) == sorted(by_id)
    money_is_conserved(by_id, orders)


def money_is_conserved(by_id: dict[str, Offer], orders: list) -> None:
    """Delivered to the watt, every order is paid at its award's price, and nobody gains what nobody pays."""
    every = [one for one, _ in orders]
    points = {(pod, one.frame): one.direction for one in every for pod in one.parts_w}
    ordered = {point: sum(one.parts_w.get(point[0], 0) for one in every if one.frame == point[1]) for point in points}
    energy_ws = {point: (-w if points[point] == "up" else w) * FRAME_S for point, w in ordered.items()}
    terms = SettlementTerms((PenaltyTable((PenaltyStep(0, 1_000_000),)),), {"A": 30_000})
    aggregator_of = {id: one.aggregator for id, one in by_id.items()}
    made = settled(case_of(every, aggregator_of, dict.fromkeys(points, 0), energy_ws, terms))
    assert unbalanced_ueur(made.lines, made.availability, made.payments) == sum(made.gained_ueur.values()) == 0
    due = sum(value_ueur(sum(one.parts_w.values()) * FRAME_S, price) for one, price in orders)
    assert sum(line.payment_ueur for line in made.lines) == due
    assert not any(line.penalty_ueur or line.held for line in made.lines)


def dearer(one: Offer, by: int) -> Offer:
    """An equal offer at a worse price."""
    steps = {f: tuple(Step(s.volume_w, s.price_ueur_per_mwh + by) for s in of) for f, of in one.steps.items()}
    return replace(one, id=f"{one.id}-dearer", price_ueur_per_mwh=one.price_ueur_per_mwh + by, steps=steps)


def a_worse_price_never_wins_over_an_equal_better_one(asked, offers, table, reserve, which, by) -> None:
    if not offers:
        return
    one = offers[which % len(offers)]
    worse = dearer(one, by)
    outcome = clear("s", asked, [worse, *offers], table, None, Rules(reserve_ppm=reserve))
    for frame in one.volume_w:
        got = {
            id: sum(a.volume_w for a in outcome.awards if (a.offer, a.frame) == (id, frame))
            for id in (one.id, worse.id)
        }
        assert got[worse.id] <= got[one.id], frame


@settings(max_examples=15)
@given(ENGINES, requests(), books(), grids(), RESERVES)
def test_no_list_violates_more_than_before_rebounds_and_reserve_included(engine, asked, offers, table, reserve) -> None:
    no_list_violates_more_than_before_rebounds_and_reserve_included(engine, asked, offers, table, reserve)


@pytest.mark.long
@settings(max_examples=1_000)
@given(ENGINES, requests(), books(), grids(), RESERVES)
def test_no_list_violates_more_than_before_often(engine, asked, offers, table, reserve) -> None:
    no_list_violates_more_than_before_rebounds_and_reserve_included(engine, asked, offers, table, reserve)


@settings(max_examples=15)
@given(ENGINES, requests(), books(), grids(), RESERVES)
def test_a_tso_never_lowers_a_dso_award(engine, asked, offers, table, reserve) -> None:
    a_tso_never_lowers_a_dso_award(engine, asked, offers, table, reserve)


@pytest.mark.long
@settings(max_examples=1_000)
@given(ENGINES, requests(), books(), grids(), RESERVES)
def test_a_tso_never_lowers_a_dso_award_often(engine, asked, offers, table, reserve) -> None:
    a_tso_never_lowers_a_dso_award(engine, asked, offers, table, reserve)


@settings(max_examples=15)
@given(ENGINES, requests(), books(), grids(), RESERVES, st.sampled_from(Pricing))
def test_volume_and_money_are_conserved_over_steps_blocks_and_prices(
    engine, asked, offers, table, reserve, pricing
) -> None:
    volume_and_money_are_conserved_over_steps_blocks_and_prices(engine, asked, offers, table, reserve, pricing)


@pytest.mark.long
@settings(max_examples=1_000)
@given(ENGINES, requests(), books(), grids(), RESERVES, st.sampled_from(Pricing))
def test_volume_and_money_are_conserved_often(engine, asked, offers, table, reserve, pricing) -> None:
    volume_and_money_are_conserved_over_steps_blocks_and_prices(engine, asked, offers, table, reserve, pricing)


@settings(max_examples=40)
@given(requests(), books(), grids(), RESERVES, st.integers(0, 9), st.integers(1, 50))
def test_a_worse_price_never_wins_over_an_equal_better_one(asked, offers, table, reserve, which, by) -> None:
    a_worse_price_never_wins_over_an_equal_better_one(asked, offers, table, reserve, which, by)


@pytest.mark.long
@settings(max_examples=1_000)
@given(requests(), books(), grids(), RESERVES, st.integers(0, 9), st.integers(1, 50))
def test_a_worse_price_never_wins_often(asked, offers, table, reserve, which, by) -> None:
    a_worse_price_never_wins_over_an_equal_better_one(asked, offers, table, reserve, which, by)
