"""A session settled on paper, then what holds for every session, then documents that are none."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Direction, Product
from backend.domain.trade import Order, OrderKind
from backend.errors import Rejected
from backend.evidence.verifier.order import Order as VerifierOrder
from backend.evidence.verifier.terms import read_terms
from backend.evidence.verifier.totals import total_of
from backend.market.baseline import Kind, Method
from backend.market.canonical import digest_of_text, text
from backend.market.settled import Settlement, settled, settled_text, settlement_text
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import (
    BaselineRow,
    MeasuredRow,
    NotAvailable,
    OtherOrder,
    PodRow,
    SetPointRow,
    SettlementInput,
    Told,
)
from backend.market.settled_order import Source
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from tests.backend.market.settlement_case import (
    EUR,
    FOR_ALL,
    TERMS,
    F,
    award,
    case_of,
    emergency,
    measured,
    order,
    worked,
)


def money(one: Settlement) -> dict[str, tuple[int, int, int, str]]:
    """By order and POD: paid, penalty, fee (micro-EUR) and code."""
    return {f"{x.order}/{x.pod}": (x.payment_ueur, x.penalty_ueur, x.fee_ueur, x.code.value) for x in one.lines}


def test_the_worked_session_line_by_line() -> None:
    """o1: 30 kW are 27,000,000 Ws, a gives 10 kW and b 10 of 20: 18,000,000 are paid at 120 EUR/MWh, 0.60 EUR; of the
    9,000,000 missing 1,350,000 are tolerated, 7,650,000 cost half the price: 127,500. o2: registers, 8.1 of 8 kW: 0.20 EUR.
    o3: 1 kW the wrong way, 4,500,000 Ws at the TSO's whole price: 112,500. o4: e was not measured. o9: 2 of 3 kW in an
    emergency at 200 EUR/MWh: 0.10 EUR."""
    one = settled(worked())
    assert money(one) == {
        "o1/a": (200_000, 42_500, 20_000, "short"),
        "o1/b": (400_000, 85_000, 40_000, "short"),
        "o2/c": (200_000, 0, 20_000, "over-delivered"),
        "o3/d": (0, 112_500, 0, "wrong-way"),
        "o4/e": (0, 0, 0, "held-no-measurement"),
        "o9/h": (100_000, 0, 10_000, "emergency-short"),
    }
    o1 = one.lines[0]
    assert (o1.baseline_w, o1.measured_ws, o1.delivered_ws, o1.paid_ws) == (15_000, 4_500_000, 9_000_000, 6_000_000)
    assert o1.reason == (
        "18000000 of 27000000 Ws delivered, 9000000 Ws are missing: penalty on what is missing, 7650000 Ws at 500000 ppm "
        "of the price"
    )
    assert [line.source for line in one.lines if line.pod in "ce"] == [Source.REGISTERS, Source.MISSING]


def test_the_worked_session_s_availability_is_paid_for_what_was_held_ready() -> None:
    """o1 was short: 30 kW x 0.25 h x 4 EUR/(MW h) = 30,000 withheld. c: 8 kW at 2 EUR: 4,000. f: 5 kW at 6 EUR: 7,500."""
    found = {x.pod: (x.payment_ueur, x.withheld_ueur, x.fee_ueur, x.code.value) for x in settled(worked()).availability}
    assert found == {
        "a": (0, 10_000, 0, "withheld-not-delivered"),
        "b": (0, 20_000, 0, "withheld-not-delivered"),
        "c": (4_000, 0, 400, "available"),
        "f": (7_500, 0, 0, "available"),
        "g": (0, 3_000, 0, "withheld-unavailable"),
    }


def test_the_worked_session_s_payments_and_what_each_party_gains() -> None:
    one = settled(worked())
    assert {
        (p.payer, p.payee, p.what.value): p.amount_ueur for p in one.payments if "owner" not in p.payer + p.payee
    } == {
        ("DSO", "aggregator/A", "energy"): 600_000,
        ("DSO", "aggregator/A", "emergency energy"): 100_000,
        ("DSO", "aggregator/B", "availability"): 7_500,
        ("TSO", "aggregator/A", "energy"): 200_000,
        ("TSO", "aggregator/A", "availability"): 4_000,
        ("aggregator/A", "DSO", "penalty"): 127_500,
        ("aggregator/B", "TSO", "penalty"): 112_500,
    }
    assert one.gained_ueur == {
        "DSO": -580_000, "TSO": -91_500, "aggregator/A": 90_400, "aggregator/B": 0, "owner/Owner a": 137_500,
        "owner/Owner b": 275_000, "owner/Owner c": 183_600, "owner/Owner d": -112_500, "owner/Owner f": 7_500,
        "owner/Owner h": 90_000,
    }  # fmt: skip
    assert sum(one.gained_ueur.values()) == 0


def test_the_worked_session_s_positions_offers_reconciliation_and_flags() -> None:
    one = settled(worked())
    assert [(x.brp, x.volume_ws, x.held_orders) for x in one.adjustments] == [
        ("X", -18_000_000, 0), ("Y", -7_200_000, 1), ("Z", -1_800_000, 0),
    ]  # fmt: skip
    assert [(x.offer, x.ordered_ws, x.delivered_ws, x.payment_ueur, x.held) for x in one.offers] == [
        ("A-1", 27_000_000, 18_000_000, 600_000, 0), ("A-2", 7_200_000, 7_290_000, 200_000, 0),
        ("B-1", 3_600_000, -900_000, 0, 0), ("B-2", 5_400_000, 0, 0, 1),
    ]  # fmt: skip
    assert [(x.pod, x.difference_ws, x.within) for x in one.reconciliation] == [
        ("a", 20_000, True),
        ("c", 90_000, False),
    ]
    assert [(x.pod, x.code.value) for x in one.flags] == [
        ("c", "registers-differ"), ("c", "registers-used"), ("e", "no-measurement"), ("g", "no-measurement"),
    ]  # fmt: skip


def test_of_a_group_each_brp_is_corrected_by_what_its_own_pod_delivered() -> None:
    """a gives 30 kW and b nothing: both are paid their share of the sum, the energy came from a alone."""
    one = award("A-1", "DSO", {"a": 10_000, "b": 20_000}, 120)
    case = alone(one, {"a": (40_000, 10_000), "b": (22_000, 22_000)})
    case = replace(case, pods=tuple(replace(row, brp=row.pod.upper()) for row in case.pods))
    found = settled(case)
    assert [line.paid_ws for line in found.lines] == [9_000_000, 18_000_000]
    assert [(x.brp, x.volume_ws) for x in found.adjustments] == [("A", -27_000_000), ("B", 0)]


def alone(one: Any, powers_w: dict[str, tuple[int, int]], terms: SettlementTerms = TERMS) -> SettlementInput:
    """One award, ordered whole; baseline and measured W by POD or POD/var."""
    return SettlementInput(
        "s", "00" * 32, 1, terms, (one,), (order("o1", one),),
        tuple(PodRow(pod, f"Owner {pod}", "X", Method(Kind.SCHEDULE)) for pod in one.parts_w),
        tuple(BaselineRow(pod, F, watts) for pod, (watts, _) in powers_w.items()),
        tuple(measured(pod, watts) for pod, (_, watts) in powers_w.items()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("delivered_w", "penalty", "code"),
    [
        (40_000, 0, "delivered"),
        (38_000, 0, "within-tolerance"),
        (37_999, 15, "short"),  # 900 Ws beyond the tolerance, 30 micro-EUR, half of it
        (20_000, 270_000, "short"),  # 45 % of 10 kWh at half the price
        (0, 870_000, "short"),  # and the other half at the whole price
        (-8_000, 1_230_000, "wrong-way"),  # and 2 kWh the wrong way at one and a half
    ],
)
def test_each_step_of_the_table_counts_up_to_where_the_next_begins(delivered_w: int, penalty: int, code: str) -> None:
    one = award("B-1", "DSO", {"a": 40_000}, 120)
    (line,) = settled(alone(one, {"a": (50_000, 50_000 - delivered_w)})).lines
    assert (line.penalty_ueur, line.code.value) == (penalty, code)


@pytest.mark.parametrize(
    ("buyer", "product", "expected"),
    [("DSO", "active", 1), ("TSO", "active", 2), ("DSO", "reactive", 3), ("TSO", "reactive", 4)],
)
def test_the_table_of_buyer_and_product_counts_before_the_more_general_ones(
    buyer: str, product: str, expected: int
) -> None:
    def table(part: int, of: str = "", what: str = "") -> PenaltyTable:
        return PenaltyTable((PenaltyStep(0, part),), of, what)

    every = (table(1), table(2, "TSO"), table(3, "", "reactive"), table(4, "TSO", "reactive"))
    found = SettlementTerms(every, {}).table(buyer, product)
    assert found is not None and found.steps[0].part_ppm == expected
    assert SettlementTerms((), {}).table(buyer, product) is None


def test_without_a_table_nothing_is_fined_but_availability_is_still_withheld() -> None:
    one = award("B-1", "DSO", {"a": 40_000}, 120, 4)
    found = settled(alone(one, {"a": (50_000, 50_000)}, SettlementTerms((), {})))
    assert (found.lines[0].penalty_ueur, found.lines[0].code.value) == (0, "short")
    assert found.availability[0].withheld_ueur == 40_000 and not found.payments


def test_rule_5_reactive_energy_by_hand_at_its_own_terms() -> None:
    """a is to give 30 kvar and b 10, 10 kvarh at 8 EUR/Mvarh: a gives 25, b 3, so 7 kvarh, 0.056 EUR; of the 3 that are missing
    1 is let pass by the reactive table, 2 cost the whole price, 0.016 EUR. Three quarters of it all are a's."""
    one = award("A-1", "DSO", {"a": 30_000, "b": 10_000}, 8, product=Product.REACTIVE)
    tables = (FOR_ALL, PenaltyTable((PenaltyStep(100_000, 1_000_000),), "", "reactive"))
    found = settled(alone(one, {"a/var": (40_000, 15_000), "b/var": (12_000, 9_000)}, replace(TERMS, tables=tables)))
    assert money(found) == {"o1/a/var": (42_000, 12_000, 4_200, "short"), "o1/b/var": (14_000, 4_000, 1_400, "short")}
    assert [(line.delivered_ws, line.position_ws) for line in found.lines] == [(25_000 * 900, 0), (3_000 * 900, 0)]
    assert found.lines[0].reason == (
        "25200000 of 36000000 var s delivered, 10800000 var s are missing: penalty on what is missing, 7200000 var s at 1000000 "
        "ppm of the price"
    )
    assert found.adjustments == () and sum(found.gained_ueur.values()) == 0


