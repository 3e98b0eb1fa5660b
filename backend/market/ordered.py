"""What buyers are told, and what stands of their orders (I-09), as records."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.domain.bids import Buyer, Direction, Product
from backend.domain.trade import Order, OrderKind


class OrderAnswer(StrEnum):
    """What a buyer is told."""

    TAKEN = "taken"
    AGAIN = "taken before"
    WITHDRAWN = "withdrawn"
    NOT_PUBLISHED = "the session has no published outcome"
    NOT_THEIRS = "an order of another buyer"
    OTHER_CONTENT = "the id stands for another order"
    GONE = "the order was withdrawn or superseded"
    NOT_HERE = "no such order"
    OTHER_AWARD = "takes the place of an order on another award"
    NOT_AWARDED = "not awarded for this request in that quarter-hour"
    OTHER_BUYER = "awarded to another buyer"
    OTHER_PRODUCT = "awarded in another product"
    TOO_MUCH = "more than was awarded, over all orders"
    OVER = "the quarter-hour is over"
    LEAD = "later than the offer's lead time allows"
    RAMP = "too late for the offer's ramp"
    LEAST = "less than the offer's least part would stand"
    LINKED = "linked quarter-hours are ordered together, in the same part"
    OTHER_WAY = "a POD is ordered the other way in that quarter-hour"
    OUTSIDE = "a quarter-hour outside the session"
    UNKNOWN_POD = "a POD that is not registered"
    BEYOND_POD = "more than a POD is registered with"


STANDS = (OrderAnswer.TAKEN, OrderAnswer.AGAIN)


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order on one award (one price step) or one POD of an emergency, in one quarter-hour. called: the id that its buyer
    gave; an emergency's offer and request are empty. parts_w: W (var of the reactive product) by POD. received_ms: UTC."""

    id: str
    called: str
    kind: OrderKind
    offer: str
    request: str
    frame: int
    step: int
    reserve: bool
    buyer: Buyer
    aggregator: str
    direction: Direction
    product: Product
    parts_w: Mapping[str, int]
    price_ueur_per_mwh: int
    received_ms: int

    @property
    def volume_w(self) -> int:
        """Over all its PODs."""
        return sum(self.parts_w.values())

    def order(self, parts_w: Mapping[str, int]) -> Order:
        """I-09 with what stays of it."""
        return Order(
            self.id, self.offer, self.request, self.buyer.value, self.frame, dict(parts_w), self.direction.value,
            self.price_ueur_per_mwh, self.kind,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EmergencyTerms:
    """What an emergency earns (rule 6): micro-EUR/MWh without an award; with one, its price times the factor (1e-6)."""

    price_ueur_per_mwh: int
    factor_ppm: int


def ordered_of(row: Mapping[str, Any]) -> Ordered:
    """What stands, from its canonical row."""
    words: dict[str, Any] = {"kind": OrderKind, "buyer": Buyer, "direction": Direction, "product": Product}
    made: dict[str, Any] = {name: words[name](value) if name in words else value for name, value in row.items()}
    return Ordered(**made)
