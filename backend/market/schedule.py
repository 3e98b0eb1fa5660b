"""When sessions open, close and what they are about: gates in local market time.

1. A day-ahead session covers one market day (92, 96 or 100 quarter-hours); its gate is a local time on the day before. A
   local time that the clock skips is the next one it shows; one that it shows twice is the first.
2. A near-real-time session covers the next quarter-hours, whole ones, from the first that begins after its gate's lead.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_MS
from backend.errors import Rejected

NEAR_FRAMES = 16
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Window:
    """What a session is about and until when it takes bids (UTC ms)."""

    frames: tuple[int, ...]
    gate_ms: int


def day_ahead(calendar: Calendar, day: date, gate: time) -> Window:
    """Rule 1; gate: without an offset, on the market's own clock."""
    if gate.tzinfo is not None:
        raise Rejected(f"gate {gate}: expected a time of the market's own clock, without an offset")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise Rejected(f"day {day}: expected {FIRST_DAY} to {LAST_DAY}")
    zone = ZoneInfo(calendar.zone)
    local = datetime.combine(day - timedelta(days=1), gate, zone)
    shown = local.astimezone(UTC).astimezone(zone)
    if shown.replace(tzinfo=None) != local.replace(tzinfo=None):
        shown = _after_the_skip(local, zone)
    return Window(tuple(calendar.frames(day)), round(shown.timestamp() * 1000))


def near_real_time(now_ms: int, lead_ms: int, count: int = NEAR_FRAMES) -> Window:
    """Rule 2: the next `count` quarter-hours whose first begins at least lead_ms after the gate, which is now or later."""
    if not 0 <= lead_ms <= 24 * 3_600_000 or not 1 <= count <= NEAR_FRAMES:
        raise Rejected(
            f"near real time: lead {lead_ms} ms, {count} quarter-hours, expected 0 to a day and 1 to {NEAR_FRAMES}"
        )
    first = -(-(now_ms + lead_ms) // FRAME_MS)
    return Window(tuple(range(first, first + count)), first * FRAME_MS - lead_ms)


def _after_the_skip(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant after the hour that is not shown."""
    instant = local.astimezone(UTC) - timedelta(hours=3)
    offset = instant.astimezone(zone).utcoffset()
    while instant.astimezone(zone).utcoffset() == offset:
        instant += timedelta(minutes=15)
    return instant.astimezone(zone)
