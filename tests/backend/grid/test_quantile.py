"""Quantiles of a forecast: from what was known at the gate, calibrated, the same bytes each time; and their backtest."""

from datetime import date, timedelta

import numpy as np
import pytest

from backend.demo.day import load_day
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.grid.backtest import backtest, day_ahead, near_real_time
from backend.grid.candidate import CANDIDATES, History, Origin, days_of, point
from backend.grid.quantile import Forecaster, Weather

ROME = Calendar()
MONDAY = date(2026, 2, 2)
FIRST = ROME.frames(MONDAY).start


def history(days=26, columns=2, seed=3, first=MONDAY):
    """Days with a shape of their own, lower when free, and noise."""
    random = np.random.default_rng(seed)
    rows = []
    for k in range(days):
        day = first + timedelta(days=k)
        level = 500_000 if ROME.kind(day) == "working" else 300_000
        for frame in ROME.frames(day):
            rows.append([level + 2_000 * ROME.place(frame)[1] * (c + 1) for c in range(columns)])
    values = np.array(rows, dtype=np.int64)
    values += random.integers(-20_000, 20_001, size=values.shape)
    return History(ROME.frames(first).start, tuple(f"n{c}" for c in range(columns)), values)


def test_worked_example_errors_of_the_days_before_become_quantiles():
    """Every day is 1000 W, but yesterday's and the days before were off by what is listed: their order statistics show."""
    values = np.full((30 * 96, 1), 1_000, dtype=np.int64)
    made = Forecaster(History(FIRST, ("n",), values), ROME).forecast(day_ahead(ROME, MONDAY + timedelta(days=29)))
    assert (made.values == 1_000).all() and made.method == ("week",)


@pytest.mark.parametrize(
    "make", [lambda day: day_ahead(ROME, day), lambda day: near_real_time(ROME.frames(day).start + 40)]
)
def test_rule_1_nothing_later_than_the_gate_is_read(make):
    known = history()
    origin = make(MONDAY + timedelta(days=19))
    spoiled = known.values.copy()
    spoiled[origin.gate - known.first_frame :] = 10**9
    cut = History(known.first_frame, known.names, known.values[: origin.gate - known.first_frame])
    made = [
        Forecaster(one, ROME).forecast(origin).values.tobytes()
        for one in (known, History(known.first_frame, known.names, spoiled), cut)
    ]
    assert made[0] == made[1] == made[2]


def test_a_candidate_reads_only_what_was_known_at_its_own_gate():
    known = history()
    origin = near_real_time(FIRST + 20 * 96 + 37)
    spoiled = known.values.copy()
    spoiled[origin.gate - FIRST :] = -(10**9)
    days = days_of(FIRST, known.end_frame, ROME)
    for name in CANDIDATES:
        other = point(name, History(FIRST, known.names, spoiled), days, origin)
        assert (point(name, known, days, origin) == other).all(), name


def test_candidates_take_the_days_they_say():
    values = np.repeat(np.arange(21, dtype=np.int64) * 1_000, 96)[:, None]
    known, days = History(FIRST, ("n",), values), days_of(FIRST, FIRST + 21 * 96, ROME)
    origin = day_ahead(ROME, MONDAY + timedelta(days=20))  # a Sunday; its gate is on Saturday, day 19, at noon
    assert origin.gate == FIRST + 19 * 96 + 48
    said = {name: point(name, known, days, origin)[:, 0] for name in CANDIDATES}
    assert said["week"][0] == 13_000, "the Sunday before"
    assert (said["kind"][0], said["kind"][95]) == (9_500, 9_500), "both Sundays known"
    assert (said["last"][0], said["last"][95]) == (19_000, 18_000), "Saturday's morning, Friday's evening"
    assert (said["any"][0], said["any"][95]) == (16_000, 15_000)


