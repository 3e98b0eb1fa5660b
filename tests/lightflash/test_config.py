"""A device's settings, checked on the computer by the device's own rules."""

import json
from pathlib import Path
from typing import Any

import pytest
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


def test_the_example_has_every_key_that_must_be_there() -> None:
    document = json.loads(EXAMPLE.read_text())
    flat = {
        f"{k}.{inner}" if isinstance(v, dict) else k
        for k, v in document.items()
        for inner in (v if isinstance(v, dict) else "-")
    }
    assert flat >= set(settings._FORMS) - set(settings._DEFAULTS)


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
