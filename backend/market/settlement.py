"""Orders, baseline and readings to money that sums to zero.

1. Delivered energy of a POD and quarter-hour, up: baseline minus measured; down: measured minus baseline (Ws).
2. All orders of a POD and quarter-hour have one direction (clearing sees to it). What it delivered is given to them in
   order of id, each up to what it ordered; the last one has the rest.
3. Paid energy = max(0, min(delivered, ordered)); over-delivery is unpaid.
4. Missing energy beyond the tolerance pays a penalty at a part of the price; the wrong way counts as missing too.
5. Without evidence a line is held: nothing is paid, nothing is guessed.
6. Buyer pays aggregator, aggregator pays owner less its fee; each line is rounded once, half to even.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.quantity import FRAME_S, PPM, half_even, value_ueur
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


@dataclass(frozen=True, slots=True)
class Terms:
    """The market's settings: tolerance and penalty in 1e-6, fees in 1e-6 by aggregator."""

    tolerance_ppm: int
    penalty_ppm: int
    fee_ppm: Mapping[str, int]


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
    by_point: dict[tuple[str, int], list[Order]] = {}
    for one in sorted(orders, key=lambda o: o.id):
        for pod in one.parts_w:
            by_point.setdefault((pod, one.frame), []).append(one)
    found = []
    for point in sorted(by_point):
        found.extend(_point_lines(point, by_point[point], aggregator_of, baseline_w[point], measured.get(point), terms))
    return tuple(found)


def _point_lines(
    point: tuple[str, int],
    orders: Sequence[Order],
    aggregator_of: Mapping[str, str],
    baseline_w: int,
    measured: Measured | None,
    terms: Terms,
) -> list[Line]:
    pod, frame = point
    if measured is None or measured.source is Source.MISSING:
        measured = Measured(0, Source.MISSING, 0)
    if len({one.direction for one in orders}) > 1:
        raise Rejected(f"{pod}, quarter-hour {frame}: orders up and down at once cannot be told apart by one meter")
    up_ws = baseline_w * FRAME_S - measured.energy_ws
    left = up_ws if orders[0].direction == "up" else -up_ws
    found = []
    for k, one in enumerate(orders):
        ordered_ws = one.parts_w[pod] * FRAME_S
        delivered_ws = left if k == len(orders) - 1 else min(left, ordered_ws)
        left -= delivered_ws
        found.append(_line(one, pod, frame, aggregator_of[one.offer], ordered_ws, delivered_ws, measured, terms))
    return found


def _line(
    one: Order,
    pod: str,
    frame: int,
    aggregator: str,
    ordered_ws: int,
    delivered_ws: int,
    measured: Measured,
    terms: Terms,
) -> Line:
    held = measured.source is Source.MISSING
    if held:
        delivered_ws = 0
    paid_ws = 0 if held else max(0, min(delivered_ws, ordered_ws))
    payment = value_ueur(paid_ws, one.price_ueur_per_mwh)
    tolerated = ordered_ws * terms.tolerance_ppm // PPM
    missing_ws = 0 if held else max(0, ordered_ws - delivered_ws - tolerated)
    penalty = half_even(value_ueur(missing_ws, one.price_ueur_per_mwh) * terms.penalty_ppm, PPM)
    fee = half_even(payment * terms.fee_ppm.get(aggregator, 0), PPM)
    return Line(
        one.id, one.offer, one.buyer, aggregator, pod, frame, ordered_ws, delivered_ws, paid_ws,
        one.price_ueur_per_mwh, payment, penalty, fee, measured.source, held,
    )  # fmt: skip


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
