"""What the operator is asked, and what its answer leaves: by hand, then for any answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.market.awarded import with_allowed
from backend.market.judged import Judged, to_judge

FRAMES = (100, 101, 102, 103)
OFFER = Offer(
    "o", "A", Direction.UP, {100: 40, 101: 40}, {"a": 30, "b": 10}, 5, 0, minimum_ppm=250_000, rebound_ppm={2: 500_000}
)
DSO = Request("d", Buyer.DSO, Direction.UP, "line:1", {100: 9}, 50)
TSO = Request("t", Buyer.TSO, Direction.UP, "substation", {100: 9, 101: 9}, 50)
AWARDS = (
    Award("o", "d", 100, 20, {"a": 15, "b": 5}),
    Award("o", "t", 100, 12, {"a": 9, "b": 3}),
    Award("o", "t", 101, 40, {"a": 30, "b": 10}),
)
OUTCOME = Outcome("s", AWARDS, (), {})


def judged() -> tuple[Judged, Judged]:
    one, other = to_judge(FRAMES, (DSO, TSO), (OFFER,), OUTCOME)
    return one, other


def test_rule_1_one_change_for_each_offer_and_buyer_in_order_of_awards() -> None:
    dso, tso = judged()
    assert (dso.buyer, tso.buyer) == (Buyer.DSO, Buyer.TSO)
    assert dso.change == {"a": (-15, 0, 0, 0), "b": (-5, 0, 0, 0)}
    assert tso.change == {"a": (-9, -30, 0, 0), "b": (-3, -10, 0, 0)}
    assert tso.rebound == {"a": (0, 0, 4, 15), "b": (0, 0, 1, 5)}


def test_rule_2_the_least_part_is_that_of_the_tightest_quarter_hour() -> None:
    dso, tso = judged()
    assert dso.least_ppm == 500_000, "10 of 20 W keep a quarter of 40"
    assert tso.least_ppm == 833_334, "10 of 12 W"


def test_rule_3_the_part_of_a_quarter_hour_is_what_was_given_of_what_was_awarded() -> None:
    _, tso = judged()
    assert tso.allow(FRAMES, tso.change) == {}
    parts = tso.allow(FRAMES, {"a": (-9, -10, 0, 0), "b": (-3, 0, 0, 0)})
    assert parts == {("o", "t"): {100: 1_000_000, 101: 250_000}}
    assert tso.allow(FRAMES, {}) == {("o", "t"): {100: 0, 101: 0}}


def test_rule_3_more_than_was_awarded_is_no_answer() -> None:
    with pytest.raises(Rejected, match="13 in quarter-hour 100, 12 were awarded"):
        judged()[1].allow(FRAMES, {"a": (-13, 0, 0, 0)})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"a": (9, 0, 0, 0)}, "9 of a in quarter-hour 100, -9 was awarded"),
        ({"a": (-9, 0, 0, 0), "b": (-3, 10, 0, 0)}, "10 of b in quarter-hour 101, -10 was"),
        ({"a": (-10, 0, 0, 0), "b": (-2, 0, 0, 0)}, "-10 of a in quarter-hour 100, -9 was"),
        ({"a": (-9, 0, 0, 0), "c": (-3, 0, 0, 0)}, "-3 of c in quarter-hour 100, 0 was"),
        ({"a": (-9, 0, 1, 0)}, "1 of a in quarter-hour 102, 0 was"),
    ],
)  # fmt: skip
def test_rule_3_nor_the_other_way_nor_more_of_a_pod_nor_of_one_that_was_awarded_nothing(given, says) -> None:
    with pytest.raises(Rejected, match=says):
        judged()[1].allow(FRAMES, given)


def test_a_reactive_offer_moves_var_and_down_is_more() -> None:
    offer = Offer("q", "A", Direction.DOWN, {100: 5}, {"a": 5}, 5, 0, product=Product.REACTIVE)
    (one,) = to_judge(FRAMES, (DSO,), (offer,), Outcome("s", (Award("q", "d", 100, 5, {"a": 5}),), (), {}))
    assert one.is_reactive and one.change == {"a": (5, 0, 0, 0)} and one.rebound == {}


@given(st.lists(st.integers(0, 30), min_size=2, max_size=2))
def test_what_stays_of_the_awards_is_never_more_than_was_given(watts: list[int]) -> None:
    _, tso = judged()
    given_w = {
        "a": tuple(-min(w, -c) for w, c in zip([*watts, 0, 0], tso.change["a"], strict=True)),
        "b": tso.change["b"],
    }
    left = with_allowed(OUTCOME, tso.allow(FRAMES, given_w), {})
    for place, frame in enumerate(FRAMES[:2]):
        kept = sum(a.volume_w for a in left.awards if a.request == "t" and a.frame == frame)
        assert kept <= sum(-row[place] for row in given_w.values())
    assert [a for a in left.awards if a.request == "d"] == [AWARDS[0]]
