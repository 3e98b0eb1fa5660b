"""`./run bench`: its areas, its refusals, the form of its figures, and the journal's that need no chip."""

import json

import pytest

from hil.benches import device, figure
from hil.benches.figure import Figure
from hil.cli import main


def test_a_ratio_says_how_many_times_less_than_the_peer() -> None:
    one = Figure(10, "instructions", "peer", 71, 7)
    assert (one.ratio, one.met) == (7.1, True)
    assert Figure(10, "instructions", "peer", 69, 7).met is False


@pytest.mark.parametrize(("value", "at_least", "met"), [(24, True, True), (23.9, True, False), (24, False, True)])
def test_a_target_without_a_peer_bounds_the_value(value: float, at_least: bool, met: bool) -> None:
    assert Figure(value, "hours", target=24, at_least=at_least).met is met


def test_the_object_has_the_documented_keys_and_a_missed_target_says_so() -> None:
    figures = {"a": Figure(2, "us", "embit", 3, 7), "b": Figure(1, "bytes")}
    found = json.loads(figure.as_json(figures, {"embit": "0.8.0"}))
    assert set(found) == {"figures", "machine", "versions"}
    assert found["figures"]["a"] == {
        "value": 2, "unit": "us", "peer": "embit", "peer_value": 3, "ratio": 1.5, "target": 7, "met": False,
    }  # fmt: skip
    assert figure.table(figures).splitlines()[1].endswith("at least 7: MISSED")


def test_without_an_area_the_areas_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 0
    assert capsys.readouterr().out.startswith("device ")


def test_an_unknown_area_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "nothing"]) == 2
    assert "'nothing' is no area: known are device" in capsys.readouterr().err


def test_3_a_small_journal_is_filled_until_it_drops() -> None:
    readings, flash = device.outage(8)
    assert 7 * 130 < readings < 8 * 157 and max(flash.erases) <= 2
    assert device.outage(16)[0] >= 2 * readings
    assert readings * 9 // 10 < device.outage(8, ruled=True)[0] < readings


def test_1_the_peers_source_is_that_of_the_installed_package() -> None:
    assert b"def deterministic_k" in device._embit()
