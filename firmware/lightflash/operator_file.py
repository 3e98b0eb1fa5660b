"""The operator's access to its broker for a commissioning, from a TOML file; keys are files beside it, never in it.

deployment = "32 hexadecimal digits"
[broker]
host = "broker.example"
port = 8883
ca = "ca.pem"
cert = "operator.pem"
key = "operator.key.pem"
[issuer]                       # may be left out: then no set-point is tested
key = "issuer.key"             # as `lightnode-flash key` makes one; an issuer in the devices' settings
role = 1
[[agents]]                     # the edge agents whose word counts
key = "66 hexadecimal digits"
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightflash.errors import FlashError
from lightflash.key import Key, is_public, open_key

_LARGEST = 16_384
_KEYS = {
    "": {"deployment", "broker", "issuer", "agents"},
    "broker": {"host", "port", "ca", "cert", "key"},
    "issuer": {"key", "role"},
}


@dataclass(frozen=True, slots=True)
class Operator:
    """Who a technician is to the operator's broker. issuer: None if it may send no set-point; files: PEM."""

    deployment: bytes
    host: str
    port: int
    ca: Path
    cert: Path
    key: Path
    issuer: Key | None
    role: int
    agents: tuple[bytes, ...]


def operator(path: Path) -> Operator:
    """The file's content. FlashError names file, key and what belongs there."""
    document = _document(path)
    broker, issuer = _table(path, document, "broker"), _table(path, document, "issuer")
    port, role = broker.get("port"), issuer.get("role", 1)
    for name, number, most in (("broker.port", port, 65_535), ("issuer.role", role, 255)):
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
            raise _wrong(path, name, f"a whole number from 1 to {most}")
    ca, cert, key = (_file(path, broker, f"broker.{name}") for name in ("ca", "cert", "key"))
    if key.stat().st_mode & 0o077:
        raise FlashError("operator", f"{key} can be read by others", f"chmod 600 {key}")
    return Operator(
        _octets(path, "deployment", document.get("deployment"), 16),
        _text(path, broker, "broker.host"),
        int(str(port)),
        ca,
        cert,
        key,
        open_key(_file(path, issuer, "issuer.key")) if issuer else None,
        int(role),
        _agents(path, document.get("agents", [])),
    )


def _agents(path: Path, rows: object) -> tuple[bytes, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == {"key"} for row in rows):
        raise _wrong(path, "agents", "tables with a key each")
    found = tuple(_octets(path, "agents.key", row["key"], 33) for row in rows)
    if not all(is_public(key) for key in found):
        raise _wrong(path, "agents.key", "a public key")
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = tomllib.loads(file.read(_LARGEST).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise FlashError("operator", f"{path} cannot be read ({error})", "name the operator's file") from error
    _known(path, document, "")
    return document


def _table(path: Path, document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise _wrong(path, name, "a table")
    _known(path, found, name)
    return found


def _known(path: Path, table: dict[str, Any], name: str) -> None:
    for key in table:
        if key not in _KEYS[name]:
            raise _wrong(path, f"{name}.{key}".lstrip("."), f"only {', '.join(sorted(_KEYS[name]))}")


def _text(path: Path, table: dict[str, Any], name: str) -> str:
    found = table.get(name.rpartition(".")[2])
    if not isinstance(found, str) or not found:
        raise _wrong(path, name, "a text")
    return found


def _file(path: Path, table: dict[str, Any], name: str) -> Path:
    found = path.parent / _text(path, table, name)
    if not found.is_file():
        raise _wrong(path, name, "a file that is there")
    return found


def _octets(path: Path, name: str, value: object, length: int) -> bytes:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != length:
        raise _wrong(path, name, f"{2 * length} hexadecimal digits")
    return found


def _wrong(path: Path, name: str, wanted: str) -> FlashError:
    return FlashError("operator", f"{path}: {name}: {wanted} belongs there", "correct the file")
