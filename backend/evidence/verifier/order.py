"""The orders of one POD (document "orders"): what was bought of it, at which price, on which terms (terms.py). Layout in FORMAT.md.

1. Every field is there, of its type, inside its limits; nothing of another POD is in it.
2. Orders stand in order of quarter-hour and id; no id twice.
3. The W of this POD and of those before it are not more than the whole order's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.sheet import number, record, rows, word
from backend.evidence.verifier.terms import Terms, read_terms

FRAME_MS = 900_000
_FIELDS = ("id", "offer", "request", "buyer", "aggregator", "frame", "direction", "watts", "group_w", "before_w",
           "price_ueur_per_mwh")  # fmt: skip
MOST_W = 1 << 31
MOST_UEUR = 10**15


@dataclass(frozen=True, slots=True)
class Order:
    """One order at this POD: W (positive, in its direction) in one quarter-hour; group_w: of all its PODs, before_w: of those
    before this one."""

    id: str
    offer: str
    request: str
    buyer: str
    aggregator: str
    frame: int
    direction: str
    watts: int
    group_w: int
    before_w: int
    price_ueur_per_mwh: int

    @property
    def is_shared(self) -> bool:
        """Whether other PODs have a part in it."""
        return self.group_w > self.watts


@dataclass(frozen=True, slots=True)
class Book:
    """All orders of a POD, by quarter-hour in order of id, and the terms they were made on."""

    by_frame: Mapping[int, Sequence[Order]]
    terms: Terms


def read_orders(document: object, pod: str, where: str) -> Book:
    """The orders in a document; NotValid unless it is one, of this POD."""
    table = record(document, ("format", "pod", "terms", "orders"), where)
    if table["format"] != "lightnode-orders/1" or table["pod"] != pod:
        raise NotValid(where, "is not the orders document of this POD")
    found: dict[int, list[Order]] = {}
    last, ids = (-1, ""), set()
    for k, row in enumerate(rows(table["orders"], f"{where}, orders")):
        one = _order(row, f"{where}, orders[{k}]")
        if one.id in ids or (one.frame, one.id) <= last:
            raise NotValid(f"{where}, orders[{k}]", "is there twice, or not in order of quarter-hour and id")
        last = (one.frame, one.id)
        ids.add(one.id)
        found.setdefault(one.frame, []).append(one)
    return Book(found, read_terms(table["terms"], f"{where}, terms"))


def _order(value: object, where: str) -> Order:
    row = record(value, _FIELDS, where)
    id, offer, request, buyer, aggregator = (word(row[n], f"{where}, {n}") for n in _FIELDS[:5])
    if "/" in id:
        raise NotValid(f"{where}, id", "has a slash: ids are joined with it")
    if row["direction"] not in ("up", "down"):
        raise NotValid(f"{where}, direction", "is neither up nor down")
    watts = number(row["watts"], f"{where}, watts", 1, MOST_W)
    group_w = number(row["group_w"], f"{where}, group_w", watts, MOST_W)
    return Order(
        id,
        offer,
        request,
        buyer,
        aggregator,
        number(row["frame"], f"{where}, frame", 0, (1 << 32) - 1),
        row["direction"],
        watts,
        group_w,
        number(row["before_w"], f"{where}, before_w", 0, group_w - watts),
        number(row["price_ueur_per_mwh"], f"{where}, price_ueur_per_mwh", 0, MOST_UEUR),
    )
