"""What an order is worth over all its PODs, and the part of one of them.

1. Paid is max(0, min(delivered, ordered)); what is missing pays by the terms (terms.py); payment and fee are rounded once,
   half to even. An order without the evidence of one of its PODs is held, and moves no money.
2. A POD's part of a sum is floor(sum x (before + own) / whole) - floor(sum x before / whole), by the ordered W of the order:
   its own, those of the PODs before it, those of all; of the fee likewise, by the payments.
3. Totals of several PODs are a document, the same for each of them; all that follows from what they delivered is made again.
4. The code says why an order is paid as it is: over-delivered, delivered, short of it (within what the terms let pass, or not),
   or less than nothing; why another POD's evidence is missing only the totals can say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.order import Order
from backend.evidence.verifier.sheet import compare, number, record
from backend.evidence.verifier.terms import PPM, Terms, penalty_ueur, value_ueur

FRAME_S = 900
FIELDS = (
    "format", "order", "frame", "members", "ordered_ws", "delivered_ws", "paid_ws", "payment_ueur", "penalty_ueur",
    "fee_ueur", "held", "code",
)  # fmt: skip
MONEY = ("paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur")
NO_MEASUREMENT = "held-no-measurement"
_HELD = (NO_MEASUREMENT, "held-no-baseline", "held-both-ways")
_MOST_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """An order over all its PODs; sums: paid Ws, payment, penalty and fee in micro-EUR."""

    delivered_ws: int
    held: bool
    code: str
    sums: Mapping[str, int]

    def part(self, order: Order) -> dict[str, int]:
        """The sums of the POD of an order (rule 2)."""
        before, behind, whole = order.before_w, order.before_w + order.watts, order.group_w
        ends = {name: (one * before // whole, one * behind // whole) for name, one in self.sums.items()}
        payment, fee = self.sums["payment_ueur"], self.sums["fee_ueur"]
        low, high = ends["payment_ueur"]
        ends["fee_ueur"] = (fee * low // payment, fee * high // payment) if payment else (0, 0)
        return {name: high - low for name, (low, high) in ends.items()}


def total_of(order: Order, delivered_ws: int, held: bool, terms: Terms) -> Totals:
    """Rules 1 and 4."""
    ordered_ws = order.group_w * FRAME_S
    if held:
        return Totals(0, True, NO_MEASUREMENT, dict.fromkeys(MONEY, 0))
    charged = terms.charged(order.buyer, ordered_ws, delivered_ws)
    paid_ws = max(0, min(delivered_ws, ordered_ws))
    payment = value_ueur(paid_ws, order.price_ueur_per_mwh)
    penalty = penalty_ueur(charged or [], order.price_ueur_per_mwh)
    fee = round(Fraction(payment * terms.fee_ppm.get(order.aggregator, 0), PPM))
    sums = dict(zip(MONEY, (paid_ws, payment, penalty, fee), strict=True))
    return Totals(delivered_ws, False, _code(ordered_ws, delivered_ws, charged), sums)


def _code(ordered_ws: int, delivered_ws: int, charged: Sequence[tuple[int, int]] | None) -> str:
    """Rule 4."""
    if delivered_ws < 0:
        return "wrong-way"
    if delivered_ws < ordered_ws:
        return "within-tolerance" if charged == [] else "short"
    return "delivered" if delivered_ws == ordered_ws else "over-delivered"


def read_totals(document: object, order: Order, terms: Terms, where: str) -> Totals:
    """The totals in a document about an order of several PODs (rule 3)."""
    table = record(document, FIELDS, where)
    number(table["members"], f"{where}, members", 2, _MOST_MEMBERS)
    if not isinstance(table["held"], bool):
        raise NotValid(f"{where}, held", "is neither true nor false")
    if table["held"] and table["code"] not in _HELD:
        raise NotValid(f"{where}, code", "is none of an order that is held")
    low_ws = -(1 << 62)
    found = total_of(order, number(table["delivered_ws"], f"{where}, delivered_ws", low_ws), table["held"], terms)
    expected: dict[str, Any] = {
        "format": "lightnode-totals/1",
        "order": order.id,
        "frame": order.frame,
        "members": table["members"],
        "ordered_ws": order.group_w * FRAME_S,
        "delivered_ws": found.delivered_ws,
        **found.sums,
        "held": found.held,
        "code": table["code"] if found.held else found.code,
    }
    compare(table, expected, where)
    return replace(found, code=table["code"])
