"""Rows of orders (I-09) as a buyer hands them in, to records and back; every wrong field is a refusal with its reason code.

1. A row is checked field by field, and what is wrong with one takes no other with it.
2. An order on an award names offer, request, quarter-hours with W (var of the product reactive), and what it supersedes.
3. An emergency order names PODs with the W that each can give, a direction and its reason; W is split by them.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.domain.bids import MOST_W, Buyer, Direction, Product
from backend.errors import Rejected
from backend.market.row_field import (
    Code,
    FieldRefused,
    Row,
    frame_of,
    name_of,
    numbers_by,
    one_of,
    shown,
    true_or_false,
)
from backend.nesting import too_deep

ORDERS, EMERGENCIES = "lightnode-orders/1", "lightnode-emergency-orders/1"
MOST_CHARACTERS, MOST_FRAMES, MOST_PODS = 64 << 20, 400, 10_000


@dataclass(frozen=True, slots=True)
class BuyerOrder:
    """On an award, whole or in part. volume_w: quarter-hour to W (var of the reactive product), 1 or more.

    reserve: on what was taken beyond the need. supersedes: the id of the order whose place it takes, "" if none."""

    id: str
    buyer: Buyer
    offer: str
    request: str
    volume_w: Mapping[int, int]
    product: Product = Product.ACTIVE
    reserve: bool = False
    supersedes: str = ""


@dataclass(frozen=True, slots=True)
class EmergencyOrder:
    """Outside the market. volume_w: quarter-hour to W, 1 or more, over the PODs of shares_w (W that each can give)."""

    id: str
    buyer: Buyer
    direction: Direction
    volume_w: Mapping[int, int]
    shares_w: Mapping[str, int]
    reason: str

    def __post_init__(self) -> None:
        if max(self.volume_w.values()) > sum(self.shares_w.values()):
            raise Rejected(f"emergency order {self.id}: more than its PODs' {sum(self.shares_w.values())} W")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Why a row is no order; number: in its list, from 1."""

    number: int
    id: str
    field: str
    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class Handed:
    """What a file holds, in its order, and the rows that were no orders."""

    orders: tuple[BuyerOrder | EmergencyOrder, ...]
    refused: tuple[RefusedRow, ...] = field(default=())


def orders_of(text: str) -> Handed:
    """The orders of a file (lightnode-orders/1); Rejected if it is none at all."""
    return _handed(text, ORDERS, buyer_order_of)


def emergencies_of(text: str) -> Handed:
    """The emergency orders of a file (lightnode-emergency-orders/1); Rejected if it is none at all."""
    return _handed(text, EMERGENCIES, emergency_of)


def _handed(text: str, format: str, made_of: Any) -> Handed:
    rows = _rows(text, format)
    ids = Counter(row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str))
    orders: list[BuyerOrder | EmergencyOrder] = []
    refused: list[RefusedRow] = []
    for number, row in enumerate(rows, 1):
        id = row.get("id") if isinstance(row, dict) else ""
        name = shown(id)[1:-1] if isinstance(id, str) else ""
        if not isinstance(row, dict):
            found = [FieldRefused("", Code.MALFORMED, "expected an object")]
        elif isinstance(id, str) and ids[id] > 1:
            found = [FieldRefused("id", Code.DUPLICATE, "stands twice in this file")]
        else:
            made, found = made_of(row)
            orders += [made] if made is not None else []
        refused += [RefusedRow(number, name, shown(f.field)[1:-1], f.code, f.reason) for f in found]
    return Handed(tuple(orders), tuple(refused))


def _rows(text: str, format: str) -> Sequence[Any]:
    if len(text) > MOST_CHARACTERS:
        raise Rejected(f"orders: {len(text)} characters, at most {MOST_CHARACTERS}")
    try:
        document = None if too_deep(text) else json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"orders: not JSON: {str(error)[:120]}") from error
    if not isinstance(document, dict) or document.get("format") != format:
        raise Rejected(f"orders: format, expected {format!r}")
    if set(document) != {"format", "orders"} or not isinstance(document["orders"], list):
        raise Rejected("orders: expected format and orders, a list, and nothing else")
    return document["orders"]


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a field stands twice in an object")
    return made


def buyer_order_of(row: Mapping[str, Any]) -> tuple[BuyerOrder | None, list[FieldRefused]]:
    """The order of a row, or what is wrong with it."""
    source = Row(row)
    made = {
        "id": source.take("id", name_of),
        "buyer": source.take("buyer", one_of(Buyer)),
        "offer": source.take("offer", name_of),
        "request": source.take("request", name_of),
        "volume_w": source.take("frames", _frames),
        "product": source.take("product", one_of(Product), Product.ACTIVE),
        "reserve": source.take("reserve", true_or_false, False),
        "supersedes": source.take("supersedes", name_of, ""),
    }
    source.end()
    return (None, source.refused) if source.refused else (BuyerOrder(**made), [])


def emergency_of(row: Mapping[str, Any]) -> tuple[EmergencyOrder | None, list[FieldRefused]]:
    """The emergency order of a row, or what is wrong with it."""
    source = Row(row)
    made = {
        "id": source.take("id", name_of),
        "buyer": source.take("buyer", one_of(Buyer)),
        "direction": source.take("direction", one_of(Direction)),
        "volume_w": source.take("frames", _frames),
        "shares_w": source.take("pods", numbers_by(name_of, 1, MOST_W, MOST_PODS)),
        "reason": source.take("reason", _reason),
    }
    source.end()
    if source.refused:
        return None, source.refused
    try:
        return EmergencyOrder(**made), []
    except Rejected as rejected:
        return None, [FieldRefused("frames", Code.CONTRADICTION, rejected.reason)]


def order_row(order: BuyerOrder | EmergencyOrder) -> dict[str, Any]:
    """The row that makes this order again."""
    frames = {str(f): w for f, w in sorted(order.volume_w.items())}
    row: dict[str, Any] = {"id": order.id, "buyer": order.buyer.value, "frames": frames}
    if isinstance(order, EmergencyOrder):
        pods = dict(sorted(order.shares_w.items()))
        return row | {"direction": order.direction.value, "pods": pods, "reason": order.reason}
    row |= {"offer": order.offer, "request": order.request, "product": order.product.value}
    row |= {"reserve": True} if order.reserve else {}
    return row | ({"supersedes": order.supersedes} if order.supersedes else {})


def _frames(field: str, value: Any) -> dict[int, int]:
    found = numbers_by(frame_of, 1, MOST_W, MOST_FRAMES)(field, value)
    if len(found) < len(value):
        raise FieldRefused(field, Code.DUPLICATE, "a quarter-hour stands twice")
    return dict(found)


def _reason(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected text")
    if not value.strip() or len(value) > 200 or not value.isprintable():
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{shown(value)}, expected 1 to 200 printable characters")
    return value
