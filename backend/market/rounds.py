"""Clearing and the operator's validation in turn, until validation leaves everything as it is.

1. What validation cuts of an offer in a quarter-hour is a cap there in the next round: its volume is free for others.
2. Each round clears the whole session again, the DSO's requests first; so a TSO's award never lowers a DSO's.
3. The number of rounds is bounded; what the last validation cuts is cut and not replaced: of an offer's awards in a
   quarter-hour the last ones first, so the TSO's before the DSO's.
4. An offer that ends with less than it offered where it was capped says so, and names the element.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.domain.bids import Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM
from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.market.awarded import unserved
from backend.market.rules import Rules


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of an operator: the part (1e-6) of each offer's awards that is allowed, by quarter-hour; the limit that stopped it.

    An offer or quarter-hour that is not named is allowed whole.
    """

    allowed_ppm: Mapping[str, Mapping[int, int]]
    elements: Mapping[str, str]


Clear = Callable[[Mapping[tuple[str, int], int]], Outcome]
Validate = Callable[[Outcome], Verdict]


@dataclass(frozen=True, slots=True)
class Rounds:
    """The outcome that stands, and how many rounds it took."""

    outcome: Outcome
    rounds: int


def clear_and_validate(
    clear: Clear,
    validate: Validate,
    requests: Sequence[Request],
    offers: Sequence[Offer],
    constraints: Sequence[Constraint],
    rules: Rules,
) -> Rounds:
    """clear: a session from caps of W by (offer, quarter-hour); validate: what the operator allows of an outcome."""
    caps: dict[tuple[str, int], int] = {}
    elements: dict[str, str] = {}
    for number in range(1, rules.rounds + 1):
        outcome = clear(caps)
        verdict = validate(outcome)
        cut = _cuts(outcome, verdict)
        elements |= {offer: verdict.elements.get(offer, "") for offer, _ in cut}
        if not cut or number == rules.rounds:
            break
        caps |= cut
    if cut:
        outcome = _cut_to(outcome, cut)
    results = tuple(_explained(r, elements) for r in outcome.results)
    left = unserved(requests, offers, outcome.awards, constraints)
    return Rounds(replace(outcome, results=results, unserved=left), number)


def _cuts(outcome: Outcome, verdict: Verdict) -> dict[tuple[str, int], int]:
    """W that are left to offers of whose awards something is cut."""
    taken: dict[tuple[str, int], int] = {}
    for award in outcome.awards:
        taken[award.offer, award.frame] = taken.get((award.offer, award.frame), 0) + award.volume_w
    found = {}
    for (offer, frame), watts in taken.items():
        part = verdict.allowed_ppm.get(offer, {}).get(frame, PPM)
        if part < PPM:
            found[offer, frame] = watts * part // PPM
    return found


def _cut_to(outcome: Outcome, left_w: Mapping[tuple[str, int], int]) -> Outcome:
    """The outcome with at most these W of each (offer, quarter-hour); parts are rounded down per POD."""
    left = dict(left_w)
    awards: list[Award] = []
    for award in outcome.awards:
        key = (award.offer, award.frame)
        kept = min(award.volume_w, left.get(key, award.volume_w))
        if key in left:
            left[key] -= kept
        parts = {pod: w * kept // award.volume_w for pod, w in award.parts_w.items()}
        if any(parts.values()):
            awards.append(replace(award, volume_w=sum(parts.values()), parts_w=parts))
    accepted: dict[str, int] = {}
    for award in awards:
        accepted[award.offer] = accepted.get(award.offer, 0) + award.volume_w
    results = []
    for result in outcome.results:
        taken = accepted.get(result.offer, 0)
        fate = result.fate if taken == result.accepted_w else Fate.CUT if taken else Fate.REJECTED
        results.append(replace(result, accepted_w=taken, fate=fate))
    return replace(outcome, awards=tuple(awards), results=tuple(results))


def _explained(result: Result, elements: Mapping[str, str]) -> Result:
    if result.offer not in elements or result.fate is Fate.ACCEPTED:
        return result
    reason = Reason.VALIDATED_IN_PART if result.accepted_w else Reason.NOT_VALIDATED
    return replace(result, reason=reason, element=elements[result.offer])
