"""Canonical JSON of what the market decided, and the hashes by which two runs are compared."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any

from backend.domain.trade import Outcome
from backend.market.settlement import Line, Payment


def document(value: Any) -> Any:
    """A record as plain JSON values: mappings with text keys in order, tuples as lists, enums by value, days as 2026-11-27.

    A field that is written "if set" is left out while it has its default: what it says then was always so.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found = {f: getattr(value, f.name) for f in fields(value)}
        return {f.name: document(v) for f, v in found.items() if not (f.metadata and v == f.default)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_key(k): document(v) for k, v in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [document(v) for v in value]
    return value


def _key(key: object) -> str:
    return "/".join(str(k) for k in key) if isinstance(key, tuple) else str(key)


def text(value: Any) -> str:
    """The one text of a value: sorted keys, no spaces."""
    return json.dumps(document(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """SHA-256 of the text, hex."""
    return digest_of_text(text(value))


def digest_of_text(body: str) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(body.encode()).hexdigest()


def outcome_hash(outcomes: Iterable[Outcome]) -> str:
    """Of all sessions, in order."""
    return digest(list(outcomes))


def settlement_hash(lines: Iterable[Line], payments: Iterable[Payment]) -> str:
    """Of all statement lines and payments."""
    return digest([list(lines), list(payments)])
