"""What is asked for and what is offered: Request (I-06) and Offer (I-05). Neither can be made in an invalid form.

1. Volume is W, of the reactive product var; it is 1 or more in each quarter-hour offered and at most what the PODs can give.
2. Price steps of a quarter-hour add up to its volume and rise in price; the least part lies within the first of them.
3. An offer with linked quarter-hours has one step in each of them.
4. A rebound is at most the whole movement, 1 to 95 quarter-hours later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from backend.domain.constraint import reactive
from backend.domain.quantity import PPM
from backend.errors import Rejected

MOST_W = 1_000_000_000_000
MOST_UEUR_PER_MWH = 1_000_000_000_000
MOST_STEPS = 20
MOST_REBOUND_FRAMES = 95


class Direction(StrEnum):
    """up: less withdrawal or more injection; down: the opposite."""

    UP = "up"
    DOWN = "down"


class Buyer(StrEnum):
    """Who asks and pays."""

    DSO = "DSO"
    TSO = "TSO"


class Product(StrEnum):
    """What is traded: active power (W) or reactive power (var, positive as the load of an inductor)."""

    ACTIVE = "active"
    REACTIVE = "reactive"


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a quarter-hour's volume (W) and its price."""

    volume_w: int
    price_ueur_per_mwh: int


@dataclass(frozen=True, slots=True)
class Offer:
    """I-05. W per quarter-hour (epoch number) from a group of PODs, at one price or in price steps.

    shares_w: what each POD can give; its part of an acceptance is in proportion. minimum_ppm: the least part of a
    quarter-hour's volume that may be taken, 0 is divisible, 1,000,000 a block. received_ms: UTC, breaks ties before the
    id. steps: where a quarter-hour has some, they are its prices. linked: all its quarter-hours in the same part or none.
    rebound_ppm: quarter-hours later -> part of what was taken that moves the other way then. lead_s, ramp_w_per_min: what
    an order has to leave it, 0 is none. availability_ueur_per_mw_h: paid for what is held, beside what is delivered.
    """

    id: str
    aggregator: str
    direction: Direction
    volume_w: Mapping[int, int]
    shares_w: Mapping[str, int]
    price_ueur_per_mwh: int
    received_ms: int
    minimum_ppm: int = 0
    product: Product = Product.ACTIVE
    steps: Mapping[int, tuple[Step, ...]] = field(default_factory=dict)
    linked: bool = False
    rebound_ppm: Mapping[int, int] = field(default_factory=dict)
    lead_s: int = 0
    ramp_w_per_min: int = 0
    availability_ueur_per_mw_h: int = 0

    def __post_init__(self) -> None:
        if not self.volume_w or any(w < 1 for w in self.volume_w.values()):
            raise Rejected(f"offer {self.id}: volume_w must be 1 W or more in each quarter-hour offered")
        if not self.shares_w or any(w < 1 for w in self.shares_w.values()):
            raise Rejected(f"offer {self.id}: shares_w must name PODs with 1 W or more each")
        if max(self.volume_w.values()) > sum(self.shares_w.values()):
            raise Rejected(f"offer {self.id}: volume_w is more than its PODs' {sum(self.shares_w.values())} W")
        if not 0 <= self.minimum_ppm <= PPM:
            raise Rejected(f"offer {self.id}: minimum_ppm = {self.minimum_ppm}, allowed 0 to {PPM}")
        if self.price_ueur_per_mwh < 0:
            raise Rejected(f"offer {self.id}: price {self.price_ueur_per_mwh} is negative")
        if sum(self.shares_w.values()) > MOST_W or self.price_ueur_per_mwh > MOST_UEUR_PER_MWH:
            raise Rejected(f"offer {self.id}: more than {MOST_W} W or {MOST_UEUR_PER_MWH} micro-EUR/MWh")
        for name in ("lead_s", "ramp_w_per_min", "availability_ueur_per_mw_h"):
            if getattr(self, name) < 0:
                raise Rejected(f"offer {self.id}: {name} = {getattr(self, name)} is negative")
        for later, part in self.rebound_ppm.items():
            if not (1 <= later <= MOST_REBOUND_FRAMES and 1 <= part <= PPM):
                raise Rejected(
                    f"offer {self.id}: rebound of {part} ppm {later} quarter-hours later, allowed are 1 to {PPM} ppm,"
                    f" 1 to {MOST_REBOUND_FRAMES} later"
                )
        for frame, steps in self.steps.items():
            self._check_steps(frame, steps)

    def _check_steps(self, frame: int, steps: tuple[Step, ...]) -> None:
        """Rules 2 and 3."""
        where = f"offer {self.id}, quarter-hour {frame}"
        if frame not in self.volume_w:
            raise Rejected(f"{where}: price steps, but no volume_w")
        if not 1 <= len(steps) <= (1 if self.linked else MOST_STEPS):
            raise Rejected(f"{where}: {len(steps)} price steps, allowed 1 to {MOST_STEPS}, one where linked")
        if any(step.volume_w < 1 for step in steps) or sum(s.volume_w for s in steps) != self.volume_w[frame]:
            raise Rejected(f"{where}: price steps must be 1 W or more each and add up to {self.volume_w[frame]} W")
        prices = [step.price_ueur_per_mwh for step in steps]
        if prices[0] < 0 or prices[-1] > MOST_UEUR_PER_MWH or any(b <= a for a, b in pairwise(prices)):
            raise Rejected(f"{where}: prices of steps must be 0 or more and rise from step to step")
        if self.least_w(frame) > steps[0].volume_w:
            raise Rejected(f"{where}: its least part of {self.least_w(frame)} W is more than its first price step")

    def least_w(self, frame: int) -> int:
        """The least W that may be taken in a quarter-hour, if any is."""
        return -(-self.volume_w[frame] * self.minimum_ppm // PPM)

    def steps_of(self, frame: int) -> tuple[Step, ...]:
        """Its price steps in a quarter-hour, cheapest first; without any, the whole volume at its price."""
        return self.steps.get(frame) or (Step(self.volume_w[frame], self.price_ueur_per_mwh),)

    @property
    def points(self) -> Mapping[str, int]:
        """shares_w by what moves: the POD, of a reactive offer its reactive power (see domain.constraint)."""
        if self.product is Product.ACTIVE:
            return self.shares_w
        return {reactive(pod): w for pod, w in self.shares_w.items()}


@dataclass(frozen=True, slots=True)
class Request:
    """I-06. What a buyer needs per quarter-hour.

    DSO: relief_ppt of `element` (see domain.constraint), or volume_w at `nodes` where no element is named. TSO: volume_w
    below the substation, element "substation". nodes: only offers whose PODs are all at these nodes; none named is
    anywhere. priority: 0 is served first among the requests of a buyer.
    """

    id: str
    buyer: Buyer
    direction: Direction
    element: str
    need: Mapping[int, int]
    price_cap_ueur_per_mwh: int
    priority: int = 0
    product: Product = Product.ACTIVE
    nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(n < 0 for n in self.need.values()):
            raise Rejected(f"request {self.id}: a need is negative")
        if not self.element and not self.nodes:
            raise Rejected(f"request {self.id}: names neither an element nor nodes")

    @property
    def by_volume(self) -> bool:
        """Whether the need is volume (W) and not relief of an element (ppt)."""
        return self.buyer is Buyer.TSO or not self.element
