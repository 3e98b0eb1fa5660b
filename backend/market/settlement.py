"""Orders, baseline and readings to money that sums to zero.

1. Delivered energy of a POD and quarter-hour, up: baseline minus measured; down: measured minus baseline (Ws).
2. All orders of a POD and quarter-hour have one direction (clearing sees to it). What it delivered is given to them in
   order of id, each up to what it ordered; the last one has the rest.
3. An order is settled on the sum of what its PODs delivered. Paid energy = max(0, min(delivered, ordered)); over-delivery is
   unpaid.
4. Missing energy beyond the tolerance pays a penalty at a part of the price; the wrong way counts as missing too.
5. Without evidence of one of its PODs an order is held: nothing is paid, nothing is guessed.
6. Buyer pays aggregator, aggregator pays owner less its fee; the money of an order is rounded once, half to even.
7. What is paid and the penalty of an order are split over its PODs by what each was ordered, in order of POD, its fee by what
   each is paid; so a POD's part follows from the order's totals, its own W and the W of those before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backend.domain.quantity import FRAME_S, PPM, half_even, part_of, value_ueur
from backend.domain.trade import Order
from backend.errors import Rejected


class Source(StrEnum):
    """Where a measured energy comes from."""

    READINGS = "4 s readings"
    REGISTERS = "registers of the quarter-hour"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Measured:
    """Net energy (Ws, withdrawal positive) of one POD in one quarter-hour; completeness of the 4 s readings in 1e-6."""

    energy_ws: int
    source: Source
    completeness_ppm: int


class Rates(Protocol):
    """What missing energy and an aggregator's service cost."""

    @property
    def fee_ppm(self) -> Mapping[str, int]:
        """Fees in 1e-6 of what is paid, by aggregator."""
        ...

    def penalty_ueur(self, one: Order, ordered_ws: int, delivered_ws: int) -> int:
        """What an order pays for what it did not deliver (micro-EUR)."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """The market's settings: tolerance and penalty in 1e-6, fees in 1e-6 by aggregator."""

    tolerance_ppm: int
    penalty_ppm: int
    fee_ppm: Mapping[str, int]

    def penalty_ueur(self, one: Order, ordered_ws: int, delivered_ws: int) -> int:
        """Rule 4."""
        missing_ws = max(0, ordered_ws - delivered_ws - ordered_ws * self.tolerance_ppm // PPM)
        return part_ueur(value_ueur(missing_ws, one.price_ueur_per_mwh), self.penalty_ppm)


@dataclass(frozen=True, slots=True)
class Line:
    """I-16. One order at one POD: ordered and delivered Ws, payment and penalty (micro-EUR), source, held or not."""

    order: str
    offer: str
    buyer: str
    aggregator: str
    pod: str
    frame: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    price_ueur_per_mwh: int
    payment_ueur: int
    penalty_ueur: int
    fee_ueur: int
    source: Source
    held: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """One order over all its PODs: how many, ordered, delivered and paid Ws, money (micro-EUR), held or not; what each of
    them that has evidence delivered (Ws)."""

    order: str
    frame: int
    members: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    payment_ueur: int
    penalty_ueur: int
    fee_ueur: int
    held: bool
    parts_ws: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Payment:
    """I-17, I-18. Money from one party to another."""

    payer: str
    payee: str
    amount_ueur: int
    what: str


def lines(
    orders: Iterable[Order],
    aggregator_of: Mapping[str, str],
    baseline_w: Mapping[tuple[str, int], int],
    measured: Mapping[tuple[str, int], Measured],
    terms: Terms,
) -> tuple[Line, ...]:
    """One line per order and POD; aggregator_of maps offers, baseline and measured are by (POD, frame)."""
    every = list(orders)
    found: list[Line] = []
    for one, total in zip(every, totals(every, aggregator_of, baseline_w, measured, terms), strict=True):
        found += parts_of(one, total, aggregator_of[one.offer], measured)
    return tuple(sorted(found, key=lambda line: (line.pod, line.frame, line.order)))


def totals(
    orders: Iterable[Order],
    aggregator_of: Mapping[str, str],
    baseline_w: Mapping[tuple[str, int], int],
    measured: Mapping[tuple[str, int], Measured],
    terms: Terms,
) -> tuple[Totals, ...]:
    """Each order over all its PODs (rules 3 to 6), in the order of `orders`; arguments as of `lines`."""
    every = list(orders)
    by_point: dict[tuple[str, int], list[Order]] = {}
    for one in sorted(every, key=lambda o: o.id):
        for pod in one.parts_w:
            by_point.setdefault((pod, one.frame), []).append(one)
    delivered_ws: dict[tuple[str, str], int] = {}
    for point in sorted(by_point):
        delivered_ws |= _delivered(point, by_point[point], baseline_w[point], measured.get(point))
    found = []
    for one in every:
        parts_ws = {pod: delivered_ws[one.id, pod] for pod in one.parts_w if (one.id, pod) in delivered_ws}
        found.append(total_of(one, parts_ws, terms, aggregator_of[one.offer]))
    return tuple(found)


def _delivered(
    point: tuple[str, int], orders: Sequence[Order], baseline_w: int, measured: Measured | None
) -> dict[tuple[str, str], int]:
    """Ws by (order, POD) of one POD and quarter-hour (rules 1 and 2); nothing without evidence."""
    pod, frame = point
    if len({one.direction for one in orders}) > 1:
        raise Rejected(f"{pod}, quarter-hour {frame}: orders up and down at once cannot be told apart by one meter")
    if measured is None or measured.source is Source.MISSING:
        return {}
    return delivered(pod, orders, baseline_w * FRAME_S - measured.energy_ws)


def delivered(pod: str, orders: Sequence[Order], up_ws: int) -> dict[tuple[str, str], int]:
    """Ws by (order, POD) of what a POD delivered in a quarter-hour, to its orders in this order (rule 2), all of one
    direction; up_ws: baseline minus measured."""
    left = up_ws if orders[0].direction == "up" else -up_ws
    found = {}
    for k, one in enumerate(orders):
        found[one.id, pod] = left if k == len(orders) - 1 else min(left, one.parts_w[pod] * FRAME_S)
        left -= found[one.id, pod]
    return found


def part_ueur(amount_ueur: int, part_ppm: int) -> int:
    """A part of an amount, rounded once."""
    return half_even(amount_ueur * part_ppm, PPM)


def total_of(one: Order, parts_ws: Mapping[str, int], terms: Rates, aggregator: str) -> Totals:
    """An order over all its PODs (rules 3 to 6); parts_ws: what each that has evidence delivered."""
    held = len(parts_ws) < len(one.parts_w)
    ordered_ws = sum(one.parts_w.values()) * FRAME_S
    delivered_ws = 0 if held else sum(parts_ws.values())
    paid_ws = max(0, min(delivered_ws, ordered_ws))
    payment = value_ueur(paid_ws, one.price_ueur_per_mwh)
    return Totals(
        order=one.id,
        frame=one.frame,
        members=len(one.parts_w),
        ordered_ws=ordered_ws,
        delivered_ws=delivered_ws,
        paid_ws=paid_ws,
        payment_ueur=payment,
        penalty_ueur=0 if held else terms.penalty_ueur(one, ordered_ws, delivered_ws),
        fee_ueur=part_ueur(payment, terms.fee_ppm.get(aggregator, 0)),
        held=held,
        parts_ws=parts_ws,
    )


def parts_of(one: Order, total: Totals, aggregator: str, measured: Mapping[tuple[str, int], Measured]) -> list[Line]:
    """The lines of an order, by POD (rule 7)."""
    found, before_w, whole_w = [], 0, sum(one.parts_w.values())
    for pod in sorted(one.parts_w):
        part = before_w, one.parts_w[pod], whole_w
        evidence = measured.get((pod, one.frame))
        paid_ws, payment, penalty = (
            part_of(whole, *part) for whole in (total.paid_ws, total.payment_ueur, total.penalty_ueur)
        )
        paid_before = total.payment_ueur * before_w // whole_w
        fee = part_of(total.fee_ueur, paid_before, payment, total.payment_ueur) if total.payment_ueur else 0
        found.append(
            Line(
                one.id, one.offer, one.buyer, aggregator, pod, one.frame, one.parts_w[pod] * FRAME_S,
                0 if total.held else total.parts_ws[pod], paid_ws, one.price_ueur_per_mwh, payment, penalty, fee,
                Source.MISSING if evidence is None else evidence.source, total.held,
            )
        )  # fmt: skip
        before_w += one.parts_w[pod]
    return found


def payments(found: Iterable[Line], owner_of: Mapping[str, str]) -> tuple[Payment, ...]:
    """Who pays whom, added up per pair; owner_of maps PODs. What an aggregator owes for penalties it passes to the owner."""
    sums: dict[tuple[str, str, str], int] = {}

    def add(payer: str, payee: str, amount: int, what: str) -> None:
        if amount:
            sums[payer, payee, what] = sums.get((payer, payee, what), 0) + amount

    for line in found:
        owner = owner_of[line.pod]
        add(line.buyer, line.aggregator, line.payment_ueur, "delivered flexibility")
        add(line.aggregator, line.buyer, line.penalty_ueur, "penalty for missing flexibility")
        add(line.aggregator, owner, line.payment_ueur - line.fee_ueur, "delivered flexibility less fee")
        add(owner, line.aggregator, line.penalty_ueur, "penalty for missing flexibility")
    return tuple(Payment(payer, payee, amount, what) for (payer, payee, what), amount in sorted(sums.items()))


def balances(found: Iterable[Payment]) -> dict[str, int]:
    """What each party gained (micro-EUR)."""
    totals: dict[str, int] = {}
    for one in found:
        totals[one.payer] = totals.get(one.payer, 0) - one.amount_ueur
        totals[one.payee] = totals.get(one.payee, 0) + one.amount_ueur
    return totals


def unbalanced_ueur(found: Iterable[Line], made: Iterable[Payment], owner_of: Mapping[str, str]) -> int:
    """Money (micro-EUR) that the payments move otherwise than the lines say, over all parties; 0 when the books close."""
    owed: dict[str, int] = {}
    for line in found:
        owner = owner_of[line.pod]
        for party, gain in (
            (line.buyer, line.penalty_ueur - line.payment_ueur),
            (line.aggregator, line.fee_ueur),
            (owner, line.payment_ueur - line.fee_ueur - line.penalty_ueur),
        ):
            owed[party] = owed.get(party, 0) + gain
    gained = balances(made)
    return sum(abs(gained.get(party, 0) - owed.get(party, 0)) for party in gained.keys() | owed.keys())
