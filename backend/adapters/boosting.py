"""Quantiles by gradient boosting (scikit-learn, the optional extra ``forecast``): trained on what was known at the gate.

1. One model per level and column learns the value from the plain candidates' forecasts, the wall quarter, weekday and kind of
   the day and the distance to the gate, over the played days before the gate (60 at most, 21 at least).
2. Quantiles are sorted so that they never cross, and rounded once to whole W. One thread and a fixed seed: the same machine
   gives the same bytes. Another version of the library may give others, which is why it is not the default.
3. Without the extra it is an outside party that is not there: Unavailable, with the command to install it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.domain.local_day import QUARTERS, Calendar, Kind
from backend.errors import Rejected, Unavailable
from backend.grid.candidate import CANDIDATES, Days, History, Origin, days_of, point
from backend.grid.quantile import LEVELS_PPM, Quantiles

PLAYED_DAYS, LEAST_DAYS = 60, 21
_KINDS = tuple(Kind)


def boosted(history: History, calendar: Calendar, origin: Origin, levels_ppm: Sequence[int] = LEVELS_PPM) -> Quantiles:
    """Quantiles for the frames of an origin. Raises Rejected if too few days are known, Unavailable without the library."""
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-not-found,unused-ignore]
        from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise Unavailable("scikit-learn", "not installed: pip install 'lightnode[forecast]'") from error
    known = history.before(origin.gate)
    days = days_of(known.first_frame, known.end_frame, calendar)
    past = _past(known, calendar, origin)
    if len(past) < LEAST_DAYS:
        raise Rejected(f"boosting: {len(past)} days before the gate can be played, {LEAST_DAYS} are needed")
    learned = np.concatenate([features(known, days, one) for one in past])
    actual = np.concatenate([known.rows(one.frames) for one in past])
    asked = features(known, days, origin)
    values = np.empty((len(levels_ppm), len(origin.frames), len(history.names)), dtype=np.float64)
    for column in range(len(history.names)):
        for n, level in enumerate(levels_ppm):
            model = HistGradientBoostingRegressor(
                loss="quantile", quantile=level / 1e6, max_iter=80, learning_rate=0.08, max_leaf_nodes=15,
                min_samples_leaf=60, early_stopping=False, random_state=0,
            )  # fmt: skip
            with threadpool_limits(1):
                model.fit(learned[:, :, column], actual[:, column])
                values[n, :, column] = model.predict(asked[:, :, column])
    whole = np.rint(np.sort(values, axis=0)).astype(np.int64)
    return Quantiles(
        origin.gate, origin.frames, history.names, tuple(levels_ppm), whole, ("boosting",) * len(history.names)
    )


def _past(known: History, calendar: Calendar, origin: Origin) -> list[Origin]:
    found = []
    for days in range(1, 2 * PLAYED_DAYS):
        earlier = origin.earlier(calendar, days)
        if earlier.gate - QUARTERS < known.first_frame:
            break
        if max(earlier.frames) < known.end_frame:
            found.append(earlier)
    return found[:PLAYED_DAYS]


def features(known: History, days: Days, origin: Origin) -> npt.NDArray[Any]:
    """What is learned from: frame x feature x column (rule 1)."""
    plain = [point(name, known, days, origin) for name in CANDIDATES]
    places = [days.calendar.place(frame) for frame in origin.frames]
    when = [
        (wall, day.weekday(), _KINDS.index(days.calendar.kind(day)), frame - origin.gate)
        for frame, (day, wall) in zip(origin.frames, places, strict=True)
    ]
    shared = np.repeat(np.array(when, dtype=np.int64)[:, :, None], len(known.names), axis=2)
    return np.concatenate([np.stack(plain, axis=1), shared], axis=1)
