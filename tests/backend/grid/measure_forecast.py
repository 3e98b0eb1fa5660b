"""Prints the table of forecasts in backend/grid/README.md; run by hand, never by a test.

    python tests/backend/grid/measure_forecast.py FOLDER [--boosting]

FOLDER holds LoadProfile.csv and RESProfile.csv of SimBench's 1-complete_data-mixed-all-0-sw, a published year of quarter-hours
(2016, winter time). 40 days from 10 April are forecast day-ahead, and 10 days near real time; pinball loss per level as a share
of the nominal power. --boosting needs scikit-learn: one model per column and level, trained every 20 days (5 near real time).
"""

import csv
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from backend.adapters.boosting import features
from backend.domain.local_day import Calendar
from backend.grid.backtest import backtest, day_ahead, near_real_time
from backend.grid.candidate import History, days_of
from backend.grid.quantile import LEVELS_PPM

LOADS = ("H0-A", "H0-C", "G0-A", "G3-A", "L1-A", "lv_rural1", "lv_semiurb4")
MADE = ("PV3", "WP4", "BM1", "Hydro2")
FIRST = (date(2016, 1, 1) - date(1970, 1, 1)).days * 96 - 4
START = date(2016, 4, 10)
RUNS = (("day-ahead", 40, 60, 20), ("near-real-time", 10, 30, 5))
GERMANY = Calendar("Europe/Berlin")


def history(folder: Path) -> History:
    """The year, in 1e-6 of nominal."""
    columns = [
        *_table(folder / "LoadProfile.csv", [f"{n}_pload" for n in LOADS]),
        *_table(folder / "RESProfile.csv", MADE),
    ]
    return History(FIRST, LOADS + MADE, np.array(columns, dtype=np.int64).T.copy())


def _table(path, names):
    with path.open() as file:
        rows = csv.reader(file, delimiter=";")
        head = next(rows)
        table = [[round(float(row[head.index(name)]) * 1e6) for name in names] for row in rows]
    return list(zip(*table, strict=True))


def boosting(known, horizon, days, trained, block):
    """Pinball loss by column."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    every = days_of(known.first_frame, known.end_frame, GERMANY)

    def origins(day):
        if horizon == "day-ahead":
            return [day_ahead(GERMANY, day)]
        return [near_real_time(gate) for gate in list(GERMANY.frames(day))[::16]]

    played = {
        day: [(features(known, every, one), known.rows(one.frames)) for one in origins(day)]
        for day in (START + timedelta(days=k) for k in range(-trained, days))
    }
    loss = np.zeros(len(known.names))
    for first in range(0, days, block):
        past = [START + timedelta(days=first - k) for k in range(2, trained + 1) if first - k >= -trained]
        wanted = [START + timedelta(days=first + k) for k in range(min(block, days - first))]
        x, y = (np.concatenate([pair[n] for day in past for pair in played[day]]) for n in (0, 1))
        asked, came = (np.concatenate([pair[n] for day in wanted for pair in played[day]]) for n in (0, 1))
        for column in range(len(loss)):
            for level in LEVELS_PPM:
                model = HistGradientBoostingRegressor(
                    loss="quantile", quantile=level / 1e6, max_iter=80, learning_rate=0.08, max_leaf_nodes=15,
                    min_samples_leaf=60, random_state=0,
                )  # fmt: skip
                gap = came[:, column] - model.fit(x[:, :, column], y[:, column]).predict(asked[:, :, column])
                loss[column] += np.where(gap > 0, gap * level, gap * (level - 10**6)).sum() / 1e6
    return loss / (len(LEVELS_PPM) * sum(len(pair[1]) for day in played if day >= START for pair in played[day]))


def main():
    known = history(Path(sys.argv[1]))
    for horizon, days, trained, block in RUNS:
        made = backtest(known, GERMANY, START, days, horizon)
        learned = boosting(known, horizon, days, trained, block) if "--boosting" in sys.argv else [0] * len(known.names)
        print(horizon, made.gates, "gates")
        for score, boosted in zip(made.scores, learned, strict=True):
            print(
                f"{score.name:12} {score.persistence_pinball_w:7} {score.pinball_w:7} {round(boosted):7}"
                f" bias {score.bias_w:7} coverage {score.coverage_ppm / 1e4:.1f} %"
            )


if __name__ == "__main__":
    main()
