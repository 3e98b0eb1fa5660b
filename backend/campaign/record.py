"""What one day of a campaign leaves: whole numbers and names only, so that workers may be anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from backend.domain.trade import Order
from backend.grid.congestion import Violation
from backend.market.indicators import Campaign
from backend.market.settled_day import SettledDay


@dataclass(frozen=True, slots=True)
class Named:
    """A need that stays: of which session, request, element, in which quarter-hour, how much (ppt of rated, or W)."""

    session: str
    request: str
    element: str
    frame: int
    amount: int
    unit: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session; requested_ws: least change that heals the grid as it expected it, and what the TSO asked for."""

    session: str
    what: Campaign
    rounds: int
    requested_ws: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Violated:
    """Of a whole day: devices as they stood, with the operator's own remedies, with all orders wholly delivered, and with
    what was delivered (of a plan the same)."""

    standing: tuple[Violation, ...]
    after_remedy: tuple[Violation, ...]
    as_ordered: tuple[Violation, ...]
    after_market: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Differs:
    """Where the two engines disagree, beyond rounding: state, quarter-hour, element, who says it is violated."""

    state: str
    frame: int
    element: str
    said_by: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The independent look at a day: quarter-hours solved, violations both found, where they differ."""

    engine: str
    states: int
    agreed: int
    differs: tuple[Differs, ...]


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One market day. Energies Ws. expected: as planned with the orders, by the forecast of the last gate; real: as it was.

    error_ws, actual_ws: sums over quarter-hours of |forecast - actual| and of actual, by forecast and quantity.
    curtailed_ws: what plants of 100 kW or more would have to withhold so that the limits hold,
    without and with the market.
    """

    day: date
    frames: tuple[int, ...]
    sessions: tuple[SessionRecord, ...]
    orders: tuple[Order, ...]
    settled: SettledDay
    unserved: tuple[Named, ...]
    expected: Violated
    real: Violated
    error_ws: Mapping[str, int]
    actual_ws: Mapping[str, int]
    curtailed_ws: Mapping[str, int]
    response_s: tuple[int, ...]
    silent: tuple[str, ...]
    weak: tuple[str, ...]
    absent: tuple[str, ...]
    tap_operations: int
    checked: Checked | None = None
