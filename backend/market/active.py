"""The set that will really be active: what the grid operator judges of it, what its answer leaves, and who is told what.

1. Judged together is all that stands in quarter-hours that are not over, of every session that has some of them: emergencies
   first, then orders by receipt; an offer under the name SESSION/OFFER, an emergency as SESSION/emergency/ORDER/POD.
2. An answer gives each order its part; W per POD is rounded towards nothing. What was ordered since the question is not
   active before it is judged; what a quarter-hour had when it ended stays.
3. The activation list names every order that was judged, with what is active of it and the element that stopped the rest.
4. Each party is told what concerns it, and nothing else: an aggregator its orders with PODs and prices; the customer
   database what is active at each POD, without prices; the operator's platform orders to be split, without prices; a buyer
   its own orders without PODs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.domain.bids import Buyer, Offer, Product, Request
from backend.domain.quantity import FRAME_MS, PPM
from backend.domain.trade import Award, Order, OrderKind, Outcome
from backend.market.canonical import text
from backend.market.judged import Judged, to_judge
from backend.market.ordered import Ordered

ACTIVATION, PARTY_LIST = "lightnode-activation/1", "lightnode-activation-list/1"
CUSTOMERS, PLATFORM = "SCD", "DSO TP"


@dataclass(frozen=True, slots=True)
class SessionOrders:
    """What stands of a session, and the bids behind it."""

    session: str
    offers: Mapping[str, Offer]
    requests: Mapping[str, Request]
    standing: Sequence[Ordered]


@dataclass(frozen=True, slots=True)
class Share:
    """The part (1e-6) of an order that may be active, and the element that stopped the rest."""

    part_ppm: int
    element: str = ""

    def parts_w(self, one: Ordered) -> dict[str, int]:
        """Rule 2."""
        cut = {pod: w * self.part_ppm // PPM for pod, w in one.parts_w.items()}
        return {pod: w for pod, w in cut.items() if w}


def name_of(session: str, one: Ordered) -> str:
    """What an order is judged as (rule 1)."""
    if one.kind is OrderKind.EMERGENCY:
        return f"{session}/emergency/{one.called}/{next(iter(one.parts_w))}"
    return f"{session}/{one.offer}"


def asked_by(session: str, one: Ordered) -> str:
    """The request it is judged for."""
    return f"{session}/{one.request}" if one.request else f"{session}/emergency/{one.buyer}"


def open_frames(frames: Sequence[int], now_ms: int) -> list[int]:
    """Those that are not over."""
    return [frame for frame in frames if now_ms < (frame + 1) * FRAME_MS]


def judged_of(frames: Sequence[int], now_ms: int, called: Iterable[SessionOrders]) -> tuple[Judged, ...]:
    """What the operator is asked (rule 1); frames: the session's that asks, in order."""
    wanted = set(open_frames(frames, now_ms))
    rows = [(of, one) for of in called for one in of.standing if one.frame in wanted]
    rows.sort(key=lambda row: (row[1].kind is OrderKind.MARKET, row[1].received_ms, row[0].session))
    offers: dict[str, Offer] = {}
    requests: dict[str, Request] = {}
    awards = []
    for of, one in rows:
        offer, request = name_of(of.session, one), asked_by(of.session, one)
        awards.append(Award(offer, request, one.frame, one.volume_w, one.parts_w))
        if one.kind is OrderKind.MARKET:
            offers[offer] = replace(of.offers[one.offer], id=offer)
            requests[request] = replace(of.requests[one.request], id=request)
        else:
            offers[offer] = _pod_offer(offer, one, offers.get(offer))
            requests[request] = Request(request, one.buyer, one.direction, "substation", {}, 0)
    return to_judge(frames, tuple(requests.values()), tuple(offers.values()), Outcome("", tuple(awards), (), {}))


def _pod_offer(id: str, one: Ordered, before: Offer | None) -> Offer:
    volume = {**(before.volume_w if before else {}), one.frame: one.volume_w}
    (pod,) = one.parts_w
    return Offer(id, one.aggregator, one.direction, volume, {pod: max(volume.values())}, one.price_ueur_per_mwh, 0)


