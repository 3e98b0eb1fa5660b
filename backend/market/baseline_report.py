"""How well each method of a baseline would have told what PODs did: one row per method, on profiles that nobody ordered from.

1. Judged is one window of the wall clock on every market day on which it is whole, POD by POD; known is all that came before it.
2. Every method is judged on the same windows; one without a baseline counts as unmade, and in nothing else.
3. Error and bias are those of baseline_accuracy.py: of the energy of the window, over all PODs and days. A bias above zero pays a
   seller of less withdrawal for what it would have done anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.domain.local_day import QUARTERS, Calendar
from backend.errors import Rejected
from backend.market.baseline import Adjustment, Kind, Known, Method
from backend.market.baseline_accuracy import Accuracy, Period, accuracy

Profiles = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A method in words, and how it did."""

    method: str
    accuracy: Accuracy


def methods(keep: int, high: int, of: int, look_back_days: int) -> tuple[Method, ...]:
    """Those that are compared: mid and high X of Y with and without the same-day adjustment of two hours that end one hour
    before, capped at 20 %, and the hour before."""
    adjusted = Adjustment(8, 4, 200_000)
    return (
        Method(Kind.MID, keep, of, look_back_days),
        Method(Kind.MID, keep, of, look_back_days, adjusted),
        Method(Kind.HIGH, high, of, look_back_days),
        Method(Kind.HIGH, high, of, look_back_days, adjusted),
        Method(Kind.BEFORE, look_back_days=max(10, look_back_days)),
    )


def words_of(method: Method) -> str:
    """A method as a report names it."""
    if method.kind is Kind.SCHEDULE:
        return "schedule"
    if method.kind is Kind.BEFORE:
        return f"meter before, {method.before} quarter-hours"
    adjusted = ", adjusted" if method.adjustment is not None else ""
    return f"{'mid' if method.kind is Kind.MID else 'high'} {method.keep} of {method.of}{adjusted}"


def report(
    profiles: Profiles, schedules: Profiles, window: tuple[int, int], compared: Sequence[Method], calendar: Calendar
) -> tuple[int, tuple[Judged, ...]]:
    """(windows, one row per method). profiles, schedules: W by POD and quarter-hour; window: wall quarters [from, to)."""
    first, last = window
    if not 0 <= first < last <= QUARTERS:
        raise Rejected(f"window: wall quarters {first} to {last}, expected 0 <= from < to <= {QUARTERS}")
    periods, windows = [], _windows(profiles, first, last, calendar)
    for pod, measured_w in sorted(profiles.items()):
        known = Known(measured_w, frozenset(), schedules.get(pod, {}))
        for frames in windows:
            if all(frame in measured_w for frame in frames):
                periods.append(Period({frame: measured_w[frame] for frame in frames}, known))
    tried = [Method(Kind.SCHEDULE), *compared] if schedules else list(compared)
    return len(periods), tuple(Judged(words_of(one), accuracy(one, periods, calendar)) for one in tried)


def _windows(profiles: Profiles, first: int, last: int, calendar: Calendar) -> list[list[int]]:
    """The quarter-hours of the window on each market day of the profiles (rule 1)."""
    ends = [end for known in profiles.values() if known for end in (min(known), max(known))]
    if not ends:
        return []
    days = {calendar.day(frame) for frame in (*range(min(ends), max(ends), 80), max(ends))}
    found = [
        [frame for frame in calendar.frames(day) if first <= calendar.place(frame)[1] < last] for day in sorted(days)
    ]
    return [frames for frames in found if frames]
