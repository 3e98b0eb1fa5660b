"""A settings file is read whole or refused in one line that names the file as given, key, value and limit."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightnode.errors import SettingsError
from lightnode.settings import Settings, load

from hil.runtime import micropython_command
from tests.conftest import ROOT


def good() -> dict[str, Any]:
    return {
        "state_dir": "s", "deployment": "00" * 16, "operator": "11" * 8, "log_key": "02" * 33,
        "issuers": [{"id": "22" * 8, "role": 1, "key": "03" * 33}],
        "broker": {"host": "h", "port": 8883, "ca": "a", "cert": "c", "key": "k"},
        "meter": {"port": "p", "unit": 1, "map": "sdm630", "ct_ratio": 1, "vt_ratio": 1},
        "limits": {"max_withdrawal_w": 1, "max_injection_w": 1},
        "journal": {"path": "j", "bytes": 655_360}, "conductor": None, "trace": False,
    }  # fmt: skip


def test_good_settings_are_read() -> None:
    assert Settings(good()).value("broker.port") == 8883


def test_updates_are_off_unless_there_is_a_key() -> None:
    settings = Settings(good())
    values = [settings.value(key) for key in ("update.key", "update.key_generation", "update.root", "hardware")]
    assert values == [None, 1, "/app", "unknown"]
    assert Settings({**good(), "update": {"key": None}}).value("update.key") is None
    assert Settings({**good(), "update": {"key": "02" * 33}}).value("update.key") == b"\x02" * 33


@pytest.mark.parametrize(
    ("table", "key", "value", "says"),
    [
        ("broker", "port", 0, "broker.port is 0"),
        ("meter", "unit", "1", "meter.unit is '1', a whole number from 1 to 247 belongs here"),
        ("meter", "colour", 1, "unknown key meter.colour"),
        ("", "deployment", "zz", "32 hexadecimal digits"),
        ("", "trace", 1, "true or false"),
        ("", "issuers", [{"id": "22" * 8}], "exactly id, role and key belong here"),
        ("", "hardware", "ESP32", "1 to 16 of a-z, 0-9 and - belong here"),
        ("", "hardware", "x" * 17, "1 to 16 of a-z, 0-9 and - belong here"),
        ("", "hardware", "", "1 to 16 of a-z, 0-9 and - belong here"),
        ("", "update", {"key": "04" * 33}, "a compressed public key belongs here"),
        ("", "update", {"key": "02"}, "66 hexadecimal digits belong here"),
        ("", "update", {"key_generation": 0}, "a whole number from 1 to 65535"),
        ("", "update", {"root": ""}, "a text on one line"),
    ],
)
def test_a_wrong_value_is_named(table: str, key: str, value: object, says: str) -> None:
    document = good()
    (document[table] if table else document)[key] = value
    with pytest.raises(SettingsError, match=says):
        Settings(document)


def test_a_missing_key_is_named() -> None:
    document = good()
    del document["log_key"]
    with pytest.raises(SettingsError, match="missing key log_key"):
        Settings(document)


def changed(table: str, key: str, value: object) -> bytes:
    document = good()
    (document[table] if table else document)[key] = value
    return json.dumps(document).encode()


HOSTILE = [
    (b"\xff\xfe", "not UTF-8"),
    (b"", "not JSON"),
    (json.dumps(good()).encode()[:-1], "not JSON"),
    (b"[" * 8000, "brackets nested deeper than 8"),
    (b'{"a":' * 1000, "brackets nested deeper than 8"),
    (b" " * 8193, "longer than 8192 bytes"),
    (b"[]", "not a JSON object"),
    (changed("broker", "port", 0), "broker.port is 0, a whole number from 1 to 65535 belongs here"),
    (changed("broker", "port", 10**40), "broker.port is 1000"),
    (changed("broker", "host", "a\nb"), "broker.host is 'a\\nb', a text on one line belongs here"),
    (changed("", "broker", 7), "broker is 7, an object belongs here"),
    (changed("", "state_dir", ""), "state_dir is '', a text on one line belongs here"),
    (changed("", "col\nour", 7), "unknown key col\\nour"),
    (changed("", "deployment", "00 " * 10 + "00"), "deployment is '00 00"),
    (changed("", "log_key", "05" * 33), "log_key is '0505"),
    (changed("", "conductor", "here"), "conductor is 'here', host:port or null belongs here"),
    (changed("", "conductor", "h:\u00b2"), "conductor is 'h:"),
    (changed("meter", "map", []), "meter.map is [], known maps are"),
    (changed("", "issuers", 1), "issuers is 1, a list belongs here"),
    (changed("", "issuers", [7]), "issuers[0] is 7, exactly id, role and key belong here"),
]


@pytest.mark.parametrize(("data", "says"), HOSTILE, ids=[says for _, says in HOSTILE])
def test_any_bytes_are_settings_or_one_line_that_begins_with_the_file(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "other-name.json"
    path.write_bytes(data)
    with pytest.raises(SettingsError) as error:
        load(str(path))
    assert str(error.value).startswith(f"{path}: {says}"), error.value
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < len(str(path)) + 200


def test_the_vm_refuses_the_same_files_in_the_same_words(tmp_path: Path, micropython: Callable[..., str]) -> None:
    for k, (data, _) in enumerate(HOSTILE):
        (tmp_path / f"{k}.json").write_bytes(data)
    script = f"""
from lightnode import settings
for k in range({len(HOSTILE)}):
    try:
        settings.load("{tmp_path}/%d.json" % k)
        print("taken")
    except settings.SettingsError as error:
        print(error)
"""
    lines = micropython(script, heap="160K").splitlines()
    for k, ((_, says), line) in enumerate(zip(HOSTILE, lines, strict=True)):
        assert line.startswith(f"{tmp_path}/{k}.json: {says}"), line


def test_a_good_file_is_read_here_and_in_the_vm(tmp_path: Path, micropython: Callable[..., str]) -> None:
    path = tmp_path / "node.json"
    path.write_text(json.dumps(good()))
    assert load(str(path)).value("meter.map") == "sdm630"
    script = f"from lightnode import settings\nprint(settings.load('{path}').value('meter.map'))"
    assert micropython(script) == "sdm630\n"


@pytest.mark.parametrize(
    ("data", "says"), [(b"\xff\xfe", "not UTF-8"), (b"[" * 8000, "brackets nested"), (None, "no such file")]
)
def test_the_application_in_the_vm_ends_with_code_1_and_one_line(
    tmp_path: Path, micropython: Callable[..., str], data: bytes | None, says: str
) -> None:
    path = tmp_path / "mine.json"
    if data is not None:
        path.write_bytes(data)
    done = subprocess.run(
        [*micropython_command(), "-m", "lightnode.app", str(path), "run"],
        env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"lightnode: {path}: {says}")
