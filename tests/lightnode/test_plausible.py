"""What can be true and what cannot; each test cites a rule of plausible.py."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lightnode.errors import MeterError
from lightnode.meter import Quantities
from lightnode.plausible import Point, Watch, check, is_over

SLOT_MS = 4000
MOST_W = 100_000


def said(power_w: int = 9_000, imported: int = 0, exported: int = 0, **more: int | tuple[int, int, int]) -> Quantities:
    made = Quantities(power_w, 0, imported, exported, (230_000, 230_000, 230_000), 50_000, 1, 3_000_000)
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Site:
    """A meter's readings slot by slot: registers that count as the power that was true."""

    def __init__(self, watch: Watch, step_wh: int = 1, imported: int = 1_000_000) -> None:
        self.watch = watch
        self.step_wh = step_wh
        self.now_ms = 0
        self.import_ws, self.export_ws = imported * 3600, 0

    def slot(self, true_w: int, said_w: int | None = None, slots: int = 1, **more: int) -> bool:
        """Power flows for a slot, then is read: whether the reading is suspect."""
        self.now_ms += SLOT_MS * slots
        self.import_ws += max(0, true_w) * 4 * slots
        self.export_ws += max(0, -true_w) * 4 * slots
        step = self.step_wh * 3600
        shown = {"imported": self.import_ws // step * self.step_wh, "exported": self.export_ws // step * self.step_wh}
        found = said(true_w if said_w is None else said_w, **(shown | more))
        found.energy_step_wh = self.step_wh
        return self.watch.is_suspect(self.now_ms, found)


def proven(step_wh: int = 1) -> Site:
    site = Site(Watch(1, MOST_W), step_wh)
    for _ in range(400):
        if not site.slot(40_000):
            return site
    raise AssertionError("never proven")


@pytest.mark.parametrize("frequency_mhz", [0, 5_000, 39_990, 70_010])
def test_1_a_frequency_that_no_grid_has_is_no_measurement(frequency_mhz: int) -> None:
    with pytest.raises(MeterError, match="a frequency of"):
        check(said(frequency_mhz=frequency_mhz), 1)


def test_1_a_meter_without_any_voltage_does_not_measure_a_lost_phase_does() -> None:
    for voltages in ((0, 0, 0), (600_000, 0, 0)):
        with pytest.raises(MeterError, match="a voltage of"):
            check(said(voltage_mv=voltages), 1)
    check(said(voltage_mv=(0, 231_000, 0)), 1)
    check(said(voltage_mv=(11_547_000, 11_547_000, 11_547_000)), 200)


def test_2_a_mean_that_is_none_is_no_measurement() -> None:
    check(said(mean_mv=229_000), 1)
    for mean_mv in (0, 130_000_000):
        with pytest.raises(MeterError, match="a mean voltage"):
            check(said(mean_mv=mean_mv), 1)


def test_3_power_is_no_more_than_voltage_times_current() -> None:
    """230 V x 100 A = 23 kVA; with a quarter and 500 VA to spare 29.25 kVA."""
    assert not is_over(said(29_000, current_ma=100_000), 1, MOST_W)
    assert is_over(said(29_500, current_ma=100_000), 1, MOST_W)
    assert is_over(said(-29_500, current_ma=100_000), 1, MOST_W)
    assert is_over(said(21_000, reactive_var=21_000, current_ma=100_000), 1, MOST_W)


def test_3_power_is_the_sum_of_its_phases_and_within_four_times_the_connection() -> None:
    assert not is_over(said(9_000, current_ma=-1, phase_sum_w=9_060), 1, MOST_W)
    assert is_over(said(9_000, current_ma=-1, phase_sum_w=9_160), 1, MOST_W)
    assert is_over(said(500_000, current_ma=-1), 1, MOST_W)


def test_4_a_register_that_jumps_is_suspect_and_the_old_one_believed_again() -> None:
    site = proven()
    assert site.slot(40_000, imported=2_000_000)
    assert not site.slot(40_000)


def test_5_a_fall_is_a_reset_once_then_in_doubt_until_it_counts() -> None:
    site = proven()
    site.import_ws = 0
    suspect = [(site.slot(40_000), site.watch.was_reset) for _ in range(6)]
    assert suspect[:2] == [(True, True), (True, False)] and suspect[-1] == (False, False)


def test_5_one_wrong_answer_does_not_put_the_next_in_doubt() -> None:
    site = proven()
    assert site.slot(40_000, imported=0) and site.watch.was_reset
    assert not site.slot(40_000)


@pytest.mark.parametrize("step_wh", [1, 20, 2000])
def test_6_a_sign_that_is_lost_while_the_load_changes_is_found_within_steps_of_the_register(step_wh: int) -> None:
    site = proven(step_wh)
    loads = [40_000 if k % 3 else 90_000 for k in range(900)]
    slots = next(k for k, w in enumerate(loads) if site.slot(w, -w))
    assert slots * 56_000 * 4 <= (4 * step_wh + 600) * 3600
    assert all(site.slot(w, -w) for w in loads[:60])


def test_6_registers_that_stand_still_while_power_flows_are_suspect() -> None:
    site = proven()
    stood = site.import_ws // 3600
    assert any([site.slot(40_000, imported=stood) for _ in range(3)])


def test_7_p_and_q_turned_at_once_is_a_lost_sign() -> None:
    site = proven(2000)
    assert site.slot(40_000, -40_000)
    assert all(site.slot(40_000, -40_000) for _ in range(50))


def test_7_both_signs_lost_while_the_load_changes_too() -> None:
    site = proven(100)
    assert not site.slot(8_917, reactive_var=10_784)
    assert site.slot(11_374, -11_374, reactive_var=-11_274)
    assert all(site.slot(w, -w, reactive_var=-11_000) for w in (9_993, 11_843))


@pytest.mark.parametrize("slots", [2, 3, 15, 900])
def test_7_signs_that_turned_while_nothing_was_read_are_lost_ones_too(slots: int) -> None:
    site = proven(2000)
    assert site.slot(40_000, -40_000, slots=slots)
    assert all(site.slot(40_000, -40_000) for _ in range(50))


def test_7_nor_does_a_power_beyond_the_connection_hide_that_the_signs_turned_with_it() -> None:
    site = proven(2000)
    assert not site.slot(40_000, reactive_var=10_000)
    assert site.slot(40_000, 900_000, reactive_var=-10_000)
    assert site.slot(40_000, -40_000, reactive_var=-10_000)
    assert site.slot(40_000, -40_000, reactive_var=-10_000)


@pytest.mark.parametrize(
    ("after_w", "after_var"),
    [(-11_374, 11_274), (11_374, -11_274), (-11_374, -49), (-49, -11_274)],
    ids=["only P turns", "only Q turns", "Q fades", "P fades"],
)
def test_7_one_sign_that_turns_with_a_changed_load_may_be_the_load(after_w: int, after_var: int) -> None:
    site = proven(100)
    site.slot(8_917, reactive_var=10_784)
    assert not site.slot(after_w, reactive_var=after_var)


def test_7_a_load_that_really_turns_is_believed_as_soon_as_the_register_says_so() -> None:
    site = proven(1)
    assert site.slot(-40_000)
    assert not any([site.slot(-40_000) for _ in range(3)][1:])


def test_8_a_new_meter_is_in_doubt_until_its_registers_have_counted_one_with_history_is_not() -> None:
    site = Site(Watch(1, MOST_W))
    assert [site.slot(w) for w in (0, 0, 0, 20_000, 20_000, 20_000)] == [True] * 4 + [False] * 2
    watch = Watch(1, MOST_W)
    watch.remember(Point(-3_600_000, 999_000, 0))
    assert not Site(watch).slot(0)


def test_8_history_that_the_registers_do_not_follow_is_a_doubt() -> None:
    for imported in (2_000_000, 400_000):
        watch = Watch(1, MOST_W)
        watch.remember(Point(-3_600_000, imported, 0))
        assert Site(watch, imported=1_000_000).slot(0)


LOADS = st.lists(st.integers(-90_000, 90_000), min_size=1, max_size=120)


@given(LOADS, st.sampled_from((1, 20, 100)))
def test_an_honest_meter_stays_above_suspicion_whatever_the_load_does(loads: list[int], step_wh: int) -> None:
    """Rule 7 alone may doubt it, for a load that turned to its opposite."""
    site, last = proven(step_wh), 40_000
    for load in loads:
        turned = abs(load + last) * 10 <= abs(last)
        last = load
        if site.slot(load) and not turned:
            assert site.watch.in_doubt is False or any(
                abs(a + b) * 10 <= abs(a) for a, b in zip([40_000, *loads], loads, strict=False)
            )


@given(LOADS, st.integers(2, 40))
def test_gaps_between_readings_do_not_put_an_honest_meter_in_doubt(loads: list[int], slots: int) -> None:
    assume(not any(abs(a + b) * 10 <= abs(a) for a, b in zip([40_000, *loads], loads, strict=False)))  # rule 7 may
    site = proven()
    assert not any(site.slot(load, slots=slots) for load in loads)
