"""Settlement: worked examples, and money that sums to zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.trade import Order
from backend.errors import Rejected
from backend.market.settlement import Line, Measured, Source, Terms, balances, lines, payments, unbalanced_ueur

F = 1_970_000
TERMS = Terms(tolerance_ppm=50_000, penalty_ppm=500_000, fee_ppm={"agg": 100_000})
PRICE = 120_000_000  # micro-EUR per MWh


def one_line(ordered_w: int, baseline_w: int, measured_w: int | None, direction: str = "up") -> Line:
    order = Order("o1", "A-1", "r", "DSO", F, {"pod": ordered_w}, direction, PRICE)
    measured = {} if measured_w is None else {("pod", F): Measured(measured_w * 900, Source.READINGS, 1_000_000)}
    (found,) = lines([order], {"A-1": "agg"}, {("pod", F): baseline_w}, measured, TERMS)
    return found


def test_full_delivery_of_40_kw_for_a_quarter_hour_is_10_kwh_and_1_20_eur() -> None:
    found = one_line(40_000, 50_000, 10_000)
    assert (found.delivered_ws, found.paid_ws, found.payment_ueur) == (36_000_000, 36_000_000, 1_200_000)
    assert (found.penalty_ueur, found.fee_ueur, found.held) == (0, 120_000, False)


def test_over_delivery_is_unpaid() -> None:
    assert one_line(40_000, 50_000, 0).payment_ueur == 1_200_000


def test_half_delivery_pays_half_and_a_penalty_on_what_is_missing_beyond_the_tolerance() -> None:
    found = one_line(40_000, 50_000, 30_000)
    assert found.payment_ueur == 600_000
    assert found.penalty_ueur == (18_000_000 - 1_800_000) * PRICE // 3_600_000_000 // 2


def test_the_wrong_way_pays_nothing_and_is_penalised_for_all() -> None:
    found = one_line(40_000, 50_000, 60_000)
    assert found.payment_ueur == 0 and found.delivered_ws == -9_000_000
    assert found.penalty_ueur == (36_000_000 + 9_000_000 - 1_800_000) * PRICE // 3_600_000_000 // 2


def test_without_evidence_the_line_is_held_and_nothing_is_guessed() -> None:
    found = one_line(40_000, 50_000, None)
    assert found.held and found.payment_ueur == found.penalty_ueur == 0 and found.source is Source.MISSING


def test_downward_delivery_is_more_withdrawal() -> None:
    assert one_line(10_000, 50_000, 60_000, "down").paid_ws == 9_000_000


def test_two_orders_of_one_point_share_what_was_delivered_in_order_of_id() -> None:
    orders = [Order(f"o{k}", "A-1", "r", "DSO", F, {"pod": 20_000}, "up", PRICE) for k in (2, 1)]
    measured = {("pod", F): Measured(20_000 * 900, Source.READINGS, 1_000_000)}
    found = lines(orders, {"A-1": "agg"}, {("pod", F): 50_000}, measured, TERMS)
    assert [(x.order, x.paid_ws) for x in found] == [("o1", 18_000_000), ("o2", 9_000_000)]


def test_orders_in_both_directions_at_one_point_are_refused() -> None:
    orders = [Order(f"o{way}", "A-1", "r", "DSO", F, {"pod": 20_000}, way, PRICE) for way in ("up", "down")]
    with pytest.raises(Rejected, match="up and down at once"):
        lines(orders, {"A-1": "agg"}, {("pod", F): 50_000}, {}, TERMS)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 10**6), st.integers(0, 10**9), st.booleans()), max_size=8
    ),
    st.dictionaries(st.sampled_from("abc"), st.integers(-(10**9), 10**9)),
)
def test_money_sums_to_zero_over_all_parties(rows: list[tuple[str, int, int, bool]], energy: dict[str, int]) -> None:
    orders = [
        Order(f"o{k}", "A-1", "r", "TSO" if tso else "DSO", F, {pod: watts}, "up", price)
        for k, (pod, watts, price, tso) in enumerate(rows)
    ]
    measured = {(pod, F): Measured(ws, Source.READINGS, 1_000_000) for pod, ws in energy.items()}
    found = lines(orders, {"A-1": "agg"}, {(pod, F): 50_000 for pod in "abc"}, measured, TERMS)
    made = payments(found, {pod: f"owner {pod}" for pod in "abc"})
    owners = {pod: f"owner {pod}" for pod in "abc"}
    assert unbalanced_ueur(found, made, owners) == sum(balances(made).values()) == 0
    if made:
        assert unbalanced_ueur(found, made[1:], owners) == 2 * made[0].amount_ueur
    assert all(p.amount_ueur > 0 for p in made)
    assert all(0 <= x.paid_ws <= x.ordered_ws for x in found)
