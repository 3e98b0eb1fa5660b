"""The log of devices: what is on disk when, and what status.json says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from lightflash.device_log import DONE, HALF, REFUSED, DeviceLog, Entry
from lightflash.errors import FlashError

NEW = Entry("7cdf0001", "N01", "esp32-s3", "/dev/ttyACM0", "POD1")


def test_rule_1_a_begun_step_is_on_disk_and_named_though_nobody_wrote_a_reason(tmp_path: Path) -> None:
    DeviceLog(tmp_path).save(NEW.with_begun("application"))
    (found,) = DeviceLog(tmp_path).entries()
    assert (found.state, found.step, found.begun) == (HALF, "application", "application")
    assert found.line == (
        "N01 (/dev/ttyACM0) 7cdf0001: half-done at application: the program was stopped; run the same command again"
    )


def test_a_step_that_is_begun_again_is_no_more_done(tmp_path: Path) -> None:
    entry = NEW.with_begun("firmware").with_done("firmware", "ab")
    assert (entry.digest("firmware"), entry.begun) == ("ab", "")
    assert entry.with_begun("firmware").digest("firmware") == ""


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"device": 1}', '{"device": "a", "name": "b", "board": 3}', "[" * 100_000]
)
def test_rule_2_a_damaged_file_is_an_error_by_name(tmp_path: Path, text: str) -> None:
    DeviceLog(tmp_path).save(NEW)
    (tmp_path / "7cdf0001.json").write_text(text)
    with pytest.raises(FlashError, match=r"7cdf0001\.json is damaged"):
        DeviceLog(tmp_path).entries()


def test_rule_3_a_device_moves_from_its_place_to_its_id(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path)
    log.save(replace(NEW, device="at-/media/RPI-RP2").with_begun("firmware"))
    log.save(NEW.with_done("firmware", "ab"), "at-/media/RPI-RP2")
    assert [entry.device for entry in log.entries()] == ["7cdf0001"]


def test_no_device_id_leads_out_of_the_folder(tmp_path: Path) -> None:
    DeviceLog(tmp_path / "log").save(replace(NEW, device="at-../../evil/\0x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]


def test_rule_4_the_status_lists_all_that_are_known_and_the_refused_of_this_run(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path)
    log.save(replace(NEW, state=DONE))
    log.note(Entry("", "N02", "esp32", "/dev/ttyUSB1", state=REFUSED, step="identify", cause="a reason", cure="a cure"))
    listed = json.loads((tmp_path / "status.json").read_text())["devices"]
    assert [(entry["name"], entry["state"]) for entry in listed] == [("N01", DONE), ("N02", REFUSED)]
    log.save(Entry("7cdf0002", "N02", "esp32", state=DONE))
    assert [entry["state"] for entry in json.loads((tmp_path / "status.json").read_text())["devices"]] == [DONE, DONE]