def test_reactive_power_is_settled_on_its_own_meter_value_and_moves_no_brp() -> None:
    one = award("B-1", "DSO", {"a": 40_000}, 120, product=Product.REACTIVE)
    found = settled(alone(one, {"a/var": (50_000, 10_000)}))
    assert [(x.pod, x.payment_ueur) for x in found.lines] == [("a/var", 1_200_000)] and not found.adjustments
    blind = settled(alone(one, {"a": (50_000, 10_000)}))
    assert blind.lines[0].held, "the active energy of a says nothing of its reactive energy"


def test_the_least_completeness_and_the_registers_decide_what_is_measured() -> None:
    one = award("B-1", "DSO", {"a": 40_000}, 120)
    case = alone(one, {"a": (50_000, 10_000)})

    def with_row(*row: Any) -> Any:
        return settled(replace(case, measured=(MeasuredRow("a", F, *row),))).lines[0]

    assert with_row(9_000_000, 900_000, None).source is Source.READINGS
    assert with_row(9_000_000, 899_999, None).code == "held-no-measurement"
    registers = with_row(9_000_000, 899_999, 18_000_000)
    assert (registers.source, registers.measured_ws, registers.payment_ueur) == (Source.REGISTERS, 18_000_000, 900_000)
    assert with_row(None, 0, None).code == "held-no-measurement"


