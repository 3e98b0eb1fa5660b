"""Who pays whom (I-17, I-18), and by how much each BRP's position is corrected.

1. A buyer pays the aggregator, the aggregator the owner less its fee; a penalty goes the other way, the whole of it passed on.
   Whatever one party gives another gets: over all parties money sums to zero.
2. Parties are named with their role: ``DSO``, ``TSO``, ``aggregator/NAME``, ``owner/NAME``, ``BRP/NAME``.
3. A BRP's position of a quarter-hour is corrected by the sum over its PODs (settled_energy.py, rule 4; settled_rebound.py, rule
   2); orders that are held are counted, and corrected in a later version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.bids import Product
from backend.domain.trade import OrderKind
from backend.market.settled_availability import AvailabilityLine
from backend.market.settled_energy import EnergyLine
from backend.market.settled_rebound import ReboundLine


class What(StrEnum):
    """What a payment is for."""

    ENERGY = "energy"
    EMERGENCY = "emergency energy"
    PENALTY = "penalty"
    AVAILABILITY = "availability"


@dataclass(frozen=True, slots=True)
class Paid:
    """Money from one party to another (micro-EUR, above zero)."""

    payer: str
    payee: str
    what: What
    amount_ueur: int


@dataclass(frozen=True, slots=True)
class BrpAdjustment:
    """Ws by which a BRP's scheduled withdrawal of a quarter-hour is corrected; held_orders: how many are not in it yet."""

    brp: str
    frame: int
    volume_ws: int
    held_orders: int


def paid(energy: Iterable[EnergyLine], held_ready: Iterable[AvailabilityLine]) -> tuple[Paid, ...]:
    """Rule 1, added up by payer, payee and what it is for."""
    found: list[Paid] = []

    def add(payer: str, payee: str, what: What, amount: int) -> None:
        found.append(Paid(payer, payee, what, amount))

    for line in energy:
        what = What.EMERGENCY if line.kind is OrderKind.EMERGENCY else What.ENERGY
        aggregator, owner = f"aggregator/{line.aggregator}", f"owner/{line.owner}"
        add(line.buyer.value, aggregator, what, line.payment_ueur)
        add(aggregator, owner, what, line.payment_ueur - line.fee_ueur)
        add(aggregator, line.buyer.value, What.PENALTY, line.penalty_ueur)
        add(owner, aggregator, What.PENALTY, line.penalty_ueur)
    for one in held_ready:
        aggregator, owner = f"aggregator/{one.aggregator}", f"owner/{one.owner}"
        add(one.buyer.value, aggregator, What.AVAILABILITY, one.payment_ueur)
        add(aggregator, owner, What.AVAILABILITY, one.payment_ueur - one.fee_ueur)
    return added_up(found)


def added_up(payments: Iterable[Paid]) -> tuple[Paid, ...]:
    """One payment for each payer, payee and what it is for; none of nothing."""
    sums: dict[tuple[str, str, What], int] = {}
    for one in payments:
        key = one.payer, one.payee, one.what
        sums[key] = sums.get(key, 0) + one.amount_ueur
    return tuple(Paid(*key, amount) for key, amount in sorted(sums.items()) if amount)


def gained_ueur(payments: Iterable[Paid]) -> dict[str, int]:
    """What each party gains; the sum is zero."""
    gained: dict[str, int] = {}
    for one in payments:
        gained[one.payer] = gained.get(one.payer, 0) - one.amount_ueur
        gained[one.payee] = gained.get(one.payee, 0) + one.amount_ueur
    return gained


def unbalanced_ueur(
    energy: Iterable[EnergyLine], held_ready: Iterable[AvailabilityLine], payments: Iterable[Paid]
) -> int:
    """Money (micro-EUR) that payments move otherwise than the lines say, over all parties; 0 when the books close."""
    owed: dict[str, int] = {}

    def due(line: EnergyLine | AvailabilityLine, penalty_ueur: int) -> None:
        for party, gain in (
            (line.buyer.value, penalty_ueur - line.payment_ueur),
            (f"aggregator/{line.aggregator}", line.fee_ueur),
            (f"owner/{line.owner}", line.payment_ueur - line.fee_ueur - penalty_ueur),
        ):
            owed[party] = owed.get(party, 0) + gain

    for line in energy:
        due(line, line.penalty_ueur)
    for one in held_ready:
        due(one, 0)
    gained = gained_ueur(payments)
    return sum(abs(gained.get(party, 0) - owed.get(party, 0)) for party in gained.keys() | owed.keys())


def adjustments(energy: Iterable[EnergyLine], moved_back: Iterable[ReboundLine] = ()) -> tuple[BrpAdjustment, ...]:
    """Rule 3, by BRP and quarter-hour."""
    volume: dict[tuple[str, int], int] = {}
    held: dict[tuple[str, int], set[str]] = {}
    every: list[EnergyLine | ReboundLine] = [*energy, *moved_back]
    for line in every:
        if line.product is Product.ACTIVE:
            key = line.brp, line.frame
            volume[key] = volume.get(key, 0) + line.position_ws
            if line.held:
                held.setdefault(key, set()).add(line.order)
    return tuple(BrpAdjustment(*key, volume[key], len(held.get(key, ()))) for key in sorted(volume))


def together(found: Iterable[BrpAdjustment]) -> tuple[BrpAdjustment, ...]:
    """Corrections of several sessions, by BRP and quarter-hour."""
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for one in found:
        volume_ws, held = sums.get((one.brp, one.frame), (0, 0))
        sums[one.brp, one.frame] = volume_ws + one.volume_ws, held + one.held_orders
    return tuple(BrpAdjustment(*key, *sums[key]) for key in sorted(sums))
