"""Clearing and the operator's validation in turn, until validation leaves everything as it is.

1. What validation cuts of an offer in a quarter-hour is a cap there in the next round: its volume is free for others.
2. Each round clears the whole session again, the DSO's requests first; so a TSO's award never lowers a DSO's.
3. The number of rounds is bounded; what the last validation cuts is cut and not replaced.
4. An offer that ends with less than it offered where it was capped says so, and names the element.
5. What follows from a verdict depends on nothing but the rounds before it; so a session whose operators meet in files goes
   on, round by round, as one that is held in one process (`clear_and_validate`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.domain.bids import Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM
from backend.domain.trade import Fate, Outcome, Reason, Result
from backend.market.awarded import unserved, with_allowed
from backend.market.rules import Rules


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of an operator: the part (1e-6) of awards that is allowed, by (offer, request) and quarter-hour; the limit that stopped
    each offer. What is not named is allowed whole.
    """

    allowed_ppm: Mapping[tuple[str, str], Mapping[int, int]]
    elements: Mapping[str, str]


Clear = Callable[[Mapping[tuple[str, int], int]], Outcome]
Validate = Callable[[Outcome], Verdict]


@dataclass(frozen=True, slots=True)
class Round:
    """A clearing: which one it is, from 1; what the verdicts before it left, W by (offer, quarter-hour), and why, by offer."""

    number: int = 1
    caps: Mapping[tuple[str, int], int] = field(default_factory=dict)
    elements: Mapping[str, str] = field(default_factory=dict)


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
    at = Round()
    while True:
        outcome = clear(at.caps)
        found = after(at, outcome, validate(outcome), (requests, offers), constraints, rules)
        if isinstance(found, Outcome):
            return Rounds(found, at.number)
        at = found


def after(
    at: Round,
    cleared: Outcome,
    verdict: Verdict,
    book: tuple[Sequence[Request], Sequence[Offer]],
    constraints: Sequence[Constraint],
    rules: Rules,
) -> Round | Outcome:
    """The round that follows from the verdict on what this one cleared, or the outcome that stands."""
    cut = _cuts(cleared, verdict)
    elements = {**at.elements, **{offer: verdict.elements.get(offer, "") for offer, _ in cut}}
    if cut and at.number < rules.rounds:
        return Round(at.number + 1, {**at.caps, **cut}, elements)
    outcome = with_allowed(cleared, verdict.allowed_ppm, verdict.elements) if cut else cleared
    results = tuple(_explained(r, elements) for r in outcome.results)
    return replace(outcome, results=results, unserved=unserved(*book, outcome.awards, constraints))


def _cuts(outcome: Outcome, verdict: Verdict) -> dict[tuple[str, int], int]:
    """W that are left to offers of whose awards something is cut."""
    kept: dict[tuple[str, int], int] = {}
    cut = set()
    for award in outcome.awards:
        key = (award.offer, award.frame)
        part = verdict.allowed_ppm.get((award.offer, award.request), {}).get(award.frame, PPM)
        kept[key] = kept.get(key, 0) + award.volume_w * part // PPM
        if part < PPM:
            cut.add(key)
    return {key: watts for key, watts in kept.items() if key in cut}


def _explained(result: Result, elements: Mapping[str, str]) -> Result:
    if result.offer not in elements or result.fate is Fate.ACCEPTED:
        return result
    reason = Reason.VALIDATED_IN_PART if result.accepted_w else Reason.NOT_VALIDATED
    return replace(result, reason=reason, element=elements[result.offer])