def test_without_a_baseline_an_order_is_held_and_its_maker_s_reason_is_flagged() -> None:
    one = award("B-1", "DSO", {"a": 40_000}, 120, 4)
    case = alone(one, {"a": (50_000, 10_000)})
    missing = settled(replace(case, baselines=(BaselineRow("a", F, None, "9 whole days, 10 are needed"),)))
    assert missing.lines[0].code == "held-no-baseline" and not missing.payments
    assert [(x.code.value, x.reason) for x in missing.flags] == [("no-baseline", "9 whole days, 10 are needed")]
    assert missing.availability[0].code == "held-with-its-order"
    assert [x.reason for x in settled(replace(case, baselines=())).flags] == ["no baseline was handed in"]
    noted = settled(replace(case, baselines=(BaselineRow("a", F, 50_000, "not adjusted"),)))
    assert noted.lines[0].payment_ueur == 1_200_000 and noted.flags[0].code == "baseline-note"


def test_an_emergency_the_other_way_holds_both_orders_and_one_the_same_way_gets_the_rest() -> None:
    one = award("A-1", "DSO", {"a": 10_000}, 120)
    case = alone(one, {"a": (50_000, 35_000)})
    other = settled(replace(case, orders=(*case.orders, emergency("e1", {"a": 1_000}, Direction.DOWN))))
    assert {x.code.value for x in other.lines} == {"held-both-ways"} and not other.payments
    assert "both-ways" in [x.code.value for x in other.flags]
    same = settled(replace(case, orders=(*case.orders, emergency("e1", {"a": 9_000}))))
    assert {x.order: x.delivered_ws for x in same.lines} == {"o1": 9_000_000, "e1": 4_500_000}


