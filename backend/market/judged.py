"""What the grid operator is asked to judge of an outcome (I-07), and what its answer leaves of the awards.

1. One change of withdrawal for each offer and buyer, in the order of the awards, W or var per POD and quarter-hour of the
   session; beside it what rebounds within the session.
2. The least part is that below which the offer's minimum is not kept, in its tightest quarter-hour.
3. An answer gives every POD what it may; its part of a quarter-hour is what was given by what was awarded. More than was
   awarded, to a POD or in all, and the other way is no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.quantity import PPM
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected

Rows = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Judged:
    """One offer's awards for one buyer; change and rebound: W (var of a reactive offer) per POD, one for each quarter-hour."""

    offer: Offer
    buyer: Buyer
    awards: tuple[Award, ...]
    change: Rows
    rebound: Rows
    least_ppm: int

    @property
    def is_reactive(self) -> bool:
        """Whether the change is of var."""
        return self.offer.product is Product.REACTIVE

    def allow(self, frames: Sequence[int], given: Mapping[str, Sequence[int]]) -> dict[tuple[str, str], dict[int, int]]:
        """The part (1e-6) by (offer, request) and quarter-hour that an answer leaves (rule 3). Rejected if it gives more."""
        parts: dict[int, int] = {}
        for frame in sorted({award.frame for award in self.awards}):
            place = frames.index(frame)
            wanted = sum(abs(row[place]) for row in self.change.values())
            got = sum(abs(row[place]) for row in given.values())
            if got > wanted:
                raise Rejected(
                    f"{self.offer.id} for the {self.buyer}: {got} in quarter-hour {frame}, {wanted} were awarded"
                )
            parts[frame] = got * PPM // wanted
        self._check_pods(frames, given)
        if all(part == PPM for part in parts.values()):
            return {}
        return {(award.offer, award.request): parts for award in self.awards}

    def _check_pods(self, frames: Sequence[int], given: Mapping[str, Sequence[int]]) -> None:
        for pod, row in given.items():
            for frame, got, wanted in zip(frames, row, self.change.get(pod, (0,) * len(frames)), strict=True):
                if not min(wanted, 0) <= got <= max(wanted, 0):
                    raise Rejected(
                        f"{self.offer.id} for the {self.buyer}: {got} of {pod[:64]} in quarter-hour {frame}, {wanted} was awarded"
                    )


def to_judge(
    frames: Sequence[int], requests: Sequence[Request], offers: Sequence[Offer], outcome: Outcome
) -> tuple[Judged, ...]:
    """Everything that was awarded (rules 1 and 2); frames: the session's, in order."""
    buyer_of = {request.id: request.buyer for request in requests}
    offer_of = {offer.id: offer for offer in offers}
    by_pair: dict[tuple[str, Buyer], list[Award]] = {}
    for award in outcome.awards:
        by_pair.setdefault((award.offer, buyer_of[award.request]), []).append(award)
    return tuple(_judged(frames, offer_of[id], buyer, awards) for (id, buyer), awards in by_pair.items())


def _judged(frames: Sequence[int], offer: Offer, buyer: Buyer, awards: Sequence[Award]) -> Judged:
    sign = -1 if offer.direction is Direction.UP else 1
    change = {pod: [0] * len(frames) for pod in sorted(offer.shares_w)}
    rebound = {pod: [0] * len(frames) for pod in sorted(offer.shares_w)} if offer.rebound_ppm else {}
    taken_w: dict[int, int] = {}
    for award in awards:
        place = frames.index(award.frame)
        taken_w[award.frame] = taken_w.get(award.frame, 0) + award.volume_w
        for pod, w in award.parts_w.items():
            change[pod][place] += sign * w
            for later, part in offer.rebound_ppm.items():
                if place + later < len(frames):
                    rebound[pod][place + later] -= sign * (w * part // PPM)
    least = max(-(-offer.volume_w[frame] * offer.minimum_ppm // w) for frame, w in taken_w.items())
    return Judged(offer, buyer, tuple(awards), _rows(change), _rows(rebound), min(PPM, least))


def _rows(table: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    return {pod: tuple(row) for pod, row in table.items()}
