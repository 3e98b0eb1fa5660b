"""Plain forecasts of quarter-hour columns from the calendar, each from what was known at a moment and nothing later.

1. A forecast has an origin: a gate and the quarter-hours that it is for. Only values of frames before the gate are read:
   ``History.before`` cuts, and the cut is all that a candidate sees.
2. Candidates: ``week`` (the same wall quarter of the last known day of the same weekday: seasonal persistence), ``kind`` (mean
   of the last five days of the same kind), ``any`` (mean of the last seven days: for what does not know holidays), ``last``
   (the last known day).
3. To all but ``week`` the mean deviation of the last four known quarter-hours is added, fading to nothing over eight hours.
4. Where no such day is known, any earlier day serves; without any, there is no forecast.
5. Integers; means are rounded half to even.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from backend.domain.local_day import QUARTERS, Calendar, Kind
from backend.errors import Rejected
from backend.grid.flow import Booleans, Integers
from backend.grid.forecast import FADE, RECENT, divide_half_even, mean_half_even

_KINDS = tuple(Kind)
CANDIDATES = ("week", "kind", "any", "last")
_DEPTH = {"week": 1, "kind": 5, "any": 7, "last": 1}


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One row per quarter-hour from ``first_frame`` on, one column per name; whole numbers of one unit, W or var."""

    first_frame: int
    names: tuple[str, ...]
    values: Integers

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names) or self.values.dtype != np.int64:
            raise Rejected(
                f"history: {self.values.dtype} {self.values.shape}, expected int64 with {len(self.names)} columns"
            )
        if len(set(self.names)) != len(self.names):
            raise Rejected("history: a column is there twice")

    @property
    def end_frame(self) -> int:
        """First quarter-hour after the history."""
        return self.first_frame + len(self.values)

    def before(self, gate: int) -> "History":
        """What is known at the gate, copied (rule 1)."""
        return History(self.first_frame, self.names, self.values[: max(0, gate - self.first_frame)].copy())

    def rows(self, frames: Sequence[int] | Integers) -> Integers:
        """Values of these frames; Rejected if one is missing."""
        at = np.asarray(frames, dtype=np.int64) - self.first_frame
        if len(at) and (at.min() < 0 or at.max() >= len(self.values)):
            raise Rejected(
                f"history: frames {min(frames)}..{max(frames)}, known are {self.first_frame}..{self.end_frame}"
            )
        return self.values[at]


@dataclass(frozen=True, slots=True)
class Origin:
    """When a forecast is made, and for which frames."""

    gate: int
    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.frames or min(self.frames) < self.gate:
            raise Rejected("forecast: its quarter-hours must begin at the gate or later")

    def earlier(self, calendar: Calendar, days: int) -> "Origin":
        """The same origin on an earlier day, by the clock on the wall."""

        def shifted(frame: int) -> int:
            day, wall = calendar.place(frame)
            return calendar.frame(day - timedelta(days=days), wall)

        gate = shifted(self.gate)
        return Origin(gate, tuple(max(gate, shifted(frame)) for frame in self.frames))


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """The local days of a history. frame: at each wall quarter of each day, -1 where there is none; kind, weekday: of each."""

    calendar: Calendar
    frame: Integers
    kind: Integers
    weekday: Integers


def days_of(first_frame: int, end_frame: int, calendar: Calendar) -> Days:
    """The days of frames first <= frame < end."""
    first, last = calendar.place(first_frame)[0], calendar.place(max(first_frame, end_frame - 1))[0]
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    table = np.full((len(days), QUARTERS), -1, dtype=np.int64)
    for number, day in enumerate(days):
        for frame in calendar.frames(day):
            if first_frame <= frame < end_frame:
                wall = calendar.place(frame)[1]
                if table[number, wall] < 0:
                    table[number, wall] = frame
    kinds = np.array([_KINDS.index(calendar.kind(day)) for day in days], dtype=np.int64)
    return Days(calendar, table, kinds, np.array([day.weekday() for day in days], dtype=np.int64))


def point(name: str, known: History, days: Days, origin: Origin) -> Integers:
    """A candidate's forecast, one row per frame of the origin. Raises Rejected if nothing is known (rule 4)."""
    cut = known.before(origin.gate)
    plain = _plain(name, cut, days, origin.gate, origin.frames)
    seen = range(origin.gate - RECENT, origin.gate)
    if name == "week" or len(cut.values) <= RECENT + QUARTERS or origin.gate > known.end_frame:
        return plain
    deviation = mean_half_even(cut.rows(seen) - _plain(name, cut, days, seen.start, seen))
    left = np.array([max(0, FADE - (frame - origin.gate)) for frame in origin.frames], dtype=np.int64)
    return plain + divide_half_even(deviation[None, :] * left[:, None], FADE)


def _plain(name: str, cut: History, days: Days, before: int, frames: Sequence[int]) -> Integers:
    """Per day: the newest rows of days alike at each wall quarter, no more than the candidate's depth, and their mean."""
    places = [days.calendar.place(frame) for frame in frames]
    made = np.empty((len(frames), len(cut.names)), dtype=np.int64)
    for day in dict.fromkeys(day for day, _ in places):
        at = [k for k, place in enumerate(places) if place[0] == day]
        table = days.frame[:, [places[k][1] for k in at]]
        there = (table >= 0) & (table < before)
        alike = there & _alike(name, days, day)[:, None]
        chosen = np.where(alike.any(axis=0), alike, there)
        if not chosen.any(axis=0).all():
            raise Rejected("forecast: no day before the gate is known")
        newest = chosen & (np.cumsum(chosen[::-1], axis=0)[::-1] <= _DEPTH[name])
        used = np.flatnonzero(newest.any(axis=1))
        taken = newest[used]
        rows = cut.rows(np.where(taken, table[used], cut.first_frame)) * taken[:, :, None]
        made[at] = divide_half_even(rows.sum(axis=0), taken.sum(axis=0)[:, None])
    return made


def _alike(name: str, days: Days, day: date) -> Booleans:
    if name == "kind":
        return np.asarray(days.kind == _KINDS.index(days.calendar.kind(day)))
    if name == "week":
        return np.asarray(days.weekday == day.weekday())
    return np.ones(len(days.kind), dtype=np.bool_)
