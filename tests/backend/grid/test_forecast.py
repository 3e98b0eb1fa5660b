"""A forecast reads what was known at the gate, and nothing later."""

import numpy as np
import pytest

from backend.errors import Rejected
from backend.grid.forecast import FADE, QUARTERS, Series, divide_half_even, forecast, mean_half_even

MONDAY = (1_970_876 + 4) // QUARTERS - 2
FIRST = MONDAY * QUARTERS


def week(days, seed=7):
    random = np.random.default_rng(seed)
    values = random.integers(0, 1_000_000, size=(days * QUARTERS, 3), dtype=np.int64)
    return Series(FIRST, values, values // 3, values[:, :1].copy())


def test_monday_is_one():
    assert (MONDAY + 3) % 7 == 0


@pytest.mark.parametrize("gate_quarter", [-48, 0, 2, 4, 71, 95])
def test_nothing_later_than_the_gate_changes_the_forecast(gate_quarter):
    known, day = week(9), FIRST + 8 * QUARTERS
    gate = day + gate_quarter
    changed = Series(FIRST, known.load_w.copy(), known.load_var.copy(), known.generator_w.copy())
    for values in (changed.load_w, changed.load_var, changed.generator_w):
        values[gate - FIRST :] = 999_999_999
    a = forecast(known, gate, day, QUARTERS, 0)
    b = forecast(changed, gate, day, QUARTERS, 0)
    assert (a.load_w == b.load_w).all() and (a.load_var == b.load_var).all() and (a.generator_w == b.generator_w).all()


def test_a_working_day_is_the_mean_of_the_working_days_before_it():
    known, tuesday = week(8), FIRST + 8 * QUARTERS
    made = forecast(known, tuesday, tuesday, QUARTERS, 0)
    days = known.load_w.reshape(8, QUARTERS, 3)[[0, 1, 2, 3, 4, 7]]
    assert (made.load_w == mean_half_even(days)).all()
    assert made.first_frame == tuesday and made.load_w.shape == (QUARTERS, 3)


def test_a_sunday_is_the_mean_of_the_free_days_before_it():
    known, sunday = week(8), FIRST + 6 * QUARTERS
    made = forecast(known, sunday, sunday, QUARTERS, 0)
    assert (made.load_w == known.load_w.reshape(8, QUARTERS, 3)[5]).all()


def test_the_local_day_counts_not_the_utc_day():
    known, offset = week(9), 4
    day = FIRST + 8 * QUARTERS - offset
    made = forecast(known, day, day, QUARTERS, offset)
    rows = [known.load_w[d * QUARTERS - offset : (d + 1) * QUARTERS - offset] for d in (1, 2, 3, 4, 7)]
    assert (made.load_w == mean_half_even(np.stack(rows))).all()


def test_near_real_time_adds_the_latest_deviation_and_lets_it_fade():
    flat = np.full((9 * QUARTERS, 1), 1_000, dtype=np.int64)
    day = FIRST + 8 * QUARTERS
    flat[8 * QUARTERS + 36 : 8 * QUARTERS + 40] = 1_320
    known = Series(FIRST, flat, flat, flat)
    made = forecast(known, day + 40, day, QUARTERS, 0).load_w[:, 0]
    assert made[39] == 1_000 and made[40] == 1_320 and made[41] == 1_310
    assert made[40 + FADE - 1] == 1_010 and made[40 + FADE] == 1_000


def test_without_a_day_of_its_kind_there_is_no_forecast():
    with pytest.raises(Rejected, match="no day of the same kind"):
        forecast(week(3), FIRST, FIRST, QUARTERS, 0)


def test_frames_of_two_days_are_refused():
    with pytest.raises(Rejected, match="not of one local day"):
        forecast(week(8), FIRST + 7 * QUARTERS, FIRST + 7 * QUARTERS + 50, QUARTERS, 0)


def test_rounding_is_half_to_even_on_both_sides_of_zero():
    values = np.array([5, 15, 25, -5, -15, 7, -7, 3], dtype=np.int64)
    assert divide_half_even(values, 10).tolist() == [0, 2, 2, 0, -2, 1, -1, 0]
