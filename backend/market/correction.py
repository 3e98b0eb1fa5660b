"""A correction of a published outcome: what may be proposed, and who is another person.

1. A correction is of its own session, and awards only what stands in its book: offers to requests of their quarter-hours,
   direction and product, at 0 to the request's cap, of the offer's PODs and price steps, no more of a quarter-hour than was
   offered. It has nothing twice, and tells of nothing else. What it says is accepted of an offer is what it awards of it.
2. It takes no more of a POD than other sessions leave of what it is registered with, unless the outcome that stands takes
   as much. Others may have sold since it was proposed: so it is looked at again when it is approved.
3. Whoever approves is told from whoever proposed by more than capitals, blanks or the width of letters.
"""

import unicodedata
from collections.abc import Mapping

from backend.domain.bids import Offer, Product, Request
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.market.session import MarketSession, Point


def check_correction(one: MarketSession, outcome: Outcome, standing: Outcome) -> None:
    """Rejected in one line for what rules 1 and 2 do not allow of a correction of the outcome that stands."""
    if outcome.session != one.id:
        raise Rejected(f"session {one.id}: the correction is of session {outcome.session[:64]}")
    requests, offers = one.book()
    asked, offered = {r.id: r for r in requests}, {o.id: o for o in offers}
    taken: dict[tuple[str, int], int] = {}
    for award in outcome.awards:
        where = f"session {one.id}: the correction awards {award.offer[:64]} to {award.request[:64]} in {award.frame}"
        offer, request = offered.get(award.offer), asked.get(award.request)
        if offer is None or request is None or not _is_of(award, offer, request):
            raise Rejected(f"{where}, which the book does not have")
        key = offer.id, award.frame
        taken[key] = taken.get(key, 0) + award.volume_w
        if award.volume_w < 1 or taken[key] > offer.volume_w[award.frame]:
            raise Rejected(f"{where}, {taken[key]} W of {offer.volume_w[award.frame]}")
        bid, cap = offer.steps_of(award.frame)[award.step].price_ueur_per_mwh, request.price_cap_ueur_per_mwh
        price = bid if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
        if not 0 <= price <= cap or min(award.parts_w.values(), default=0) < 0:
            raise Rejected(
                f"{where} at {price} micro-EUR/MWh, W {dict(award.parts_w)}: expected 0 to {cap}, W of 0 or more"
            )
    _check_once(one.id, outcome, asked, offered)
    check_left(one, outcome, standing)


def _is_of(award: Award, offer: Offer, request: Request) -> bool:
    """Whether an award is of something that this offer gives and this request asks for."""
    if award.frame not in request.need or award.frame not in offer.volume_w:
        return False
    alike = (offer.direction, offer.product) == (request.direction, request.product)
    return alike and set(award.parts_w) <= set(offer.shares_w) and 0 <= award.step < len(offer.steps_of(award.frame))


def _check_once(id: str, outcome: Outcome, asked: Mapping[str, Request], offered: Mapping[str, Offer]) -> None:
    """The last two parts of rule 1."""
    keys = [(one.offer, one.request, one.frame, one.step, one.reserve) for one in outcome.awards]
    told = [result.offer for result in outcome.results]
    accepted: dict[str, int] = dict.fromkeys(told, 0)
    for one in outcome.awards:
        accepted[one.offer] = accepted.get(one.offer, 0) + one.volume_w
    for what, names in (("an award", keys), ("what became of an offer", told)):
        if len(set(names)) < len(names):
            raise Rejected(f"session {id}: the correction has {what} twice")
    unknown = sorted({*told} - offered.keys() | {request for request, _ in outcome.unserved} - asked.keys())
    if unknown:
        raise Rejected(f"session {id}: the correction tells of {unknown[0][:64]}, which the book does not have")
    for result in outcome.results:
        if result.accepted_w != accepted[result.offer]:
            raise Rejected(
                f"session {id}: the correction says {result.accepted_w} of {result.offer[:64]} is accepted and awards "
                f"{accepted[result.offer]}: correct its results too"
            )


def check_left(one: MarketSession, outcome: Outcome, standing: Outcome) -> None:
    """Rejected for what rule 2 does not allow of an outcome where another one stands."""
    offered = {offer.id: offer for offer in one.book()[1]}
    stands_w = _taken_w(standing, offered)
    for point, w in sorted(_taken_w(outcome, offered).items()):
        left_w = one.others_leave_w(point)
        if left_w is not None and w > max(left_w, stands_w.get(point, 0)):
            pod, frame, _ = point
            raise Rejected(
                f"session {one.id}: the outcome takes {w} W of {pod} in {frame}, other sessions leave {max(left_w, 0)}"
            )


def _taken_w(outcome: Outcome, offered: Mapping[str, Offer]) -> dict[Point, int]:
    """Active power; reactive power is not bounded by what a POD is registered with."""
    taken: dict[Point, int] = {}
    for award in outcome.awards:
        offer = offered[award.offer]
        if offer.product is Product.ACTIVE:
            for pod, w in award.parts_w.items():
                point = pod, award.frame, offer.direction
                taken[point] = taken.get(point, 0) + w
    return taken


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are of one person (rule 3)."""
    return _told(one) == _told(other)


def _told(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
