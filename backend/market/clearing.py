"""Offers and requests to awards: the guarded merit order.

1. DSO requests come first (by priority, then id), then TSO requests with what is left.
2. For a DSO request offers stand in order of price per unit of relief on its element in that quarter-hour: 50 EUR with
   a tenth of the effect is dearer than 60. For a TSO request in order of price. Ties: receipt time, then id.
3. Each acceptance is held against every limit of the quarter-hour, linearised: the largest W that leaves none broken
   that held, and none more broken than it was. A TSO acceptance thus never takes back what the DSO bought.
4. Volume is split over an offer's PODs by their shares, largest remainder, ties by POD id.
5. Every offer ends in exactly one result with a reason; need that stays when all awards are active is published.
6. Pay as bid.
7. A POD moves in one direction in a quarter-hour, over all sessions: else neither delivery could be measured.
8. A DSO request asks for relief beside the state of the constraints; what any award relieves counts towards it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM, split
from backend.domain.trade import Award, Fate, Outcome, Reason, Result


@dataclass(slots=True)
class _Book:
    """The state of one clearing."""

    offers: Mapping[str, Offer]
    constraints: Mapping[int, Sequence[Constraint]]
    delta_w: dict[int, dict[str, int]]
    moves: dict[tuple[str, int], Direction]
    taken_w: dict[tuple[str, int], int] = field(default_factory=dict)
    awards: list[Award] = field(default_factory=list)
    why: dict[str, tuple[Reason, str]] = field(default_factory=dict)

    def note(self, offer: str, reason: Reason, element: str = "") -> None:
        """Remembers the reason nearest to acceptance."""
        if offer not in self.why or _NEARNESS[reason] > _NEARNESS[self.why[offer][0]]:
            self.why[offer] = (reason, element)


_NEARNESS = {
    Reason.NO_NEED: 0,
    Reason.WRONG_DIRECTION: 1,
    Reason.NO_EFFECT: 2,
    Reason.PRICE_CAP: 3,
    Reason.NEED_MET: 4,
    Reason.MINIMUM: 5,
    Reason.OTHER_WAY: 6,
    Reason.GUARD: 7,
    Reason.VALIDATED_IN_PART: 8,
    Reason.NOT_VALIDATED: 9,
    Reason.TAKEN: 10,
}


def clear(
    session: str,
    requests: Iterable[Request],
    offers: Iterable[Offer],
    constraints: Iterable[Constraint],
    moves: Mapping[tuple[str, int], Direction] | None = None,
) -> Outcome:
    """The outcome of one session before technical validation.

    constraints: of the state that earlier sessions left; moves: which way (POD, frame) moves by their awards.
    """
    table: dict[int, list[Constraint]] = {}
    for constraint in constraints:
        table.setdefault(constraint.frame, []).append(constraint)
    book = _Book(
        {o.id: o for o in offers}, table, {}, dict(moves or {})
    )  # fmt: skip
    asked = sorted(requests, key=lambda r: (r.buyer is not Buyer.DSO, r.priority, r.id))
    for request in asked:
        for frame in sorted(request.need):
            _serve(book, request, frame)
    results = tuple(_result(book, book.offers[id]) for id in sorted(book.offers))
    left = _unserved(asked, book.awards, book.constraints, book.delta_w)
    return Outcome(session, tuple(book.awards), results, left)


def moves(offers: Iterable[Offer], awards: Iterable[Award]) -> dict[tuple[str, int], Direction]:
    """Which way each (POD, frame) moves by these awards."""
    by_id = {o.id: o for o in offers}
    return {(pod, a.frame): by_id[a.offer].direction for a in awards for pod, w in a.parts_w.items() if w}


def unserved(
    requests: Iterable[Request], offers: Iterable[Offer], awards: Sequence[Award], constraints: Iterable[Constraint]
) -> dict[tuple[str, int], int]:
    """What stays of each need when exactly these awards are active, by (request, frame), in the request's unit."""
    by_id = {o.id: o for o in offers}
    delta_w: dict[int, dict[str, int]] = {}
    for award in awards:
        _add(delta_w.setdefault(award.frame, {}), _signed(by_id[award.offer], award.parts_w))
    table: dict[int, list[Constraint]] = {}
    for constraint in constraints:
        table.setdefault(constraint.frame, []).append(constraint)
    return _unserved(requests, awards, table, delta_w)


