"""A market session: which moves are allowed, what a submission is answered, and what the gate freezes.

1. announced -> open -> closed -> cleared -> validated -> published; until then it may be cancelled; nothing else, and
   nothing twice but cleared, once in each round.
2. Until the gate every submission is answered: taken, or refused with a reason code; the same id again amends, with the
   time of the amendment; what was withdrawn is out of the book. A party changes what is its own only, and an id is of an
   offer or of a request, not of both.
3. At the gate the book is frozen: what clears is exactly what stood there, whatever arrives afterwards.
4. The session's rules bound lot, volume, price and products.
5. No watt is sold twice: what the offers of a direction may take of a POD in a quarter-hour, with what other sessions
   took and what stands in those that are not decided, is at most what the POD was registered with (`capacity_w`; a POD
   without one is not bounded here).
6. A POD has one aggregator in a quarter-hour: an offer of another one, or of a quarter-hour outside the period in which the
   POD is its own, is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from backend.domain.bids import MOST_UEUR_PER_MWH, MOST_W, Direction, Offer, Product, Request
from backend.domain.quantity import PPM, split
from backend.errors import Rejected
from backend.market.register import Register

DAY_MS = 86_400_000


class State(StrEnum):
    """Where a session stands."""

    ANNOUNCED = "announced"
    OPEN = "open"
    CLOSED = "closed"
    CLEARED = "cleared"
    VALIDATED = "validated"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


MOVES: Mapping[State, tuple[State, ...]] = {
    State.ANNOUNCED: (State.OPEN, State.CANCELLED),
    State.OPEN: (State.CLOSED, State.CANCELLED),
    State.CLOSED: (State.CLEARED, State.CANCELLED),
    State.CLEARED: (State.CLEARED, State.VALIDATED, State.CANCELLED),
    State.VALIDATED: (State.PUBLISHED, State.CANCELLED),
    State.PUBLISHED: (),
    State.CANCELLED: (),
}


class Answer(StrEnum):
    """What a submission is told."""

    TAKEN = "taken"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"
    NOT_OPEN = "the session is not open"
    AFTER_GATE = "the gate has closed"
    OUTSIDE = "a quarter-hour outside the session"
    NOT_THEIRS = "the id belongs to another party"
    NOT_ITS_POD = "a POD of another aggregator"
    NOT_HERE = "no such id in this session"
    LOT = "a volume that is no multiple of the lot"
    TOO_LARGE = "more than one offer may have"
    TOO_DEAR = "a price above the market's cap"
    PRODUCT = "a product that is not traded here"
    SOLD = "more of a POD than it has left to sell"


EMERGENCY_UEUR_PER_MWH, MOST_EMERGENCY_PPM = 300_000_000, 100 * PPM
KEPT = (Answer.TAKEN, Answer.AMENDED, Answer.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class SessionRules:
    """Settings of a session: lot (W), most of an offer in a quarter-hour (W), highest price, what is traded; what an
    emergency order earns (market.orders, rule 6): micro-EUR/MWh without an award, or the award's price times a factor (1e-6);
    how long before the gate the BRPs' baselines freeze."""

    lot_w: int = 1
    most_w: int = MOST_W
    most_ueur_per_mwh: int = MOST_UEUR_PER_MWH
    products: frozenset[Product] = frozenset({Product.ACTIVE})
    emergency_ueur_per_mwh: int = EMERGENCY_UEUR_PER_MWH
    emergency_ppm: int = PPM
    baseline_lead_ms: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.lot_w <= self.most_w <= MOST_W:
            raise Rejected(f"rules: lot {self.lot_w} W, most {self.most_w} W, expected 1 <= lot <= most <= {MOST_W}")
        if not 0 <= self.most_ueur_per_mwh <= MOST_UEUR_PER_MWH or not self.products:
            raise Rejected(f"rules: highest price {self.most_ueur_per_mwh}, {len(self.products)} products")
        if not (
            0 <= self.emergency_ueur_per_mwh <= MOST_UEUR_PER_MWH and 0 <= self.emergency_ppm <= MOST_EMERGENCY_PPM
        ):
            raise Rejected(
                f"rules: emergency price {self.emergency_ueur_per_mwh}, factor {self.emergency_ppm}, expected 0 to"
                f" {MOST_UEUR_PER_MWH} and 0 to {MOST_EMERGENCY_PPM}"
            )
        if not 0 <= self.baseline_lead_ms <= DAY_MS:
            raise Rejected(f"rules: baselines freeze {self.baseline_lead_ms} ms before the gate, expected 0 to a day")


