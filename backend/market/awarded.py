"""What awards mean for what is left: movements, unserved need, offers cut by validation, the rest for the next session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backend.domain.bids import Direction, Offer, Request, Step
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM
from backend.domain.trade import Award, Fate, Outcome, Reason, Result

Changes = Mapping[int, Mapping[str, int]]


def moves(offers: Iterable[Offer], awards: Iterable[Award]) -> dict[tuple[str, int], Direction]:
    """Which way each (POD, frame) moves by these awards; a POD's reactive power stands under its own name."""
    by_id = {o.id: o for o in offers}
    return {
        (point, a.frame): by_id[a.offer].direction
        for a in awards
        for point, w in zip(by_id[a.offer].points, _parts(by_id[a.offer], a), strict=True)
        if w
    }


def _parts(offer: Offer, award: Award) -> list[int]:
    """W of an award for each of the offer's points."""
    return [award.parts_w.get(pod, 0) for pod in offer.shares_w]


def changes(offers: Iterable[Offer], awards: Iterable[Award]) -> dict[int, dict[str, int]]:
    """Change of withdrawal (W) by quarter-hour and point when these awards are active, rebounds included."""
    by_id = {o.id: o for o in offers}
    found: dict[int, dict[str, int]] = {}
    for award in awards:
        offer = by_id[award.offer]
        sign = -1 if offer.direction is Direction.UP else 1
        for point, watts in zip(offer.points, _parts(offer, award), strict=True):
            _add(found, award.frame, point, sign * watts)
            for later, part in offer.rebound_ppm.items():
                _add(found, award.frame + later, point, -sign * (watts * part // PPM))
    return found


def _add(found: dict[int, dict[str, int]], frame: int, point: str, watts: int) -> None:
    here = found.setdefault(frame, {})
    here[point] = here.get(point, 0) + watts


def unserved(
    requests: Iterable[Request], offers: Iterable[Offer], awards: Sequence[Award], constraints: Iterable[Constraint]
) -> dict[tuple[str, int], int]:
    """What stays of each need when exactly these awards are active, by (request, frame), in the request's unit."""
    change = changes(offers, awards)
    gained: dict[tuple[str, int], int] = {}
    for one in constraints:
        key = (one.element, one.frame)
        if key not in gained:
            gained[key] = one.margin_after(change.get(one.frame, {})) - one.margin_ppt
    bought: dict[tuple[str, int], int] = {}
    for award in awards:
        bought[award.request, award.frame] = bought.get((award.request, award.frame), 0) + award.volume_w
    found = {}
    for request in requests:
        for frame, need in request.need.items():
            met = bought.get((request.id, frame), 0) if request.by_volume else gained.get((request.element, frame), 0)
            if need > met:
                found[request.id, frame] = need - met
    return found


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
            awards.append(replace(award, volume_w=sum(parts.values()), parts_w=parts))
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
    """What the near-real-time session may still take: the unmatched part of each offer from a quarter-hour on.

    Of linked quarter-hours either all are still to come, or the offer has gone. A least part that was met already binds no
    more where an offer has price steps.
    """
    taken: dict[tuple[str, int, int], int] = {}
    for award in outcome.awards:
        key = (award.offer, award.frame, award.step)
        taken[key] = taken.get(key, 0) + award.volume_w
    left = []
    for offer in offers:
        steps = {f: _left_of(offer, f, taken) for f in offer.volume_w if f >= from_frame}
        volume = {f: w for f, of in steps.items() if (w := sum(step.volume_w for step in of))}
        if not volume or (offer.linked and len(volume) < len(offer.volume_w)):
            continue
        touched = any((offer.id, f, 0) in taken for f in offer.volume_w)
        left.append(
            replace(
                offer,
                volume_w=volume,
                received_ms=min(offer.received_ms, received_ms),
                steps={f: steps[f] for f in volume if f in offer.steps},
                minimum_ppm=0 if touched and offer.steps else offer.minimum_ppm,
            )
        )
    return left


def _left_of(offer: Offer, frame: int, taken: Mapping[tuple[str, int, int], int]) -> tuple[Step, ...]:
    """The price steps that nobody took, and the rest of one taken in part."""
    left = [
        Step(step.volume_w - taken.get((offer.id, frame, k), 0), step.price_ueur_per_mwh)
        for k, step in enumerate(offer.steps_of(frame))
    ]
    return tuple(step for step in left if step.volume_w)
