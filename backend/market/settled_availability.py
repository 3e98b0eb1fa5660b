"""What is paid for W that were held ready, beside what is paid for energy.

1. An award with an availability price (micro-EUR per MW and hour) earns it for each W of its PODs over its quarter-hour,
   rounded once per award, split over the PODs by their W as settled_order.py splits.
2. A POD whose owner said that it was unavailable (I-13) earns nothing for that quarter-hour.
3. An award whose order was short beyond the tolerance earns nothing for that quarter-hour, whatever part of it was ordered.
4. While an order on the award is held, so is its availability; so is that of a POD whose measurement is missing, since
   nothing shows that it was there.
5. The aggregator takes its fee of each POD's payment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.bids import Buyer
from backend.domain.quantity import FRAME_S, part_of, value_ueur
from backend.market.settled_energy import OrderTotal
from backend.market.settled_evidence import Evidence, Point
from backend.market.settled_input import Key, Reserved, SettlementInput
from backend.market.settled_order import Source, part_ueur


class AvailabilityCode(StrEnum):
    """Why availability is paid or not."""

    AVAILABLE = "available"
    UNAVAILABLE = "withheld-unavailable"
    SHORT = "withheld-not-delivered"
    ORDER_HELD = "held-with-its-order"
    NO_MEASUREMENT = "held-no-measurement"


@dataclass(frozen=True, slots=True)
class AvailabilityLine:
    """One award at one POD: Ws reserved, micro-EUR; withheld_ueur: what it would have earned, where it earns nothing."""

    id: str
    offer: str
    request: str
    buyer: Buyer
    aggregator: str
    owner: str
    brp: str
    pod: str
    frame: int
    reserved_ws: int
    price_ueur_per_mw_h: int
    payment_ueur: int
    withheld_ueur: int
    fee_ueur: int
    held: bool
    code: AvailabilityCode
    reason: str


def availability(
    made: SettlementInput, totals: Iterable[OrderTotal], evidence: Evidence
) -> tuple[AvailabilityLine, ...]:
    """The lines of an input whose rows are in order, by award and POD."""
    pods = {row.pod: row for row in made.pods}
    gone = {(row.pod, row.frame): row.reason for row in made.unavailable}
    on_award: dict[Key, list[OrderTotal]] = {}
    for total in totals:
        on_award.setdefault((total.offer, total.request, total.frame, total.step, total.reserve), []).append(total)
    found = []
    for award in made.awards:
        if not award.availability_ueur_per_mw_h:
            continue
        before_w, whole_w = 0, sum(award.parts_w.values())
        worth = value_ueur(whole_w * FRAME_S, award.availability_ueur_per_mw_h)
        for pod in sorted(award.parts_w):
            amount = part_of(worth, before_w, award.parts_w[pod], whole_w)
            code, reason = _judged(award, pod, on_award.get(award.key, []), gone, evidence)
            row = pods[pod]
            found.append(
                _line(
                    award, pod, (row.owner, row.brp), amount, code, reason, made.terms.fee_ppm.get(award.aggregator, 0)
                )
            )
            before_w += award.parts_w[pod]
    return tuple(found)


def _judged(
    award: Reserved, pod: str, orders: list[OrderTotal], gone: dict[Point, str], evidence: Evidence
) -> tuple[AvailabilityCode, str]:
    """Rules 2 to 4."""
    if (pod, award.frame) in gone:
        said = gone[pod, award.frame]
        return AvailabilityCode.UNAVAILABLE, f"withheld: {pod} was unavailable{': ' if said else ''}{said}"
    for one in orders:
        if one.short:
            return AvailabilityCode.SHORT, f"withheld: of order {one.order} {one.missing_ws} Ws were missing"
    for one in orders:
        if one.held:
            return AvailabilityCode.ORDER_HELD, f"held: order {one.order} is held"
    if evidence.measured((award.point(pod), award.frame)).source is Source.MISSING:
        return AvailabilityCode.NO_MEASUREMENT, f"held: nothing shows that {pod} was there"
    return AvailabilityCode.AVAILABLE, "held ready" + (", and delivered when ordered" if orders else ", not ordered")


def _line(
    award: Reserved, pod: str, whose: tuple[str, str], amount: int, code: AvailabilityCode, reason: str, fee_ppm: int
) -> AvailabilityLine:
    offer, request, frame, step, reserve = award.key
    paid = amount if code is AvailabilityCode.AVAILABLE else 0
    withheld = amount if code in (AvailabilityCode.UNAVAILABLE, AvailabilityCode.SHORT) else 0
    return AvailabilityLine(
        f"availability/{offer}/{request}/{frame}/{step}{'r' if reserve else ''}/{pod}", offer, request, award.buyer,
        award.aggregator, *whose, pod, frame, award.parts_w[pod] * FRAME_S, award.availability_ueur_per_mw_h, paid,
        withheld, part_ueur(paid, fee_ppm), code in (AvailabilityCode.ORDER_HELD, AvailabilityCode.NO_MEASUREMENT), code, reason,
    )  # fmt: skip
