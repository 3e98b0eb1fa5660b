"""How good forecasts would have been: the same rules at many past gates, compared with what came and with persistence.

1. Day-ahead: the local day from a gate at noon of the day before. Near real time: the next 4 h from a gate every 4 h.
2. Pinball loss of level p: p * (actual - quantile) if the actual is above, else (1 - p) * (quantile - actual), summed over
   levels; bias: median forecast minus actual; coverage: how often the actual is within the outermost quantiles.
3. The peer is seasonal persistence with quantiles made in the same way, at the same gates.
4. Integers: losses in W per value and level (rounded half to even), shares in ppm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from backend.domain.local_day import Calendar
from backend.domain.quantity import PPM, half_even
from backend.errors import Rejected
from backend.grid.candidate import CANDIDATES, History, Origin
from backend.grid.flow import Integers
from backend.grid.quantile import LEVELS_PPM, Forecaster, Quantiles

NEAR_FRAMES = 16
GATE_WALL = 48
_STEP = 16


@dataclass(frozen=True, slots=True)
class Score:
    """Of one column. W per value and level (pinball), W (bias, mean absolute error of the median), ppm (coverage)."""

    name: str
    values: int
    pinball_w: int
    persistence_pinball_w: int
    bias_w: int
    error_w: int
    coverage_ppm: int

    @property
    def gain_ppm(self) -> int:
        """How much less is lost than with persistence; negative if more."""
        if not self.persistence_pinball_w:
            return 0
        return half_even((self.persistence_pinball_w - self.pinball_w) * PPM, self.persistence_pinball_w)


@dataclass(frozen=True, slots=True)
class Backtest:
    """Scores of the columns in one horizon; expected_ppm: the coverage that the outermost levels promise."""

    horizon: str
    gates: int
    expected_ppm: int
    scores: tuple[Score, ...]

    def as_json(self) -> dict[str, object]:
        """For files and people."""
        rows = [
            {
                "name": s.name, "values": s.values, "pinball_w": s.pinball_w, "gain_ppm": s.gain_ppm,
                "persistence_pinball_w": s.persistence_pinball_w, "bias_w": s.bias_w, "error_w": s.error_w,
                "coverage_ppm": s.coverage_ppm,
            }
            for s in self.scores
        ]  # fmt: skip
        return {"horizon": self.horizon, "gates": self.gates, "expected_ppm": self.expected_ppm, "columns": rows}


def day_ahead(calendar: Calendar, day: date) -> Origin:
    """The whole local day, from noon of the day before."""
    return Origin(calendar.frame(day - timedelta(days=1), GATE_WALL), tuple(calendar.frames(day)))


def near_real_time(gate: int) -> Origin:
    """The 4 h that begin at the gate."""
    return Origin(gate, tuple(range(gate, gate + NEAR_FRAMES)))


def backtest(
    history: History, calendar: Calendar, first: date, days: int, horizon: str, levels_ppm: Sequence[int] = LEVELS_PPM
) -> Backtest:
    """Scores over `days` local days from `first` on; horizon: "day-ahead" or "near-real-time". Rejected if one is not known."""
    origins = _origins(calendar, first, days, horizon)
    if not origins or max(origins[-1].frames) >= history.end_frame:
        raise Rejected(f"backtest: {days} days from {first} on are not all in the history")
    ours = Forecaster(history, calendar)
    peer = Forecaster(history, calendar, candidates=CANDIDATES[:1])
    made = [ours.forecast(origin, levels_ppm) for origin in origins]
    other = [peer.forecast(origin, levels_ppm) for origin in origins]
    actual = np.concatenate([history.rows(origin.frames) for origin in origins])
    mine, theirs = _loss(made, actual), _loss(other, actual)
    values = np.concatenate([one.values for one in made], axis=1)
    median = values[len(levels_ppm) // 2]
    inside = ((values[0] <= actual) & (actual <= values[-1])).sum(axis=0)
    scores = []
    for k, name in enumerate(history.names):
        count = len(actual)
        scores.append(
            Score(
                name, count, half_even(mine[k], count * len(levels_ppm) * PPM),
                half_even(theirs[k], count * len(levels_ppm) * PPM),
                half_even(int((median[:, k] - actual[:, k]).sum()), count),
                half_even(int(np.abs(median[:, k] - actual[:, k]).sum()), count),
                half_even(int(inside[k]) * PPM, count),
            )
        )  # fmt: skip
    return Backtest(horizon, len(origins), levels_ppm[-1] - levels_ppm[0], tuple(scores))


def _origins(calendar: Calendar, first: date, days: int, horizon: str) -> list[Origin]:
    wanted = [first + timedelta(days=k) for k in range(days)]
    if horizon == "day-ahead":
        return [day_ahead(calendar, day) for day in wanted]
    if horizon == "near-real-time":
        return [near_real_time(gate) for day in wanted for gate in list(calendar.frames(day))[::_STEP]]
    raise Rejected(f"horizon {horizon!r}, expected day-ahead or near-real-time")


def _loss(made: Sequence[Quantiles], actual: Integers) -> list[int]:
    """Sum of pinball losses in W times ppm, per column."""
    total = np.zeros(actual.shape[1], dtype=object)
    start = 0
    for one in made:
        came = actual[start : start + len(one.frames)]
        start += len(one.frames)
        for level, values in zip(one.levels_ppm, one.values, strict=True):
            gap = came - values
            total += np.where(gap > 0, level * gap, (level - PPM) * gap).sum(axis=0)
    return [int(loss) for loss in total]
