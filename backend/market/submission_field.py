"""One row of a book to an Offer or a Request, field by field; every wrong field is a refusal with its reason code."""

from collections.abc import Mapping
from typing import Any

from backend.domain.bids import MOST_UEUR_PER_MWH, MOST_W, Buyer, Direction, Offer, Product, Request, Step
from backend.domain.quantity import PPM
from backend.errors import Rejected
from backend.market.row_field import (
    Code,
    FieldRefused,
    Row,
    frame_of,
    name_of,
    numbers_by,
    object_of,
    one_of,
    shown,
    true_or_false,
    whole,
)

MOST_FRAMES = 400
MOST_PODS = 10_000
MOST_NEED = 10**15


def offer_of(row: Mapping[str, Any]) -> tuple[Offer | None, list[FieldRefused]]:
    """The offer of a row, or what is wrong with it."""
    source = Row(row)
    identity = {"id": source.take("id", name_of), "aggregator": source.take("aggregator", name_of)}
    direction = source.take("direction", one_of(Direction))
    frames: Mapping[int, int | tuple[Step, ...]] | None = source.take("frames", _frames)
    priced = frames is not None and all(isinstance(value, tuple) for value in frames.values())
    price = source.take("price_ueur_per_mwh", whole(0, MOST_UEUR_PER_MWH), 0 if priced or frames is None else ...)
    pods = source.take("pods", numbers_by(_pod, 1, MOST_W, MOST_PODS))
    more = {
        "minimum_ppm": source.take("minimum_ppm", whole(0, PPM), 0),
        "product": source.take("product", one_of(Product), Product.ACTIVE),
        "linked": source.take("linked", true_or_false, False),
        "rebound_ppm": source.take("rebound_ppm", numbers_by(_later, 1, PPM, 95), {}),
        "lead_s": source.take("lead_s", whole(0, 86_400), 0),
        "ramp_w_per_min": source.take("ramp_w_per_min", whole(0, MOST_W), 0),
        "availability_ueur_per_mw_h": source.take("availability_ueur_per_mw_h", whole(0, MOST_UEUR_PER_MWH), 0),
    }
    source.end()
    if source.refused or frames is None:
        return None, source.refused
    steps = {frame: value for frame, value in frames.items() if isinstance(value, tuple)}
    volume_w = {f: sum(s.volume_w for s in v) if isinstance(v, tuple) else v for f, v in frames.items()}
    if priced and len({step.price_ueur_per_mwh for row in steps.values() for step in row}) == 1:
        price, steps = next(iter(steps.values()))[0].price_ueur_per_mwh, {}
    try:
        return Offer(**identity, direction=direction, volume_w=volume_w, shares_w=pods, price_ueur_per_mwh=price,
                     received_ms=0, steps=steps, **more), []  # fmt: skip
    except Rejected as rejected:
        return None, [FieldRefused("", Code.CONTRADICTION, rejected.reason)]


def request_of(row: Mapping[str, Any]) -> tuple[Request | None, list[FieldRefused]]:
    """The request of a row, or what is wrong with it."""
    source = Row(row)
    made = {
        "id": source.take("id", name_of),
        "buyer": source.take("buyer", one_of(Buyer)),
        "direction": source.take("direction", one_of(Direction)),
        "element": source.take("element", _element, ""),
        "nodes": source.take("nodes", _nodes, ()),
        "need": source.take("need", _need),
        "price_cap_ueur_per_mwh": source.take("price_cap_ueur_per_mwh", whole(0, MOST_UEUR_PER_MWH)),
        "priority": source.take("priority", whole(0, 1_000_000), 0),
        "product": source.take("product", one_of(Product), Product.ACTIVE),
    }
    source.end()
    if source.refused:
        return None, source.refused
    try:
        return Request(**made), []
    except Rejected as rejected:
        return None, [FieldRefused("", Code.CONTRADICTION, rejected.reason)]


def _element(field: str, value: Any) -> str:
    return "" if value == "" else name_of(field, value)


def _pod(field: str, key: str) -> str:
    return name_of(field, key)


def _later(field: str, key: str) -> int:
    if not (key.isascii() and key.isdigit() and 1 <= int(key[:4]) <= 95 and len(key) < 3):
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{key[:60]!r}, expected 1 to 95 quarter-hours later")
    return int(key)


def _frames(field: str, value: Any) -> dict[int, int | tuple[Step, ...]]:
    number = whole(1, MOST_W)
    found: dict[int, int | tuple[Step, ...]] = {}
    for key, one in object_of(field, value, MOST_FRAMES).items():
        frame, where = frame_of(field, key), f"{field}.{key[:60]}"
        if frame in found:
            raise FieldRefused(field, Code.DUPLICATE, f"{key[:60]!r} stands twice")
        found[frame] = _steps(where, one) if isinstance(one, list) else number(where, one)
    return found


def _steps(where: str, rows: list[Any]) -> tuple[Step, ...]:
    if not rows or any(not isinstance(row, list) or len(row) != 2 for row in rows):
        raise FieldRefused(where, Code.WRONG_KIND, "price steps, expected a list of [W, micro-EUR per MWh]")
    volume, price = whole(1, MOST_W), whole(0, MOST_UEUR_PER_MWH)
    return tuple(Step(volume(where, w), price(where, ueur)) for w, ueur in rows)


def _need(field: str, value: Any) -> dict[int, int]:
    number = whole(0, MOST_NEED)
    found: dict[int, int] = {}
    for key, one in object_of(field, value, MOST_FRAMES).items():
        frame = frame_of(field, key)
        if frame in found:
            raise FieldRefused(field, Code.DUPLICATE, f"{key[:60]!r} stands twice")
        found[frame] = number(f"{field}.{key[:60]}", one)
    return found


def _nodes(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PODS:
        raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected a list of 1 to {MOST_PODS} nodes")
    found = tuple(name_of(field, node) for node in value)
    if len(set(found)) < len(found):
        raise FieldRefused(field, Code.DUPLICATE, "a node stands twice")
    return found


def offer_row(offer: Offer) -> dict[str, Any]:
    """The row that `offer_of` makes this offer of again, but for its receipt."""
    row: dict[str, Any] = {
        "id": offer.id,
        "aggregator": offer.aggregator,
        "direction": offer.direction.value,
        "frames": {
            str(f): [[s.volume_w, s.price_ueur_per_mwh] for s in offer.steps[f]] if f in offer.steps else w
            for f, w in sorted(offer.volume_w.items())
        },
        "pods": dict(sorted(offer.shares_w.items())),
        "price_ueur_per_mwh": offer.price_ueur_per_mwh,
        "product": offer.product.value,
    }
    if offer.rebound_ppm:
        row["rebound_ppm"] = {str(later): part for later, part in sorted(offer.rebound_ppm.items())}
    for name in ("minimum_ppm", "linked", "lead_s", "ramp_w_per_min", "availability_ueur_per_mw_h"):
        if getattr(offer, name):
            row[name] = getattr(offer, name)
    return row


def request_row(request: Request) -> dict[str, Any]:
    """The row that `request_of` makes this request of again."""
    row: dict[str, Any] = {
        "id": request.id,
        "buyer": request.buyer.value,
        "direction": request.direction.value,
        "need": {str(f): n for f, n in sorted(request.need.items())},
        "price_cap_ueur_per_mwh": request.price_cap_ueur_per_mwh,
        "priority": request.priority,
        "product": request.product.value,
        "element": request.element,
    }
    if request.nodes:
        row["nodes"] = list(request.nodes)
    return row
