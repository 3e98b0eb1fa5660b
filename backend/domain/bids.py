"""What is asked for and what is offered: Request (I-06) and Offer (I-05). Neither can be made in an invalid form."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.quantity import PPM
from backend.errors import Rejected


class Direction(StrEnum):
    """up: less withdrawal or more injection; down: the opposite."""

    UP = "up"
    DOWN = "down"


class Buyer(StrEnum):
    """Who asks and pays."""

    DSO = "DSO"
    TSO = "TSO"


@dataclass(frozen=True, slots=True)
class Offer:
    """I-05. W per quarter-hour (epoch number) from a group of PODs, at one price.

    shares_w: what each POD can give; its part of an acceptance is in proportion. minimum_ppm: the least part of a
    quarter-hour's volume that may be taken, 0 is divisible. received_ms: UTC, breaks ties before the id.
    """

    id: str
    aggregator: str
    direction: Direction
    volume_w: Mapping[int, int]
    shares_w: Mapping[str, int]
    price_ueur_per_mwh: int
    received_ms: int
    minimum_ppm: int = 0

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


@dataclass(frozen=True, slots=True)
class Request:
    """I-06. What a buyer needs per quarter-hour.

    DSO: relief_ppt of `element` (see domain.constraint). TSO: volume_w below the substation, element "substation".
    """

    id: str
    buyer: Buyer
    direction: Direction
    element: str
    need: Mapping[int, int]
    price_cap_ueur_per_mwh: int
    priority: int = 0

    def __post_init__(self) -> None:
        if any(n < 0 for n in self.need.values()):
            raise Rejected(f"request {self.id}: a need is negative")