def _unserved(
    requests: Iterable[Request],
    awards: Sequence[Award],
    constraints: Mapping[int, Sequence[Constraint]],
    delta_w: Mapping[int, Mapping[str, int]],
) -> dict[tuple[str, int], int]:
    bought: dict[tuple[str, int], int] = {}
    for award in awards:
        bought[award.request, award.frame] = bought.get((award.request, award.frame), 0) + award.volume_w
    found = {}
    for request in requests:
        for frame, need in request.need.items():
            constraint = _constraint(constraints, request, frame)
            if constraint is None:
                left = need - bought.get((request.id, frame), 0)
            else:
                left = _still_needed(constraint, need, delta_w.get(frame, {}))
            if left > 0:
                found[request.id, frame] = left
    return found


def _still_needed(constraint: Constraint, need: int, delta_w: Mapping[str, int]) -> int:
    """The part of a need for relief (ppt) that these changes do not give (rule 8)."""
    return max(0, need - (constraint.margin_after(delta_w) - constraint.margin_ppt))


def _serve(book: _Book, request: Request, frame: int) -> None:
    """Serves one request in one quarter-hour as far as it goes."""
    constraint = _constraint(book.constraints, request, frame)
    delta = book.delta_w.setdefault(frame, {})
    need = request.need[frame]
    if constraint is not None:
        need = _still_needed(constraint, need, delta)
    ranked = []
    for offer in book.offers.values():
        if frame in offer.volume_w and (rank := _rank(book, request, constraint, offer)) is not None:
            ranked.append((rank, offer.received_ms, offer.id, offer))
    for _, _, _, offer in sorted(ranked, key=lambda row: row[:3]):
        if need <= 0:
            book.note(offer.id, Reason.NEED_MET)
            continue
        need -= _accept(book, request, constraint, offer, frame, need)


def _constraint(constraints: Mapping[int, Sequence[Constraint]], request: Request, frame: int) -> Constraint | None:
    """The limit that a DSO request is about; one that nobody can influence if the grid names none. None for a TSO's."""
    if request.buyer is Buyer.TSO:
        return None
    for constraint in constraints.get(frame, ()):
        if constraint.element == request.element:
            return constraint
    return Constraint(request.element, frame, 0, {})


def _rank(book: _Book, request: Request, constraint: Constraint | None, offer: Offer) -> Fraction | None:
    """Price per unit of relief (rule 2), or None with the reason noted."""
    if offer.direction is not request.direction:
        book.note(offer.id, Reason.WRONG_DIRECTION)
        return None
    if offer.price_ueur_per_mwh > request.price_cap_ueur_per_mwh:
        book.note(offer.id, Reason.PRICE_CAP)
        return None
    if constraint is None:
        return Fraction(offer.price_ueur_per_mwh)
    effect = _effect(constraint, offer)
    if effect <= 0:
        book.note(offer.id, Reason.NO_EFFECT)
        return None
    return Fraction(offer.price_ueur_per_mwh) / effect


def _effect(constraint: Constraint, offer: Offer) -> Fraction:
    """Relief (ppt) per W of the offer, by the shares of its PODs."""
    sign = 1 if offer.direction is Direction.UP else -1
    whole = sum(offer.shares_w.values())
    return Fraction(sum(sign * constraint.effect_ppt_per_w.get(p, 0) * w for p, w in offer.shares_w.items()), whole)


