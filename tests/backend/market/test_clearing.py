"""Clearing: one session checked by hand, then what must always hold.

By hand: line "line:1" is over by 20,000 (ppt). A eats 2 per W, B 1, C nothing. The DSO asks for all of it (WHOLE); the
TSO for 6,000 W. A1: A, 8,000 W at 100 (so 50 per unit of relief). B1: B, 8,000 W at 60. C1: C, 8,000 W at 90.
DSO: A1 first (50 < 60) with all 8,000 W -> relief 16,000; B1 with 4,000 W -> relief 4,000. TSO: B1's rest 4,000 at 60,
then C1 with 2,000 at 90.
"""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Fate, Outcome, Reason
from backend.errors import Rejected
from backend.market.awarded import moves, remaining, unserved, with_allowed
from backend.market.canonical import outcome_hash
from backend.market.clearing import clear
from backend.market.optimal import clear_optimally

F = 1_970_000
CAP = 300


def offer(id: str, pod: str, watts: int, price: int, direction: Direction = Direction.UP, **more: int) -> Offer:
    return Offer(id, "A", direction, {F: watts}, {pod: max(watts, 1)}, price, more.pop("received_ms", 0), **more)


def line(margin: int, **effects: int) -> Constraint:
    return Constraint("line:1", F, margin, effects)


DSO = Request("dso", Buyer.DSO, Direction.UP, "line:1", {F: 10_000}, CAP)
TSO = Request("tso", Buyer.TSO, Direction.UP, "substation", {F: 6_000}, CAP)
OFFERS = [offer("A1", "a", 8_000, 100), offer("B1", "b", 8_000, 60), offer("C1", "c", 8_000, 90)]
TABLE = [Constraint("line:1", F, -20_000, {"a": 2, "b": 1, "c": 0})]
WHOLE = Request("dso", Buyer.DSO, Direction.UP, "line:1", {F: 20_000}, CAP)


def awarded(outcome: Outcome) -> dict[tuple[str, str], int]:
    return {(a.offer, a.request): a.volume_w for a in outcome.awards}


def test_the_session_by_hand() -> None:
    outcome = clear("s", [TSO, WHOLE], OFFERS, TABLE)
    assert awarded(outcome) == {("A1", "dso"): 8_000, ("B1", "dso"): 4_000, ("B1", "tso"): 4_000, ("C1", "tso"): 2_000}
    assert {r.offer: r.fate for r in outcome.results} == {"A1": Fate.ACCEPTED, "B1": Fate.ACCEPTED, "C1": Fate.CUT}
    assert outcome.unserved == {}


def test_the_guard_cuts_what_would_break_a_limit_and_names_it() -> None:
    table = [Constraint("line:2", F, 3_000, {"c": -1})]
    outcome = clear("s", [TSO], [offer("C1", "c", 8_000, 90)], table)
    assert awarded(outcome) == {("C1", "tso"): 3_000}
    (result,) = outcome.results
    assert (result.fate, result.reason, result.element) == (Fate.CUT, Reason.GUARD, "line:2")
    assert outcome.unserved == {("tso", F): 3_000}


def test_a_tso_award_never_takes_back_what_the_dso_bought() -> None:
    back = Request("tso", Buyer.TSO, Direction.DOWN, "substation", {F: 5_000}, CAP)
    offers = [*OFFERS[:2], offer("D1", "d", 5_000, 10, Direction.DOWN)]
    outcome = clear("s", [WHOLE, back], offers, [Constraint("line:1", F, -20_000, {"a": 2, "b": 1, "d": 2})])
    assert ("D1", "tso") not in awarded(outcome)
    assert next(r for r in outcome.results if r.offer == "D1").reason is Reason.GUARD


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (offer("X", "a", 100, CAP + 1), Reason.PRICE_CAP),
        (offer("X", "a", 100, 1, Direction.DOWN), Reason.WRONG_DIRECTION),
        (offer("X", "c", 100, 1), Reason.NO_EFFECT),
        (offer("X", "a", 50_000, 1, minimum_ppm=1_000_000), Reason.MINIMUM),
        (Offer("X", "A", Direction.UP, {F + 9: 100}, {"a": 100}, 1, 0), Reason.NO_NEED),
        (offer("X", "a", 100, 250), Reason.NEED_MET),
    ],
    ids=lambda v: v.name if isinstance(v, Reason) else "",
)
def test_each_rejection_has_its_reason(one: Offer, reason: Reason) -> None:
    enough = [offer("A0", "a", 10_000, 200)] if reason is Reason.NEED_MET else []
    outcome = clear("s", [WHOLE], [one, *enough], TABLE)
    result = next(r for r in outcome.results if r.offer == "X")
    assert (result.fate, result.reason) == (Fate.REJECTED, reason)