def test_what_a_pod_delivered_is_paid_once_over_all_sessions_that_ordered_it() -> None:
    """a delivers 10 kW to two sessions that ordered 8 each: the order whose id is first has 8, the other 2, wherever it is
    settled; over both sessions it is what a delivered."""
    one = award("A-1", "DSO", {"a": 8_000}, 120)
    case = alone(one, {"a": (15_000, 5_000)})

    def delivered_w(mine: str, other: str, **more: Any) -> int:
        row = OtherOrder("t", other, OrderKind.MARKET, F, Direction.UP, {"a": 8_000})
        made = replace(case, orders=(replace(case.orders[0], id=mine),), others=(replace(row, **more),))
        assert input_of(input_text(made)) == made
        return settled(made).lines[0].delivered_ws // 900

    assert (delivered_w("o1", "o2"), delivered_w("o2", "o1")) == (8_000, 2_000)
    assert delivered_w("o2", "o1", kind=OrderKind.EMERGENCY) == 8_000, "those of the market come first"
    assert delivered_w("o2", "o1", frame=F + 1) == 10_000
    other_way = OtherOrder("t", "o9", OrderKind.MARKET, F, Direction.DOWN, {"a": 1})
    assert settled(replace(case, others=(other_way,))).lines[0].code == "held-both-ways"
    for wrong, reason in (
        (replace(other_way, id="o1"), "order o1 stands 2 times"),
        (replace(other_way, session="s"), "is of s too"),
    ):
        with pytest.raises(Rejected, match=reason):
            replace(case, others=(wrong,))


