"""No POD gives more than its part of an offer, in however many awards the offer is taken."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Request, Step
from backend.domain.constraint import Constraint
from backend.domain.quantity import split
from backend.domain.trade import Award, Fate, Outcome, Reason
from backend.market.awarded import changes
from backend.market.clearing import clear
from backend.market.literal import clear_literally
from backend.market.optimal import clear_optimally
from backend.market.rules import Rules
from tests.backend.market import plain
from tests.backend.market.books import F, grids

THREE = Offer("o", "A", Direction.UP, {F: 3_000}, {"a": 1_000, "b": 1_000, "c": 1_000}, 5, 0)


def asks(*needs_w: int) -> list[Request]:
    return [Request(f"r{k}", Buyer.TSO, Direction.UP, "substation", {F: w}, 50, k) for k, w in enumerate(needs_w)]


def parts(awards: Sequence[Award]) -> list[list[int]]:
    return [list(one.parts_w.values()) for one in awards]


def test_rule_1_three_requests_for_a_third_each_leave_every_pod_at_its_own() -> None:
    """Each third is 334, 333 and 333 W; three of them would be 1,002 W of a, which has 1,000."""
    assert parts(clear("s", asks(1_000, 1_000, 1_000), [THREE], ()).awards) == [
        [334, 333, 333], [334, 333, 333], [332, 334, 334],
    ]  # fmt: skip


def test_rule_1_so_do_price_steps_a_reserve_and_a_part_that_is_rounded_otherwise_than_the_whole() -> None:
    steps = Offer("o", "A", Direction.UP, {F: 3}, {"a": 1, "b": 1, "c": 1}, 5, 0, steps={F: (Step(1, 1), Step(2, 2))})
    assert parts(clear("s", asks(3), [steps], ()).awards) == [[1, 0, 0], [0, 1, 1]]
    plain_three = Offer("o", "A", Direction.UP, {F: 3}, {"a": 1, "b": 1, "c": 1}, 5, 0)
    assert parts(clear("s", asks(2), [plain_three], (), rules=Rules(reserve_ppm=500_000)).awards) == [
        [1, 1, 0], [0, 0, 1],
    ]  # fmt: skip
    uneven = Offer("o", "A", Direction.UP, {F: 11}, {"a": 6, "b": 6, "c": 2}, 5, 0)
    assert split(10, uneven.shares_w)["c"] == 2 > split(11, uneven.shares_w)["c"], (
        "ten watts have more for c than eleven"
    )
    assert parts(clear("s", asks(10), [uneven], ()).awards) == [[5, 4, 1]]


def test_rule_2_where_the_other_pod_would_break_a_limit_the_offer_is_capped_and_says_so() -> None:
    """Both watts of o go to a; x then eats all that is left of the line, so that b cannot have the second one."""
    o = Offer("o", "A", Direction.UP, {F: 2}, {"a": 1, "b": 1}, 1, 0)
    x = Offer("x", "A", Direction.UP, {F: 30}, {"c": 30}, 2, 0)
    line = [Constraint("line:1", F, 20, {"b": -10, "c": -1})]
    out = clear("s", asks(1, 1, 20), [o, x], line)
    assert [(a.request, a.offer, dict(a.parts_w)) for a in out.awards] == [
        ("r0", "o", {"a": 1, "b": 0}), ("r1", "x", {"c": 1}), ("r2", "x", {"c": 19}),
    ]  # fmt: skip
    (first, _) = out.results
    assert (first.fate, first.reason, first.element, first.accepted_w) == (Fate.CUT, Reason.GUARD, "line:1", 1)
    assert out == plain.clear("s", asks(1, 1, 20), [o, x], line)


def test_rule_2_relief_that_was_asked_for_is_not_taken_back() -> None:
    """Each step's watt goes to a, 20 ppt of the DSO's 30; b has no effect, so its watt instead of a's second is not bought."""
    steps = {F: (Step(1, 1), Step(1, 2))}
    o = Offer("o", "A", Direction.UP, {F: 2}, {"a": 1, "b": 1}, 1, 0, steps=steps)
    dso = Request("d", Buyer.DSO, Direction.UP, "line:1", {F: 30}, 50)
    out = clear("s", [dso], [o], [Constraint("line:1", F, 100, {"a": 20, "b": 0})])
    assert parts(out.awards) == [[1, 0]] and out.unserved == {("d", F): 10}
    assert (out.results[0].fate, out.results[0].element) == (Fate.CUT, "line:1")


