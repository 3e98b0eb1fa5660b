"""How a market clears: its settings, checked once."""

from dataclasses import dataclass
from enum import StrEnum

from backend.domain.quantity import PPM
from backend.errors import Rejected

MOST_ROUNDS = 20


class Engine(StrEnum):
    """Which rule decides: the guarded merit order, the cost optimum, or price order without the network."""

    GUARDED = "guarded"
    OPTIMAL = "optimal"
    LITERAL = "literal"


class Pricing(StrEnum):
    """What an award is settled at: its own price, or the dearest accepted of its request and quarter-hour."""

    AS_BID = "as bid"
    AS_CLEARED = "as cleared"


@dataclass(frozen=True, slots=True)
class Rules:
    """reserve_ppm: what is taken beyond each need, as part of it (1e-6). rounds: of clearing and validation, at most.

    time_limit_s: of each program the optimal engine solves; 0 is none. Only without it the outcome is the same anywhere.
    """

    engine: Engine = Engine.GUARDED
    pricing: Pricing = Pricing.AS_BID
    reserve_ppm: int = 0
    rounds: int = 3
    time_limit_s: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_ppm <= PPM:
            raise Rejected(f"rules: reserve_ppm = {self.reserve_ppm}, allowed 0 to {PPM}")
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise Rejected(f"rules: rounds = {self.rounds}, allowed 1 to {MOST_ROUNDS}")
        if self.time_limit_s < 0:
            raise Rejected(f"rules: time_limit_s = {self.time_limit_s} is negative")


GUARDED = Rules()
