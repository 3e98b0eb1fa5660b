"""What an order is worth over all its PODs, and the part of one of them.

1. Paid is max(0, min(delivered, ordered)); what is missing beyond the tolerance pays the penalty; each sum of money is
   rounded once, half to even. An order without the evidence of one of its PODs is held, and moves no money.
2. A POD's part of a sum is floor(sum x (before + own) / whole) - floor(sum x before / whole), by the ordered W of the order:
   its own, those of the PODs before it, those of all; of the fee likewise, by the payments.
3. Totals of several PODs are a document, the same for each of them; all that follows from what they delivered is made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.order import Order, Terms
from backend.evidence.verifier.sheet import compare, number, record

FRAME_S = 900
FIELDS = (
    "format", "order", "frame", "members", "ordered_ws", "delivered_ws", "paid_ws", "payment_ueur", "penalty_ueur",
    "fee_ueur", "held",
)  # fmt: skip
MONEY = ("paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur")
_PPM, _WS_PER_MWH = 1_000_000, 3_600_000_000
_MOST_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """An order over all its PODs; sums: paid Ws, payment, penalty and fee in micro-EUR."""

    delivered_ws: int
    held: bool
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
    """Rule 1."""
    ordered_ws = order.group_w * FRAME_S
    paid_ws = 0 if held else max(0, min(delivered_ws, ordered_ws))
    missing_ws = 0 if held else max(0, ordered_ws - delivered_ws - ordered_ws * terms.tolerance_ppm // _PPM)
    payment = _value_ueur(paid_ws, order.price_ueur_per_mwh)
    penalty = round(Fraction(_value_ueur(missing_ws, order.price_ueur_per_mwh) * terms.penalty_ppm, _PPM))
    fee = round(Fraction(payment * terms.fee_ppm.get(order.aggregator, 0), _PPM))
    sums = dict(zip(MONEY, (paid_ws, payment, penalty, fee), strict=True))
    return Totals(0 if held else delivered_ws, held, sums)


def read_totals(document: object, order: Order, terms: Terms, where: str) -> Totals:
    """The totals in a document about an order of several PODs (rule 3)."""
    table = record(document, FIELDS, where)
    number(table["members"], f"{where}, members", 2, _MOST_MEMBERS)
    if not isinstance(table["held"], bool):
        raise NotValid(f"{where}, held", "is neither true nor false")
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
    }
    compare(table, expected, where)
    return found


def _value_ueur(energy_ws: int, price_ueur_per_mwh: int) -> int:
    return round(Fraction(energy_ws * price_ueur_per_mwh, _WS_PER_MWH))
