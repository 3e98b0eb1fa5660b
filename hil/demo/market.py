"""The example day's market: its customers, gates and window, run through the back end's market day. Numbers only, no devices.

1. Both sessions are about the window; the near-real-time one is about the same quarter-hours, on the forecast of its gate.
2. The TSO asks day-ahead only, from its own grid with the substation profile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Order
from backend.flows.market_day import MarketDay, Session, Slot, Trading
from backend.grid.congestion import Violation
from backend.grid.flow import Scenarios
from backend.grid.forecast import day_scenarios
from backend.grid.need import Capability
from backend.grid.remedy import DevicePlan
from backend.grid.transmission import parse_transmission, transmission_request
from backend.market.portfolio import Resource, build_offers

DAY_AHEAD, NEAR_REAL_TIME = "day-ahead", "near-real-time"
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Trades:
    """The day's trades. Scenarios are rows of the window's quarter-hours, taps set, without the market's changes."""

    tap: DevicePlan
    forecast_violations: tuple[Violation, ...]
    after_remedy: tuple[Violation, ...]
    day_ahead: Session
    near_real_time: Session
    orders: tuple[Order, ...]
    expected: Scenarios
    planned: Scenarios
    planned_violations: tuple[Violation, ...]
    baseline_w: Mapping[tuple[str, int], int]


class Market:
    """Runs the day's sessions."""

    def __init__(self, day: ExampleDay, seed: int, customers: Sequence[Customer]) -> None:
        """customers: those who take part; the others are load like any other."""
        self._day = day
        self._customers = customers
        self._seed = seed
        self.flow = PowerGridFlow(day.network)
        self.frames = list(day.window)
        self._rows = [f - day.first_frame for f in self.frames]

    def trade(self) -> Trades:
        """Both sessions and the orders."""
        day, window = self._day, tuple(self.frames)
        transmission = parse_transmission(day.hv_text)
        one = MarketDay(
            self.flow, day.frames, lambda gate: day_scenarios(day.network, day.forecast(gate)),
            lambda profile: transmission_request(transmission, profile, PowerGridFlow), self._trading(),
        )  # fmt: skip
        done = one.trade(
            Slot(DAY_AHEAD, window, day.day_ahead_gate, tso_asks=True),
            [Slot(NEAR_REAL_TIME, window, day.near_real_time_gate)],
        )
        (stage,) = done.stages
        return Trades(
            tap=done.devices,
            forecast_violations=done.expected_violations,
            after_remedy=done.after_remedy,
            day_ahead=done.day_ahead,
            near_real_time=stage.session,
            orders=stage.orders,
            expected=stage.expected,
            planned=stage.planned,
            planned_violations=stage.planned_violations,
            baseline_w=self._baselines(),
        )

    def actual(self, tap_of: Scenarios) -> Scenarios:
        """What really happens in the window without the market, under the taps that were set."""
        day = self._day
        return day_scenarios(day.network, day.actual()).rows(self._rows).with_tap(tap_of.tap)

    def _trading(self) -> Trading:
        day = self._day
        resources = [Resource(c.pod, c.aggregator, c.up_w, c.down_w) for c in self._customers]
        return Trading(
            day.margin_kept,
            day.limits,
            tuple(Capability(c.pod, c.up_w, c.down_w) for c in self._customers),
            {c.pod: c.aggregator for c in self._customers},
            build_offers(resources, self.frames, self._seed, day.day_ahead_gate * FRAME_MS - _HOUR_MS),
            day.prices["dso_cap_ueur_per_mwh"],
            day.prices["tso_cap_ueur_per_mwh"],
        )

    def _baselines(self) -> dict[tuple[str, int], int]:
        found = {}
        for customer in self._customers:
            schedule = self._day.baseline_w(customer.pod)
            found.update({(customer.pod, f): schedule[f - self._day.first_frame] for f in self.frames})
        return found