@pytest.mark.parametrize(
    "more", [{}, {"minimum_ppm": 1_000_000}, {"linked": True}], ids=("divisible", "block", "linked")
)
def test_rule_14_what_a_limit_stopped_stops_an_equal_offer_behind_it(more: dict[str, Any]) -> None:
    """A eats line:9, which has nothing left; E relieves it; then an equal offer of the same watts must not go ahead of A."""
    asked = Request("tso", Buyer.TSO, Direction.UP, "substation", {F: 30}, CAP)
    better, worse = (replace(offer(id, "a", 10, price), **more) for id, price in (("A", 1), ("W", 3)))
    table = [Constraint("line:9", F, 0, {"a": -1, "e": 1})]
    outcome = clear("s", [asked], [worse, offer("E", "e", 10, 2), better], table)
    assert awarded(outcome) == {("E", "tso"): 10}
    assert {(r.offer, r.reason, r.element) for r in outcome.results if r.offer != "E"} == {
        ("A", Reason.GUARD, "line:9"), ("W", Reason.GUARD, "line:9"),
    }  # fmt: skip
    other = replace(worse, volume_w={F: 9}, id="O")
    assert ("O", "tso") in awarded(clear("s", [asked], [other, offer("E", "e", 10, 2), better], table)), (
        "it is no equal"
    )


def test_what_is_left_goes_into_the_next_session_and_no_watt_is_sold_twice() -> None:
    outcome = clear("s", [TSO, WHOLE], OFFERS, TABLE)
    left = {o.id: o.volume_w for o in remaining(OFFERS, outcome, F, 0)}
    assert left == {"C1": {F: 6_000}}


def test_a_pod_moves_in_one_direction_in_a_quarter_hour_over_sessions_too() -> None:
    down = Request("tso-down", Buyer.TSO, Direction.DOWN, "substation", {F: 500}, CAP, priority=1)
    offers = [OFFERS[2], offer("D1", "c", 500, 1, Direction.DOWN)]
    outcome = clear("s", [TSO, down], offers, [])
    assert awarded(outcome) == {("C1", "tso"): 6_000}
    assert next(r.reason for r in outcome.results if r.offer == "D1") is Reason.OTHER_WAY
    assert outcome.unserved == {("tso-down", F): 500}
    assert clear("t", [down], offers[1:], [], moves(offers, outcome.awards)).awards == ()
    assert clear("t", [down], offers[1:], []).awards != ()


def test_what_validation_took_away_is_published_as_unserved() -> None:
    outcome = clear("s", [TSO, WHOLE], OFFERS, TABLE)
    parts = {"A1": {F: 500_000}, "C1": {F: 0}}
    allowed = {(a.offer, a.request): parts[a.offer] for a in outcome.awards if a.offer in parts}
    checked = with_allowed(outcome, allowed, {"A1": "line:9"})
    assert unserved([TSO, WHOLE], OFFERS, checked.awards, TABLE) == {("dso", F): 4_000, ("tso", F): 2_000}
    assert next(r for r in checked.results if r.offer == "A1").element == "line:9"


def test_a_need_on_an_element_that_the_grid_does_not_name_stays_unserved() -> None:
    other = Request("dso", Buyer.DSO, Direction.UP, "line:7", {F: 5_000}, CAP)
    outcome = clear("s", [other], OFFERS, TABLE)
    assert outcome.unserved == {("dso", F): 5_000} and outcome.awards == ()
    assert {r.reason for r in outcome.results} == {Reason.NO_EFFECT}


def test_a_request_gets_the_relief_it_asks_for_and_no_more() -> None:
    outcome = clear("s", [DSO], OFFERS, TABLE)
    assert awarded(outcome) == {("A1", "dso"): 5_000} and outcome.unserved == {}


def test_relief_that_another_request_bought_is_not_bought_twice() -> None:
    second = Request("dso2", Buyer.DSO, Direction.UP, "line:2", {F: 4_000}, CAP, priority=1)
    table = [*TABLE, Constraint("line:2", F, -4_000, {"a": 1, "b": 0, "c": 0})]
    outcome = clear("s", [WHOLE, second], OFFERS, table)
    assert all(award.request == "dso" for award in outcome.awards) and outcome.unserved == {}


def test_a_group_leaves_no_rest_for_the_rounding_of_its_parts() -> None:
    group = Offer("G", "A", Direction.UP, {F: 9_000}, {"a": 3_333, "b": 3_333, "c": 3_334}, 50, 0)
    table = [Constraint("line:1", F, -10_001, {"a": 7, "b": 3, "c": 1})]
    asked = Request("dso", Buyer.DSO, Direction.UP, "line:1", {F: 10_001}, CAP)
    assert clear("s", [asked], [group], table).unserved == {}


@pytest.mark.parametrize("volume", [{}, {F: 0}, {F: 9_000}])
def test_an_offer_that_cannot_be_made_is_refused(volume: dict[int, int]) -> None:
    with pytest.raises(Rejected):
        Offer("X", "A", Direction.UP, volume, {"a": 8_000}, 1, 0)