def test_who_was_not_told_by_a_set_point_is_flagged_and_paid_as_it_delivered() -> None:
    said = (SetPointRow("a", F, 5_000, Told.ACCEPTED), SetPointRow("b", F, 2_000, Told.REFUSED))
    more = (SetPointRow("c", F, 2_000, Told.UNANSWERED), SetPointRow("d", F, None, Told.NOT_SENT))
    one = settled(replace(worked(), setpoints=(*more, *said)))
    flags = {x.pod: x.reason.split(" set-point")[0] for x in one.flags if x.code == "not-told"}
    assert flags == {
        "b": "its light node refused the", "c": "its light node did not answer the", "d": "no", "e": "no", "h": "no",
    }  # fmt: skip
    assert one.lines == settled(worked()).lines
    assert input_of(input_text(replace(worked(), setpoints=(*more, *said)))).setpoints == (*said, *more)
    assert "setpoints" not in input_text(worked()), "what nobody keeps is not written"


def test_an_emergency_earns_its_own_price_where_that_is_higher() -> None:
    case = replace(worked(), orders=(emergency("o9", {"h": 2_000}, price_eur=300),))
    assert settled(case).lines[0].payment_ueur == 150_000


def test_a_group_s_availability_is_split_to_the_micro_euro() -> None:
    """7 W for a quarter-hour at 1 EUR/(MW h) are 1.75, to an even 2 micro-EUR: 2/7, 4/7 and 7/7 of it are 0, 1 and 2."""
    made = replace(worked(), awards=(award("A-1", "DSO", {"a": 2, "b": 2, "d": 3}, 120, 1),), orders=(), unavailable=())
    found = settled(made).availability
    assert [(x.pod, x.payment_ueur) for x in found] == [("a", 0), ("b", 1), ("d", 1)]


def test_an_emergency_is_never_short_of_a_table_that_its_buyer_does_not_have() -> None:
    made = replace(worked(), terms=replace(TERMS, tables=()))
    (total,) = (x for x in settled(made).orders if x.order == "o9")
    assert (total.missing_ws, total.short, total.penalty_ueur, total.code) == (900_000, False, 0, "emergency-short")


def test_availability_without_an_order_needs_something_that_shows_the_pod_was_there() -> None:
    case = replace(worked(), measured=(), unavailable=(), orders=())
    found = settled(case)
    assert {x.code.value for x in found.availability} == {"held-no-measurement"} and not found.payments
    assert {x.code.value for x in found.flags} == {"no-measurement"}


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(1, 10**6), st.integers(-(10**6), 10**6)), min_size=1),
    st.integers(0, 10**9),
    st.lists(
        st.tuples(st.integers(0, 2_000_000), st.integers(0, 3_000_000)), max_size=4, unique_by=lambda step: step[0]
    ),
    st.sampled_from(("", "DSO", "TSO")),
    st.integers(0, 1_000_000),
)
def test_the_customers_verifier_finds_the_same_money_whatever_the_table(
    pods: dict[str, tuple[int, int]], price: int, steps: list[tuple[int, int]], whose: str, fee_ppm: int
) -> None:
    """It shares no code with what settles (evidence/verifier/totals.py)."""
    tables = [PenaltyTable((PenaltyStep(0, 1_000_000),), "TSO", "active")]
    tables += [PenaltyTable(tuple(PenaltyStep(*step) for step in sorted(steps)), whose)] if steps else []
    terms = SettlementTerms(tuple(tables), {"A": fee_ppm})
    asked = Order("o", "A-1", "r", "DSO", F, {pod: watts for pod, (watts, _) in pods.items()}, "up", price)
    energy_ws = {(pod, F): -watts * 900 for pod, (_, watts) in pods.items()}
    made = settled(case_of([asked], {"A-1": "A"}, dict.fromkeys(energy_ws, 0), energy_ws, terms))
    (total,), whole_w, before_w = made.orders, sum(asked.parts_w.values()), 0
    for line in made.lines:
        watts = asked.parts_w[line.pod]
        row = VerifierOrder("o", "A-1", "r", "DSO", "A", F, "up", watts, whole_w, before_w, price)
        book = read_terms(json.loads(text(terms)), "terms")
        twin = total_of(row, total.delivered_ws, False, book)
        part = {name: getattr(line, name) for name in ("paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur")}
        assert (twin.part(row), twin.code) == (part, line.code)
        before_w += watts


