"""From an outcome to each owner: what is reserved at which price, the planning, and what the owner holds against it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Direction, Offer, Product
from backend.domain.quantity import PPM, split
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.market.availability import Availability
from backend.market.reservation import beyond, reservation_of, reservation_text, reservations, reserved_w

F = 1_995_326
EUR = 1_000_000
GROUP = Offer("g", "A", Direction.UP, {F: 3_000, F + 1: 3_000}, {"a": 1_000, "b": 2_000}, 100 * EUR, 0)
DOWN = Offer("d", "A", Direction.DOWN, {F + 2: 500}, {"a": 500}, 40 * EUR, 0, rebound_ppm={1: 400_000})
OWNERS = {"a": "Dairy", "b": "Farm"}
BASE = {(pod, F + k): 5_000 for pod in "ab" for k in range(4)}


def outcome(*awards):
    return Outcome("da", awards, (), {})


def award(offer=GROUP, frame=F, w=900, **more):
    return Award(offer.id, "T", frame, w, split(w, offer.shares_w), **more)


def test_the_worked_example():
    """900 W of a group of 1 and 2 kW at 100 EUR/MWh, 15 % fee; then 500 W down with a rebound of 200 W."""
    made = reservations(outcome(award(), award(DOWN, F + 2, 500)), [GROUP, DOWN], OWNERS, BASE, 150_000)
    dairy, farm = made
    assert [(r.pod, r.frame, r.direction, r.volume_w, r.owner_ueur_per_mwh) for r in dairy.reserved] == [
        ("a", F, "up", 300, 85 * EUR), ("a", F + 2, "down", 500, 34 * EUR),
    ]  # fmt: skip
    assert [(p.frame, p.target_w) for p in dairy.plans] == [(F, 4_700), (F + 2, 5_500), (F + 3, 4_800)]
    assert [(r.pod, r.volume_w) for r in farm.reserved] == [("b", 600)] and farm.plans[0].target_w == 4_400
    assert all(r.price_ueur_per_mwh == 100 * EUR for r in farm.reserved)


def test_rule_1_the_price_is_the_award_s_and_reserve_is_marked():
    (made,) = reservations(
        outcome(award(w=3, price_ueur_per_mwh=7, reserve=True)), [GROUP], dict.fromkeys("ab", "Dairy"), BASE, 500_000
    )
    assert {(r.price_ueur_per_mwh, r.owner_ueur_per_mwh, r.reserve) for r in made.reserved} == {(7, 3, True)}


def test_several_awards_on_a_pod_are_one_plan():
    (dairy, _) = reservations(outcome(award(), award(w=300)), [GROUP], OWNERS, BASE, 0)
    assert [r.volume_w for r in dairy.reserved] == [100, 300]
    assert [p.target_w for p in dairy.plans] == [4_600]


def test_rule_2_a_later_session_plans_on_top_of_those_before_it():
    first = reservations(outcome(award()), [GROUP], OWNERS, BASE, 0)
    second = reservations(outcome(award(w=300), award(frame=F + 1, w=30)), [GROUP], OWNERS, BASE, 0, first)
    third = reservations(outcome(award(w=30)), [GROUP], OWNERS, BASE, 0, (*first, *second))
    assert [(p.frame, p.target_w) for p in second[0].plans] == [(F, 4_600), (F + 1, 4_990)]
    assert [(p.frame, p.target_w) for p in third[0].plans] == [(F, 4_590)]


def test_awards_of_other_aggregators_and_var_are_not_its_business():
    other = replace(GROUP, id="x", aggregator="B")
    reactive = replace(GROUP, id="q", product=Product.REACTIVE)
    assert reservations(outcome(award(other), award(reactive)), [GROUP, reactive], OWNERS, BASE, 0) == ()
    with pytest.raises(Rejected, match="of A, B, expected those of one aggregator"):
        reservations(outcome(), [GROUP, other], OWNERS, BASE, 0)


def test_rule_3_a_pod_without_owner_or_baseline_is_named():
    with pytest.raises(Rejected, match="reservation of b: no owner"):
        reservations(outcome(award()), [GROUP], {"a": "Dairy"}, BASE, 0)
    with pytest.raises(Rejected, match=f"planning of b: no baseline in quarter-hour {F}"):
        reservations(outcome(award()), [GROUP], OWNERS, {("a", F): 1}, 0)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.sampled_from([F, F + 1]), st.integers(1, 3_000), st.booleans()), max_size=5),
    st.integers(0, PPM),
)
def test_rule_3_nothing_is_lost_between_outcome_and_owners(rows, fee_ppm):
    awards = [award(frame=frame, w=w, reserve=reserve) for frame, w, reserve in rows]
    made = reservations(outcome(*awards), [GROUP], OWNERS, BASE, fee_ppm)
    assert sum(r.volume_w for one in made for r in one.reserved) == sum(a.volume_w for a in awards)
    assert all(r.owner_ueur_per_mwh <= r.price_ueur_per_mwh for one in made for r in one.reserved)
    for one in made:
        for plan in one.plans:
            mine = sum(r.volume_w for r in one.reserved if (r.pod, r.frame) == (plan.pod, plan.frame))
            assert plan.target_w == BASE[plan.pod, plan.frame] - mine
        assert reservation_of(reservation_text(one)) == one


def test_rule_4_the_owner_names_what_it_has_not_declared():
    (dairy, _) = reservations(outcome(award(w=3_000), award(DOWN, F + 2, 500)), [GROUP, DOWN], OWNERS, BASE, 0)
    declared = Availability("a", "Dairy", "A", {F: 999}, {F + 2: 500})
    assert beyond(dairy, [declared]) == [f"a up in quarter-hour {F}: 1000 W are reserved, 999 were declared"]
    assert beyond(dairy, [replace(declared, up_w={F: 1_000})]) == []
    assert len(beyond(dairy, [replace(declared, owner="Farm")])) == 2
    assert reserved_w([dairy]) == {("a", F, Direction.UP): 1_000, ("a", F + 2, Direction.DOWN): 500}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fee_ppm": 0}, "the price less the fee is 100000000"),
        ({"fee_ppm": True}, "expected int"),
        ({"plan": [{"pod": "a", "frame": F, "baseline_w": 1, "target_w": 2}] * 2}, "stands twice"),
        ({"plan": [{"pod": "a"}]}, "baseline_w = None"),
        ({"reserved": [7]}, "expected an object"),
        ({"more": 1}, "no such field"),
    ],
)
def test_a_wrong_reservation_is_refused_in_one_line(change, words):
    (dairy, _) = reservations(outcome(award()), [GROUP], OWNERS, BASE, 150_000)
    with pytest.raises(Rejected, match=words):
        reservation_of(json.dumps(json.loads(reservation_text(dairy)) | change))
