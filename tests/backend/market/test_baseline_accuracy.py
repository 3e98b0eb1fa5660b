"""Error and bias by hand, on one history; and on the published profiles of the example day."""

from datetime import date

from backend.demo.day import load_day
from backend.domain.local_day import Calendar
from backend.market.baseline import Kind, Known, Method
from backend.market.baseline_accuracy import Accuracy, Period, accuracy

ROME = Calendar("Europe/Rome")
TODAY = date(2026, 11, 26)
PERIOD = list(ROME.frames(TODAY))[72:74]


def test_error_and_bias_by_hand_and_what_could_not_be_made_is_counted() -> None:
    before = Known({PERIOD[0] - 1: 1_000}, set(), {})
    method = Method(Kind.BEFORE, before=1)
    periods = [Period(dict.fromkeys(PERIOD, w), before) for w in (800, 1_100)]
    periods.append(Period(dict.fromkeys(PERIOD, 5), Known({}, set(), {})))
    # errors 400 and 200 W in two quarter-hours of 1,600 and 2,200: 600 and 200 of 3,800
    assert accuracy(method, periods, ROME) == Accuracy(2, 1, 157_895, 52_632)
    assert accuracy(method, [], ROME) == Accuracy(0, 0, 0, 0)


def test_on_published_profiles_high_favours_the_seller_and_mid_does_less() -> None:
    day = load_day()
    calendar = Calendar(day.zone)
    first = day.first_frame - 7 * 96
    periods = []
    for column in range(0, day.series.load_w.shape[1], 5):
        measured = {first + k: int(w) for k, w in enumerate(day.series.load_w[:, column])}
        period = list(day.frames)[68:80]
        known = Known({f: w for f, w in measured.items() if f < period[0]}, set(), {})
        periods.append(Period({f: measured[f] for f in period}, known))
    mid = accuracy(Method(Kind.MID, 3, 5, 7), periods, calendar)
    high = accuracy(Method(Kind.HIGH, 2, 5, 7), periods, calendar)
    assert mid.made == high.made == len(periods) and mid.unmade == 0
    assert high.bias_ppm > mid.bias_ppm and 0 < mid.error_ppm < 500_000
