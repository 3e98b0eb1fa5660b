"""How well each baseline method would have told what happened: error and bias on periods without an order.

1. A period counts for a method if it could make a baseline; the others are counted too, never left out silently.
2. Error: mean of |baseline - measured| over the periods' energies; bias: mean of baseline - measured; both in 1e-6 of the
   mean measured size, half to even. A bias above zero favours who sells less withdrawal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backend.domain.local_day import Calendar
from backend.domain.quantity import PPM, half_even
from backend.market.baseline import Known, Method, baseline


@dataclass(frozen=True, slots=True)
class Period:
    """What is judged: a POD's quarter-hours of one day with what happened in each, and what was known when they began."""

    actual_w: Mapping[int, int]
    known: Known


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of one method: periods with a baseline and without, error and bias in 1e-6 (0 if nothing was measured)."""

    made: int
    unmade: int
    error_ppm: int
    bias_ppm: int


def accuracy(method: Method, periods: Iterable[Period], calendar: Calendar) -> Accuracy:
    """Judges a method; raises Rejected for a period that is not of one market day."""
    made = unmade = error = bias = size = 0
    for period in periods:
        found = baseline(method, sorted(period.actual_w), period.known, calendar)
        if not found.frame_w:
            unmade += 1
            continue
        difference = sum(w - period.actual_w[frame] for frame, w in found.frame_w.items())
        made, error, bias = made + 1, error + abs(difference), bias + difference
        size += abs(sum(period.actual_w[frame] for frame in found.frame_w))
    if not size:
        return Accuracy(made, unmade, 0, 0)
    return Accuracy(made, unmade, half_even(error * PPM, size), half_even(bias * PPM, size))
