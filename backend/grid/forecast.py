"""Forecast of loads and generation from what was known at a moment, never later.

1. Only quarter-hours before the gate are read: ``Series.before`` cuts, and the cut is all the forecast sees.
2. Same-kind days: the mean of the known days of the same kind (working day or not) at the same quarter of the day.
3. If quarter-hours of the target day itself are known, the mean deviation of the last four of them is added, fading
   linearly to nothing over eight hours.
4. Integers; means are rounded half to even.
"""

from dataclasses import dataclass

import numpy as np

from backend.errors import Rejected
from backend.grid.flow import Integers, Scenarios, scenarios_of
from backend.grid.network import Network

QUARTERS = 96
RECENT = 4
FADE = 32
_THURSDAY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """W and var of every load and W of every generator, one row per quarter-hour from ``first_frame`` on."""

    first_frame: int
    load_w: Integers
    load_var: Integers
    generator_w: Integers

    @property
    def end_frame(self) -> int:
        """First quarter-hour after the series."""
        return self.first_frame + int(self.load_w.shape[0])

    def between(self, first: int, end: int) -> "Series":
        """Rows of frames first <= frame < end. Raises Rejected if one of them is missing."""
        if not self.first_frame <= first <= end <= self.end_frame:
            raise Rejected(f"series: frames {first}..{end}, known are {self.first_frame}..{self.end_frame}")
        a, b = first - self.first_frame, end - self.first_frame
        return Series(first, self.load_w[a:b], self.load_var[a:b], self.generator_w[a:b])

    def before(self, gate: int) -> "Series":
        """What is known at the gate: every row of an earlier quarter-hour, copied."""
        known = self.between(self.first_frame, min(max(gate, self.first_frame), self.end_frame))
        return Series(known.first_frame, known.load_w.copy(), known.load_var.copy(), known.generator_w.copy())


def forecast(series: Series, gate: int, first: int, count: int, offset_quarters: int) -> Series:
    """Forecast of ``count`` quarter-hours of one local day from ``first`` on, made at ``gate``.

    ``offset_quarters``: local time minus UTC in quarter-hours (4 for CET), valid for the whole history.
    Raises Rejected if no day of the same kind is known.
    """
    known = series.before(gate)
    day = (first + offset_quarters) // QUARTERS
    if (first + count - 1 + offset_quarters) // QUARTERS != day:
        raise Rejected(f"forecast: frames {first}..{first + count} are not of one local day")
    midnight = day * QUARTERS - offset_quarters
    columns = []
    for values in (known.load_w, known.load_var, known.generator_w):
        whole_day = _same_kind_mean(values, known, day, offset_quarters)
        renewed = whole_day + _recent_deviation(values, known.first_frame, whole_day, midnight)
        columns.append(renewed[first - midnight : first - midnight + count])
    return Series(first, *columns)


def day_scenarios(network: Network, series: Series) -> Scenarios:
    """States of the grid to solve, one per row of the series."""
    return scenarios_of(network, series.load_w, series.load_var, series.generator_w)


def _is_working_day(day: int) -> bool:
    return (day + _THURSDAY) % 7 < 5


def _same_kind_mean(values: Integers, known: Series, day: int, offset_quarters: int) -> Integers:
    days = []
    for earlier in range((known.first_frame + offset_quarters) // QUARTERS, day):
        row = earlier * QUARTERS - offset_quarters - known.first_frame
        if row >= 0 and row + QUARTERS <= len(values) and _is_working_day(earlier) == _is_working_day(day):
            days.append(values[row : row + QUARTERS])
    if not days:
        raise Rejected("forecast: no day of the same kind is known")
    return mean_half_even(np.stack(days))


def _recent_deviation(values: Integers, known_first: int, whole_day: Integers, midnight: int) -> Integers:
    known_today = values[max(0, midnight - known_first) :]
    quarters = min(len(known_today), QUARTERS)
    correction = np.zeros_like(whole_day)
    if quarters < RECENT:
        return correction
    recent = known_today[quarters - RECENT : quarters] - whole_day[quarters - RECENT : quarters]
    deviation = mean_half_even(recent)
    for ahead in range(min(FADE, QUARTERS - quarters)):
        correction[quarters + ahead] = divide_half_even(deviation * (FADE - ahead), FADE)
    return correction


def mean_half_even(values: Integers) -> Integers:
    """Mean over the first axis, rounded half to even."""
    return divide_half_even(values.sum(axis=0), len(values))


def divide_half_even(values: Integers, divisor: int | Integers) -> Integers:
    """Integers over a positive integer or as many of them, rounded half to even."""
    quotient, remainder = np.divmod(values, divisor)
    twice = 2 * remainder
    up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    return np.asarray(quotient + up, dtype=np.int64)
