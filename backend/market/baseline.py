"""What a POD would have done without its orders: the baseline that its delivery is measured against.

1. A baseline is one W per quarter-hour (withdrawal positive), from one method of the market's settings; each says what it
   was made from.
2. ``schedule``: the profile that the BRP gave before the gate (I-03).
3. ``mid X of Y`` and ``high X of Y``: of the last Y days that are like this one and whole, the X nearest the middle of
   the period's energy, or the X with the most (of a tie the later day); the mean of these days, half to even.
4. A day is whole if every quarter-hour of the period is known and the POD had no order in it. A day that is not is
   never a zero: an earlier one stands for it, as far back as the settings look; if fewer than Y are found there is no
   baseline, and what is settled on it is held: a missing day lowers no payment.
5. Same-day adjustment: the mean difference between measured and baseline in the quarter-hours before the notice, added to
   all; at most a part of the baseline's mean either way. A quarter-hour unknown or under an order is left out; without
   any there is no adjustment, and it is said.
6. ``meter before``: the mean of the last quarter-hours before the notice, the same for the whole period; all of them must
   be known and free of orders.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from backend.domain.local_day import Calendar
from backend.domain.quantity import PPM, half_even
from backend.errors import Rejected


class Kind(StrEnum):
    """How a baseline is made."""

    SCHEDULE = "schedule"
    MID = "mid X of Y"
    HIGH = "high X of Y"
    BEFORE = "meter before"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Rule 5: ``frames`` quarter-hours that end ``gap`` quarter-hours before the period; the cap in 1e-6."""

    frames: int
    gap: int
    cap_ppm: int

    def __post_init__(self) -> None:
        if self.frames < 1 or self.gap < 0 or not 0 <= self.cap_ppm <= PPM:
            raise Rejected(f"adjustment: {self.frames} frames, gap {self.gap}, cap {self.cap_ppm} ppm: expected 1 or "
                           f"more, 0 or more, 0 to {PPM}")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the market's settings. keep: X; of: Y; look_back_days: how far; before and gap: quarter-hours (rule 6)."""

    kind: Kind
    keep: int = 8
    of: int = 10
    look_back_days: int = 45
    adjustment: Adjustment | None = None
    before: int = 4
    gap: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.of <= self.look_back_days:
            raise Rejected(
                f"baseline: {self.keep} of {self.of} in {self.look_back_days} days, expected 1 <= X <= Y <= days"
            )
        if self.before < 1 or self.gap < 0:
            raise Rejected(f"baseline: {self.before} quarter-hours before, gap {self.gap}, expected 1 and 0 or more")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a POD: measured W by quarter-hour (none for a gap), those under an order, and its schedule."""

    measured_w: Mapping[int, int]
    ordered: Collection[int]
    schedule_w: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Baseline:
    """W per quarter-hour; empty with the reason if none can be made. days: those it is the mean of."""

    frame_w: Mapping[int, int]
    days: tuple[date, ...] = ()
    adjustment_w: int = 0
    reason: str = ""


def baseline(method: Method, frames: Sequence[int], known: Known, calendar: Calendar) -> Baseline:
    """The baseline of one period (quarter-hours of one market day in order). Raises Rejected for another period."""
    if not frames or list(frames) != sorted(set(frames)) or len({calendar.day(f) for f in frames}) > 1:
        raise Rejected("baseline: the period must be quarter-hours of one market day, in order, each once")
    if method.kind is Kind.SCHEDULE:
        return _scheduled(frames, known)
    if method.kind is Kind.BEFORE:
        return _before(method, frames, known)
    days = _chosen(method, frames, known, calendar)
    if isinstance(days, str):
        return Baseline({}, reason=days)
    made = {frame: _mean(_of_days(frame, days, known, calendar)) for frame in frames}
    if method.adjustment is None:
        return Baseline(made, days)
    return _adjusted(method.adjustment, made, days, known, calendar)


def looks_at(method: Method, frames: Sequence[int], calendar: Calendar) -> set[int]:
    """The quarter-hours whose measurement a method may ask for, when it makes the baseline of a period."""
    if method.kind is Kind.SCHEDULE:
        return set()
    end = frames[0] - method.gap
    if method.kind is Kind.BEFORE:
        return set(range(end - method.before, end))
    rule = method.adjustment
    hours = [] if rule is None else list(range(frames[0] - rule.gap - rule.frames, frames[0] - rule.gap))
    found, today = set(hours), calendar.day(frames[0])
    for back in range(1, method.look_back_days + 1):
        day = today - timedelta(days=back)
        if calendar.kind(day) is calendar.kind(today):
            likes = [calendar.like(frame, day) for frame in (*hours, *frames)]
            found |= {like for like in likes if like is not None}
    return found


def _scheduled(frames: Sequence[int], known: Known) -> Baseline:
    missing = [frame for frame in frames if frame not in known.schedule_w]
    if missing:
        return Baseline({}, reason=f"no schedule for quarter-hour {missing[0]}")
    return Baseline({frame: known.schedule_w[frame] for frame in frames})


def _before(method: Method, frames: Sequence[int], known: Known) -> Baseline:
    end = frames[0] - method.gap
    window = range(end - method.before, end)
    unknown = [frame for frame in window if not _free(frame, known)]
    if unknown:
        return Baseline({}, reason=f"quarter-hour {unknown[0]} before the period is not known or under an order")
    mean = _mean([known.measured_w[frame] for frame in window])
    return Baseline(dict.fromkeys(frames, mean))


def _chosen(method: Method, frames: Sequence[int], known: Known, calendar: Calendar) -> tuple[date, ...] | str:
    """The X days, latest first, or why there are none (rules 3 and 4)."""
    today = calendar.day(frames[0])
    found: list[tuple[int, date]] = []
    for back in range(1, method.look_back_days + 1):
        day = today - timedelta(days=back)
        if len(found) < method.of and calendar.kind(day) is calendar.kind(today):
            energy = _energy(frames, day, known, calendar)
            if energy is not None:
                found.append((energy, day))
    if len(found) < method.of:
        return f"{len(found)} whole days like {today} in the {method.look_back_days} before it, {method.of} are needed"
    ranked = sorted(found)
    over = method.of - method.keep
    first = over if method.kind is Kind.HIGH else over // 2
    return tuple(sorted((day for _, day in ranked[first : first + method.keep]), reverse=True))


def _energy(frames: Sequence[int], day: date, known: Known, calendar: Calendar) -> int | None:
    """Sum of the day's W over the period, None if it is not whole."""
    total = 0
    for frame in frames:
        like = calendar.like(frame, day)
        if like is None or not _free(like, known):
            return None
        total += known.measured_w[like]
    return total


def _of_days(frame: int, days: Sequence[date], known: Known, calendar: Calendar) -> list[int]:
    """What is known of the quarter-hours like this one on these days."""
    likes = [calendar.like(frame, day) for day in days]
    return [known.measured_w[like] for like in likes if like is not None and _free(like, known)]


def _adjusted(
    rule: Adjustment, made: Mapping[int, int], days: tuple[date, ...], known: Known, calendar: Calendar
) -> Baseline:
    end = min(made) - rule.gap
    differences = []
    for frame in range(end - rule.frames, end):
        likes = _of_days(frame, days, known, calendar)
        if _free(frame, known) and len(likes) == len(days):
            differences.append(known.measured_w[frame] - _mean(likes))
    if not differences:
        return Baseline(made, days, reason="not adjusted: nothing is known of the hours before")
    most = abs(_mean(list(made.values()))) * rule.cap_ppm // PPM
    shift = max(-most, min(most, _mean(differences)))
    return Baseline({frame: w + shift for frame, w in made.items()}, days, shift)


def _free(frame: int, known: Known) -> bool:
    return frame in known.measured_w and frame not in known.ordered


def _mean(values: Sequence[int]) -> int:
    return half_even(sum(values), len(values))
