"""Orders per POD: every watt is placed or named short, no POD beyond its room, replacements stay in the group."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.trade import Order
from backend.errors import Rejected
from backend.market.dispatch import Ability, Call, call_of, changed, dispatch, replaced, shared

FRAME = 2_000_000
PODS = ("P1", "P2", "P3", "P4")


def able(pod, up_w=10_000, down_w=10_000, baseline_w=20_000):
    return Ability(pod, baseline_w, -50_000, 50_000, up_w, down_w)


def abilities(**up_w):
    return {pod: able(pod, up_w.get(pod, 10_000)) for pod in PODS}


def call(order="o1", volume_w=1_000, shares=None, buyer="DSO", direction="up"):
    return Call(order, buyer, FRAME, direction, volume_w, shares or dict.fromkeys(PODS, 1_000))


def test_worked_example_three_pods_share_a_thousand_watts_and_one_is_nearly_full():
    """Shares 3:2:1 of 1000 W are 500, 333, 167; P1 has 200 W, so 800 W remain for P2 and P3 in 2:1: 533 and 267."""
    assert shared(1_000, {"P1": 3, "P2": 2, "P3": 1}, dict.fromkeys(PODS, 9_999)) == (
        {"P1": 500, "P2": 333, "P3": 167},
        0,
    )
    room = {"P1": 200, "P2": 9_999, "P3": 9_999}
    assert shared(1_000, {"P1": 3, "P2": 2, "P3": 1}, room) == ({"P1": 200, "P2": 533, "P3": 267}, 0)


def test_rule_1_the_largest_remainder_first_ties_by_pod():
    assert shared(2, {"P3": 1, "P2": 1, "P1": 1}, dict.fromkeys(PODS, 9))[0] == {"P1": 1, "P2": 1, "P3": 0}


def test_rule_2_a_limit_counts_as_much_as_what_is_available():
    lowest = Ability("P1", 20_000, 19_900, 50_000, 10_000, 10_000)
    assert (lowest.room_w("up"), lowest.room_w("down")) == (100, 10_000)
    assert Ability("P1", 60_000, 0, 50_000, 10, 10).room_w("down") == 0


@settings(max_examples=60)
@given(
    total=st.integers(0, 100_000),
    shares=st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(1, 50_000), min_size=1),
    room=st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(-5, 30_000)),
)
def test_rule_3_parts_and_shortfall_add_up_and_no_pod_is_beyond_its_room(total, shares, room):
    parts, short = shared(total, shares, room)
    assert sum(parts.values()) + short == total and short >= 0
    assert all(0 <= parts[pod] <= max(0, room.get(pod, 0)) for pod in shares)
    if short:
        assert all(parts[pod] == max(0, room.get(pod, 0)) for pod in shares)


def test_rule_3_what_nobody_can_give_is_named_by_order():
    made = dispatch([call(volume_w=50_000)], abilities(), FRAME)
    assert made.parts[0].short_w == 10_000 and sum(made.parts[0].parts_w.values()) == 40_000


def test_rule_4_the_dso_is_served_before_the_tso():
    calls = [call("a", 30_000, buyer="TSO"), call("b", 30_000, buyer="DSO")]
    made = dispatch(calls, abilities(), FRAME)
    assert [(part.call.order, part.short_w) for part in made.parts] == [("b", 0), ("a", 20_000)]
    assert [plan.target_w for plan in made.plans] == [10_000] * 4


def test_rule_5_a_pod_that_is_out_is_replaced_in_its_group_and_the_others_keep_what_they_have():
    before = dispatch([call(volume_w=4_000)], abilities(), FRAME)
    after = replaced(before, abilities(), ["P2"])
    assert after.parts[0].parts_w == {"P1": 1_334, "P3": 1_333, "P4": 1_333} and after.parts[0].short_w == 0
    assert all(after.parts[0].parts_w[pod] >= before.parts[0].parts_w[pod] for pod in ("P1", "P3", "P4"))


def test_rule_5_nothing_moves_to_another_orders_group():
    calls = [call("a", 3_000, {"P1": 1, "P2": 1}), call("b", 3_000, {"P3": 1, "P4": 1})]
    before = dispatch(calls, abilities(P1=2_000, P2=2_000), FRAME)
    after = replaced(before, abilities(P1=2_000, P2=2_000), ["P1"])
    assert after.parts[0].parts_w == {"P2": 2_000} and after.parts[0].short_w == 1_000
    assert after.parts[1] == before.parts[1]


def test_rule_5_a_pod_that_is_out_stays_out():
    first = replaced(dispatch([call(volume_w=4_000)], abilities(), FRAME), abilities(), ["P2"])
    second = replaced(first, abilities(), ["P1"])
    assert second.out == ("P1", "P2") and set(second.parts[0].parts_w) == {"P3", "P4"}
    assert replaced(second, abilities(), ["P1"]) == second


def test_rule_6_a_pod_that_is_out_is_sent_to_its_baseline():
    before = dispatch([call(volume_w=4_000)], abilities(), FRAME)
    after = replaced(before, abilities(), ["P2"])
    plan = after.plan("P2")
    assert plan is not None and (plan.target_w, plan.orders) == (20_000, ())
    assert [plan.pod for plan in changed(before, after)] == list(PODS)


@settings(max_examples=20)
@given(st.permutations(["a", "b", "c"]), st.permutations(PODS))
def test_rule_7_the_order_of_the_input_does_not_matter(orders, pods):
    volumes = {"a": 17_001, "b": 9_002, "c": 20_003}

    def made(names, places):
        calls = [call(name, volumes[name], {pod: 7 + int(pod[1]) for pod in places}, "TSO") for name in names]
        return dispatch(calls, {pod: able(pod) for pod in places}, FRAME)

    assert made(orders, pods) == made(["a", "b", "c"], PODS)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(PODS), max_size=4), st.integers(0, 60_000), st.sampled_from(["up", "down"]))
def test_after_any_outage_orders_and_plans_still_agree(out, volume_w, direction):
    before = dispatch(
        [call("a", volume_w, direction=direction), call("b", 5_000, {"P1": 3, "P4": 1})], abilities(), FRAME
    )
    after = replaced(before, abilities(), out)
    for part in after.parts:
        assert sum(part.parts_w.values()) + part.short_w == part.call.volume_w
        assert not set(part.parts_w) & set(out)
    for plan in after.plans:
        change = sum((-1 if part.call.direction == "up" else 1) * part.parts_w.get(plan.pod, 0) for part in after.parts)
        assert plan.target_w == 20_000 + change and -50_000 <= plan.target_w <= 50_000


def test_the_call_of_an_order_is_the_whole_of_it():
    order = Order("id", "offer", "request", "DSO", FRAME, {"P1": 300, "P2": 200}, "up", 1)
    assert call_of(order, {"P1": 3, "P2": 2, "P3": 1}).volume_w == 500


def test_bad_input_is_named():
    with pytest.raises(Rejected, match="order o1: POD P4 of its group is not among"):
        dispatch([call()], {pod: able(pod) for pod in PODS[:3]}, FRAME)
    with pytest.raises(Rejected, match="order o1 stands twice"):
        dispatch([call(), call()], abilities(), FRAME)
    with pytest.raises(Rejected, match="direction 'sideways'"):
        call(direction="sideways")
    with pytest.raises(Rejected, match="volume_w = -1"):
        call(volume_w=-1)
    with pytest.raises(Rejected, match="lowest_w 2 is above"):
        Ability("P", 0, 2, 1, 0, 0)
