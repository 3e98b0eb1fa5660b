"""The settings file, read once, checked, then only looked at.

1. Any bytes give settings or a SettingsError in one line: the file as given, key, value, what belongs there.
2. Size and depth are bounded before anything is parsed: what parses nested text recurses, on a board into a reset.
"""

import json

from .errors import MeterError, SettingsError
from .meters import layout

_MOST_BYTES = 8192
_DEEPEST = 8
_SHOWN = 60
_FORMS = {
    "state_dir": "text",
    "deployment": 16,
    "operator": 8,
    "log_key": "key",
    "issuers": "issuers",
    "broker.host": "text",
    "broker.port": (1, 65535),
    "broker.ca": "text",
    "broker.cert": "text",
    "broker.key": "text",
    "meter.port": "port",
    "meter.unit": (1, 247),
    "meter.map": "map",
    "meter.tx_pin": "pin",
    "meter.rx_pin": "pin",
    "meter.de_pin": "pin",
    "meter.ct_ratio": (1, 10000),
    "meter.vt_ratio": (1, 10000),
    "meter.baud": (300, 921600),
    "meter.parity": "parity",
    "meter.stop_bits": (1, 2),
    "limits.max_withdrawal_w": (0, 2**31 - 1),
    "limits.max_injection_w": (0, 2**31 - 1),
    "journal.path": "text",
    "journal.bytes": (16384, 2**26),
    "hardware": "class",
    "update.root": "text",
    "update.key": "update key",
    "update.key_generation": (1, 65535),
    "receipt_late_s": (900, 30 * 86_400),
    "network.interface": "interface",
    "network.ssid": "text or null",
    "network.password_file": "text or null",
    "network.address": "network",
    "network.lan_pins": "pins",
    "network.hostname": "text",
    "conductor": "address",
    "trace": "flag",
    "console": "flag",
    "ems.listen": "address",
    "ems.serial": "text or null",
    "ems.baud": (1200, 921600),
    "ems.parity": "parity",
    "ems.stop_bits": (1, 2),
    "ems.tx_pin": "pin",
    "ems.rx_pin": "pin",
    "ems.de_pin": "pin",
    "ems.unit": (1, 247),
    "ems.silent_s": (10, 3600),
    "ems.broker": "address",
    "ems.ca": "text or null",
}
_TCP = "tcp:"
_DEFAULTS: dict[str, object] = {  # keys that may be left out, and what then holds
    "meter.baud": None,  # of a serial port: as the meter leaves the factory, by its map
    "meter.parity": None,
    "meter.stop_bits": None,
    "meter.tx_pin": None,
    "meter.rx_pin": None,
    "meter.de_pin": None,
    "receipt_late_s": 7200,
    "network.interface": "wlan",
    "network.ssid": None,
    "network.password_file": None,
    "network.address": None,
    "network.lan_pins": None,
    "network.hostname": "lightnode",
    "console": False,
    "hardware": "unknown",
    "update.root": "/app",
    "update.key": None,
    "update.key_generation": 1,
    "ems.listen": None,
    "ems.serial": None,
    "ems.baud": 9600,
    "ems.parity": "N",
    "ems.stop_bits": 1,
    "ems.tx_pin": None,
    "ems.rx_pin": None,
    "ems.de_pin": None,
    "ems.unit": 1,
    "ems.silent_s": 120,
    "ems.broker": None,
    "ems.ca": None,
}
_CLASS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_TABLES = [key.split(".")[0] for key in _FORMS if "." in key]


class Issuer:
    """Who may send set-points: id (8 bytes), role (1 DSO, 2 TSO, 3 aggregator), public key (33 bytes)."""

    def __init__(self, id: bytes, role: int, key: bytes) -> None:
        self.id = id
        self.role = role
        self.key = key


class Settings:
    """Checked settings; `value("broker.port")` gives one."""

    def __init__(self, document: object) -> None:
        """SettingsError names key, value and what belongs there."""
        flat = _flat(document)
        for key in flat:
            if key not in _FORMS:
                raise SettingsError("unknown key " + _shown(key)[1:-1])
        self._values = {}
        for key, form in _FORMS.items():
            if key in flat:
                self._values[key] = _checked(key, form, flat[key])
            elif key in _DEFAULTS:
                self._values[key] = _DEFAULTS[key]
            else:
                raise SettingsError("missing key " + key)

    def value(self, key: str):  # type: ignore[no-untyped-def]
        """The checked value: str, int, bytes, bool, None or a list of Issuer."""
        return self._values[key]


def _flat(document: object) -> dict[str, object]:
    """Every value under its whole key, "broker.port"."""
    if not isinstance(document, dict):
        raise SettingsError("not a JSON object")
    flat: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            for inner, inner_value in value.items():
                flat[key + "." + inner] = inner_value
        elif key in _TABLES:
            raise _wrong(key, value, "an object belongs here")
        else:
            flat[key] = value
    return flat


def _wrong(key: str, value: object, wanted: str) -> SettingsError:
    return SettingsError(f"{key} is {_shown(value)}, {wanted}")


def _shown(value: object) -> str:
    """On one line, and no longer than a reader wants."""
    return repr(value)[:_SHOWN]


