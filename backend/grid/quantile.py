"""Forecast with quantiles: the candidate that erred least, and how far it was off on the days before, per column.

1. The same origin is played on up to 28 earlier days, each with what was known then; the candidate with the least absolute
   error there is taken, per column; ties go to the first in ``CANDIDATES``.
2. A quantile adds the matching order statistic of those errors, pooled over two quarter-hours to either side, to the forecast;
   the k-th smallest of n with k = ceil(level * (n + 1)), as split conformal prediction has it.
3. Errors are those of days of the same kind if five or more were played, else those of all.
4. Weather is optional: one number per quarter-hour, and when it was issued. What was issued after the gate is refused. The
   part of the error that goes with the weather's own departure from its ``any`` forecast is added (least squares through
   the played days, at least seven).
5. Quantiles never cross. Integers of the history's unit; the same input gives the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain.local_day import QUARTERS, Calendar
from backend.errors import Rejected
from backend.grid.candidate import CANDIDATES, Days, History, Origin, days_of, point
from backend.grid.flow import Integers

LEVELS_PPM = (50_000, 250_000, 500_000, 750_000, 950_000)
PLAYED_DAYS = 28
_POOL = 2
_ENOUGH = 5
_ENOUGH_WEATHER = 7
_PPM = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """One quantity (irradiance, temperature) per quarter-hour; what lies after a gate is a forecast issued at a frame."""

    first_frame: int
    values: Integers
    issued_frame: int


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """values: level x frame x column, rising with the level. method: the candidate that was taken, per column."""

    gate: int
    frames: tuple[int, ...]
    names: tuple[str, ...]
    levels_ppm: tuple[int, ...]
    values: Integers
    method: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """For files and people: W (or var) per level, by column."""
        columns = {
            name: {
                "method": self.method[k],
                "values": {str(level): self.values[n, :, k].tolist() for n, level in enumerate(self.levels_ppm)},
            }
            for k, name in enumerate(self.names)
        }
        return {"gate_frame": self.gate, "frames": list(self.frames), "columns": columns}


class Forecaster:
    """Forecasts from one history. What was played once is remembered: it depends on what was known then, only."""

    def __init__(
        self,
        history: History,
        calendar: Calendar,
        weather: Weather | None = None,
        candidates: Sequence[str] = CANDIDATES,
    ) -> None:
        self._history = history
        self._calendar = calendar
        self._days: Days = days_of(history.first_frame, history.end_frame, calendar)
        self._weather = None if weather is None else _Departure(weather, calendar)
        self._candidates = tuple(candidates)
        self._played: dict[tuple[str, Origin], Integers] = {}

    def forecast(self, origin: Origin, levels_ppm: Sequence[int] = LEVELS_PPM) -> Quantiles:
        """Quantiles for the frames of an origin. Raises Rejected if too little is known, or a level is not one."""
        if any(not 0 < level < _PPM for level in levels_ppm) or list(levels_ppm) != sorted(set(levels_ppm)):
            raise Rejected(f"levels {list(levels_ppm)}, expected rising ppm between 0 and 1000000")
        if self._weather is not None:
            self._weather.check(origin)
        past = self._past(origin)
        if not past:
            raise Rejected("forecast: no day before the gate can be played; two weeks of history are a good start")
        errors = np.stack([self._errors(name, past) for name in self._candidates])
        best = np.abs(errors).sum(axis=(1, 2)).argmin(axis=0)
        columns = np.arange(len(self._history.names))
        central = np.stack([self._point(name, origin) for name in self._candidates])[best, :, columns].T
        mine = errors[best, :, :, columns].transpose(1, 2, 0)
        if self._weather is not None and len(past) >= _ENOUGH_WEATHER:
            central, mine = self._weather.corrected(central, mine, origin, past)
        values = _quantiles(central, mine[self._same_kind(origin, past)], levels_ppm)
        method = tuple(self._candidates[k] for k in best)
        return Quantiles(origin.gate, origin.frames, self._history.names, tuple(levels_ppm), values, method)

    def _past(self, origin: Origin) -> list[Origin]:
        """Earlier days whose frames were all known at the gate, and before whose own gate a day was known."""
        found = []
        for days in range(1, 2 * PLAYED_DAYS + 1):
            earlier = origin.earlier(self._calendar, days)
            if earlier.gate - QUARTERS < self._history.first_frame:
                break
            if max(earlier.frames) < min(origin.gate, self._history.end_frame):
                found.append(earlier)
        return found[:PLAYED_DAYS]

    def _point(self, name: str, origin: Origin) -> Integers:
        key = (name, origin)
        if key not in self._played:
            self._played[key] = point(name, self._history, self._days, origin)
        return self._played[key]

    def _errors(self, name: str, past: Sequence[Origin]) -> Integers:
        return np.stack([self._history.rows(o.frames) - self._point(name, o) for o in past])

    def _same_kind(self, origin: Origin, past: Sequence[Origin]) -> list[int]:
        def kind(one: Origin) -> str:
            return self._calendar.kind(self._calendar.place(one.frames[0])[0])

        same = [k for k, one in enumerate(past) if kind(one) == kind(origin)]
        return same if len(same) >= _ENOUGH else list(range(len(past)))


class _Departure:
    """How far the weather departs from what a forecast without weather expects of it (rule 4)."""

    def __init__(self, weather: Weather, calendar: Calendar) -> None:
        self._weather = weather
        self._history = History(weather.first_frame, ("weather",), weather.values.reshape(-1, 1))
        self._days = days_of(self._history.first_frame, self._history.end_frame, calendar)

    def check(self, origin: Origin) -> None:
        if self._weather.issued_frame > origin.gate:
            raise Rejected(f"weather: issued at frame {self._weather.issued_frame}, after the gate {origin.gate}")
        if self._history.end_frame <= max(origin.frames):
            raise Rejected(f"weather: ends at frame {self._history.end_frame}, before the forecast does")

    def of(self, origin: Origin) -> Integers:
        return (self._history.rows(origin.frames) - point("any", self._history, self._days, origin))[:, 0]

    def corrected(
        self, central: Integers, errors: Integers, origin: Origin, past: Sequence[Origin]
    ) -> tuple[Integers, Integers]:
        """Forecast and errors after what the weather explains; slope = sum(e * w) / sum(w * w) per column."""
        known = [k for k, one in enumerate(past) if one.gate - QUARTERS >= self._history.first_frame]
        if len(known) < _ENOUGH_WEATHER:
            return central, errors
        errors = errors[known]
        departure = np.stack([self.of(past[k]) for k in known])
        square = max(1, int((departure * departure).sum()))
        product = (errors * departure[:, :, None]).sum(axis=(0, 1))

        def share(of: Integers) -> Integers:
            whole = [[int(w) * int(p) // square for p in product] for w in of.reshape(-1)]
            return np.array(whole, dtype=np.int64).reshape(*of.shape, len(product))

        return central + share(self.of(origin)), errors - share(departure)


def _quantiles(central: Integers, errors: Integers, levels_ppm: Sequence[int]) -> Integers:
    count = central.shape[0]
    values = np.empty((len(levels_ppm), *central.shape), dtype=np.int64)
    for at in range(count):
        near = errors[:, max(0, at - _POOL) : at + _POOL + 1].reshape(-1, central.shape[1])
        ordered = np.sort(near, axis=0)
        for n, level in enumerate(levels_ppm):
            rank = -(-level * (len(ordered) + 1) // _PPM)
            values[n, at] = central[at] + ordered[min(len(ordered), max(1, rank)) - 1]
    return values
