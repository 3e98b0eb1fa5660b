"""What one customer gets in hand as evidence: the orders on its POD, and its statement of settlement. See evidence/FORMAT.md.

1. A document is of one POD: of an order it has this POD's part, nothing of the others.
2. A statement names everything it was made from, so that it can be made again from the evidence.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.domain.trade import Order
from backend.market.canonical import document
from backend.market.settlement import Line, Terms


@dataclass(frozen=True, slots=True)
class Answered:
    """One set-point of the period: its id, and the sealed messages that answered it, empty where there is none."""

    id: bytes
    decision: bytes
    execution: bytes


def orders_document(
    pod: str, orders: Iterable[Order], aggregator_of: Mapping[str, str], terms: Terms
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
                "price_ueur_per_mwh": one.price_ueur_per_mwh,
            }
            for one in mine
        ],
    }


def statement_document(
    pod: str,
    period_ms: tuple[int, int],
    lines: Iterable[Line],
    baseline_w: Mapping[tuple[str, int], int],
    terms: Terms,
    answered: Iterable[Answered],
) -> dict[str, Any]:
    """The statement of a POD for [start, end); answered: its set-points that reach into the period, in order of id."""
    mine = sorted((line for line in lines if line.pod == pod), key=lambda line: (line.frame, line.order))
    return {
        "format": "lightnode-statement/1",
        "pod": pod,
        "start_ms": period_ms[0],
        "end_ms": period_ms[1],
        "baseline_w": {str(line.frame): baseline_w[pod, line.frame] for line in mine},
        "terms": document(terms),
        "setpoints": [
            {"id": one.id.hex(), "decision": _digest(one.decision), "execution": _digest(one.execution)}
            for one in answered
        ],
        "lines": document(mine),
    }


def _digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest() if sealed else ""
