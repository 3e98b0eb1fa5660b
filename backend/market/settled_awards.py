"""What a settlement stands on, taken from what the market published: awards of an outcome, orders of an activation list.

1. Every W per POD that was awarded is reserved, at its award's price, else its offer's; what validation cut to nothing is not.
2. Every order of which something is active is called with what is active of it: what the grid operator stopped nobody owes.
3. The orders of other sessions count as far as they are on a POD and quarter-hour that this session's settlement hangs on
   (settled_delivered.py): ordered here, or in which what was ordered here may rebound, or whose rebound falls on one of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.trade import OrderKind, Outcome
from backend.errors import Rejected
from backend.market.settled_delivered import looked_at, sold_by
from backend.market.settled_input import Called, OtherOrder, Reserved, SettlementInput


def reserved_of(outcome: Outcome, offers: Iterable[Offer], requests: Iterable[Request]) -> tuple[Reserved, ...]:
    """Rule 1; offers and requests: the session's book."""
    by_offer, by_request = {one.id: one for one in offers}, {one.id: one for one in requests}
    found = []
    for award in outcome.awards:
        offer, request = by_offer.get(award.offer), by_request.get(award.request)
        if offer is None or request is None:
            raise Rejected(
                f"outcome of {outcome.session}: award of {award.offer} for {award.request} is not in the book"
            )
        price = offer.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
        parts = {pod: w for pod, w in award.parts_w.items() if w}
        if parts:
            found.append(
                Reserved(
                    award.offer, award.request, award.frame, award.step, award.reserve, request.buyer, offer.aggregator,
                    offer.direction, offer.product, parts, price, offer.availability_ueur_per_mw_h,
                    tuple(sorted(offer.rebound_ppm.items())),
                )
            )  # fmt: skip
    return tuple(found)


def called_of(activation: str) -> tuple[Called, ...]:
    """Rule 2; activation: the text of a ``lightnode-activation/1``."""
    return tuple(
        Called(
            row["id"], OrderKind(row["kind"]), row["offer"], row["request"], row["frame"], row["step"], row["reserve"],
            Buyer(row["buyer"]), row["aggregator"], Direction(row["direction"]), Product(row["product"]), row["parts_w"],
            row["price_ueur_per_mwh"],
        )
        for row in json.loads(activation)["orders"]
        if row["volume_w"]
    )  # fmt: skip


def others_of(
    session: str,
    awards: Iterable[Reserved],
    orders: Iterable[Called],
    elsewhere: Sequence[OtherOrder],
    watched_frames: int = 0,
) -> tuple[OtherOrder, ...]:
    """Rule 3; elsewhere: the orders of the other sessions, with all their PODs."""
    points = looked_at(sold_by(session, awards, orders), elsewhere, watched_frames)
    found = []
    for one in elsewhere:
        parts = {pod: w for pod, w in one.parts_w.items() if (pod, one.frame) in points}
        if parts:
            found.append(replace(one, parts_w=parts))
    return tuple(sorted(found, key=lambda one: one.id))


def check_against(
    made: SettlementInput,
    awards: Iterable[Reserved],
    orders: Iterable[Called] | None,
    elsewhere: Sequence[OtherOrder] | None = None,
) -> None:
    """Rejected unless an input has exactly these awards, exactly these orders, and those of elsewhere that rule 3 asks for;
    None is not known, and not compared."""
    _same({_named(one): one for one in made.awards}, {_named(one): one for one in awards}, "the published outcome")
    if orders is not None:
        _same(
            {f"order {one.id}": one for one in made.orders},
            {f"order {one.id}": one for one in orders},
            "the activation list",
        )
    if elsewhere is not None:
        others = {
            f"order {one.id} of session {one.session}": one
            for one in others_of(made.session, made.awards, made.orders, elsewhere, made.watched_frames)
        }
        _same(
            {f"order {one.id} of session {one.session}": one for one in made.others}, others, "another activation list"
        )


def _named(one: Reserved) -> str:
    kind = "reserve " if one.reserve else ""
    return f"{kind}award of {one.offer} for {one.request}, quarter-hour {one.frame}, step {one.step}"


def _same(given: Mapping[str, object], wanted: Mapping[str, object], what: str) -> None:
    for name in sorted(given.keys() | wanted.keys()):
        if name not in given:
            raise Rejected(f"settlement input: {name} is missing, {what} has it")
        if name not in wanted:
            raise Rejected(f"settlement input: {name}: {what} has none")
        if given[name] != wanted[name]:
            raise Rejected(f"settlement input: {name} is not as {what} has it")