def test_near_real_time_follows_what_it_sees():
    known = history()
    values = known.values.copy()
    gate = FIRST + 21 * 96 + 40
    values[gate - FIRST - 4 : gate - FIRST] += 200_000
    lifted = Forecaster(History(FIRST, known.names, values), ROME).forecast(near_real_time(gate)).values[2]
    plain = Forecaster(known, ROME).forecast(near_real_time(gate)).values[2]
    assert (lifted[0] - plain[0] > 120_000).all() and (lifted[0] - plain[0] > lifted[15] - plain[15]).all()


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100)])
def test_days_of_another_length_have_all_their_quarter_hours(day, count):
    first = day - timedelta(days=24)
    known = history(30, first=first)
    made = Forecaster(known, ROME).forecast(day_ahead(ROME, day))
    assert made.values.shape == (5, count, 2)
    actual = known.rows(made.frames)
    assert (np.abs(made.values[2] - actual) < 60_000).all()


def test_rule_5_quantiles_rise_and_bytes_repeat():
    origin = day_ahead(ROME, MONDAY + timedelta(days=21))
    made = Forecaster(history(), ROME).forecast(origin)
    assert (np.diff(made.values, axis=0) >= 0).all() and made.values.dtype == np.int64
    assert made.values.tobytes() == Forecaster(history(), ROME).forecast(origin).values.tobytes()


def test_rule_4_weather_explains_what_goes_with_it():
    """The second column is all weather: with its forecast the error falls to a small part."""
    known = history()
    random = np.random.default_rng(5)
    cloud = np.repeat(random.integers(-100, 101, size=27), 96)
    values = known.values.copy()
    values[:, 1] += 3_000 * cloud[: len(values)]
    known = History(FIRST, known.names, values)
    day = MONDAY + timedelta(days=24)
    origin = day_ahead(ROME, day)
    weather = Weather(FIRST, cloud.astype(np.int64), origin.gate)
    actual = known.rows(origin.frames)
    error = [
        int(np.abs(Forecaster(known, ROME, given).forecast(origin).values[2] - actual)[:, 1].mean())
        for given in (None, weather)
    ]
    assert 3 * error[1] < error[0]


def test_rule_4_weather_issued_after_the_gate_is_refused():
    origin = day_ahead(ROME, MONDAY + timedelta(days=21))
    late = Weather(FIRST, np.zeros(26 * 96, dtype=np.int64), origin.gate + 1)
    with pytest.raises(Rejected, match="issued at frame .* after the gate"):
        Forecaster(history(), ROME, late).forecast(origin)
    short = Weather(FIRST, np.zeros(21 * 96, dtype=np.int64), origin.gate)
    with pytest.raises(Rejected, match="before the forecast does"):
        Forecaster(history(), ROME, short).forecast(origin)


def test_bad_input_is_named():
    origin = day_ahead(ROME, MONDAY + timedelta(days=21))
    with pytest.raises(Rejected, match="levels"):
        Forecaster(history(), ROME).forecast(origin, [500_000, 400_000])
    with pytest.raises(Rejected, match="no day before the gate"):
        Forecaster(history(), ROME).forecast(day_ahead(ROME, MONDAY + timedelta(days=1)))
    with pytest.raises(Rejected, match="begin at the gate or later"):
        Origin(5, (4,))
    with pytest.raises(Rejected, match="a column is there twice"):
        History(FIRST, ("a", "a"), np.zeros((1, 2), dtype=np.int64))


def test_backtest_counts_loss_bias_and_coverage():
    made = backtest(history(40), ROME, MONDAY + timedelta(days=36), 3, "day-ahead")
    (first, _) = made.scores
    assert (made.gates, first.values, made.expected_ppm) == (3, 3 * 96, 900_000)
    assert 800_000 < first.coverage_ppm < 1_000_000
    assert first.pinball_w < first.persistence_pinball_w and first.gain_ppm > 0
    with pytest.raises(Rejected, match="not all in the history"):
        backtest(history(), ROME, MONDAY + timedelta(days=24), 4, "day-ahead")
    with pytest.raises(Rejected, match="horizon 'weekly'"):
        backtest(history(), ROME, MONDAY, 1, "weekly")


def test_on_the_published_profiles_of_the_demo_it_beats_persistence():
    """Eight days are known: enough to play the last three."""
    series = load_day().series
    known = History(series.first_frame, ("all",), series.load_w.sum(axis=1, keepdims=True))
    calendar = Calendar("Europe/Rome")
    first = calendar.place(known.end_frame - 1)[0] - timedelta(days=1)
    score = backtest(known, calendar, first, 2, "near-real-time").scores[0]
    assert 0 < score.pinball_w < score.persistence_pinball_w
