"""What a session or a campaign of sessions was worth: its key performance indicators, as integers that add up.

1. Energies are Ws, money micro-EUR, shares 1e-6 half to even; a share of nothing is None, never 0 or 1.
2. Indicators of a campaign are those of all its sessions together: sums are added, shares are made of the sums.
3. Served: of every quarter-hour that was asked for the part of its need that is met by what is awarded; each counts alike,
   since needs of elements and of volumes have different units.
4. Delivery accuracy: 1 minus the sum of |delivered - ordered| by the sum of ordered, of lines that are not held; below zero
   if the error is greater than the order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend.domain.bids import Offer, Request
from backend.domain.quantity import FRAME_S, PPM, half_even
from backend.domain.trade import Outcome
from backend.market.settled_energy import EnergyLine


@dataclass(frozen=True, slots=True)
class Campaign:
    """What happened in one session: what was handed in, decided, settled. registered: PODs that might have taken part;
    violations: (element, quarter-hour) beyond a limit without and with the market."""

    requests: tuple[Request, ...]
    offers: tuple[Offer, ...]
    outcome: Outcome
    lines: tuple[EnergyLine, ...] = ()
    registered: frozenset[str] = frozenset()
    violations_before: int = 0
    violations_after: int = 0


@dataclass(frozen=True, slots=True)
class Indicators:
    """See the rules; cost_ueur: by buyer, payments less penalties; shares None where there is nothing to share."""

    sessions: int
    needs: int
    served_ppm: int | None
    needs_unserved: int
    offered_ws: int
    awarded_ws: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    held_lines: int
    accuracy_ppm: int | None
    cost_ueur: Mapping[str, int] = field(hash=False)
    mean_price_ueur_per_mwh: int | None
    pods_registered: int
    pods_offered: int
    pods_awarded: int
    participation_ppm: int | None
    violations_before: int
    violations_avoided: int


def indicators(campaign: Iterable[Campaign]) -> Indicators:
    """The indicators of these sessions together (rule 2)."""
    rows = list(campaign)
    lines = [line for row in rows for line in row.lines]
    settled = [line for line in lines if not line.held]
    served, unserved = _served(rows)
    registered = {pod for row in rows for pod in row.registered}
    offered = {pod for row in rows for offer in row.offers for pod in offer.shares_w}
    awarded = {pod for row in rows for award in row.outcome.awards for pod, w in award.parts_w.items() if w}
    ordered_ws, paid_ws = sum(line.ordered_ws for line in settled), sum(line.paid_ws for line in settled)
    error_ws = sum(abs(line.delivered_ws - line.ordered_ws) for line in settled)
    payment_ueur = sum(line.payment_ueur for line in settled)
    return Indicators(
        sessions=len(rows),
        needs=len(served),
        served_ppm=_share(sum(served), len(served) * PPM),
        needs_unserved=unserved,
        offered_ws=sum(w for row in rows for offer in row.offers for w in offer.volume_w.values()) * FRAME_S,
        awarded_ws=sum(award.volume_w for row in rows for award in row.outcome.awards) * FRAME_S,
        ordered_ws=ordered_ws,
        delivered_ws=sum(line.delivered_ws for line in settled),
        paid_ws=paid_ws,
        held_lines=len(lines) - len(settled),
        accuracy_ppm=_share(ordered_ws - error_ws, ordered_ws),
        cost_ueur=_cost(settled),
        mean_price_ueur_per_mwh=half_even(payment_ueur * 3_600_000_000, paid_ws) if paid_ws else None,
        pods_registered=len(registered),
        pods_offered=len(offered),
        pods_awarded=len(awarded),
        participation_ppm=_share(len(offered & registered), len(registered)),
        violations_before=sum(row.violations_before for row in rows),
        violations_avoided=sum(row.violations_before - row.violations_after for row in rows),
    )


def _served(rows: Iterable[Campaign]) -> tuple[list[int], int]:
    """The served part (1e-6) of each quarter-hour asked for, and how many were not served wholly."""
    parts, short = [], 0
    for row in rows:
        for request in row.requests:
            for frame, need in request.need.items():
                if need:
                    left = min(need, row.outcome.unserved.get((request.id, frame), 0))
                    parts.append(half_even((need - left) * PPM, need))
                    short += left > 0
    return parts, short


def _cost(lines: Iterable[EnergyLine]) -> dict[str, int]:
    cost: dict[str, int] = {}
    for line in lines:
        cost[line.buyer] = cost.get(line.buyer, 0) + line.payment_ueur - line.penalty_ueur
    return dict(sorted(cost.items()))


def _share(part: int, whole: int) -> int | None:
    return half_even(part * PPM, whole) if whole else None