@st.composite
def groups(draw: st.DrawFn) -> list[Offer]:
    """Offers of several PODs, with few watts and price steps, so that nearly every award is rounded."""
    found = []
    for k in range(draw(st.integers(1, 4))):
        pods = draw(st.lists(st.sampled_from("abcde"), min_size=2, max_size=4, unique=True))
        shares = {pod: draw(st.integers(1, 4)) for pod in pods}
        volume = draw(st.integers(1, sum(shares.values())))
        first = draw(st.integers(1, volume))
        steps = (Step(first, k), *((Step(volume - first, k + 9),) if first < volume else ()))
        way = draw(st.sampled_from((Direction.UP, Direction.UP, Direction.DOWN)))
        rebound = draw(st.sampled_from(({}, {}, {1: 500_000})))
        found.append(Offer(f"o{k}", "A", way, {F: volume}, shares, k, 0, steps={F: steps}, rebound_ppm=rebound))
    pod = draw(st.sampled_from("abcde"))
    return [*found, Offer("x", "A", Direction.UP, {F: 9}, {pod: 9}, draw(st.integers(0, 20)), 0)]


@st.composite
def needs(draw: st.DrawFn) -> list[Request]:
    """Of several buyers, small against the offers."""
    found = asks(*draw(st.lists(st.integers(1, 6), max_size=3)))
    for k in range(draw(st.integers(0, 2))):
        way = draw(st.sampled_from((Direction.UP, Direction.DOWN)))
        found.append(Request(f"d{k}", Buyer.DSO, way, "line:1", {F: draw(st.integers(1, 40))}, 50, k))
    return found


def holds(out: Outcome, offers: Sequence[Offer], table: Sequence[Constraint]) -> None:
    by_id, taken = {one.id: one for one in offers}, dict[tuple[str, str], int]()
    for award in out.awards:
        assert sum(award.parts_w.values()) == award.volume_w and min(award.parts_w.values()) >= 0
        for pod, w in award.parts_w.items():
            taken[award.offer, pod] = taken.get((award.offer, pod), 0) + w
    for (id, pod), w in taken.items():
        assert w <= split(by_id[id].volume_w[F], dict(sorted(by_id[id].shares_w.items())))[pod]
    moved = changes(offers, out.awards)
    for one in table:
        assert one.margin_after(moved.get(one.frame, {})) >= min(0, one.margin_ppt)


def small(table: Sequence[Constraint]) -> list[Constraint]:
    return [Constraint(c.element, c.frame, c.margin_ppt // 1_000, c.effect_ppt_per_w) for c in table]


def check_dso(asked: list[Request], offers: list[Offer], table: list[Constraint]) -> None:
    """What the TSO asks for lowers no award of the DSO's."""
    alone = [one for one in asked if one.buyer is Buyer.DSO]
    taken = [
        {(a.offer, a.request, a.step): a.volume_w for a in clear("s", some, offers, small(table)).awards}
        for some in (alone, asked)
    ]
    assert all(taken[1].get(key, 0) >= w for key, w in taken[0].items())


def check(asked: list[Request], offers: list[Offer], table: list[Constraint], reserve: int) -> None:
    out = clear("s", asked, offers, small(table), rules=Rules(reserve_ppm=reserve))
    holds(out, offers, small(table))
    assert out == plain.clear("s", asked, offers, small(table), reserve_ppm=reserve)
    check_dso(asked, offers, table)


@settings(max_examples=40)
@given(needs(), groups(), grids(), st.sampled_from((0, 300_000)))
def test_no_pod_gives_more_than_its_part_and_no_limit_breaks(asked, offers, table, reserve) -> None:
    check(asked, offers, table, reserve)


@settings(max_examples=15)
@given(needs(), groups(), grids())
def test_nor_at_the_optimum_nor_by_the_literal_rule(asked, offers, table) -> None:
    holds(clear_optimally("s", asked, offers, small(table))[0], offers, small(table))
    holds(clear_literally("s", asked, offers, small(table)), offers, ())


@pytest.mark.long
@settings(max_examples=4_000)
@given(needs(), groups(), grids(), st.sampled_from((0, 300_000)))
def test_no_pod_gives_more_than_its_part_and_no_limit_breaks_often(asked, offers, table, reserve) -> None:
    check(asked, offers, table, reserve)


@pytest.mark.long
@settings(max_examples=1_000)
@given(needs(), groups(), grids())
def test_nor_at_the_optimum_often(asked, offers, table) -> None:
    holds(clear_optimally("s", asked, offers, small(table))[0], offers, small(table))
