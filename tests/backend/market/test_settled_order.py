"""An order over its PODs: worked examples, and money that sums to zero."""

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.trade import Order
from backend.market.settled import settled
from backend.market.settled_energy import EnergyLine, LineCode
from backend.market.settled_money import gained_ueur, unbalanced_ueur
from backend.market.settled_order import Source
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from tests.backend.market.settlement_case import case_of

F = 1_970_000
TABLE = PenaltyTable((PenaltyStep(50_000, 500_000),))
TERMS = SettlementTerms((TABLE,), {"agg": 100_000})
PRICE = 120_000_000  # micro-EUR per MWh


def one_line(ordered_w: int, baseline_w: int, measured_w: int | None, direction: str = "up") -> EnergyLine:
    order = Order("o1", "A-1", "r", "DSO", F, {"pod": ordered_w}, direction, PRICE)
    energy_ws = {} if measured_w is None else {("pod", F): measured_w * 900}
    (found,) = settled(case_of([order], {"A-1": "agg"}, {("pod", F): baseline_w}, energy_ws, TERMS)).lines
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
    energy_ws = {("pod", F): 20_000 * 900}
    found = settled(case_of(orders, {"A-1": "agg"}, {("pod", F): 50_000}, energy_ws, TERMS)).lines
    assert [(x.order, x.paid_ws) for x in found] == [("o1", 18_000_000), ("o2", 9_000_000)]


def group(delivered_w: dict[str, int | None]) -> tuple[EnergyLine, ...]:
    """One order of 10 kW of a, 20 kW of b and 30 kW of c; what each delivers, None without evidence."""
    order = Order("o1", "A-1", "r", "DSO", F, {"a": 10_000, "b": 20_000, "c": 30_000}, "up", PRICE)
    energy_ws = {(pod, F): (50_000 - watts) * 900 for pod, watts in delivered_w.items() if watts is not None}
    return settled(case_of([order], {"A-1": "agg"}, {(pod, F): 50_000 for pod in "abc"}, energy_ws, TERMS)).lines


def test_an_order_of_three_is_settled_on_the_sum_and_split_by_what_each_was_ordered() -> None:
    """b gives nothing, c makes up for it: 60 kW x 900 s are 15 kWh, 1.80 EUR, of which a has a sixth."""
    found = group({"a": 10_000, "b": 0, "c": 50_000})
    assert [line.delivered_ws for line in found] == [9_000_000, 0, 45_000_000]
    assert [line.payment_ueur for line in found] == [300_000, 600_000, 900_000]
    assert [line.fee_ueur for line in found] == [30_000, 60_000, 90_000]
    assert {line.penalty_ueur for line in found} == {0}


def test_an_order_of_three_is_held_when_the_evidence_of_one_is_missing() -> None:
    found = group({"a": 10_000, "b": 20_000, "c": None})
    assert all(line.held and line.payment_ueur == line.delivered_ws == 0 for line in found)
    assert [line.source for line in found] == [Source.READINGS, Source.READINGS, Source.MISSING]


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.integers(1, 10**6), st.integers(-(10**9), 10**9)), min_size=1
    ),
    st.integers(0, 10**9),
    st.integers(0, 10**6),
)
def test_the_parts_of_an_order_add_up_to_its_totals(pods: dict[str, tuple[int, int]], price: int, fee_ppm: int) -> None:
    """No part is below nothing, and no fee above what it is taken from, to the last micro-euro."""
    order = Order("o1", "A-1", "r", "DSO", F, {pod: watts for pod, (watts, _) in pods.items()}, "up", price)
    energy_ws = {(pod, F): ws for pod, (_, ws) in pods.items()}
    terms = SettlementTerms((TABLE,), {"agg": fee_ppm})
    made = settled(case_of([order], {"A-1": "agg"}, {(pod, F): 50_000 for pod in pods}, energy_ws, terms))
    found, (total,) = made.lines, made.orders
    for name in ("ordered_ws", "delivered_ws", "paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur"):
        assert sum(getattr(line, name) for line in found) == getattr(total, name), name
    assert all(0 <= line.paid_ws <= line.ordered_ws and line.payment_ueur >= line.fee_ueur >= 0 for line in found)


def test_orders_in_both_directions_at_one_point_are_held() -> None:
    orders = [Order(f"o{way}", "A-1", "r", "DSO", F, {"pod": 20_000}, way, PRICE) for way in ("up", "down")]
    found = settled(case_of(orders, {"A-1": "agg"}, {("pod", F): 50_000}, {("pod", F): 0}, TERMS)).lines
    assert [(line.held, line.code, line.payment_ueur) for line in found] == [(True, LineCode.BOTH_WAYS, 0)] * 2


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
    energy_ws = {(pod, F): ws for pod, ws in energy.items()}
    made = settled(case_of(orders, {"A-1": "agg"}, {(pod, F): 50_000 for pod in "abc"}, energy_ws, TERMS))
    assert unbalanced_ueur(made.lines, made.availability, made.payments) == sum(made.gained_ueur.values()) == 0
    if made.payments:
        short = made.payments[1:]
        assert unbalanced_ueur(made.lines, made.availability, short) == 2 * made.payments[0].amount_ueur
        assert sum(gained_ueur(short).values()) == 0
    assert all(paid.amount_ueur > 0 for paid in made.payments)
    assert all(0 <= line.paid_ws <= line.ordered_ws for line in made.lines)