def session(seed: int) -> SettlementInput:
    """Any session of five PODs, whatever was ordered, measured, known or missing."""
    chance = random.Random(seed)
    pods = list("abcde")

    def number() -> int:
        return chance.randrange(10**6)

    def power() -> int | None:
        return chance.choice([None, number(), number(), -number()])

    def parts() -> dict[str, int]:
        return {pod: 1 + number() for pod in chance.sample(pods, chance.randint(1, 5))}

    ways = [Direction.UP, Direction.UP, Direction.DOWN]
    awards = [
        award(
            f"{chance.choice('AB')}-{k}", chance.choice(["DSO", "TSO"]), parts(), number(), chance.choice([0, 7]),
            direction=chance.choice(ways), frame=F + chance.randint(0, 1),
        )
        for k in range(chance.randint(0, 5))
    ]  # fmt: skip
    orders = [order(f"o{k}", one) for k, one in enumerate(awards) if chance.random() < 0.7]
    orders += [emergency(f"e{k}", parts()) for k in range(chance.choice([0, 0, 1, 2]))]
    steps = sorted({chance.randrange(2 * 10**6) for _ in range(chance.randint(0, 4))})
    tables = (PenaltyTable(tuple(PenaltyStep(step, 2 * number()) for step in steps)),) if steps else ()
    points = [(pod, f) for pod in pods for f in (F, F + 1) if chance.random() < 0.9]
    return SettlementInput(
        "s", "00" * 32, 1, SettlementTerms(tables, {"A": number()}, 900_000, {"DSO": number() * EUR}),
        tuple(awards), tuple(orders), tuple(PodRow(pod, f"o{pod}", "XY"[pod > "c"], Method(Kind.SCHEDULE)) for pod in pods),
        tuple(BaselineRow(*point, chance.choice([power(), number()])) for point in points),
        tuple(MeasuredRow(*point, power(), chance.choice([900_000, number()]), power()) for point in points),
        tuple(NotAvailable(pod, F, "") for pod in pods if chance.random() < 0.2),
    )  # fmt: skip


@settings(max_examples=80)
@given(st.integers(0, 2**32))
def test_money_sums_to_zero_every_order_has_its_lines_and_what_is_held_moves_nothing(seed: int) -> None:
    made = session(seed)
    one = settled(made)
    assert sum(one.gained_ueur.values()) == 0 and all(p.amount_ueur > 0 for p in one.payments)
    assert sorted((x.order, x.pod) for x in one.lines) == sorted((o.id, pod) for o in made.orders for pod in o.parts_w)
    reserved = [(a.offer, pod) for a in made.awards for pod in a.parts_w if a.availability_ueur_per_mw_h]
    assert sorted((x.offer, x.pod) for x in one.availability) == sorted(reserved)
    for x in one.lines:
        assert x.reason and 0 <= x.paid_ws <= x.ordered_ws and 0 <= x.fee_ueur <= x.payment_ueur
        assert x.held == x.code.value.startswith("held") and not (x.held and (x.payment_ueur or x.penalty_ueur))
        assert not (x.kind == "emergency" and x.penalty_ueur)
    for y in one.availability:
        assert y.reason and not (y.payment_ueur and (y.withheld_ueur or y.held)) and 0 <= y.fee_ueur <= y.payment_ueur
    owed: dict[str, int] = {}
    for x in one.lines:
        owed[x.buyer.value] = owed.get(x.buyer.value, 0) + x.penalty_ueur - x.payment_ueur
    for y in one.availability:
        owed[y.buyer.value] = owed.get(y.buyer.value, 0) - y.payment_ueur
    assert all(one.gained_ueur.get(buyer, 0) == gain for buyer, gain in owed.items())
    paid_ws = sum(x.paid_ws * (1 if x.direction == "down" else -1) for x in one.lines)
    assert sum(x.volume_ws for x in one.adjustments) == paid_ws
    for total in one.orders:
        mine = [x for x in one.lines if x.order == total.order]
        for name in ("ordered_ws", "paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur"):
            assert sum(getattr(x, name) for x in mine) == getattr(total, name), name