def shares_of(
    called: SessionOrders,
    frames: Iterable[int],
    allowed: Mapping[tuple[str, str], Mapping[int, int]],
    elements: Mapping[str, str],
) -> dict[str, Share]:
    """The share of each order of a session in these quarter-hours, by id; allowed and elements as exchange.verdicts_of says."""
    found, wanted = {}, set(frames)
    for one in called.standing:
        if one.frame in wanted:
            name = name_of(called.session, one)
            part = allowed.get((name, asked_by(called.session, one)), {}).get(one.frame, PPM)
            found[one.id] = Share(part, elements.get(name, "") if part < PPM else "")
    return found


def orders_text(session: str, version: int, standing: Iterable[Ordered], shares: Mapping[str, Share]) -> str:
    """The activation list (rule 3)."""
    rows = []
    for one in sorted(standing, key=lambda one: (one.frame, one.received_ms, one.id)):
        if one.id in shares:
            parts = shares[one.id].parts_w(one)
            row = json.loads(text(replace(one, parts_w=parts)))
            row |= {"ordered_w": one.volume_w, "volume_w": sum(parts.values()), "element": shares[one.id].element}
            rows.append(row)
    return text({"format": ACTIVATION, "session": session, "version": version, "orders": rows})


def active_orders(list_text: str) -> tuple[Order, ...]:
    """I-09 as it is active, by an activation list; what was stopped whole is none."""
    names = ("id", "offer", "request", "buyer", "frame", "parts_w", "direction", "price_ueur_per_mwh")
    rows = json.loads(list_text)["orders"]
    return tuple(Order(**{n: row[n] for n in names}, kind=OrderKind(row["kind"])) for row in rows if row["volume_w"])


def parties_of(list_text: str) -> tuple[str, ...]:
    """Who is told of a list: aggregators, customer database, operator's platform, buyers."""
    rows = json.loads(list_text)["orders"]
    aggregators = sorted({f"aggregator/{row['aggregator']}" for row in rows})
    return (*aggregators, CUSTOMERS, PLATFORM, *(buyer.value for buyer in Buyer))


def list_for(list_text: str, party: str) -> str:
    """What a party is told (rule 4), canonical."""
    whole = json.loads(list_text)
    made: dict[str, Any] = {
        "format": PARTY_LIST,
        "party": party,
        "session": whole["session"],
        "version": whole["version"],
    }
    rows = whole["orders"]
    if party == CUSTOMERS:
        made["pods"] = _at_pods(rows)
    elif party == PLATFORM:
        made["frames"] = _to_split(rows)
    elif party in tuple(Buyer):
        hidden = {"parts_w", "aggregator", "received_ms"}
        made["orders"] = [{k: v for k, v in row.items() if k not in hidden} for row in rows if row["buyer"] == party]
    else:
        mine = [row for row in rows if f"aggregator/{row['aggregator']}" == party]
        made["orders"] = [{k: v for k, v in row.items() if k != "received_ms"} for row in mine]
    return text(made)


def _at_pods(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[int, str, str], dict[str, Any]] = {}
    for row in rows:
        for pod, w in row["parts_w"].items():
            key = row["frame"], pod, row["product"]
            here = found.setdefault(
                key,
                {"frame": row["frame"], "pod": pod, "product": row["product"], "direction": row["direction"], "volume_w": 0,
                 "orders": [], "emergency": False},
            )  # fmt: skip
            here["volume_w"] += w
            here["orders"] = sorted([*here["orders"], row["id"]])
            here["emergency"] = here["emergency"] or row["kind"] == OrderKind.EMERGENCY
    return [found[key] for key in sorted(found)]


def _to_split(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By quarter-hour, orders as `lightnode grid dispatch` takes them; those of the reactive product apart."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        here = found.setdefault(row["frame"], {"frame": row["frame"], "orders": [], "reactive": [], "emergency": []})
        if row["volume_w"]:
            one = {
                "order": row["id"], "buyer": row["buyer"], "direction": row["direction"], "volume_w": row["volume_w"],
                "shares_w": row["parts_w"],
            }  # fmt: skip
            here["orders" if row["product"] == Product.ACTIVE else "reactive"].append(one)
            here["emergency"] += [row["id"]] if row["kind"] == OrderKind.EMERGENCY else []
    return [found[frame] for frame in sorted(found)]
