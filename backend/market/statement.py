"""What one customer gets in hand as evidence: outcomes, orders, totals, its statement of settlement. See evidence/FORMAT.md.

1. A document is of one POD: of an offer or an order it has this POD's part and the whole, nothing of any other POD.
2. A statement names everything it was made from, so that it can be made again from the evidence.
3. The totals of an order of several PODs are one document, the same for each of them, without a POD in it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.domain.bids import Offer
from backend.domain.trade import Award, Order, Outcome
from backend.market.canonical import document
from backend.market.settled_energy import EnergyLine, OrderTotal
from backend.market.settled_terms import SettlementTerms

_LINE = (
    "order", "offer", "buyer", "aggregator", "pod", "frame", "ordered_ws", "delivered_ws", "paid_ws", "price_ueur_per_mwh",
    "payment_ueur", "penalty_ueur", "fee_ueur", "source", "held", "code",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answered:
    """One set-point of the period: its id, and the sealed messages that answered it, empty where there is none."""

    id: bytes
    decision: bytes
    execution: bytes


def orders_document(
    pod: str, orders: Iterable[Order], aggregator_of: Mapping[str, str], terms: SettlementTerms
) -> dict[str, Any]:
    """The orders on a POD, by quarter-hour and id, with the terms; aggregator_of maps offers."""
    mine = sorted((one for one in orders if pod in one.parts_w), key=lambda one: (one.frame, one.id))
    return {
        "format": "lightnode-orders/1",
        "pod": pod,
        "terms": document(terms),
        "orders": [
            {
                "id": one.id,
                "offer": one.offer,
                "request": one.request,
                "buyer": one.buyer,
                "aggregator": aggregator_of[one.offer],
                "frame": one.frame,
                "direction": str(one.direction),
                "watts": one.parts_w[pod],
                "group_w": sum(one.parts_w.values()),
                "before_w": _before_w(pod, one.parts_w),
                "price_ueur_per_mwh": one.price_ueur_per_mwh,
            }
            for one in mine
        ],
    }


def _before_w(pod: str, parts_w: Mapping[str, int]) -> int:
    """W of the PODs before this one (rule 7 of the settlement)."""
    return sum(watts for other, watts in parts_w.items() if other < pod)


def outcome_document(pod: str, sessions: Iterable[tuple[Outcome, Sequence[Offer]]]) -> dict[str, Any]:
    """What became of the offers that a POD has a share in (I-08), session by session; beside each outcome its offers."""
    return {
        "format": "lightnode-outcome/1",
        "pod": pod,
        "sessions": [_session_row(pod, outcome, offers) for outcome, offers in sessions],
    }


def _session_row(pod: str, outcome: Outcome, offers: Sequence[Offer]) -> dict[str, Any]:
    mine = {one.id: one for one in offers if pod in one.shares_w}
    results = sorted((one for one in outcome.results if one.offer in mine), key=lambda one: one.offer)
    awards = sorted(
        (one for one in outcome.awards if one.offer in mine), key=lambda one: (one.frame, one.offer, one.request)
    )
    return {
        "session": outcome.session,
        "offers": [
            {
                "id": one.offer,
                "aggregator": mine[one.offer].aggregator,
                "direction": str(mine[one.offer].direction),
                "price_ueur_per_mwh": mine[one.offer].price_ueur_per_mwh,
                "fate": str(one.fate),
                "reason": str(one.reason),
                "element": one.element,
                "offered_w": one.offered_w,
                "accepted_w": one.accepted_w,
            }
            for one in results
        ],
        "awards": [_award_row(pod, one) for one in awards],
    }


def _award_row(pod: str, one: Award) -> dict[str, Any]:
    return {
        "offer": one.offer,
        "request": one.request,
        "frame": one.frame,
        "volume_w": one.volume_w,
        "watts": one.parts_w.get(pod, 0),
    }


def totals_document(one: OrderTotal) -> dict[str, Any]:
    """The totals of an order of several PODs (rule 3)."""
    names = (
        "order", "frame", "members", "ordered_ws", "delivered_ws", "paid_ws", "payment_ueur", "penalty_ueur", "fee_ueur", "held",
        "code",
    )  # fmt: skip
    return {"format": "lightnode-totals/1", **{name: document(getattr(one, name)) for name in names}}


def statement_document(
    pod: str,
    period_ms: tuple[int, int],
    lines: Iterable[EnergyLine],
    terms: SettlementTerms,
    answered: Iterable[Answered],
) -> dict[str, Any]:
    """The statement of a POD for [start, end); answered: its set-points that reach into the period, in order of id."""
    mine = sorted((line for line in lines if line.pod == pod), key=lambda line: (line.frame, line.order))
    rebound_w = {str(line.frame): line.rebound_w for line in mine if line.rebound_w}
    return {
        "format": "lightnode-statement/1",
        "pod": pod,
        "start_ms": period_ms[0],
        "end_ms": period_ms[1],
        "baseline_w": {str(line.frame): line.baseline_w for line in mine},
        "terms": document(terms),
        "setpoints": [
            {"id": one.id.hex(), "decision": _digest(one.decision), "execution": _digest(one.execution)}
            for one in answered
        ],
        "lines": [{name: document(getattr(line, name)) for name in _LINE} for line in mine],
        **({"rebound_w": rebound_w} if rebound_w else {}),
    }


def _digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest() if sealed else ""
