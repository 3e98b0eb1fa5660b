"""What a meter's readings say about its wiring: worked examples by hand, then the faults over every emulated model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from lightflash.errors import FlashError
from lightflash.limits import limits
from lightflash.metering import EXPORT, IMPORT, Expected, Flow, checks, expected, explained
from lightflash.record import FAILED, NOT_DONE, PASSED, Check

HEATER = Expected(5_400, 6_600)  # 6 kW over three phases


def answer(power_w: int = 6_000, reactive_var: int = 60, **changes: Any) -> dict[str, Any]:
    """Of the console's `meter`: 3 x 230 V, 3 x 8.7 A."""
    found = {
        "map": "sdm630", "unit": 1, "power_w": power_w, "reactive_var": reactive_var, "frequency_mhz": 50_000,
        "import_wh": 0, "export_wh": 0, "voltage_l1_mv": 230_000, "voltage_l2_mv": 231_000, "voltage_l3_mv": 229_000,
        "current_ma": 26_100,
    }  # fmt: skip
    return {**found, **changes}


def by_name(answers: list[dict[str, Any]], wanted: Expected | None = HEATER, phases: int = 3) -> dict[str, Check]:
    return {check.name: check for check in checks(answers, phases, wanted)}


def test_a_meter_in_order_passes_with_its_figures() -> None:
    made = by_name([answer()] * 5)
    assert all(check.passed for check in made.values())
    assert made["meter answers"].value == 5
    assert (made["voltage, lowest phase"].value, made["voltage, lowest phase"].detail) == (229_000, "L3")
    assert (made["voltage, highest phase"].value, made["voltage, highest phase"].detail) == (231_000, "L2")
    assert made["active power"].value == 6_000
    assert made["power factor"].value == 999  # 6000 W of 230 V x 26.1 A = 6003 VA


def test_every_check_of_the_group_comes_back_in_order_whatever_failed() -> None:
    names = [limit.name for limit in limits().values() if limit.group == "meter"]
    for answers in ([answer()] * 5, [{"error": "the meter does not answer"}] * 5, [answer(), {"error": "x"}]):
        for wanted in (None, HEATER):
            assert [check.name for check in checks(answers, 3, wanted)] == names


def test_one_read_of_five_that_failed_fails_with_its_error() -> None:
    made = by_name([answer()] * 4 + [{"error": "crc"}])["meter answers"]
    assert (made.result, made.value, made.detail) == (FAILED, 4, "crc")
    assert "termination" in made.cure


def test_a_silent_meter_fails_and_nothing_is_made_up_from_it() -> None:
    made = by_name([{"error": "no answer"}] * 5)
    assert made.pop("meter answers").value == 0
    assert {check.result for check in made.values()} == {NOT_DONE}


def test_rule_1_without_the_installers_word_power_is_not_done_and_what_was_measured_is_said() -> None:
    made = by_name([answer()] * 5, None)
    assert (made["active power"].result, made["power factor"].result) == (NOT_DONE, NOT_DONE)
    assert "6000 W" in made["active power"].detail
    assert "--expect-w" in made["active power"].cure


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (Flow(-6_000, -60, 6_003), "reversed"),
        (Flow(600, 6, 600), "10 times too small"),
        (Flow(60_000, 600, 60_030), "10 times too large"),
        (Flow(6, 0, 600), "1000 times too small"),
        (Flow(6_000_000, 0, 6_000_000), "1000 times too large"),
        (Flow(-600, 0, 600), "10 times too small: a ratio is wrong, and the current transformers are reversed"),
        (Flow(-3_000, 5_196, 6_000), "exchanged in turn"),  # each current 120 degrees behind: cos -1/2, sin 0.866
        (Flow(-3_000, -5_196, 6_000), "exchanged in turn"),
        (Flow(2_000, 20, 6_000), "one current transformer is reversed"),  # 2 - 1 of three thirds
        (Flow(0, 10, 6_000), "two current transformers are exchanged"),  # 1 - 1/2 - 1/2
        (Flow(3, 0, 3), "no current"),
        (Flow(4_000, 0, 4_000), "no usual fault"),
    ],
)
def test_rule_2_the_fault_that_explains_the_figures_is_named(flow: Flow, words: str) -> None:
    cause, cure = explained(flow, HEATER)
    assert words in cause
    assert cure


@pytest.mark.parametrize("way", [1, -1])
def test_rule_2_a_feeding_plant_has_the_same_faults_the_other_way_round(way: int) -> None:
    wanted = HEATER if way > 0 else Expected(-6_600, -5_400)
    for power_w, words in ((-6_000, "reversed"), (600, "10 times too small"), (2_000, "one current")):
        assert words in explained(Flow(way * power_w, 0, 600 if power_w == 600 else 6_000), wanted)[0]


def test_the_direction_alone_tells_a_reversed_transformer() -> None:
    assert by_name([answer(3_000)] * 5, IMPORT)["active power"].result == PASSED
    made = by_name([answer(-6_000)] * 5, IMPORT)["active power"]
    assert made.result == FAILED and "reversed" in made.detail
    assert by_name([answer(-6_000)] * 5, EXPORT)["active power"].result == PASSED


def test_a_missing_phase_is_named_and_a_meter_of_one_phase_misses_none() -> None:
    made = by_name([answer(voltage_l2_mv=0)] * 5)["voltage, lowest phase"]
    assert (made.result, made.value, made.detail) == (FAILED, 0, "L2")
    one = answer(voltage_l2_mv=0, voltage_l3_mv=0, current_ma=26_087)
    assert all(check.passed for check in by_name([one] * 5, phases=1).values())


def test_rule_3_one_odd_reading_does_not_decide_about_power() -> None:
    made = by_name([answer()] * 4 + [answer(60)])
    assert made["active power"].passed


def test_without_currents_the_power_factor_is_of_active_and_reactive_power() -> None:
    plain = answer(3_000, 5_196)
    del plain["current_ma"]
    made = by_name([plain] * 5, Expected(2_000, 7_000))["power factor"]
    assert (made.value, made.result) == (500, FAILED)


@pytest.mark.parametrize("text", ["import", "export", "1800..2200", "-5000..-3000", "0..0"])
def test_what_an_installer_says(text: str) -> None:
    assert isinstance(expected(text), Expected)


@pytest.mark.parametrize("text", ["", "2000", "..", "5..3", "a..b", "1.5..2", "Import", "1..99999999999", "1 .. x"])
def test_what_is_no_power_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(FlashError, match="no power to be expected"):
        expected(text)


@given(some.integers(-(1 << 31), 1 << 31), some.integers(-(1 << 31), 1 << 31), some.integers(0, 1 << 40))
def test_any_figures_give_checks_that_a_record_takes(power_w: int, reactive_var: int, current_ma: int) -> None:
    for wanted in (None, HEATER, IMPORT, EXPORT):
        made = checks([answer(power_w, reactive_var, current_ma=current_ma)] * 5, 3, wanted)
        for check in made:
            assert len(check.detail) <= 200 and len(check.cure) <= 200
            assert check.passed or check.detail or check.cure
        is_right = wanted is not None and wanted.holds(power_w)
        assert next(c for c in made if c.name == "active power").passed == is_right
