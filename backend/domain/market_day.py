"""Local market days: which quarter-hours of UTC they have, and which quarter-hours of other days are like them.

1. A market day is a calendar day of its zone: 92, 96 or 100 quarter-hours, half open, without a hole to the next.
2. A quarter-hour is like those of other days that begin at the same time on the wall clock; what the clock shows twice
   in autumn is like itself once, what it skips in spring has no like.
3. Days are of three kinds: working day, Saturday, Sunday or public holiday.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.domain.quantity import FRAME_S
from backend.errors import Rejected


class DayKind(StrEnum):
    """What people do on a day (rule 3)."""

    WORKING = "working day"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday or public holiday"


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one market: its zone (IANA name) and its public holidays; raises Rejected for a zone nobody knows."""

    zone: str
    holidays: Collection[date] = field(default=frozenset())

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Rejected(f"zone {self.zone!r}: no such time zone, expected a name like 'Europe/Rome'") from error

    def frames(self, day: date) -> range:
        """The quarter-hours (utc_ms // 900000) of a day (rule 1)."""
        return range(self._first(day), self._first(day + timedelta(days=1)))

    def day(self, frame: int) -> date:
        """The day a quarter-hour belongs to."""
        return self._local(frame).date()

    def clock(self, frame: int) -> tuple[int, int]:
        """Minutes after midnight on the wall clock at its begin, and 1 for the second time in autumn, else 0."""
        local = self._local(frame)
        return local.hour * 60 + local.minute, local.fold

    def like(self, frame: int, day: date) -> int | None:
        """The quarter-hour of ``day`` that is like this one, or None where its clock skips that time (rule 2)."""
        minutes, _ = self.clock(frame)
        local = datetime.combine(day, time(minutes // 60, minutes % 60), ZoneInfo(self.zone))
        found = int(local.timestamp()) // FRAME_S
        return found if self.day(found) == day and self.clock(found)[0] == minutes else None

    def kind(self, day: date) -> DayKind:
        """Rule 3."""
        if day in self.holidays or day.weekday() == 6:
            return DayKind.SUNDAY
        return DayKind.SATURDAY if day.weekday() == 5 else DayKind.WORKING

    def _first(self, day: date) -> int:
        return int(datetime.combine(day, time(), ZoneInfo(self.zone)).timestamp()) // FRAME_S

    def _local(self, frame: int) -> datetime:
        return datetime.fromtimestamp(frame * FRAME_S, UTC).astimezone(ZoneInfo(self.zone))
