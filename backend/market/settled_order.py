"""One order over all its PODs: what each of them delivered, what the order is worth, and each POD's part of it.

1. Delivered energy of a POD and quarter-hour, up: baseline minus measured; down: measured minus baseline (Ws).
2. All orders of a POD and quarter-hour have one direction. What it delivered is given to them in the order in which they
   come, each up to what it ordered; the last one has the rest.
3. An order is settled on the sum of what its PODs delivered. Paid energy = max(0, min(delivered, ordered)); over-delivery is
   unpaid.
4. What is missing, the wrong way included, pays what the terms say (settled_terms.py).
5. Without evidence of one of its PODs an order is held: nothing is paid, nothing is guessed.
6. Payment and fee of an order are rounded once, half to even.
7. What is paid and the penalty of an order are split over its PODs by what each was ordered, in order of POD, its fee by what
   each is paid; so a POD's part follows from the order's totals, its own W and the W of those before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backend.domain.quantity import FRAME_S, PPM, half_even, part_of, value_ueur
from backend.domain.trade import Order


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
class Totals:
    """One order over all its PODs: how many, ordered, delivered and paid Ws, money (micro-EUR), held or not; what each of
    them that has evidence delivered (Ws)."""

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
class Part:
    """One POD's part of an order: ordered, delivered and paid Ws, money (micro-EUR)."""

    pod: str
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    payment_ueur: int
    penalty_ueur: int
    fee_ueur: int


class Sold(Protocol):
    """An order as far as it has a part in what a POD delivered: W by POD."""

    @property
    def id(self) -> str:
        """Its own."""
        ...

    @property
    def direction(self) -> str:
        """up or down."""
        ...

    @property
    def parts_w(self) -> Mapping[str, int]:
        """W by POD."""
        ...


def delivered(pod: str, orders: Sequence[Sold], up_ws: int) -> dict[tuple[str, str], int]:
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


def parts_of(one: Order, total: Totals) -> list[Part]:
    """Of an order, by POD (rule 7)."""
    found, before_w, whole_w = [], 0, sum(one.parts_w.values())
    for pod in sorted(one.parts_w):
        part = before_w, one.parts_w[pod], whole_w
        paid_ws, payment, penalty = (
            part_of(whole, *part) for whole in (total.paid_ws, total.payment_ueur, total.penalty_ueur)
        )
        paid_before = total.payment_ueur * before_w // whole_w
        fee = part_of(total.fee_ueur, paid_before, payment, total.payment_ueur) if total.payment_ueur else 0
        delivered_ws = 0 if total.held else total.parts_ws[pod]
        found.append(Part(pod, one.parts_w[pod] * FRAME_S, delivered_ws, paid_ws, payment, penalty, fee))
        before_w += one.parts_w[pod]
    return found
