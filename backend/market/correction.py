"""A correction of a published outcome: what may be proposed, and who is another person.

1. A correction is of its own session, and awards only what stands in its book: offers to requests of their quarter-hours,
   of the offer's PODs, no more of a quarter-hour than was offered.
2. Whoever approves is told from whoever proposed by more than capitals, blanks or the width of letters.
"""

import unicodedata

from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.market.session import MarketSession


def check_correction(one: MarketSession, outcome: Outcome) -> None:
    """Rejected in one line for what rule 1 does not allow."""
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


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are of one person (rule 2)."""
    return _told(one) == _told(other)


def _told(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
