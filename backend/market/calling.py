"""A buyer's side of the market as files: the operator's needs as requests (I-06), and orders (I-09) on what it was awarded.

1. A need of the DSO is relief of an element; the first one found has the first priority.
2. Orders are on the buyer's own awards only, named by offer, request, quarter-hour and whether they are reserve.
3. Without anything newer an award is ordered whole, reserve is not. With a newer need (W by quarter-hour and direction) the
   awards of a quarter-hour are ordered in the order of the outcome, which is that of merit with reserve last, until it is
   met: the last of them in part.
"""

from collections.abc import Mapping, Sequence

from backend.domain.bids import Buyer, Direction, Product, Request
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.market.form import fields, read, rows, written
from backend.market.order_row import ORDERS, BuyerOrder, order_row

NEEDS = "lightnode-requests/1"
Part = tuple[Award, int]


def requests_of(text: str, price_cap_ueur_per_mwh: int, prefix: str) -> tuple[Request, ...]:
    """The requests of a document of `lightnode grid request` (rule 1); prefix: of their ids."""
    document = read(text, NEEDS, "requests")
    found = []
    for number, row in enumerate(rows(document, "requests"), 1):
        where = f"request {number}"
        kinds = {
            "id": str, "buyer": str, "element": str, "name": str, "direction": str, "product": str, "frames": list,
            "nodes": list,
        }  # fmt: skip
        taken = fields(row, where, kinds)
        if taken["direction"] not in list(Direction) or taken["product"] not in list(Product):
            raise Rejected(f"{where}: direction {taken['direction']!r:.40}, product {taken['product']!r:.40}")
        need = {}
        for one in taken["frames"]:
            quarter = fields(
                one, f"{where} frame", {"frame": int, "relief_ppt": int, "volume_w": int, "volume_var": int}
            )
            need[quarter["frame"]] = quarter["relief_ppt"]
        found.append(
            Request(
                f"{prefix}-{number}", Buyer.DSO, Direction(taken["direction"]), taken["element"], need,
                price_cap_ueur_per_mwh, number, Product(taken["product"]),
            )
        )  # fmt: skip
    return tuple(found)


def called(
    outcome: Outcome, requests: Sequence[Request], needed_w: Mapping[tuple[int, Direction], int] | None = None
) -> list[Part]:
    """Awards and the W to order of each, in the order of the outcome (rules 2 and 3)."""
    direction_of = {request.id: request.direction for request in requests}
    left = None if needed_w is None else dict(needed_w)
    found: list[Part] = []
    for award in outcome.awards:
        if award.request not in direction_of:
            continue
        if left is None:
            watts = 0 if award.reserve else award.volume_w
        else:
            key = award.frame, direction_of[award.request]
            watts = min(award.volume_w, left.get(key, 0))
            left[key] = left.get(key, 0) - watts
        if watts:
            found.append((award, watts))
    return found


def short_w(
    parts: Sequence[Part], requests: Sequence[Request], needed_w: Mapping[tuple[int, Direction], int]
) -> dict[tuple[int, Direction], int]:
    """W that the newer need has and no award is left for, by quarter-hour and direction."""
    direction_of = {request.id: request.direction for request in requests}
    left = dict(needed_w)
    for award, watts in parts:
        left[award.frame, direction_of[award.request]] -= watts
    return {key: w for key, w in sorted(left.items()) if w > 0}


def orders_on(parts: Sequence[Part], buyer: Buyer, prefix: str) -> tuple[BuyerOrder, ...]:
    """The orders as the market takes them: one for each offer, request and reserve, over its quarter-hours."""
    volume_w: dict[tuple[str, str, bool], dict[int, int]] = {}
    for award, watts in parts:
        table = volume_w.setdefault((award.offer, award.request, award.reserve), {})
        table[award.frame] = table.get(award.frame, 0) + watts
    return tuple(
        BuyerOrder(f"{prefix}-{number}", buyer, offer, request, table, reserve=reserve)
        for number, ((offer, request, reserve), table) in enumerate(sorted(volume_w.items()), 1)
    )


def orders_text(orders: Sequence[BuyerOrder]) -> str:
    """The file of orders."""
    return written({"format": ORDERS, "orders": [order_row(one) for one in orders]})
