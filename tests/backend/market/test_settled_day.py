"""Two sessions on the same POD, settled together: by hand, then what is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.trade import Award, Order, Outcome
from backend.errors import Rejected
from backend.market.activation import order
from backend.market.settled import settled
from backend.market.settled_day import SettledDay, Sold, inputs_of, settled_day
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import MeasuredRow
from backend.market.settled_making import Knowledge
from backend.market.settled_money import Paid, What
from backend.market.settled_terms import PenaltyStep, PenaltyTable
from tests.backend.market.settlement_case import settings

F = 1_993_108
SETTINGS = settings({"a": "ann", "b": "bea"}, PenaltyTable((PenaltyStep(0, 1_000_000),)), {"A": 100_000})


def sold(session: str, offer: str, parts_w: dict[str, int], price_eur: int) -> tuple[Sold, Order]:
    """One offer of aggregator A, wholly awarded to the DSO and ordered."""
    watts = sum(parts_w.values())
    made = Offer(offer, "A", Direction.UP, {F: watts}, parts_w, price_eur * 1_000_000, 0)
    request = Request(f"r-{session}", Buyer.DSO, Direction.UP, "line:1", {F: 100}, 10**9)
    award = Award(offer, request.id, F, watts, parts_w)
    return Sold(Outcome(session, (award,), (), {}), (made,), (request,)), order(session, award, made, request, parts_w)


DA, OF_DA = sold("da", "A-1", {"a": 4_000, "b": 2_000}, 120)
RT, OF_RT = sold("rt", "A-2", {"a": 2_000}, 60)
BASELINE_W = {("a", F): 9_000, ("b", F): 5_000}


def known(measured_w: dict[str, int | None]) -> Knowledge:
    def measure(pod: str, frame: int) -> MeasuredRow:
        watts = measured_w[pod]
        return MeasuredRow(pod, frame, None if watts is None else watts * 900, 0 if watts is None else 1_000_000, None)

    return Knowledge(measure, schedule_w=BASELINE_W)


def day(measured_w: dict[str, int | None]) -> SettledDay:
    return settled_day([DA, RT], [OF_DA, OF_RT], SETTINGS, known(measured_w))


def test_rule_1_what_a_pod_delivered_is_paid_once_over_both_sessions() -> None:
    """a gives 5 of 6 kW, b its 2: by order of id one order is whole, the other has what is left of a; 1 kW is missing."""
    made = day({"a": 4_000, "b": 3_000})
    assert [one.session for one in made.settlements] == ["da", "rt"]
    assert {line.order for line in made.settlements[0].lines} == {OF_DA.id}
    first = min(OF_DA.id, OF_RT.id)
    assert sum(line.delivered_ws for line in made.lines if line.pod == "a") == 5_000 * 900
    assert {total.order: total.missing_ws for total in made.orders} == {
        OF_DA.id: 0 if first == OF_DA.id else 900_000, OF_RT.id: 0 if first == OF_RT.id else 900_000,
    }  # fmt: skip
    short_eur = 60 if first == OF_DA.id else 120
    worth = {OF_DA.id: 180_000, OF_RT.id: 30_000}
    missing = 1_000 * 900 * short_eur * 1_000_000 // 3_600_000_000
    assert sum(line.payment_ueur for line in made.lines) == sum(worth.values()) - missing
    assert sum(line.penalty_ueur for line in made.lines) == missing


def test_rule_1_each_input_is_a_document_of_its_own_that_names_the_other_sessions_orders() -> None:
    made = inputs_of([DA, RT], [OF_DA, OF_RT], SETTINGS, known({"a": 4_000, "b": 3_000}))
    assert [input_text(input_of(input_text(one))) for one in made] == [input_text(one) for one in made]
    assert [(one.session, one.id, dict(one.parts_w)) for one in made[0].others] == [("rt", OF_RT.id, {"a": 2_000})]
    assert [(one.session, one.id, dict(one.parts_w)) for one in made[1].others] == [("da", OF_DA.id, {"a": 4_000})]
    assert tuple(settled(input_of(input_text(one))) for one in made) == day({"a": 4_000, "b": 3_000}).settlements


@pytest.mark.parametrize(
    ("orders", "pods", "says"),
    [
        ([OF_DA, replace(OF_RT, id="x")], ("a", "b"), "order x: is on no award of da, rt"),
        ([OF_DA, OF_RT], ("a",), "POD b is traded in da and not among them"),
    ],
)
def test_rule_1_what_belongs_nowhere_is_refused(orders: list[Order], pods: tuple[str, ...], says: str) -> None:
    some = replace(SETTINGS, pods={pod: SETTINGS.pods[pod] for pod in pods})
    with pytest.raises(Rejected, match=says):
        settled_day([DA, RT], orders, some, known({"a": 0, "b": 0}))


def test_an_order_that_the_last_check_cut_to_nothing_is_settled_nowhere() -> None:
    made = settled_day([DA, RT], [OF_DA, replace(OF_RT, parts_w={})], SETTINGS, known({"a": 5_000, "b": 3_000}))
    assert {line.order for line in made.lines} == {OF_DA.id} and made.settlements[1].lines == ()


def test_rule_2_payments_and_positions_are_added_up_over_the_sessions() -> None:
    made = day({"a": 3_000, "b": 3_000})
    assert made.payments == (
        Paid("DSO", "aggregator/A", What.ENERGY, 210_000), Paid("aggregator/A", "owner/ann", What.ENERGY, 135_000),
        Paid("aggregator/A", "owner/bea", What.ENERGY, 54_000),
    )  # fmt: skip
    assert [(one.brp, one.frame, one.volume_ws, one.held_orders) for one in made.adjustments] == [
        ("X", F, -7_200_000, 0)
    ]
    assert made.unbalanced_ueur == 0 and made.flags == ()


def test_rule_2_a_pod_without_evidence_holds_the_orders_of_both_and_is_flagged_once() -> None:
    made = day({"a": None, "b": 3_000})
    assert all(line.held for line in made.lines) and made.payments == () and made.unbalanced_ueur == 0
    assert [(flag.pod, flag.code.value) for flag in made.flags] == [("a", "no-measurement")]
    assert [one.held_orders for one in made.adjustments] == [2]


@pytest.mark.parametrize("changed", [lambda d: d[1:], lambda d: (*d, d[0]), lambda d: (replace(d[0], amount_ueur=1),)])
def test_books_that_do_not_close_are_told(changed: Callable[[tuple[Paid, ...]], tuple[Paid, ...]]) -> None:
    made = day({"a": 3_000, "b": 3_000})
    one = made.settlements[0]
    wrong = SettledDay((replace(one, payments=changed(one.payments)), *made.settlements[1:]))
    assert wrong.unbalanced_ueur > 0


def test_the_digest_is_of_everything_that_was_settled() -> None:
    whole = day({"a": 3_000, "b": 3_000})
    assert whole.sha256 == day({"a": 3_000, "b": 3_000}).sha256
    assert whole.sha256 != day({"a": 3_001, "b": 3_000}).sha256
