"""A correction of a published outcome: what may be proposed, and who is another person.

1. A correction is of its own session, and awards only what stands in its book: offers to requests of their quarter-hours,
   of the offer's PODs, no more of a quarter-hour than was offered.
2. It takes no more of a POD than other sessions leave of what it is registered with, unless the outcome that stands takes
   as much. Others may have sold since it was proposed: so it is looked at again when it is approved.
3. Whoever approves is told from whoever proposed by more than capitals, blanks or the width of letters.
"""

import unicodedata
from collections.abc import Mapping

from backend.domain.bids import Offer, Product
from backend.domain.trade import Outcome
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
        offer, request, frame = offered.get(award.offer), asked.get(award.request), award.frame
        where = f"session {one.id}: the correction awards {award.offer[:64]} to {award.request[:64]} in {frame}"
        if (
            offer is None
            or request is None
            or frame not in request.need
            or not set(award.parts_w) <= set(offer.shares_w)
        ):
            raise Rejected(f"{where}, which the book does not have")
        taken[offer.id, frame] = taken.get((offer.id, frame), 0) + award.volume_w
        if award.volume_w < 1 or taken[offer.id, frame] > offer.volume_w.get(frame, 0):
            raise Rejected(f"{where}, {taken[offer.id, frame]} W of {offer.volume_w.get(frame, 0)}")
    _check_left(one, outcome, standing, offered)


def _check_left(one: MarketSession, outcome: Outcome, standing: Outcome, offered: Mapping[str, Offer]) -> None:
    """Rule 2."""
    stands_w = _taken_w(standing, offered)
    for point, w in sorted(_taken_w(outcome, offered).items()):
        left_w = one.others_leave_w(point)
        if left_w is not None and w > max(left_w, stands_w.get(point, 0)):
            pod, frame, _ = point
            raise Rejected(
                f"session {one.id}: the correction takes {w} W of {pod} in {frame}, other sessions leave {max(left_w, 0)}"
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