def _accept(book: _Book, request: Request, constraint: Constraint | None, offer: Offer, frame: int, need: int) -> int:
    """Takes what helps and fits; the part of the need that is met by it."""
    left_w = offer.volume_w[frame] - book.taken_w.get((offer.id, frame), 0)
    if left_w <= 0:
        return 0
    if any(book.moves.get((pod, frame), offer.direction) is not offer.direction for pod in offer.shares_w):
        book.note(offer.id, Reason.OTHER_WAY)
        return 0
    effect = Fraction(1) if constraint is None else _effect(constraint, offer)
    wanted_w = min(left_w, -(-Fraction(need + _rounding(constraint, offer)) // effect))
    volume_w, element = _within_limits(book, offer, frame, int(wanted_w))
    if volume_w < wanted_w:
        book.note(offer.id, Reason.GUARD, element)
    least_w = -(-offer.volume_w[frame] * offer.minimum_ppm // PPM)
    if volume_w < least_w - book.taken_w.get((offer.id, frame), 0):
        if not element:
            book.note(offer.id, Reason.MINIMUM)
        return 0
    if volume_w <= 0:
        return 0
    parts = split(volume_w, offer.shares_w)
    _add(book.delta_w[frame], _signed(offer, parts))
    book.moves.update({(pod, frame): offer.direction for pod, part_w in parts.items() if part_w})
    book.taken_w[offer.id, frame] = book.taken_w.get((offer.id, frame), 0) + volume_w
    book.awards.append(Award(offer.id, request.id, frame, volume_w, parts))
    return int(min(Fraction(need), volume_w * effect))


def _add(delta_w: dict[str, int], parts_w: Mapping[str, int]) -> None:
    for pod, part_w in parts_w.items():
        delta_w[pod] = delta_w.get(pod, 0) + part_w


def _rounding(constraint: Constraint | None, offer: Offer) -> int:
    """What splitting a group's volume into whole watts may change on an element (ppt)."""
    if constraint is None or len(offer.shares_w) == 1:
        return 0
    return sum(abs(constraint.effect_ppt_per_w.get(pod, 0)) for pod in offer.shares_w)


def _signed(offer: Offer, parts_w: Mapping[str, int]) -> dict[str, int]:
    sign = -1 if offer.direction is Direction.UP else 1
    return {pod: sign * w for pod, w in parts_w.items()}


def _within_limits(book: _Book, offer: Offer, frame: int, wanted_w: int) -> tuple[int, str]:
    """The largest W up to wanted_w that keeps rule 3, and the element that stops it."""
    volume_w, element = wanted_w, ""
    delta = book.delta_w[frame]
    for constraint in book.constraints.get(frame, ()):
        eaten = -_effect(constraint, offer)
        if eaten <= 0:
            continue
        room = max(0, constraint.margin_after(delta) - _rounding(constraint, offer))
        fits_w = int(room // eaten)
        if fits_w < volume_w:
            volume_w, element = fits_w, constraint.element
    return volume_w, element


def _result(book: _Book, offer: Offer) -> Result:
    offered = sum(offer.volume_w.values())
    accepted = sum(book.taken_w.get((offer.id, f), 0) for f in offer.volume_w)
    reason, element = book.why.get(offer.id, (Reason.NO_NEED, ""))
    taken = {f: w for f in offer.volume_w if (w := book.taken_w.get((offer.id, f), 0))}
    if taken and all(w == offer.volume_w[f] for f, w in taken.items()):
        return Result(offer.id, Fate.ACCEPTED, Reason.TAKEN, offered, accepted)
    if accepted:
        return Result(
            offer.id, Fate.CUT, reason if reason is not Reason.NO_NEED else Reason.NEED_MET, offered, accepted, element
        )
    return Result(offer.id, Fate.REJECTED, reason, offered, 0, element)


def with_allowed(
    outcome: Outcome, allowed_ppm: Mapping[tuple[str, str], Mapping[int, int]], elements: Mapping[str, str]
) -> Outcome:
    """The outcome after technical validation (I-07): awards in the part (1e-6) that was allowed per frame.

    allowed_ppm: by offer and request, so that what a TSO gets less of one offer leaves the DSO's part of it whole. Parts
    are rounded towards nothing per POD, as the operator's verdict is. elements: the limit that stopped an offer.
    The unserved need is still that of before: see `unserved`.
    """
    awards = []
    for award in outcome.awards:
        part = allowed_ppm.get((award.offer, award.request), {}).get(award.frame, PPM)
        parts = {pod: w * part // PPM for pod, w in award.parts_w.items()}
        if sum(parts.values()):
            awards.append(Award(award.offer, award.request, award.frame, sum(parts.values()), parts))
    results = []
    for result in outcome.results:
        accepted = sum(a.volume_w for a in awards if a.offer == result.offer)
        if accepted == result.accepted_w:
            results.append(result)
        else:
            fate, reason = (Fate.CUT, Reason.VALIDATED_IN_PART) if accepted else (Fate.REJECTED, Reason.NOT_VALIDATED)
            results.append(
                Result(result.offer, fate, reason, result.offered_w, accepted, elements.get(result.offer, ""))
            )
    return Outcome(outcome.session, tuple(awards), tuple(results), outcome.unserved)


def remaining(offers: Iterable[Offer], outcome: Outcome, from_frame: int, received_ms: int) -> list[Offer]:
    """What the near-real-time session may still take: the unmatched part of each offer from a quarter-hour on."""
    taken: dict[tuple[str, int], int] = {}
    for award in outcome.awards:
        taken[award.offer, award.frame] = taken.get((award.offer, award.frame), 0) + award.volume_w
    left = []
    for offer in offers:
        volume = {f: w - taken.get((offer.id, f), 0) for f, w in offer.volume_w.items() if f >= from_frame}
        volume = {f: w for f, w in volume.items() if w > 0}
        if volume:
            left.append(
                Offer(
                    offer.id,
                    offer.aggregator,
                    offer.direction,
                    volume,
                    offer.shares_w,
                    offer.price_ueur_per_mwh,
                    min(offer.received_ms, received_ms),
                    offer.minimum_ppm,
                )
            )
    return left
