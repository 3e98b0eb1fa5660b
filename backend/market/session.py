"""A market session: which moves are allowed, and what the gate freezes.

1. announced -> open -> closed -> cleared -> validated -> published; nothing else, and nothing twice.
2. Until the gate every submission is answered: taken, or refused with a reason code; the same id again amends.
3. At the gate the book is frozen: what clears is exactly what stood there, whatever arrives afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from backend.domain.bids import Offer, Request
from backend.errors import Rejected


class State(StrEnum):
    """Where a session stands."""

    ANNOUNCED = "announced"
    OPEN = "open"
    CLOSED = "closed"
    CLEARED = "cleared"
    VALIDATED = "validated"
    PUBLISHED = "published"


MOVES: Mapping[State, State] = {
    State.ANNOUNCED: State.OPEN,
    State.OPEN: State.CLOSED,
    State.CLOSED: State.CLEARED,
    State.CLEARED: State.VALIDATED,
    State.VALIDATED: State.PUBLISHED,
}


class Answer(StrEnum):
    """What a submission is told."""

    TAKEN = "taken"
    AMENDED = "amended"
    NOT_OPEN = "the session is not open"
    AFTER_GATE = "the gate has closed"
    OUTSIDE = "a quarter-hour outside the session"
    NOT_THEIRS = "the id belongs to another aggregator"
    NOT_ITS_POD = "a POD of another aggregator"


@dataclass(slots=True)
class MarketSession:
    """One session over `frames` (epoch numbers) with its gate (UTC ms); `aggregator_of` says whose each POD is."""

    id: str
    frames: tuple[int, ...]
    gate_ms: int
    aggregator_of: Mapping[str, str]
    state: State = State.ANNOUNCED
    _offers: dict[str, Offer] = field(default_factory=dict)
    _requests: dict[str, Request] = field(default_factory=dict)

    def move(self, to: State) -> None:
        """The next state; Rejected for any other move."""
        if MOVES.get(self.state) is not to:
            raise Rejected(f"session {self.id}: {self.state} cannot become {to}")
        self.state = to

    def submit(self, bid: Offer | Request, now_ms: int) -> Answer:
        """Takes an offer or a request, or says why not (rule 2)."""
        if self.state is not State.OPEN:
            return Answer.NOT_OPEN
        if now_ms >= self.gate_ms:
            return Answer.AFTER_GATE
        frames = bid.volume_w if isinstance(bid, Offer) else bid.need
        if not set(frames) <= set(self.frames):
            return Answer.OUTSIDE
        if isinstance(bid, Request):
            known = bid.id in self._requests
            self._requests[bid.id] = bid
            return Answer.AMENDED if known else Answer.TAKEN
        if any(self.aggregator_of.get(pod) != bid.aggregator for pod in bid.shares_w):
            return Answer.NOT_ITS_POD
        before = self._offers.get(bid.id)
        if before is not None and before.aggregator != bid.aggregator:
            return Answer.NOT_THEIRS
        self._offers[bid.id] = bid
        return Answer.TAKEN if before is None else Answer.AMENDED

    def close(self, now_ms: int) -> tuple[tuple[Request, ...], tuple[Offer, ...]]:
        """Gate closure: the frozen book, by id (rule 3); Rejected before the gate."""
        if now_ms < self.gate_ms:
            raise Rejected(f"session {self.id}: its gate closes at {self.gate_ms}, it is {now_ms}")
        self.move(State.CLOSED)
        by_id = sorted(self._requests), sorted(self._offers)
        return tuple(self._requests[k] for k in by_id[0]), tuple(self._offers[k] for k in by_id[1])
