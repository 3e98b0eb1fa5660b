"""agent.toml, read once, checked, frozen. An error names file, key, value and what belongs there.

Relative paths are relative to the file. README.md has the table of keys.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.errors import SettingsError
from edge_agent.nesting import depth

_WATT = 2**31 - 1
_MOST_BYTES = 65_536
_DEEPEST = 8
_KEYS = {"deployment", "device", "node_key", "issuers", "key_file", "state_dir", "broker", "ems", "limits", "conductor"}
_TABLES = {
    "broker": {"host", "port", "ca", "cert", "key"},
    "ems": {"host", "port", "unit", "nameplate_w"},
    "limits": {"max_withdrawal_w", "max_injection_w"},
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may send set-points: id (8 bytes), role (1 DSO, 2 TSO, 3 aggregator), public key (33 bytes)."""

    id: bytes
    role: int
    key: bytes


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker listens and our TLS identity, PEM files."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class EmsSettings:
    """Where the energy manager listens with Modbus TCP; nameplate_w bounds every command in both directions."""

    host: str
    port: int
    unit: int
    nameplate_w: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; limits are the POD's [W], magnitudes. conductor: `host:port` of virtual time, None for the clock."""

    file: Path
    deployment: bytes
    device: bytes
    node_key: bytes
    issuers: tuple[Issuer, ...]
    key_file: Path
    state_dir: Path
    broker: BrokerSettings
    ems: EmsSettings
    max_withdrawal_w: int
    max_injection_w: int
    conductor: str | None


def load(path: Path) -> Settings:
    """The settings in a file; SettingsError in one line if it is not there, no TOML, or wrong."""
    document = _document(path)
    top = _Table(path, document, "", _KEYS)
    broker, ems, limits = (_Table(path, document.get(name, {}), f"{name}.", _TABLES[name]) for name in _TABLES)
    state_dir = top.path("state_dir") if "state_dir" in document else top.path("key_file").parent
    return Settings(
        file=path,
        deployment=top.octets("deployment", 16),
        device=top.octets("device", 8),
        node_key=top.octets("node_key", 33),
        issuers=_issuers(path, document.get("issuers")),
        key_file=top.path("key_file") if "key_file" in document else state_dir / "agent.key",
        state_dir=state_dir,
        broker=BrokerSettings(
            broker.host("host"), broker.number("port", 1, 65_535), *(broker.path(k) for k in ("ca", "cert", "key"))
        ),
        ems=EmsSettings(
            ems.host("host"),
            ems.number("port", 1, 65_535),
            ems.number("unit", 0, 255),
            ems.number("nameplate_w", 1, _WATT),
        ),
        max_withdrawal_w=limits.number("max_withdrawal_w", 0, _WATT, _WATT),
        max_injection_w=limits.number("max_injection_w", 0, _WATT, _WATT),
        conductor=top.address("conductor") if document.get("conductor") else None,
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise SettingsError(f"{path}: longer than {_MOST_BYTES} bytes")
        text = data.decode()
        if depth(text) > _DEEPEST:
            raise SettingsError(f"{path}: nested deeper than {_DEEPEST}")
        document = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    if not _is_flat(document, _DEEPEST):
        raise SettingsError(f"{path}: nested deeper than {_DEEPEST}")
    return document


def _is_flat(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inner or (levels > 0 and all(_is_flat(v, levels - 1) for v in inner))


def _shown(value: object) -> str:
    """On one line, and no longer than a reader wants."""
    try:
        return repr(value)[:60]
    except ValueError:  # Python does not print a number of thousands of digits
        return "a number of thousands of digits"


def _is_host(text: str) -> bool:
    """Whether the resolver takes it: no label empty or over 63 characters."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return " " not in text


class _Table:
    """One table of the file; every key is read through it, unknown ones are refused."""

    def __init__(self, file: Path, row: object, prefix: str, keys: set[str]) -> None:
        self._file = file
        self._prefix = prefix
        if not isinstance(row, dict):
            raise SettingsError(f"{file}: {prefix.rstrip('.')} is {_shown(row)}, a table belongs here")
        self._row: Mapping[str, Any] = row
        if unknown := sorted(set(row) - keys):
            raise SettingsError(f"{file}: {prefix}{_shown(unknown[0])[1:-1]} is not a setting")

    def _wrong(self, key: str, wanted: str) -> SettingsError:
        if key not in self._row:
            return SettingsError(f"{self._file}: {self._prefix}{key} is missing, {wanted} belongs here")
        return SettingsError(f"{self._file}: {self._prefix}{key} is {_shown(self._row[key])}, {wanted} belongs here")

    def text(self, key: str) -> str:
        """A text on one line that is not empty."""
        value = self._row.get(key)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self._wrong(key, "a text")
        return value

    def host(self, key: str) -> str:
        """A host name or address."""
        value = self.text(key)
        if not _is_host(value):
            raise self._wrong(key, "a host name or an address")
        return value

    def address(self, key: str) -> str:
        """host:port."""
        host, colon, port = self.text(key).rpartition(":")
        if not host or not _is_host(host) or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
            raise self._wrong(key, "host:port")
        return host + colon + port

    def path(self, key: str) -> Path:
        """A path, relative to the settings file."""
        return self._file.parent / self.text(key)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from low to high."""
        value = self._row.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return value

    def octets(self, key: str, count: int) -> bytes:
        """Bytes in hexadecimal."""
        value = self._row.get(key)
        try:
            found = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            found = b""
        if len(found) != count:
            raise self._wrong(key, f"{2 * count} hexadecimal digits")
        return found


def _issuers(file: Path, rows: object) -> tuple[Issuer, ...]:
    if not isinstance(rows, list) or not rows:
        raise SettingsError(
            f"{file}: issuers is missing, at least one table [[issuers]] with id, role, key belongs here"
        )
    tables = [_Table(file, row, f"issuers[{n}].", {"id", "role", "key"}) for n, row in enumerate(rows)]
    return tuple(Issuer(t.octets("id", 8), t.number("role", 1, 3), t.octets("key", 33)) for t in tables)
