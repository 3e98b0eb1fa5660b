"""Awards to orders (I-09), orders to one plan per POD (I-14)."""

import hashlib
from collections.abc import Iterable, Mapping

from backend.domain.bids import Direction, Offer, Request
from backend.domain.trade import Award, Order, Plan


def order(session: str, award: Award, offer: Offer, request: Request, parts_w: Mapping[str, int]) -> Order:
    """The order on an award, whole or in part (parts_w per POD)."""
    price = offer.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
    return Order(
        order_id(session, award), offer.id, request.id, request.buyer.value, award.frame,
        {pod: w for pod, w in parts_w.items() if w}, offer.direction.value, price,
    )  # fmt: skip


def order_id(session: str, award: Award) -> str:
    """The same award gives the same id."""
    identity = f"{session}/{award.offer}/{award.request}/{award.frame}"
    if award.step or award.reserve:
        identity += f"/{award.step}/{'reserve' if award.reserve else 'need'}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def change_w(orders: Iterable[Order]) -> dict[str, int]:
    """Change of withdrawal (W) of each POD by a set of orders of one quarter-hour."""
    change: dict[str, int] = {}
    for one in orders:
        sign = -1 if one.direction == Direction.UP else 1
        for pod, watts in one.parts_w.items():
            change[pod] = change.get(pod, 0) + sign * watts
    return change


def plans(orders: Iterable[Order], baseline_w: Mapping[str, int], frame: int) -> list[Plan]:
    """One plan per POD: its baseline plus the change of all its orders, in order of POD id."""
    mine = [one for one in orders if one.frame == frame]
    change = change_w(mine)
    return [
        Plan(pod, frame, baseline_w[pod] + change[pod], tuple(sorted(o.id for o in mine if pod in o.parts_w)))
        for pod in sorted(change)
    ]