BOOKS = st.lists(
    st.builds(
        lambda k, pod, watts, price, up, at: (k, pod, watts, price, up, at),
        st.integers(0, 10**6), st.sampled_from("abc"), st.integers(1, 20_000), st.integers(0, 400), st.booleans(), st.integers(0, 3),
    ),
    max_size=8, unique_by=lambda row: row[0],
)  # fmt: skip


def book(rows: list[tuple[int, str, int, int, bool, int]]) -> list[Offer]:
    return [
        offer(f"o{k}", pod, watts, price, Direction.UP if up else Direction.DOWN, received_ms=at)
        for k, pod, watts, price, up, at in rows
    ]


@given(BOOKS, st.integers(-40_000, 40_000), st.integers(0, 30_000))
def test_every_offer_has_one_result_volume_is_conserved_and_no_limit_is_worse(
    rows: list[tuple[int, str, int, int, bool, int]], margin: int, second: int
) -> None:
    offers = book(rows)
    table = [
        Constraint("line:1", F, margin, {"a": 2, "b": 1, "c": 0}),
        Constraint("line:2", F, second, {"a": -1, "b": 2, "c": -3}),
    ]
    outcome = clear("s", [WHOLE, TSO], offers, table)
    assert sorted(r.offer for r in outcome.results) == sorted(o.id for o in offers)
    signs = {o.id: -1 if o.direction is Direction.UP else 1 for o in offers}
    change: dict[str, int] = {}
    for award in outcome.awards:
        assert sum(award.parts_w.values()) == award.volume_w > 0
        for pod, watts in award.parts_w.items():
            change[pod] = change.get(pod, 0) + signs[award.offer] * watts
    for one in offers:
        taken = sum(a.volume_w for a in outcome.awards if a.offer == one.id)
        assert taken <= one.volume_w[F]
        assert taken == next(r.accepted_w for r in outcome.results if r.offer == one.id)
    for constraint in table:
        assert constraint.margin_after(change) >= min(constraint.margin_ppt, 0)


@settings(max_examples=20)
@given(BOOKS)
def test_the_order_of_input_does_not_matter(rows: list[tuple[int, str, int, int, bool, int]]) -> None:
    offers = book(rows)[:4]
    hashes = {outcome_hash([clear("s", [WHOLE, TSO], list(p), TABLE)]) for p in itertools.permutations(offers)}
    assert len(hashes) == 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 12_000))
def test_a_worse_price_never_wins_over_an_equal_better_one(one: int, other: int, need: int) -> None:
    offers = [offer("x", "a", 10_000, one), offer("y", "a", 10_000, other)]
    request = Request("tso", Buyer.TSO, Direction.UP, "substation", {F: need}, CAP)
    taken = {a.offer: a.volume_w for a in clear("s", [request], offers, []).awards}
    better, worse = ("x", "y") if one <= other else ("y", "x")
    assert taken.get(worse, 0) == max(0, need - 10_000) and taken[better] == min(need, 10_000)


CLOSED = [Constraint("network", F, 0, {pod: sign for pod in "ab"}) for sign in (1, -1)]


@pytest.mark.parametrize("engine", [clear, lambda *given: clear_optimally(*given)[0]])
def test_in_a_quarter_hour_that_the_grid_has_no_solution_of_nothing_moves(engine: Any) -> None:
    """Neither up nor down, nor as a linked quarter-hour, nor as a rebound from another one; the others are served."""
    frames = {F: 5_000, F + 1: 5_000}
    offers = [
        Offer("plain", "A", Direction.UP, frames, {"a": 5_000}, 50, 0),
        Offer("linked", "A", Direction.UP, frames, {"b": 5_000}, 1, 0, linked=True),
        Offer("later", "A", Direction.UP, {F - 1: 5_000}, {"b": 5_000}, 1, 0, rebound_ppm={1: 500_000}),
        Offer("down", "A", Direction.DOWN, {F: 5_000}, {"b": 5_000}, 1, 0),
    ]
    need = dict.fromkeys((F - 1, F, F + 1), 4_000)
    up = Request("up", Buyer.TSO, Direction.UP, "substation", need, CAP)
    down = Request("down", Buyer.TSO, Direction.DOWN, "substation", {F: 3_000}, CAP)
    made = engine("s", [up, down], offers, CLOSED)
    assert {(a.offer, a.frame, a.volume_w) for a in made.awards} == {("plain", F + 1, 4_000)}
    assert made.unserved == {("down", F): 3_000, ("up", F): 4_000, ("up", F - 1): 4_000}
    results = {r.offer: (r.reason, r.element) for r in made.results}
    assert results["down"] == results["later"] == (Reason.GUARD, "network")
