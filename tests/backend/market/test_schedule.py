"""Gates and windows on ordinary days and on the two days on which the clock changes."""

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.market.schedule import day_ahead, near_real_time

ROME = Calendar("Europe/Rome")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "gate", "count", "closes"),
    [
        (date(2026, 11, 27), time(11), 96, "2026-11-26T11:00+01:00"),
        (date(2026, 3, 29), time(11), 92, "2026-03-28T11:00+01:00"),
        (date(2026, 3, 30), time(11), 96, "2026-03-29T11:00+02:00"),
        (date(2026, 10, 25), time(11), 100, "2026-10-24T11:00+02:00"),
        (date(2026, 10, 26), time(11), 96, "2026-10-25T11:00+01:00"),
        (date(2026, 3, 30), time(2, 30), 96, "2026-03-29T03:00+02:00"),  # the clock skips 2:30
        (date(2026, 10, 26), time(2, 30), 96, "2026-10-25T02:30+02:00"),  # and shows it twice
    ],
)
def test_rule_1_a_day_ahead_session(day: date, gate: time, count: int, closes: str) -> None:
    window = day_ahead(ROME, day, gate)
    assert (len(window.frames), window.gate_ms) == (count, at(closes))
    assert window.frames == tuple(ROME.frames(day))


def test_rule_1_a_gate_with_an_offset_is_refused() -> None:
    with pytest.raises(Rejected, match="own clock"):
        day_ahead(ROME, date(2026, 11, 27), time(11, tzinfo=UTC))


@pytest.mark.parametrize("day", [date(1, 1, 1), date(1999, 12, 31), date(3000, 1, 1), date(9999, 12, 31)])
def test_rule_1_a_day_that_no_calendar_reaches_is_refused(day: date) -> None:
    with pytest.raises(Rejected, match="expected 2000-01-01 to 2999-12-31"):
        day_ahead(ROME, day, time(11))


@given(st.integers(0, 2**41), st.integers(0, 86_400_000), st.integers(1, 16))
def test_rule_2_the_window_begins_the_lead_after_a_gate_that_is_not_over(now_ms: int, lead_ms: int, count: int) -> None:
    window = near_real_time(now_ms, lead_ms, count)
    assert len(window.frames) == count and window.gate_ms + lead_ms == window.frames[0] * 900_000
    assert now_ms <= window.gate_ms < now_ms + 900_000


def test_rule_2_by_hand() -> None:
    window = near_real_time(at("2026-11-26T17:45+01:00"), 900_000)
    assert datetime.fromtimestamp(window.frames[0] * 900, UTC).isoformat() == "2026-11-26T17:00:00+00:00"
    assert len(window.frames) == 16


@pytest.mark.parametrize(("lead_ms", "count"), [(-1, 16), (86_400_001, 16), (0, 0), (0, 17)])
def test_rule_2_other_windows_are_refused(lead_ms: int, count: int) -> None:
    with pytest.raises(Rejected, match="near real time"):
        near_real_time(0, lead_ms, count)
