"""A device's settings, checked on the computer by the device's own rules."""

import json
from pathlib import Path
from typing import Any

import pytest
from lightflash import board as boards
from lightflash import config
from lightflash.errors import FlashError
from lightnode import settings

EXAMPLE = Path(__file__).parents[2] / "firmware" / "device" / "config.example.json"


def changed(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(EXAMPLE.read_text()), **values}))
    return path


def test_the_example_is_taken() -> None:
    assert config.checked(EXAMPLE).value("meter.unit") == 1


def test_the_example_has_every_key() -> None:
    document = json.loads(EXAMPLE.read_text())
    flat = {
        f"{k}.{inner}" if isinstance(v, dict) else k
        for k, v in document.items()
        for inner in (v if isinstance(v, dict) else "-")
    }
    assert flat == set(settings._FORMS)


def test_the_example_is_taken_with_the_values_of_a_site(tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_text())
    path = changed(
        tmp_path,
        deployment="a5" * 16,
        operator="b6" * 8,
        issuers=[],
        broker=document["broker"] | {"host": "10.1.2.3"},
        meter=document["meter"] | {"map": "em340", "unit": 247, "ct_ratio": 400},
        network=document["network"] | {"interface": "lan", "lan_pins": [12, 11, 13, 10, 9]},
        ems=document["ems"] | {"listen": "0.0.0.0:502"},
        update=document["update"] | {"key": None},
    )
    assert config.misfit(config.checked(path), boards.board("esp32-s3")) == ""


def test_what_the_device_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    path = changed(tmp_path, broker={**json.loads(EXAMPLE.read_text())["broker"], "port": 70000})
    with pytest.raises(FlashError) as refused:
        config.checked(path)
    assert str(refused.value).startswith(
        f"config: {path}: broker.port is 70000, a whole number from 1 to 65535 belongs here"
    )
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["password", "wifi_password", "psk", "private_key", "token"])
def test_a_secret_in_the_settings_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(FlashError) as refused:
        config.checked(changed(tmp_path, **{key: "do-not-show"}))
    assert key in str(refused.value)
    assert "do-not-show" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"[" * 5000, b"\xff", b"{}", b'{"a": ', b"null", b"{" + b" " * 9000 + b"}"])
def test_any_bytes_give_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(FlashError) as refused:
        config.checked(path)
    assert "\n" not in str(refused.value)


def nested(tmp_path: Path, key: str, value: Any) -> Path:
    document = json.loads(EXAMPLE.read_text())
    table, _, name = key.rpartition(".")
    (document[table] if table else document)[name] = value
    return changed(tmp_path, **document)


def test_the_example_fits_its_board() -> None:
    assert config.misfit(config.checked(EXAMPLE), boards.board("esp32-s3")) == ""


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("journal.bytes", 4 << 20, "journal.bytes is 4194304, at most 3145728 belongs there on esp32-s3"),
        ("journal.bytes", 655_361, "journal.bytes is 655361, whole sectors of 4096 belong there"),
        ("journal.path", "/journal", "journal.path is '/journal', the partition 'journal' belongs there"),
        ("hardware", "rp2040-w", "hardware is 'rp2040-w', 'esp32-s3' belongs there"),
        ("hardware", "unknown", "hardware is 'unknown', 'esp32-s3' belongs there"),
        ("meter.port", "/dev/ttyUSB0", "meter.port is '/dev/ttyUSB0', the number of a UART belongs there"),
        ("meter.port", "-1", "the number of a UART"),
        ("state_dir", "state", "state_dir is 'state', a path from / belongs there"),
        ("update.root", "/other", "update.root is '/other', '/app' belongs there"),
        ("conductor", "127.0.0.1:7000", "conductor is '127.0.0.1:7000', null belongs there"),
    ],
)
def test_what_does_not_fit_the_board_is_named(tmp_path: Path, key: str, value: Any, said: str) -> None:
    """Rule 3; the device alone could not know, so without a board it is taken."""
    path = nested(tmp_path, key, value)
    assert config.checked(path)
    with pytest.raises(FlashError) as refused:
        config.checked(path, boards.board("esp32-s3"))
    assert f"config: {path}: " in str(refused.value)
    assert said in str(refused.value)


def test_a_computer_may_have_what_a_board_may_not(tmp_path: Path) -> None:
    path = nested(tmp_path, "meter.port", "/dev/ttyUSB0")
    document = {**json.loads(path.read_text()), "hardware": "unix", "conductor": "127.0.0.1:7000"}
    path.write_text(json.dumps(document))
    assert config.misfit(config.checked(path), boards.board("unix")) == ""
