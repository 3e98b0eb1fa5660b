"""Canonical JSON, read totally: any text gives values of exactly the shape asked for, or NotValid.

1. One encoding: ASCII, sorted keys, no spaces, no key twice. Whole numbers, no floats; each has its limits.
2. A text has at most 32 MiB, 400,000 items, nesting 32: looked at before anything is built. A file has at most 100 MB, its
   texts one to a line.
3. A record has exactly its fields, no more and no fewer; true is not 1 and "1" is not 1.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from backend.evidence.verifier.finding import NotValid, one_line
from backend.nesting import too_deep

MAX_BYTES = 32 * 1024 * 1024
MAX_FILE_BYTES = 100_000_000
_MAX_ITEMS = 400_000
_MAX_WORD = 96
_DOUBTFUL = (b" ", b"\t", b"\n", b"\r", b"\\", b"\x7f", b"-0")


def text_of(value: object) -> str:
    """The one text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def head(data: bytes) -> bytes:
    """The first line of a file."""
    end = data.find(b"\n")
    return data if end < 0 else data[:end]


def rest(data: bytes) -> Iterator[bytes]:
    """The lines behind the first, one by one; behind the last there is no end of line."""
    start = data.find(b"\n") + 1
    while start:
        end = data.find(b"\n", start)
        yield data[start:] if end < 0 else data[start:end]
        start = end + 1


def parse(data: bytes, where: str) -> object:
    """The value of a canonical text (rules 1 and 2)."""
    if len(data) > MAX_BYTES:
        raise NotValid(where, f"has {len(data)} bytes, a line of a bundle has at most {MAX_BYTES}")
    if len(data) > _MAX_ITEMS and _has_many(data):
        raise NotValid(where, f"has more than {_MAX_ITEMS} items")
    try:
        text = data.decode("ascii")
        if too_deep(text):
            raise NotValid(where, "is nested too deep for a bundle")
        objects = _Objects()
        value: object = json.loads(
            text, parse_float=_no_float, parse_constant=_no_float, object_pairs_hook=objects.made
        )
    except (ValueError, RecursionError) as error:
        raise NotValid(where, f"is not JSON: {one_line(str(error))}") from error
    if not (objects.in_order and _is_plain(data)) and text_of(value) != text:
        raise NotValid(where, "is not in its one encoding (sorted keys, no spaces, no repeated key)")
    return value


class _Objects:
    """Makes objects; in_order: in each of them every key stood behind the one before it, and none was there twice."""

    def __init__(self) -> None:
        self.in_order = True

    def made(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        self.in_order = self.in_order and len(found) == len(pairs) and list(found) == sorted(found)
        return found


def _is_plain(data: bytes) -> bool:
    """Whether a JSON text whose keys are in order is the one encoding for certain: with no blank, no escape and no minus
    zero there is no second way to write it. Much faster than writing it again; what is doubtful is written again."""
    return not any(mark in data for mark in _DOUBTFUL)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{one_line(text, 32)} is not a whole number")


def _has_many(data: bytes) -> bool:
    marks = data.count(b",") + data.count(b"[") + data.count(b"{")
    return marks > _MAX_ITEMS or data.count(b'"') > 4 * _MAX_ITEMS


def record(value: object, fields: tuple[str, ...], where: str) -> Mapping[str, Any]:
    """An object with exactly these fields."""
    if not isinstance(value, dict):
        raise NotValid(where, "is not an object")
    if different := sorted(set(value) ^ set(fields)):
        raise NotValid(where, f"fields differ: {one_line(', '.join(map(str, different)))}")
    return value


def rows(value: object, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise NotValid(where, "is not a list")
    return value


def number(value: object, where: str, low: int = 0, high: int = 1 << 62) -> int:
    """A whole number from low to high."""
    if type(value) is not int:
        raise NotValid(where, f"{one_line(repr(value), 40)} is not a whole number")
    if not low <= value <= high:
        raise NotValid(where, f"{one_line(str(value), 40)} is outside {low} to {high}")
    return value


def word(value: object, where: str) -> str:
    """A name: 1 to 96 printable ASCII characters."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_WORD or not (value.isascii() and value.isprintable()):
        raise NotValid(where, f"is not a name of 1 to {_MAX_WORD} printable ASCII characters")
    return value


def octets(value: object, where: str, length: int = -1) -> bytes:
    """Bytes, written in lower case hexadecimal."""
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.hex() != value or (length >= 0 and len(found) != length):
        raise NotValid(where, "is not lower case hexadecimal of the right length")
    return found


def compare(found: object, expected: object, where: str) -> None:
    """NotValid at the first place where found is not expected, types included."""
    if isinstance(expected, dict):
        table = record(found, tuple(expected), where)
        for name in expected:
            compare(table[name], expected[name], f"{where}, {name}")
    elif isinstance(expected, list):
        items = rows(found, where)
        if len(items) != len(expected):
            raise NotValid(where, f"has {len(items)} entries, the evidence gives {len(expected)}")
        for k, item in enumerate(expected):
            compare(items[k], item, f"{where}[{k}]")
    elif type(found) is not type(expected) or found != expected:
        raise NotValid(where, f"is {one_line(repr(found), 48)}, the evidence gives {one_line(repr(expected), 48)}")
