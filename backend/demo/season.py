"""Seven published weeks on the example day's grid: market days one after the other, each as expected and as it happened.

1. Profiles are as published, nothing is calmed. A published day stands for the same weekday 522 weeks later; the first ten
   days, before the published year begins, are the same weekdays 52 weeks later.
2. The profiles' clock is local winter time, so a quarter-hour of it is one of UTC.
3. What is expected is made from quarter-hours before the gate only: per profile, the forecast's median.
4. Customers keep closer to their schedule than the loads around them: of their deviation from what was expected at the
   day-ahead gate a part is kept, in what happens and in every later forecast alike.
5. season.json adds customers to those of the example day, and says what margin the operator keeps.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from backend.demo.customer import Customer, customers_of
from backend.demo.day import HERE, operated, series_of
from backend.demo.profile import Profiles
from backend.domain.local_day import QUARTERS, Calendar
from backend.domain.quantity import PPM
from backend.errors import Rejected
from backend.grid.candidate import History, Origin
from backend.grid.congestion import Limits
from backend.grid.document import parse_network
from backend.grid.flow import Integers
from backend.grid.forecast import Series, divide_half_even
from backend.grid.network import Network
from backend.grid.quantile import Forecaster

FIRST_DAY = date(2025, 12, 22)
KNOWN_DAYS = 14
DAY_AHEAD_GATE_QUARTERS = 48
_WINTER_QUARTERS = 4
_PPM_OF_STEP = 100
_MEDIAN = (500_000,)


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """The grid, its customers, and all that is known of it in the end. profiles: 1e-6 of nominal."""

    calendar: Calendar
    network: Network
    customers: tuple[Customer, ...]
    profiles: History
    margin_kept: Limits
    prices: Mapping[str, int]
    hv_text: str
    plan: Mapping[str, Any]

    @property
    def days(self) -> tuple[date, ...]:
        """The days that a campaign may have: those with two weeks before them."""
        count = len(self.profiles.values) // QUARTERS
        return tuple(FIRST_DAY + timedelta(days=k) for k in range(KNOWN_DAYS, count))

    def day(self, day: date) -> "SeasonDay":
        """One of its days. Raises Rejected for another."""
        if day not in self.days:
            raise Rejected(f"day {day}: the published weeks have {self.days[0]} to {self.days[-1]}")
        return SeasonDay(self, day, Forecaster(self.profiles, self.calendar))


class SeasonDay:
    """One market day: W and var of every load and W of every generator, by quarter-hour of UTC."""

    def __init__(self, season: Season, day: date, forecaster: Forecaster) -> None:
        self._season = season
        self._forecaster = forecaster
        self.frames = tuple(season.calendar.frames(day))
        self.day_ahead_gate = self.frames[0] - DAY_AHEAD_GATE_QUARTERS
        place = {load.name: k for k, load in enumerate(season.network.loads)}
        self._pods = [place[c.pod] for c in season.customers]
        self._column = {c.pod: place[c.pod] for c in season.customers}
        self._scheduled = self._series(self._median(self.day_ahead_gate))
        self._expected: dict[int, Series] = {}

    def expected(self, gate: int) -> Series:
        """The whole day at a gate (rules 3 and 4): what has passed as it was, the rest as forecast."""
        if gate not in self._expected:
            known = self._season.profiles.rows([frame for frame in self.frames if frame < gate])
            self._expected[gate] = self._steady(self._series(np.concatenate([known, self._median(gate)])))
        return self._expected[gate]

    def actual(self) -> Series:
        """What happens without the market."""
        return self._steady(self._series(self._season.profiles.rows(self.frames)))

    def base_w(self, series: Series, pod: str) -> tuple[int, ...]:
        """W of a POD in each row of a series of this day, no device acting; withdrawal positive."""
        return tuple(series.load_w[:, self._column[pod]].tolist())

    def baseline_w(self, pod: str) -> tuple[int, ...]:
        """The BRP's schedule of a POD (I-03): what was expected at the day-ahead gate."""
        return self.base_w(self._scheduled, pod)

    def _median(self, gate: int) -> Integers:
        ahead = tuple(frame for frame in self.frames if frame >= gate)
        if not ahead:
            return self._season.profiles.values[:0]
        values: Integers = self._forecaster.forecast(Origin(gate, ahead), _MEDIAN).values[0]
        return values

    def _series(self, values: Integers) -> Series:
        table = {name: values[:, k] for k, name in enumerate(self._season.profiles.names)}
        return series_of(self._season.network, Profiles(self.frames[0], table), self._season.plan)

    def _steady(self, series: Series) -> Series:
        load_w, kept = series.load_w.copy(), self._season.plan["customer_deviation_ppm"]
        expected = self._scheduled.load_w[:, self._pods]
        load_w[:, self._pods] = expected + divide_half_even((load_w[:, self._pods] - expected) * kept, PPM)
        return replace(series, load_w=load_w)


def load_season(seed: int = 1, folder: Path = HERE) -> Season:
    """The season of a folder: winter.csv.gz and season.json beside the example day's files. POD codes come from the seed."""
    plan, own = (json.loads((folder / name).read_text()) for name in ("day.json", "season.json"))
    published = parse_network((folder / "network.json").read_text())
    customers = customers_of(
        plan["customers"] + own["customers"], {load.name: load.node for load in published.loads}, seed
    )
    return Season(
        Calendar(plan["time_zone"]),
        operated(published, plan, customers),
        customers,
        read_weeks(gzip.decompress((folder / "winter.csv.gz").read_bytes()).decode()),
        Limits(**own["operator_margin"]),
        plan["prices"],
        (folder / "hv.json").read_text(),
        plan,
    )


def read_weeks(text: str) -> History:
    """Profiles in 1e-6 of nominal from lines of a name, a first value and the changes from quarter to quarter, 1e-4 each.

    Raises Rejected naming the line that does not fit."""
    names, rows = [], []
    for number, line in enumerate(text.splitlines(), 1):
        name, *cells = line.split(",")
        wrong = [cell for cell in cells if not cell.removeprefix("-").isdecimal()]
        if wrong or not cells or len(cells) % QUARTERS:
            raise Rejected(
                f"weeks: line {number} has {wrong[0] if wrong else len(cells)!r}, expected whole days of numbers"
            )
        names.append(name)
        rows.append(np.cumsum([int(cell) for cell in cells]) * _PPM_OF_STEP)
    if not rows or len({len(row) for row in rows}) > 1:
        raise Rejected("weeks: expected profiles of one length")
    first_frame = (FIRST_DAY - date(1970, 1, 1)).days * QUARTERS - _WINTER_QUARTERS
    return History(first_frame, tuple(names), np.stack(rows, axis=1).astype(np.int64))
