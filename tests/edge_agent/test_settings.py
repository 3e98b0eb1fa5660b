"""Each wrong value is one line: file, key, value, what belongs there."""

from pathlib import Path

import pytest

from edge_agent.errors import SettingsError
from edge_agent.settings import Issuer, load
from tests.edge_agent.parts import DEPLOYMENT, DEVICE, ISSUER, ISSUER_KEY, NODE_KEY

GOOD = f"""
deployment = "{DEPLOYMENT.hex()}"
device = "{DEVICE.hex()}"
node_key = "{NODE_KEY.public.hex()}"
key_file = "keys/agent.key"
conductor = "127.0.0.1:7000"

[[issuers]]
id = "{ISSUER.hex()}"
role = 1
key = "{ISSUER_KEY.public.hex()}"

[broker]
host = "localhost"
port = 8883
ca = "ca.pem"
cert = "agent.pem"
key = "/etc/agent.key.pem"

[ems]
host = "192.0.2.7"
port = 502
unit = 1
nameplate_w = 40000
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_a_good_file_gives_settings_with_paths_beside_it(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))
    assert (settings.deployment, settings.device, settings.node_key) == (DEPLOYMENT, DEVICE, NODE_KEY.public)
    assert settings.issuers == (Issuer(ISSUER, 1, ISSUER_KEY.public),)
    assert (settings.key_file, settings.state_dir) == (tmp_path / "keys/agent.key", tmp_path / "keys")
    assert (settings.broker.cert, settings.broker.key) == (tmp_path / "agent.pem", Path("/etc/agent.key.pem"))
    assert settings.max_withdrawal_w == 2**31 - 1 and settings.conductor == "127.0.0.1:7000"


def test_limits_and_a_state_folder_can_be_given_and_the_conductor_left_out(tmp_path: Path) -> None:
    text = 'state_dir = "state"\n' + GOOD.replace('conductor = "127.0.0.1:7000"', "")
    settings = load(write(tmp_path, text + "\n[limits]\nmax_withdrawal_w = 9\nmax_injection_w = 8\n"))
    assert (settings.max_withdrawal_w, settings.max_injection_w, settings.conductor) == (9, 8, None)
    assert (settings.state_dir, settings.key_file) == (tmp_path / "state", tmp_path / "keys/agent.key")
    settings = load(write(tmp_path, text.replace('key_file = "keys/agent.key"', "")))
    assert settings.key_file == tmp_path / "state" / "agent.key"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = 8883", "port = 0", "broker.port is 0, a whole number from 1 to 65535 belongs here"),
        ("port = 8883", "", "broker.port is missing, a whole number from 1 to 65535 belongs here"),
        ("port = 8883", "port = true", "broker.port is True, a whole number from 1 to 65535 belongs here"),
        ("nameplate_w = 40000", "nameplate_w = 1.5", "ems.nameplate_w is 1.5, a whole number from 1 to 2147483647"),
        ("role = 1", "role = 4", "issuers[0].role is 4, a whole number from 1 to 3 belongs here"),
        ("role = 1", "roll = 1", "issuers[0].roll is not a setting"),
        (DEVICE.hex(), "xyz", "device is 'xyz', 16 hexadecimal digits belongs here"),
        ('host = "localhost"', 'host = ""', "broker.host is '', a text belongs here"),
        ("[ems]", "[emu]", "emu is not a setting"),
        ("[[issuers]]", "[[issuer]]", "issuer is not a setting"),
        ('conductor = "127.0.0.1:7000"', "conductor = 7", "conductor is 7, a text belongs here"),
        ('"127.0.0.1:7000"', '"nohostport"', "conductor is 'nohostport', host:port belongs here"),
        ('"127.0.0.1:7000"', '"here:0"', "conductor is 'here:0', host:port belongs here"),
        ('"127.0.0.1:7000"', '"here:99999"', "conductor is 'here:99999', host:port belongs here"),
        ('"localhost"', '"a..b"', "broker.host is 'a..b', a host name or an address belongs here"),
        ('"192.0.2.7"', '"a b"', "ems.host is 'a b', a host name or an address belongs here"),
        ('"agent.pem"', '"a\\u0000b"', "broker.cert is 'a\\x00b', a text belongs here"),
        ("unit = 1", "unit = 0x" + "f" * 5000, "ems.unit is a number of thousands of digits, a whole number from 0"),
        ("unit = 1", "unit" + ".a" * 5000 + " = 1", "nested deeper than 8"),
        ("unit = 1", "unit = " + "[" * 5000, "nested deeper than 8"),
        ("unit = 1", "unit = " + "9" * 5000, "not TOML: "),
        ("unit = 1", '"un\\nit" = 1', "ems.un\\nit is not a setting"),
        ("unit = 1", "#" * 65_536, "longer than 65536 bytes"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SettingsError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value).splitlines()) == 1


def test_no_file_and_no_toml_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none.toml: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match=r"agent.toml: not TOML"):
        load(write(tmp_path, "="))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"agent.toml: not TOML: .*utf-8"):
        load(path)
