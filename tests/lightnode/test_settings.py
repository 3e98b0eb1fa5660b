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

from hil.meters.catalogue import models
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


def test_without_an_energy_manager_nothing_listens() -> None:
    found = Settings(good())
    assert [found.value(f"ems.{key}") for key in ("listen", "serial", "broker", "ca")] == [None] * 4
    assert (found.value("ems.unit"), found.value("ems.silent_s")) == (1, 120)
    assert [found.value(f"ems.{key}") for key in ("baud", "parity", "stop_bits")] == [9600, "N", 1]
    assert [found.value(f"ems.{key}") for key in ("tx_pin", "rx_pin", "de_pin")] == [None] * 3


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


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "1", "tcp:10.0.0.7:502", "tcp:meter.local:1502"])
def test_a_meter_is_on_a_serial_port_or_on_tcp(port: str) -> None:
    document = good()
    document["meter"]["port"] = port
    assert Settings(document).value("meter.port") == port


def test_what_a_serial_line_leaves_out_is_none_and_what_it_says_is_kept() -> None:
    document = good()
    assert [Settings(document).value(f"meter.{k}") for k in ("baud", "parity", "stop_bits")] == [None] * 3
    document["meter"] |= {"baud": 19_200, "parity": "E", "stop_bits": 2}
    assert [Settings(document).value(f"meter.{k}") for k in ("baud", "parity", "stop_bits")] == [19_200, "E", 2]


def test_every_map_there_is_can_be_chosen() -> None:
    for name in models():
        document = good()
        document["meter"]["map"] = name
        assert Settings(document).value("meter.map") == name


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
    (changed("meter", "map", []), "meter.map is [], known maps are " + ", ".join(models())),
    (changed("meter", "map", "../settings"), "meter.map is '../settings', known maps are " + models()[0]),
    (changed("meter", "map", "__init__"), "meter.map is '__init__', known maps are " + models()[0]),
    (
        changed("meter", "port", "tcp:10.0.0.7"),
        "meter.port is 'tcp:10.0.0.7', a serial port or tcp:HOST:PORT belongs here",
    ),
    (changed("meter", "port", "tcp:h:0"), "meter.port is 'tcp:h:0', a serial port or tcp:HOST:PORT"),
    (changed("meter", "port", "TCP:h:502"), "meter.port is 'TCP:h:502', a serial port or tcp:HOST:PORT"),
    (changed("meter", "baud", 110), "meter.baud is 110, a whole number from 300 to 921600"),
    (changed("meter", "parity", "n"), "meter.parity is 'n', N, E or O belongs here"),
    (changed("meter", "parity", []), "meter.parity is [], N, E or O belongs here"),
    (changed("meter", "stop_bits", 3), "meter.stop_bits is 3, a whole number from 1 to 2"),
    (changed("", "ems", {"listen": "1502"}), "ems.listen is '1502', host:port or null belongs here"),
    (changed("", "ems", {"serial": ""}), "ems.serial is '', a text on one line belongs here"),
    (changed("", "ems", {"baud": 300}), "ems.baud is 300, a whole number from 1200 to 921600 belongs here"),
    (changed("", "ems", {"parity": "even"}), "ems.parity is 'even', N, E or O belongs here"),
    (changed("", "ems", {"stop_bits": 3}), "ems.stop_bits is 3, a whole number from 1 to 2 belongs here"),
    (changed("", "ems", {"de_pin": 64}), "ems.de_pin is 64, a whole number from 0 to 63 belongs here"),
    (changed("", "ems", {"silent_s": 9}), "ems.silent_s is 9, a whole number from 10 to 3600 belongs here"),
    (changed("", "ems", {"unit": 0}), "ems.unit is 0, a whole number from 1 to 247 belongs here"),
    (changed("", "ems", 7), "ems is 7, an object belongs here"),
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


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("network.address", "10.0.0.2/255.0.0.0/10.0.0.1/10.0.0.1", ("10.0.0.2", "255.0.0.0", "10.0.0.1", "10.0.0.1")),
        ("network.address", None, None),
        ("network.ssid", "our site", "our site"),
        ("network.lan_pins", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ("meter.de_pin", 4, 4),
        ("console", True, True),
    ],
)
def test_settings_of_a_board_may_be_left_out_and_are_checked_when_there(key: str, value: Any, wanted: Any) -> None:
    document = good()
    assert Settings(document).value(key) in (None, False)
    _put(document, key, value)
    assert Settings(document).value(key) == wanted


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network.address", "10.0.0.2", "ADDRESS/MASK/GATEWAY/NAMESERVER"),
        ("network.address", "10.0.0.2/255.0.0.0/10.0.0.1/10.0.0.256", "ADDRESS/MASK/GATEWAY/NAMESERVER"),
        ("network.address", 7, "ADDRESS/MASK/GATEWAY/NAMESERVER"),
        ("network.interface", "bluetooth", "wlan or lan"),
        ("network.lan_pins", [1, 2], "five pins"),
        ("network.lan_pins", [1, 2, 3, 4, 64], "from 0 to 63"),
        ("network.ssid", "", "a text on one line"),
        ("network.password", "secret", "unknown key network.password"),
        ("meter.de_pin", "4", "a whole number from 0 to 63"),
        ("console", 1, "true or false"),
    ],
)
def test_a_wrong_setting_of_a_board_is_one_line_without_a_secret(key: str, value: Any, words: str) -> None:
    document = good()
    _put(document, key, value)
    with pytest.raises(SettingsError) as refused:
        Settings(document)
    assert words in str(refused.value) and "secret" not in str(refused.value)


def _put(document: Any, key: str, value: Any) -> None:
    table, _, name = key.rpartition(".")
    (document.setdefault(table, {}) if table else document)[name] = value


def test_the_example_for_a_board_is_good() -> None:
    assert load(str(ROOT / "firmware" / "device" / "config.example.json")).value("network.ssid") == "site"
