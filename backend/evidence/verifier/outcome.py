"""What became of the offers that a POD has a share in (document "outcome"), and that its orders stand on it. See FORMAT.md.

1. Every field is there, of its type, inside its limits. Sessions, the offers of one and its awards are there once, in order.
2. An award is of an offer of its session that was accepted or cut; what was accepted of an offer is the sum of its awards;
   of a rejected one there is none.
3. Each order stands on an award: of its offer and request, in its quarter-hour, with no more W in all and no more of this
   POD; its aggregator, direction and price are those of the offer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.order import MOST_UEUR, MOST_W, Book, Order
from backend.evidence.verifier.sheet import number, record, rows, word

SESSION_FIELDS = ("session", "offers", "awards")
OFFER_FIELDS = (
    "id", "aggregator", "direction", "price_ueur_per_mwh", "fate", "reason", "element", "offered_w", "accepted_w",
)  # fmt: skip
AWARD_FIELDS = ("offer", "request", "frame", "volume_w", "watts")
_FATES = ("accepted", "cut", "rejected")
_MOST_SUM_W = 1 << 50


@dataclass(frozen=True, slots=True)
class Awarded:
    """An award with the offer it is of: W in all, W of this POD."""

    offer: Mapping[str, Any]
    volume_w: int
    watts: int


Awards = dict[tuple[str, str, int], list[Awarded]]
"""By offer, request and quarter-hour: a session each."""


def read_outcome(document: object, pod: str, where: str) -> Awards:
    """The awards in a document by rules 1 and 2; NotValid unless it is the outcome document of this POD."""
    table = record(document, ("format", "pod", "sessions"), where)
    if table["format"] != "lightnode-outcome/1" or table["pod"] != pod:
        raise NotValid(where, "is not the outcome document of this POD")
    found: Awards = {}
    seen: set[str] = set()
    for k, row in enumerate(rows(table["sessions"], f"{where}, sessions")):
        place = f"{where}, sessions[{k}]"
        record(row, SESSION_FIELDS, place)
        if word(row["session"], f"{place}, session") in seen:
            raise NotValid(place, "is there twice")
        seen.add(row["session"])
        _read_session(row, found, place)
    return found


def _read_session(row: Mapping[str, Any], found: Awards, where: str) -> None:
    offers: dict[str, Mapping[str, Any]] = {}
    for k, one in enumerate(rows(row["offers"], f"{where}, offers")):
        offer = _offer(one, f"{where}, offers[{k}]")
        if offers and offer["id"] <= next(reversed(offers)):
            raise NotValid(f"{where}, offers[{k}]", "is there twice, or not in order of id")
        offers[offer["id"]] = offer
    accepted_w = dict.fromkeys(offers, 0)
    last: tuple[int, str, str] = (-1, "", "")
    for k, one in enumerate(rows(row["awards"], f"{where}, awards")):
        place = f"{where}, awards[{k}]"
        awarded, key = _award(one, offers, place)
        if (key[2], *key[:2]) <= last:
            raise NotValid(place, "is there twice, or not in order of quarter-hour, offer and request")
        last = (key[2], *key[:2])
        accepted_w[key[0]] += awarded.volume_w
        found.setdefault(key, []).append(awarded)
    for k, (id, offer) in enumerate(offers.items()):
        if offer["accepted_w"] != accepted_w[id] or (offer["fate"] == "rejected") != (accepted_w[id] == 0):
            raise NotValid(f"{where}, offers[{k}]", f"its awards add up to {accepted_w[id]} W")


def _offer(value: object, where: str) -> Mapping[str, Any]:
    row = record(value, OFFER_FIELDS, where)
    for name in ("id", "aggregator", "reason"):
        word(row[name], f"{where}, {name}")
    if row["element"] != "":
        word(row["element"], f"{where}, element")
    if row["direction"] not in ("up", "down"):
        raise NotValid(f"{where}, direction", "is neither up nor down")
    if row["fate"] not in _FATES:
        raise NotValid(f"{where}, fate", f"is none of {', '.join(_FATES)}")
    number(row["price_ueur_per_mwh"], f"{where}, price_ueur_per_mwh", 0, MOST_UEUR)
    offered_w = number(row["offered_w"], f"{where}, offered_w", 1, _MOST_SUM_W)
    number(row["accepted_w"], f"{where}, accepted_w", 0, offered_w)
    return row


def _award(value: object, offers: Mapping[str, Mapping[str, Any]], where: str) -> tuple[Awarded, tuple[str, str, int]]:
    row = record(value, AWARD_FIELDS, where)
    offer, request = (word(row[name], f"{where}, {name}") for name in AWARD_FIELDS[:2])
    if offer not in offers:
        raise NotValid(f"{where}, offer", "is none of this session's")
    frame = number(row["frame"], f"{where}, frame", 0, (1 << 32) - 1)
    volume_w = number(row["volume_w"], f"{where}, volume_w", 1, MOST_W)
    return Awarded(offers[offer], volume_w, number(row["watts"], f"{where}, watts", 0, volume_w)), (
        offer,
        request,
        frame,
    )


def check_orders(book: Book, awards: Awards, where: str) -> None:
    """NotValid unless every order stands on an award (rule 3)."""
    for one in (order for mine in book.by_frame.values() for order in mine):
        found = awards.get((one.offer, one.request, one.frame), [])
        if not found:
            raise NotValid(where, f"order {one.id} stands on no award of offer {one.offer} in quarter-hour {one.frame}")
        if not any(_carries(awarded, one) for awarded in found):
            raise NotValid(where, f"order {one.id} is not what was awarded of offer {one.offer}")


def _carries(awarded: Awarded, one: Order) -> bool:
    same = (one.aggregator, one.direction, one.price_ueur_per_mwh)
    offer = awarded.offer
    if same != (offer["aggregator"], offer["direction"], offer["price_ueur_per_mwh"]):
        return False
    return one.group_w <= awarded.volume_w and one.watts <= awarded.watts
