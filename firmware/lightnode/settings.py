"""config.json, read once, checked, then only looked at. An error names key, value and limit."""

import json

from .errors import SettingsError
from .meter import MAPS

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
    "meter.port": "text",
    "meter.unit": (1, 247),
    "meter.map": "map",
    "meter.ct_ratio": (1, 10000),
    "meter.vt_ratio": (1, 10000),
    "limits.max_withdrawal_w": (0, 2**31 - 1),
    "limits.max_injection_w": (0, 2**31 - 1),
    "journal.path": "text",
    "journal.bytes": (16384, 2**26),
    "conductor": "address",
    "trace": "flag",
}


class Issuer:
    """Who may send set-points: id (8 bytes), role (1 DSO, 2 TSO, 3 aggregator), public key (33 bytes)."""

    def __init__(self, id: bytes, role: int, key: bytes) -> None:
        self.id = id
        self.role = role
        self.key = key


class Settings:
    """Checked settings; `value("broker.port")` gives one."""

    def __init__(self, document: object) -> None:
        flat: dict[str, object] = {}
        if not isinstance(document, dict):
            raise SettingsError("config.json: not a JSON object")
        for key, value in document.items():
            if isinstance(value, dict):
                for inner, inner_value in value.items():
                    flat[key + "." + inner] = inner_value
            else:
                flat[key] = value
        for key in flat:
            if key not in _FORMS:
                raise SettingsError("config.json: unknown key " + key)
        self._values = {}
        for key, form in _FORMS.items():
            if key not in flat:
                raise SettingsError("config.json: missing key " + key)
            self._values[key] = _checked(key, form, flat[key])

    def value(self, key: str):  # type: ignore[no-untyped-def]
        """The checked value: str, int, bytes, bool, None or a list of Issuer."""
        return self._values[key]


def _checked(key: str, form: object, value: object) -> object:
    if isinstance(form, tuple):
        if isinstance(value, bool) or not isinstance(value, int) or not form[0] <= value <= form[1]:
            raise SettingsError(
                f"config.json: {key} is {value}, a whole number from {form[0]} to {form[1]} belongs here"
            )
        return value
    if isinstance(form, int):
        return _octets(key, value, form)
    if form == "issuers":
        return _issuers(value)
    if form == "flag":
        if not isinstance(value, bool):
            raise SettingsError(f"config.json: {key} is {value}, true or false belongs here")
        return value
    if form == "key":
        return _key(key, value)
    if form == "address" and (value is None or _is_address(value)):
        return value
    if form == "address":
        raise SettingsError(f"config.json: {key} is {value}, host:port or null belongs here")
    if form == "map" and value not in MAPS:
        raise SettingsError(f"config.json: {key} is {value}, known maps are {', '.join(sorted(MAPS))}")
    if not isinstance(value, str) or not value:
        raise SettingsError(f"config.json: {key} is {value}, a text belongs here")
    return value


def _octets(key: str, value: object, length: int) -> bytes:
    if isinstance(value, str) and len(value) == 2 * length:
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise SettingsError(f"config.json: {key} is {value}, {2 * length} hexadecimal digits belong here")


def _key(key: str, value: object) -> bytes:
    found = _octets(key, value, 33)
    if found[0] not in (2, 3):
        raise SettingsError(f"config.json: {key} is no compressed public key, those begin with 02 or 03")
    return found


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536


def _issuers(value: object) -> list[Issuer]:
    if not isinstance(value, list):
        raise SettingsError("config.json: issuers is not a list")
    found = []
    for k, entry in enumerate(value):
        name = f"issuers[{k}]"
        if not isinstance(entry, dict) or sorted(entry) != ["id", "key", "role"]:
            raise SettingsError(f"config.json: {name} needs exactly id, role and key")
        role = _checked(name + ".role", (1, 3), entry["role"])
        if entry["id"] in [known["id"] for known in value[:k]]:
            raise SettingsError(f"config.json: {name}.id is {entry['id']}, which another issuer has")
        found.append(Issuer(_octets(name + ".id", entry["id"], 8), role, _key(name + ".key", entry["key"])))  # type: ignore[arg-type]
    return found


def load(path: str) -> Settings:
    """The settings in a file; SettingsError in one line if it is not there, no JSON, or wrong."""
    try:
        with open(path) as file:
            text = file.read()
    except OSError:
        raise SettingsError(path + ": no such file")
    try:
        document = json.loads(text)
    except ValueError:
        raise SettingsError(path + ": not JSON")
    return Settings(document)