@pytest.mark.parametrize("seed", range(20))
def test_the_settlement_follows_from_the_text_alone_in_any_order_of_its_rows(seed: int) -> None:
    made, chance = session(seed), random.Random(seed)
    text = input_text(made)
    shaken = json.loads(text)
    for name in ("awards", "orders", "pods", "baselines", "measured", "unavailable"):
        chance.shuffle(shaken[name])
    again = json.dumps(shaken, indent=1)
    assert input_text(input_of(again)) == text
    assert settled_text(again) == settled_text(text) == settlement_text(settled(made))


def test_the_worked_settlement_stays_the_same_to_the_byte() -> None:
    """A change of this digest is a change of the rules or of the format: then its number in the format rises."""
    one = settled(worked())
    assert json.loads(settlement_text(one))["input_sha256"] == one.input_sha256
    assert settled(input_of(input_text(worked()))) == one
    assert digest_of_text(settlement_text(one)) == "c95e053c056de551235fb7bf5ecd648dcccb11bcc5f12a93ff6d82a1ac13ee5d"


HOSTILE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d["orders"][0].update(offer="A-9"), "order o1: nothing was awarded of A-9"),
    (lambda d: d["orders"][0].update(step=3), "nothing was awarded of A-1 for r-DSO"),
    (lambda d: d["orders"][0].update(price_ueur_per_mwh=1), "its award says 120000000"),
    (lambda d: d["orders"][0].update(buyer="TSO"), "its award says DSO"),
    (lambda d: d["orders"][0]["parts_w"].update(a=10_001), "a is ordered 1 W more than was awarded"),
    (lambda d: d["orders"][0]["parts_w"].update(c=1), "c is ordered 1 W more"),
    (lambda d: d["orders"][0]["parts_w"].update(a=1e30), "expected a whole number"),
    (lambda d: d["orders"][0]["parts_w"].update(a=10**40), "expected a whole number"),
    (lambda d: d["orders"][0]["parts_w"].update(a=True), "expected a whole number"),
    (lambda d: d["orders"][0]["parts_w"].update(a=0), "expected a whole number"),
    (lambda d: d["orders"][0].update(parts_w={}), "expected an object of 1"),
    (lambda d: d["orders"][0].update(id=""), "order 1 id = ''"),
    (lambda d: d["orders"][0].update(kind="gift"), "expected market or emergency"),
    (lambda d: d["orders"].append(d["orders"][0]), "order o1 stands 2 times"),
    (lambda d: d["orders"][4].update(request="r-DSO"), "an emergency order names no offer"),
    (lambda d: d["awards"].append(d["awards"][0]), "stands 2 times"),
    (lambda d: d["awards"].append(7), "award 7: expected an object"),
    (lambda d: d["awards"][0].update(frame="1"), "frame = '1'"),
    (lambda d: d["awards"][0].update(reserve=1), "expected true or false"),
    (lambda d: d["awards"][5]["parts_w"].update(z=1), "POD z is not among the PODs"),
    (lambda d: d["measured"].append(d["measured"][0]), "stands 2 times"),
    (lambda d: d["measured"][0].update(pod="z"), "POD z is not among the PODs"),
    (lambda d: d["measured"][0].update(readings_ws=1.5), "readings_ws = 1.5"),
    (lambda d: d["measured"][0].update(completeness_ppm=1_000_001), "expected a whole number from 0 to 1000000"),
    (lambda d: d["baselines"][0].update(power_w="7"), "power_w = '7'"),
    (lambda d: d["baselines"][0].update(days=["2026-13-01"]), "expected a date"),
    (lambda d: d["pods"][0].update(owner="\x1b[2J"), "printable text"),
    (lambda d: d["pods"][0]["method"].update(keep=20), "expected 1 <= X <= Y"),
    (lambda d: d["pods"].append(d["pods"][0]), "POD a stands 2 times"),
    (lambda d: d["terms"]["tables"].append(d["terms"]["tables"][0]), "two penalty tables"),
    (lambda d: d["terms"]["tables"][0]["steps"].reverse(), "must rise"),
    (lambda d: d["terms"]["fee_ppm"].update(A=2_000_000), "expected a whole number from 0 to 1000000"),
    (lambda d: d["terms"]["emergency_ueur_per_mwh"].update(BRP=1), "expected DSO or TSO"),
    (lambda d: d.update(outcome_sha256="AB" * 32), "64 hexadecimal digits"),
    (lambda d: d.update(outcome_version=0), "expected a whole number from 1"),
    (lambda d: d.update(session="../x"), "session = '../x'"),
    (lambda d: d.update({"more\nlines": 1}), "'more\\nlines': no such field"),
    (lambda d: d["orders"][0]["parts_w"].update({"a\n": 1}), "parts_w = 'a\\n'"),
    (lambda d: d["pods"][0].update(owner="\ud800"), "printable text"),
    (lambda d: d.pop("terms"), "terms is missing"),
    (lambda d: d.update(format="lightnode-settlement-input/2"), "format, expected"),
    (lambda d: d.update(unavailable={}), "expected a list"),
    (
        lambda d: d.update(setpoints=[{"pod": "a", "frame": F, "target_w": 1, "told": "maybe"}]),
        "expected accepted or refused",
    ),
    (lambda d: d.update(setpoints=[{"pod": "z", "frame": F, "target_w": 1, "told": "refused"}]), "POD z is not among"),
]


