"""4 s values average to the quarter-hour exactly and repeat."""

from hypothesis import given
from hypothesis import strategies as st

from hil.profile import FRAME_MS, SLOT_MS, SLOTS, frame_power_w, slot_power_w


@given(st.text(max_size=8), st.integers(0, 10**7), st.integers(-(10**7), 10**7))
def test_the_slots_average_to_the_mean_exactly_and_stay_near_it(seed: str, frame: int, mean_w: int) -> None:
    powers = frame_power_w(seed, frame, mean_w)
    assert len(powers) == SLOTS and sum(powers) == SLOTS * mean_w
    assert all(abs(p - mean_w) <= abs(mean_w) * 7 // 100 + 1 for p in powers)


def test_a_known_quarter_hour_never_changes() -> None:
    assert frame_power_w("bench/P1", 1_996_000, 50_000)[:4] == KNOWN


KNOWN = (49456, 48562, 51085, 50083)


def test_other_seeds_and_quarter_hours_differ() -> None:
    powers = {frame_power_w(seed, frame, 50_000) for seed in ("a", "b") for frame in (1, 2)}
    assert len(powers) == 4


def test_an_instant_finds_its_slot() -> None:
    powers = frame_power_w("a", 7, 1_000)
    assert [slot_power_w("a", 7 * FRAME_MS + k * SLOT_MS, 1_000) for k in range(SLOTS)] == list(powers)
