"""Offers from availability: never more than declared, none without a baseline, prices that leave the owner what it asks."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Direction, Step
from backend.domain.quantity import PPM, split
from backend.errors import Rejected
from backend.market.availability import Availability
from backend.market.exchange import bids_text
from backend.market.offering import Offering, offering_of, offers, portfolio
from backend.market.submission import parse_json

F = 1_995_326
FRAMES = range(F, F + 4)
EUR = 1_000_000
PLAIN = Offering({Direction.UP: 100 * EUR})
STEPPED = replace(PLAIN, lot_w=100, steps=((600_000, PPM), (400_000, 1_400_000)), group_below_w=1_000)


def able(pod, up_w, aggregator="A", down_w=None, asked=0):
    return Availability(pod, "Dairy", aggregator, up_w, down_w or {}, asked_ueur_per_mwh=asked)


def baselines(*pods, frames=FRAMES):
    return {(pod, frame): 5_000 for pod in pods for frame in frames}


def test_the_worked_example():
    """One POD of its own, two in a group; 60 % at 100, 40 % at 140 EUR/MWh, in lots of 100 W."""
    mine = [able("a", {F: 2_050, F + 1: 1_000}), able("b", {F: 300, F + 1: 300}), able("c", {F: 500, F + 1: 400})]
    found = {one.id: one for one in offers("A", mine, FRAMES, baselines("a", "b", "c"), STEPPED)}
    assert set(found) == {"A-a-up", "A-group-1-up", "A-group-2-up"}
    assert found["A-a-up"].volume_w == {F: 2_000, F + 1: 1_000} and found["A-a-up"].shares_w == {"a": 2_050}
    assert found["A-a-up"].steps[F] == (Step(1_200, 100 * EUR), Step(800, 140 * EUR))
    assert found["A-group-1-up"].volume_w == {F: 800} and found["A-group-1-up"].shares_w == {"b": 300, "c": 500}
    assert found["A-group-2-up"].volume_w == {F + 1: 700} and found["A-group-2-up"].shares_w == {"b": 300, "c": 400}


def test_rule_1_without_a_baseline_or_outside_the_session_nothing_is_offered():
    mine = [able("a", dict.fromkeys(range(F - 2, F + 6), 500)), able("b", {F: 500})]
    (one,) = offers("A", mine, FRAMES, baselines("a", frames=[F, F + 1, F + 9]), PLAIN)
    assert one.volume_w == {F: 500, F + 1: 500} and one.shares_w == {"a": 500}
    assert offers("B", mine, FRAMES, baselines("a", "b"), PLAIN) == ()


def test_rule_2_less_than_a_lot_is_not_offered():
    (one,) = offers("A", [able("a", {F: 99, F + 1: 101})], FRAMES, baselines("a"), replace(PLAIN, lot_w=100))
    assert one.volume_w == {F + 1: 100}


@pytest.mark.parametrize(
    ("asked", "fee_ppm", "price"),
    [
        (0, 150_000, 100 * EUR),
        (85 * EUR, 150_000, 100 * EUR),
        (102 * EUR, 150_000, 120 * EUR),
        (100 * EUR + 1, 0, 100 * EUR + 1),
    ],
)
def test_rule_4_the_owner_gets_what_it_asks_after_the_fee(asked, fee_ppm, price):
    (one,) = offers("A", [able("a", {F: 10}, asked=asked)], FRAMES, baselines("a"), replace(PLAIN, fee_ppm=fee_ppm))
    assert one.price_ueur_per_mwh == price and price * (PPM - fee_ppm) // PPM >= asked


def test_rule_4_a_group_has_the_price_of_its_dearest():
    mine = [able("a", {F: 10}, asked=120 * EUR), able("b", {F: 10})]
    (one,) = offers("A", mine, FRAMES, baselines("a", "b"), replace(PLAIN, group_below_w=50))
    assert one.shares_w == {"a": 10, "b": 10} and one.price_ueur_per_mwh == 120 * EUR


@pytest.mark.parametrize(
    ("w", "asked", "steps"),
    [
        (200, 0, (Step(100, 100), Step(100, 140))),
        (100, 0, (Step(100, 140),)),
        (1_000, 120 * EUR, (Step(600, 120), Step(400, 140))),
        (1_000, 150 * EUR, (Step(1_000, 150),)),
    ],
)
def test_rule_5_steps_add_up_and_rise(w, asked, steps):
    rule = replace(STEPPED, group_below_w=0)
    (one,) = offers("A", [able("a", {F: w}, asked=asked)], FRAMES, baselines("a"), rule)
    assert one.steps_of(F) == tuple(replace(s, price_ueur_per_mwh=s.price_ueur_per_mwh * EUR) for s in steps)


def test_rule_5_what_has_a_least_part_has_one_step():
    (one,) = offers("A", [able("a", {F: 1_000})], FRAMES, baselines("a"), replace(STEPPED, minimum_ppm=PPM))
    assert one.steps_of(F) == (Step(1_000, 100 * EUR),) and one.minimum_ppm == PPM


def test_both_directions_are_offered_where_both_have_a_price():
    mine = [able("a", {F: 10}, down_w={F: 20})]
    rule = Offering({Direction.UP: 5, Direction.DOWN: 3})
    assert [(o.id, o.volume_w) for o in offers("A", mine, FRAMES, baselines("a"), rule)] == [
        ("A-a-down", {F: 20}), ("A-a-up", {F: 10})
    ]  # fmt: skip
    assert len(offers("A", mine, FRAMES, baselines("a"), PLAIN)) == 1


WATTS = st.dictionaries(st.sampled_from(FRAMES), st.integers(1, 3_000), max_size=4)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from("abcdef"), WATTS), st.integers(1, 400), st.integers(0, 2_000), st.randoms())
def test_never_more_than_is_available_whatever_is_taken(tables, lot_w, below, random):
    mine = [able(pod, table) for pod, table in tables.items()]
    rule = replace(STEPPED, lot_w=lot_w, group_below_w=below)
    found = offers("A", mine, FRAMES, baselines(*"abcde"), rule)
    taken: dict[tuple[str, int], int] = {}
    for one in found:
        for frame, volume_w in one.volume_w.items():
            assert volume_w % lot_w == 0 and all(s.volume_w % lot_w == 0 for s in one.steps_of(frame))
            for pod, w in split(random.randint(0, volume_w), one.shares_w).items():
                taken[pod, frame] = taken.get((pod, frame), 0) + w
    assert all(w <= tables[pod].get(frame, 0) for (pod, frame), w in taken.items())
    assert not any(pod == "f" for pod, _ in taken)
    random.shuffle(mine)
    assert offers("A", mine, FRAMES, baselines(*"abcde"), rule) == found
    assert not parse_json(bids_text((), found)).refusals


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_rule_6_the_portfolio_does_not_depend_on_the_order(order):
    mine = [able("a", {F: 10}), able("b", {F: 5, F + 1: 6}), able("c", {F: 99})]
    found = portfolio("A", [mine[k] for k in order], FRAMES, baselines("a", "b"))
    assert found.baseline_w == dict.fromkeys(FRAMES, 10_000) and found.up_w == {F: 15, F + 1: 6, F + 2: 0, F + 3: 0}
    assert found.pods == ("a", "b") and found.without == ("c",)


def test_a_pod_with_a_gap_in_its_baseline_is_in_no_sum():
    found = portfolio("A", [able("a", {F: 10})], FRAMES, baselines("a", frames=[F, F + 1]))
    assert found.without == ("a",) and set(found.baseline_w.values()) == {0}


SETTINGS = {"format": "lightnode-offering/1", "price_ueur_per_mwh": {"up": 5}}


def test_settings_are_read_with_what_may_be_left_out():
    assert offering_of(json.dumps(SETTINGS)) == Offering({Direction.UP: 5})
    made = offering_of(json.dumps(SETTINGS | {"steps": [[400_000, 1], [600_000, 2]], "lead_s": 60, "fee_ppm": 7}))
    assert made.steps == ((400_000, 1), (600_000, 2)) and (made.lead_s, made.fee_ppm) == (60, 7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price_ueur_per_mwh": {}}, "expected up, down or both"),
        ({"price_ueur_per_mwh": {"left": 1}}, "expected up, down or both"),
        ({"price_ueur_per_mwh": {"up": -1}}, "price up = -1"),
        ({"price_ueur_per_mwh": {"up": "1"}}, "expected a whole number"),
        ({"fee_ppm": PPM}, "fee_ppm = 1000000"),
        ({"lot_w": 0}, "lot_w = 0, expected 1"),
        ({"steps": []}, "expected 1 to 20"),
        ({"steps": [[PPM]]}, "part in 1e-6"),
        ({"steps": [[500_000, 1], [500_000, 1]]}, "rising"),
        ({"steps": [[500_000, 1]]}, "add up to 1000000"),
        ({"colour": 1}, "no such field"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(change, words):
    with pytest.raises(Rejected, match=words):
        offering_of(json.dumps(SETTINGS | change))


def test_an_offer_whose_id_would_be_too_long_is_refused():
    with pytest.raises(Rejected, match="at most 64"):
        offers("A" * 40, [able("p" * 40, {F: 1}, "A" * 40)], FRAMES, baselines("p" * 40), PLAIN)
