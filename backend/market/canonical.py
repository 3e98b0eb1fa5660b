"""Canonical JSON of what the market decided, and the hashes by which two runs are compared."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Any

from backend.domain.trade import Outcome


def document(value: Any) -> Any:
    """A record as plain JSON values: mappings with text keys in order, tuples as lists, enums by value, days as 2026-11-27.

    A field that is written "if set" is left out while it has its default: what it says then was always so.
    """
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        always, if_set = _fields(type(value))
        found = {name: v if type(v := getattr(value, name)) in _PLAIN else document(v) for name in always}
        return found | {name: document(v) for name, default in if_set if (v := getattr(value, name)) != default}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_key(k): document(v) for k, v in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [document(v) for v in value]
    return value


_PLAIN = frozenset({str, int, bool, type(None)})


@lru_cache(maxsize=256)
def _fields(record: type) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    """Of a record the names of the fields that are always written, and name and default of those "if set"."""
    every = fields(record)
    return tuple(f.name for f in every if not f.metadata), tuple((f.name, f.default) for f in every if f.metadata)


def _key(key: object) -> str:
    return "/".join(str(k) for k in key) if isinstance(key, tuple) else str(key)


def text(value: Any) -> str:
    """The one text of a value: sorted keys, no spaces."""
    return _dumped(document(value))


def text_of(format: str, record: Any) -> str:
    """The one text of a record as a document of this format."""
    return _dumped({"format": format, **document(record)})


def _dumped(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """SHA-256 of the text, hex."""
    return digest_of_text(text(value))


def digest_of_text(body: str) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(body.encode()).hexdigest()


def outcome_hash(outcomes: Iterable[Outcome]) -> str:
    """Of all sessions, in order."""
    return digest(list(outcomes))