Point = tuple[str, int, Direction]


@dataclass(frozen=True, slots=True)
class Registered:
    """What the register says when a session is run: whose each POD is, and what it has (W) in each direction.

    periods: the same by quarter-hour, for the PODs that stand in it."""

    aggregator_of: Mapping[str, str]
    capacity_w: Mapping[tuple[str, Direction], int]
    periods: Register = field(default_factory=lambda: Register([]))

    def whose(self, pod: str, frame: int) -> str | None:
        """The POD's aggregator in a quarter-hour, None if it has none (rule 6)."""
        held = self.periods.of(pod, frame)
        return self.aggregator_of.get(pod) if held is None else held.aggregator

    def has_w(self, pod: str, frame: int, direction: Direction) -> int | None:
        """What it has in a quarter-hour, None if nothing bounds it."""
        held = self.periods.of(pod, frame)
        return self.capacity_w.get((pod, direction)) if held is None else held.w(direction)


@dataclass(slots=True)
class MarketSession:
    """One session over `frames` (epoch numbers) with its gate (UTC ms); `aggregator_of` says whose each POD is; sold_w:
    what other sessions took of (POD, quarter-hour, direction); capacity_w: what a (POD, direction) has; register: the same
    two by quarter-hour, for the PODs that stand in it."""

    id: str
    frames: tuple[int, ...]
    gate_ms: int
    aggregator_of: Mapping[str, str]
    state: State = State.ANNOUNCED
    rules: SessionRules = field(default_factory=SessionRules)
    capacity_w: Mapping[tuple[str, Direction], int] = field(default_factory=dict)
    sold_w: Mapping[Point, int] = field(default_factory=dict)
    register: Register = field(default_factory=lambda: Register([]))
    _offers: dict[str, Offer] = field(default_factory=dict)
    _requests: dict[str, Request] = field(default_factory=dict)
    _taken_w: dict[Point, int] = field(default_factory=dict)

    def move(self, to: State) -> None:
        """The next state; Rejected for any other move."""
        if to not in MOVES[self.state]:
            raise Rejected(f"session {self.id}: {self.state} cannot become {to}")
        self.state = to

    def submit(self, bid: Offer | Request, now_ms: int, party: str = "") -> Answer:
        """Takes an offer or a request, or says why not (rules 2, 4 and 5). party: who submits; empty: whom the bid names."""
        if (early := self._when(now_ms)) is not None:
            return early
        if isinstance(bid, Request):
            return self._take_request(bid, party)
        return self._take_offer(bid, now_ms, party)

    def withdraw(self, id: str, party: str, now_ms: int) -> Answer:
        """Takes an offer (party: its aggregator) or a request (party: its buyer) out of the book."""
        if (early := self._when(now_ms)) is not None:
            return early
        if id not in self._offers and id not in self._requests:
            return Answer.NOT_HERE
        owner = self._offers[id].aggregator if id in self._offers else self._requests[id].buyer
        if owner != party:
            return Answer.NOT_THEIRS
        self.remove(id)
        return Answer.WITHDRAWN

    def restore(self, bid: Offer | Request, received_ms: int) -> None:
        """Puts a bid back that was taken at this instant."""
        if isinstance(bid, Request):
            self._requests[bid.id] = bid
            return
        self.remove(bid.id)
        self._count(bid, 1)
        self._offers[bid.id] = replace(bid, received_ms=received_ms)

    def remove(self, id: str) -> None:
        """Takes a bid out of the book that was withdrawn."""
        before = self._offers.pop(id, None)
        if before is not None:
            self._count(before, -1)
        else:
            self._requests.pop(id, None)

    def close(self, now_ms: int) -> tuple[tuple[Request, ...], tuple[Offer, ...]]:
        """Gate closure: the frozen book, by id (rule 3); Rejected before the gate."""
        if now_ms < self.gate_ms:
            raise Rejected(f"session {self.id}: its gate closes at {self.gate_ms}, it is {now_ms}")
        self.move(State.CLOSED)
        return self.book()

    def book(self) -> tuple[tuple[Request, ...], tuple[Offer, ...]]:
        """What stands in the book, by id."""
        by_id = sorted(self._requests), sorted(self._offers)
        return tuple(self._requests[k] for k in by_id[0]), tuple(self._offers[k] for k in by_id[1])

    def _when(self, now_ms: int) -> Answer | None:
        if self.state is not State.OPEN:
            return Answer.NOT_OPEN
        return Answer.AFTER_GATE if now_ms >= self.gate_ms else None

    def _take_request(self, bid: Request, party: str) -> Answer:
        before = self._requests.get(bid.id)
        if (
            bid.id in self._offers
            or (party and bid.buyer != party)
            or (before is not None and before.buyer is not bid.buyer)
        ):
            return Answer.NOT_THEIRS
        if not set(bid.need) <= set(self.frames):
            return Answer.OUTSIDE
        if bid.product not in self.rules.products:
            return Answer.PRODUCT
        if bid.price_cap_ueur_per_mwh > self.rules.most_ueur_per_mwh:
            return Answer.TOO_DEAR
        self._requests[bid.id] = bid
        return Answer.TAKEN if before is None else Answer.AMENDED

    def _take_offer(self, bid: Offer, now_ms: int, party: str) -> Answer:
        before = self._offers.get(bid.id)
        if (
            bid.id in self._requests
            or (party and bid.aggregator != party)
            or (before is not None and before.aggregator != bid.aggregator)
        ):
            return Answer.NOT_THEIRS
        if (wrong := self._against_rules(bid)) is not None:
            return wrong
        if self.oversold(bid) is not None:
            return Answer.SOLD
        self.remove(bid.id)
        self._count(bid, 1)
        self._offers[bid.id] = replace(bid, received_ms=bid.received_ms or now_ms)
        return Answer.TAKEN if before is None else Answer.AMENDED

    def _against_rules(self, bid: Offer) -> Answer | None:
        if not set(bid.volume_w) <= set(self.frames):
            return Answer.OUTSIDE
        registered = self._registered()
        if any(registered.whose(pod, frame) != bid.aggregator for pod in bid.shares_w for frame in bid.volume_w):
            return Answer.NOT_ITS_POD
        if bid.product not in self.rules.products:
            return Answer.PRODUCT
        steps = [step for frame in bid.volume_w for step in bid.steps_of(frame)]
        if any(step.volume_w % self.rules.lot_w for step in steps):
            return Answer.LOT
        if max(bid.volume_w.values()) > self.rules.most_w:
            return Answer.TOO_LARGE
        if max(step.price_ueur_per_mwh for step in steps) > self.rules.most_ueur_per_mwh:
            return Answer.TOO_DEAR
        return None

    def _registered(self) -> Registered:
        return Registered(self.aggregator_of, self.capacity_w, self.register)

    def others_leave_w(self, point: Point) -> int | None:
        """What other sessions leave of a POD, quarter-hour and direction; None if nothing bounds it."""
        capacity = self._registered().has_w(*point)
        return None if capacity is None else capacity - self.sold_w.get(point, 0)

    def oversold(self, bid: Offer) -> tuple[Point, int] | None:
        """The first POD, quarter-hour and direction of which an offer would take more than is left (rule 5), with what the
        other offers in the book take; None if there is none."""
        before = dict(takes(self._offers[bid.id])) if bid.id in self._offers else {}
        for point, w in takes(bid):
            left, taken_w = self.others_leave_w(point), self._taken_w.get(point, 0) - before.get(point, 0)
            if left is not None and taken_w + w > left:
                return point, taken_w
        return None

    def _count(self, bid: Offer, sign: int) -> None:
        for point, w in takes(bid):
            self._taken_w[point] = self._taken_w.get(point, 0) + sign * w


def takes(bid: Offer) -> Iterable[tuple[Point, int]]:
    """The most that an offer takes of each of its PODs; reactive power is not bounded by active capacity."""
    if bid.product is not Product.ACTIVE:
        return []
    return [
        ((pod, frame, bid.direction), part_w)
        for frame, volume_w in bid.volume_w.items()
        for pod, part_w in split(volume_w, bid.shares_w).items()
    ]
