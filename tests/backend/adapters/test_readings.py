"""The export says what the store holds, once each, and what has no time says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lightwire import records

from backend.adapters.readings import Selection, exported
from backend.adapters.sqlite import SqliteStore
from backend.errors import Unavailable

ONE, TWO = b"\x01" * 8, b"\x02" * 8
SLOT_MS = 1_796_040_000_000


def reading(device: bytes, seq: int, time_ms: int, flags: int = 0) -> records.Reading:
    return records.Reading(device, 1, 3, seq, time_ms, flags, 1000 + seq, 0, 0, 0, (230_000,) * 3, 50_000)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "scd.sqlite")
    for device in (TWO, ONE):
        for k in range(3):
            store.keep_message(reading(device, k + 1, SLOT_MS + 4000 * k), b"", SLOT_MS + 4000 * k)
    store.keep_message(reading(ONE, 4, 8000, records.UNTRUSTED_CLOCK), b"", -8001)
    store.close()
    return tmp_path / "scd.sqlite"


def test_every_reading_is_exported_once_by_device_and_seq(database: Path) -> None:
    lines = list(exported(database, Selection()))
    assert [(line["device"], line["seq"]) for line in lines] == [
        (ONE.hex(), 1), (ONE.hex(), 2), (ONE.hex(), 3), (ONE.hex(), 4), (TWO.hex(), 1), (TWO.hex(), 2), (TWO.hex(), 3),
    ]  # fmt: skip
    assert lines[0] == {"device": ONE.hex(), "boot": 3, "seq": 1, "time_ms": SLOT_MS, "power_w": 1001}


def test_rule_2_a_reading_without_time_says_so_and_is_outside_every_interval(database: Path) -> None:
    untimed = [line for line in exported(database, Selection(ONE)) if line["time_ms"] is None]
    assert untimed == [
        {"device": ONE.hex(), "boot": 3, "seq": 4, "time_ms": None, "power_w": 1004, "monotonic_ms": 8000}
    ]
    assert all(line["time_ms"] for line in exported(database, Selection(end_ms=2**60)))


def test_intervals_are_half_open(database: Path) -> None:
    lines = exported(database, Selection(TWO, SLOT_MS + 4000, SLOT_MS + 8000))
    assert [line["seq"] for line in lines] == [2]


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nothing.sqlite"):
        list(exported(tmp_path / "nothing.sqlite", Selection()))
    assert not list(tmp_path.iterdir())


def test_the_command_prints_one_json_line_each_also_while_a_back_end_has_the_file_open(database: Path) -> None:
    store = SqliteStore(database)
    command = [sys.executable, "-m", "backend", "readings", "export", "--db", str(database), "--device", ONE.hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 4
    store.close()


def test_wrong_usage_is_2_and_a_missing_database_is_3(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backend", "readings", "export", "--db", str(tmp_path / "none")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    assert subprocess.run([*command, "--device", "xyz"], capture_output=True, check=False).returncode == 2