def _checked(key: str, form: object, value: object) -> object:
    if value is None and form in ("pin", "pins", "text or null", "network", "address"):
        return None
    if form == "pin":
        form = 0, 63
    if form == "pins":
        if not isinstance(value, list) or len(value) != 5:
            raise _wrong(key, value, "five pins or null belong here: sck, mosi, miso, cs, int")
        return [_checked(key, "pin", pin) for pin in value]
    if isinstance(form, tuple):
        if isinstance(value, bool) or not isinstance(value, int) or not form[0] <= value <= form[1]:
            raise _wrong(key, value, f"a whole number from {form[0]} to {form[1]} belongs here")
        return value
    if isinstance(form, int):
        return _octets(key, value, form)
    if form == "issuers":
        return _issuers(value)
    if form == "key":
        return _key(key, value)
    if form == "update key":
        return None if value is None else _key(key, value)
    if form == "class" and not (_is_line(value) and len(value) <= 16 and _has_only(_CLASS, value)):  # type: ignore[arg-type]
        raise _wrong(key, value, "1 to 16 of a-z, 0-9 and - belong here")
    if form == "flag" and not isinstance(value, bool):
        raise _wrong(key, value, "true or false belongs here")
    if form == "interface" and value not in ("wlan", "lan"):
        raise _wrong(key, value, "wlan or lan belongs here")
    if form == "network":
        return _network(key, value)
    if form == "address" and not _is_address(value):
        raise _wrong(key, value, "host:port or null belongs here")
    if form == "map":
        return _map(key, value)
    if form == "port" and not _is_port(value):
        raise _wrong(key, value, "a serial port or tcp:HOST:PORT belongs here")
    if form == "parity" and value not in ("N", "E", "O"):
        raise _wrong(key, value, "N, E or O belongs here")
    if form in ("text", "text or null") and not _is_line(value):
        raise _wrong(key, value, "a text on one line belongs here")
    return value


def _map(key: str, value: object) -> str:
    try:
        layout(value if isinstance(value, str) else "")
    except MeterError as error:
        raise _wrong(key, value, str(error))
    return str(value)


def _is_port(value: object) -> bool:
    if isinstance(value, str) and value[:4].lower() == _TCP:
        return value[:4] == _TCP and _is_address(value[4:])
    return _is_line(value)


def _octets(key: str, value: object, length: int) -> bytes:
    if isinstance(value, str) and len(value) == 2 * length and _has_only("0123456789abcdefABCDEF", value):
        return bytes.fromhex(value)
    raise _wrong(key, value, f"{2 * length} hexadecimal digits belong here")


def _key(key: str, value: object) -> bytes:
    found = _octets(key, value, 33)
    if found[0] not in (2, 3):
        raise _wrong(key, value, "a compressed public key belongs here, it begins with 02 or 03")
    return found


def _network(key: str, value: object) -> tuple[str, ...]:
    parts = tuple(value.split("/")) if isinstance(value, str) else ()
    if len(parts) != 4 or not all([_is_ipv4(part) for part in parts]):
        raise _wrong(key, value, "ADDRESS/MASK/GATEWAY/NAMESERVER or null (DHCP) belongs here")
    return parts


def _is_ipv4(text: str) -> bool:
    numbers = text.split(".")
    return len(numbers) == 4 and all([0 < len(n) < 4 and _has_only("0123456789", n) and int(n) < 256 for n in numbers])


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or not _is_line(value) or ":" not in value:
        return False
    host, port = value.rsplit(":", 1)
    return bool(host) and 0 < len(port) < 6 and _has_only("0123456789", port) and 0 < int(port) < 65536


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value) and all([c >= " " for c in value])


def _has_only(allowed: str, text: str) -> bool:
    return all([c in allowed for c in text])


def _issuers(value: object) -> list[Issuer]:
    if not isinstance(value, list):
        raise _wrong("issuers", value, "a list belongs here")
    found: list[Issuer] = []
    for k, entry in enumerate(value):
        name = f"issuers[{k}]"
        if not isinstance(entry, dict) or sorted(entry) != ["id", "key", "role"]:
            raise _wrong(name, entry, "exactly id, role and key belong here")
        role = _checked(name + ".role", (1, 3), entry["role"])
        issuer = Issuer(_octets(name + ".id", entry["id"], 8), role, _key(name + ".key", entry["key"]))  # type: ignore[arg-type]
        if issuer.id in [known.id for known in found]:
            raise _wrong(name + ".id", entry["id"], "another issuer has it")
        found.append(issuer)
    return found


def load(path: str) -> Settings:
    """The settings in a file; SettingsError in one line if it is not there, no JSON, or wrong."""
    try:
        return Settings(_document(path))
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}")


def _document(path: str) -> object:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError:
        raise SettingsError("no such file")
    if len(data) > _MOST_BYTES:
        raise SettingsError(f"longer than {_MOST_BYTES} bytes")
    try:
        text = str(data, "utf-8")
    except UnicodeError:
        raise SettingsError("not UTF-8")
    fault = bracket_fault(data, _DEEPEST)
    if fault:
        raise SettingsError(fault)
    try:
        return json.loads(text)
    except ValueError:
        raise SettingsError("not JSON")


def bracket_fault(data: bytes, deepest: int) -> str:
    """What is wrong with the brackets outside texts, empty if nothing: MicroPython takes a document that was cut off."""
    depth = 0
    in_text = escaped = False
    for c in data:
        if escaped:
            escaped = False
        elif in_text:
            escaped = c == 0x5C
            in_text = c != 0x22
        elif c == 0x22:
            in_text = True
        elif c in b"[{":
            depth += 1
        elif c in b"]}":
            depth -= 1
        if depth > deepest:
            return f"brackets nested deeper than {deepest}"
    return "not JSON" if depth or in_text else ""
