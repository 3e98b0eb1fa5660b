"""Local days of the market and their kind: which quarter-hours a day has, and whether people work on it.

1. A local day has 96 quarter-hours, 92 when summer time begins, 100 when it ends; frames are UTC quarter-hours.
2. The wall quarter is what a clock on the wall shows: 0 to 95. When summer time ends, 02:00 to 03:00 is there twice; when it
   begins, it is not there.
3. Holidays of Italy are computed: the fixed ones, Easter and Easter Monday; from 2026 on also 4 October (law 151 of 2025). A
   town's patron is given.
4. Three kinds: working day, Saturday, free (Sunday or holiday).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.errors import Rejected

QUARTERS = 96
FRAME_S = 900
_FIXED = ((1, 1), (1, 6), (4, 25), (5, 1), (6, 2), (8, 15), (11, 1), (12, 8), (12, 25), (12, 26))
_FRANCIS, _FRANCIS_FROM = (10, 4), 2026
_SATURDAY = 5


class Kind(StrEnum):
    """What a day is for the people who use electricity on it."""

    WORKING = "working"
    SATURDAY = "saturday"
    FREE = "free"


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """The national holidays of Italy (rule 3)."""
    fixed = [*_FIXED, _FRANCIS] if year >= _FRANCIS_FROM else list(_FIXED)
    sunday = easter(year)
    return frozenset([date(year, month, day) for month, day in fixed] + [sunday, sunday + timedelta(days=1)])


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of one time zone; patron: (month, day) of the town's own holiday."""

    zone: str = "Europe/Rome"
    patron: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Rejected(f"time zone {self.zone!r}, expected a name like Europe/Rome") from error

    def kind(self, day: date) -> Kind:
        """Rule 4."""
        if day.weekday() > _SATURDAY or day in holidays(day.year) or (day.month, day.day) == self.patron:
            return Kind.FREE
        return Kind.SATURDAY if day.weekday() == _SATURDAY else Kind.WORKING

    def frames(self, day: date) -> range:
        """The UTC quarter-hours of a local day: 92, 96 or 100 (rule 1)."""
        return range(self._midnight(day), self._midnight(day + timedelta(days=1)))

    def place(self, frame: int) -> tuple[date, int]:
        """Local day and wall quarter of a frame (rule 2)."""
        local = datetime.fromtimestamp(frame * FRAME_S, UTC).astimezone(ZoneInfo(self.zone))
        return local.date(), local.hour * 4 + local.minute // 15

    def frame(self, day: date, wall: int) -> int:
        """The frame at which the wall clock shows a quarter: the first of two, the next one if it is not there."""
        local = datetime.combine(day, time(wall // 4, wall % 4 * 15), ZoneInfo(self.zone))
        there = local.astimezone(UTC).astimezone(ZoneInfo(self.zone))
        if there.replace(tzinfo=None) != local.replace(tzinfo=None):
            local = there.replace(minute=0)
        return round(local.timestamp()) // FRAME_S

    def day(self, frame: int) -> date:
        """The local day of a frame."""
        return self.place(frame)[0]

    def like(self, frame: int, day: date) -> int | None:
        """The frame of another day at which the wall clock shows the same, the first of two; None if it is not there."""
        wall = self.place(frame)[1]
        found = self.frame(day, wall)
        return found if self.place(found) == (day, wall) else None

    def _midnight(self, day: date) -> int:
        return round(datetime.combine(day, time(), ZoneInfo(self.zone)).timestamp()) // FRAME_S
