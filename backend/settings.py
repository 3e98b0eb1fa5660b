"""Settings of the chain, from one TOML file and the command line, checked once and frozen. Secrets only as file paths.

1. The table [chain] has: endpoints, chain_id, contract, operator, key_file, confirmations, max_fee_gwei, first_block,
   database. What the command line says goes before what the file says. Another key is refused.
2. An error names the file, the key, the value and what belongs there.
3. operator: the log on chain, 32 bytes, or the operator's id of 8 bytes, which is filled up with zeros from the left.
4. Paths of the file count from its folder.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import Rejected

MAX_BYTES = 1 << 20
CONFIRMATIONS = 12
MAX_FEE_GWEI = 500
GWEI = 10**9


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Where the log stands and on what terms. chain_id 0: any; contract or operator empty: not said; max_fee_wei: per
    unit of gas; first_block: the contract's deployment or any block before it."""

    endpoints: tuple[str, ...]
    chain_id: int
    contract: bytes
    operator: bytes
    key_file: Path | None
    confirmations: int
    max_fee_wei: int
    first_block: int
    database: Path | None


def load(file: Path | None, given: Mapping[str, object]) -> ChainSettings:
    """The settings of a file, overruled by what was given; Rejected with one line for what is wrong."""
    table = {} if file is None else _table(file)
    found = {**table, **{key: value for key, value in given.items() if value is not None}}
    where = "chain" if file is None else f"{file}: chain"

    def take(key: str, check: Callable[[Any], Any], otherwise: Any) -> Any:
        if key not in found:
            return otherwise
        try:
            return check(found[key])
        except (ValueError, TypeError) as error:
            raise Rejected(f"{where}.{key} is {str(found[key])[:60]!r}: {error}") from error

    return ChainSettings(
        take("endpoints", _endpoints, ()),
        take("chain_id", _whole(1, (1 << 63) - 1), 0),
        take("contract", octets(20), b""),
        take("operator", log_of, b""),
        take("key_file", Path, None),
        take("confirmations", _whole(0, 100_000), CONFIRMATIONS),
        take("max_fee_gwei", _gwei, MAX_FEE_GWEI * GWEI),
        take("first_block", _whole(0, (1 << 63) - 1), 0),
        take("database", Path, None),
    )


_KEYS = frozenset(ChainSettings.__dataclass_fields__) - {"max_fee_wei"} | {"max_fee_gwei"}


def _table(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Rejected(f"{file}: more than {MAX_BYTES} bytes, not a settings file")
        document = tomllib.loads(data.decode())
    except OSError as error:
        raise Rejected(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{file} is not TOML: {str(error)[:120] or type(error).__name__}") from error
    table = document.get("chain")
    if not isinstance(table, dict):
        raise Rejected(f"{file}: the table [chain] is missing")
    if unknown := sorted(set(table) - _KEYS):
        raise Rejected(f"{file}: chain.{unknown[0]} is no setting: known are {', '.join(sorted(_KEYS))}")
    paths = {key: file.parent / str(table[key]) for key in ("key_file", "database") if key in table}
    return {**table, **paths}


def octets(length: int) -> Callable[[object], bytes]:
    """A check: so many bytes in hexadecimal, with or without 0x; ValueError otherwise."""

    def check(value: object) -> bytes:
        digits = value.removeprefix("0x") if isinstance(value, str) else ""
        try:
            found = bytes.fromhex(digits)
        except ValueError:
            found = b""
        if len(found) != length or found.hex() != digits.lower():
            raise ValueError(f"{2 * length} hexadecimal digits belong here")
        return found

    return check


def log_of(value: object) -> bytes:
    """A check: an operator's log (rule 3)."""
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    if len(digits) == 16:
        return octets(8)(value).rjust(32, b"\0")
    try:
        return octets(32)(value)
    except ValueError as error:
        raise ValueError("16 or 64 hexadecimal digits belong here") from error


def _whole(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} belongs here")
        return value

    return check


def _gwei(value: object) -> int:
    if type(value) not in (int, float) or not 0 <= float(str(value)) <= 1e9:
        raise ValueError("a number of Gwei from 0 to 1000000000 belongs here")
    return round(float(str(value)) * GWEI)


def _endpoints(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(url, str) for url in value):
        raise ValueError("a list of URLs belongs here")
    return tuple(value)
