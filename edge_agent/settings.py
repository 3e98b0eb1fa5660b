"""agent.toml, read once, checked, frozen. An error names file, key, value and limit."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A wrong or missing setting, in one line."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may send set-points: id (8 bytes), role, public key (33 bytes)."""

    id: bytes
    role: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the agent is told. nameplate_w: magnitude the DER may be commanded to, either way."""

    deployment: bytes
    device: bytes
    node_key: bytes
    issuers: tuple[Issuer, ...]
    state_dir: Path
    broker_host: str
    broker_port: int
    broker_ca: Path
    broker_cert: Path
    broker_key: Path
    ems_host: str
    ems_port: int
    ems_unit: int
    nameplate_w: int
    conductor: str


def load(path: Path) -> Settings:
    """The settings in a file; SettingsError in one line for anything that is not right."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    known = {"deployment", "device", "node_key", "issuers", "state_dir", "broker", "ems", "conductor"}
    for key in document:
        if key not in known:
            raise SettingsError(f"{path}: unknown key {key}")
    return _settings(path, document)


def _settings(path: Path, document: dict[str, Any]) -> Settings:
    def octets(key: str, length: int, table: dict[str, Any] = document) -> bytes:
        value = table.get(key.rpartition(".")[2])
        try:
            found = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            found = b""
        if len(found) != length:
            raise SettingsError(f"{path}: {key} is {value!r}, {2 * length} hexadecimal digits belong here")
        return found

    def text(table: str, key: str) -> str:
        value = document.get(table, {}).get(key) if table else document.get(key)
        if not isinstance(value, str) or not value:
            raise SettingsError(f"{path}: {table + '.' if table else ''}{key} is {value!r}, a text belongs here")
        return value

    def number(table: str, key: str, low: int, high: int) -> int:
        value = document.get(table, {}).get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise SettingsError(f"{path}: {table}.{key} is {value!r}, a whole number from {low} to {high} belongs here")
        return value

    issuers = []
    for k, row in enumerate(document.get("issuers", [])):
        if row.get("role") not in (1, 2, 3):
            raise SettingsError(f"{path}: issuers[{k}].role is {row.get('role')!r}, 1, 2 or 3 belongs here")
        issuers.append(Issuer(octets(f"issuers[{k}].id", 8, row), row["role"], octets(f"issuers[{k}].key", 33, row)))
    return Settings(
        octets("deployment", 16), octets("device", 8), octets("node_key", 33), tuple(issuers),
        Path(text("", "state_dir")), text("broker", "host"), number("broker", "port", 1, 65535),
        Path(text("broker", "ca")), Path(text("broker", "cert")), Path(text("broker", "key")),
        text("ems", "host"), number("ems", "port", 1, 65535), number("ems", "unit", 1, 247),
        number("ems", "nameplate_w", 1, 2**31 - 1), str(document.get("conductor", "")),
    )  # fmt: skip
