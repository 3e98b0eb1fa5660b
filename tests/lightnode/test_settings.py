"""config.json: each wrong value is named with its key and limit."""

from typing import Any

import pytest
from lightnode.errors import SettingsError
from lightnode.settings import Settings


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


@pytest.mark.parametrize(
    ("table", "key", "value", "says"),
    [
        ("broker", "port", 0, "broker.port is 0"),
        ("meter", "unit", "1", "meter.unit is 1"),
        ("meter", "colour", 1, "unknown key meter.colour"),
        ("", "deployment", "zz", "32 hexadecimal digits"),
        ("", "trace", 1, "true or false"),
        ("", "issuers", [{"id": "22" * 8}], "needs exactly"),
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