@pytest.mark.parametrize(("change", "reason"), HOSTILE)
def test_what_is_no_input_is_refused_in_one_line_that_names_it(change: Callable[[Any], Any], reason: str) -> None:
    document = json.loads(input_text(worked()))
    change(document)
    with pytest.raises(Rejected) as refused:
        input_of(json.dumps(document))
    assert reason in refused.value.reason and "\n" not in refused.value.reason and len(refused.value.reason) < 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"), ("[]", "expected an object"), ("[" * 100_000, "nested too deep"), ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity}', "is no number"), ('{"a":1,"a":2}', "stands twice"), ("1" * 5000, "not JSON"),
        ('{"format":' + "[" * 40 + "]" * 40 + "}", "nested too deep"),
    ],
)  # fmt: skip
def test_what_is_no_document_at_all_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        input_of(text)


WRONG = (
    None,
    0,
    -1,
    1e30,
    10**30,
    True,
    "",
    "a",
    "z",
    "A-1",
    "x" * 300,
    [],
    {},
    [[]],
    {"a": -1},
    "emergency",
    "TSO",
    "a/var",
)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([way] if way else []), *(found for key, one in inner for found in places(one, (*way, key)))]


def test_whatever_is_wrong_in_an_input_it_is_settled_to_zero_or_refused_in_one_line() -> None:
    """One or two things of the worked input are left out, doubled or exchanged; seeds 0 to 149."""
    text = input_text(worked())
    every, settled_ones = places(json.loads(text)), 0
    for seed in range(150):
        chance, document = random.Random(seed), json.loads(text)
        for *way, last in chance.sample(every, chance.randint(1, 2)):
            inner = document
            for key in way:
                inner = inner[key] if isinstance(inner, dict | list) and key in _keys(inner) else None
            if inner is None or last not in _keys(inner):
                continue
            if chance.random() < 0.3:
                del inner[last]
            elif isinstance(inner, list) and chance.random() < 0.4:
                inner.append(inner[last])
            else:
                inner[last] = chance.choice(WRONG)
        try:
            made = json.loads(settled_text(json.dumps(document)))
            assert sum(made["gained_ueur"].values()) == 0, seed
            settled_ones += 1
        except Rejected as refused:
            assert refused.reason.isprintable() and len(refused.reason) < 400, seed
    assert 0 < settled_ones < 75


def _keys(inner: Any) -> Any:
    return inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
