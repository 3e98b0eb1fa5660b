"""Reading a document from outside: one object with its format, fields checked by name and kind, refused in one line.

1. Numbers are whole; true is no number.
2. A field that is missing, unknown, there twice or of another kind is named with its value and what is expected.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from backend.errors import Rejected
from backend.market.row_field import FieldRefused, frame_of, is_identity
from backend.nesting import too_deep


def read(text: str, format: str, key: str) -> dict[str, Any]:
    """The object written in a text; `key` names it in a refusal."""
    document = json_object(text)
    if document.get("format") != format:
        raise Rejected(f"{key}: format, expected {format!r}")
    return document


def json_object(text: str, what: str = "document") -> dict[str, Any]:
    """The object written in a text, of any format; `what` names it in a refusal."""
    if too_deep(text):
        raise Rejected(f"{what}: nested too deep")
    try:
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{what}: not JSON: {error!s:.120}") from error
    if not isinstance(document, dict):
        raise Rejected(f"{what}: expected an object")
    return document


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"field {name[:60]} stands twice")
    return made


def rows(document: Mapping[str, Any], key: str) -> list[object]:
    """The list that a field holds."""
    found = document.get(key)
    if not isinstance(found, list):
        raise Rejected(f"{key}: expected a list")
    return found


def fields(
    row: object, where: str, kinds: Mapping[str, Any], otherwise: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The fields of a row; kinds: name to type or types; otherwise: what stands for those that may be left out."""
    if not isinstance(row, dict):
        raise Rejected(f"{where}: expected an object")
    row = {**(otherwise or {}), **row}
    for name in sorted(set(row) | set(kinds)):
        if name not in kinds:
            raise Rejected(f"{where} {name[:60]}: no such field")
        kind = kinds[name] if isinstance(kinds[name], tuple) else (kinds[name],)
        if name not in row or type(row[name]) not in kind:
            raise Rejected(f"{where} {name} = {row.get(name)!r:.60}, expected {kind[0].__name__}")
    return row


def numbers(row: Mapping[str, Any], where: str) -> Mapping[str, int]:
    """A row whose values are all whole numbers."""
    for key, value in row.items():
        if type(value) is not int:
            raise Rejected(f"{where} of {key[:60]} = {value!r:.60}, expected a whole number")
    return row


def words(row: Mapping[str, Any], where: str) -> dict[str, str]:
    """A row whose values are all text."""
    for key, value in row.items():
        if type(value) is not str:
            raise Rejected(f"{where} of {key[:60]} = {value!r:.60}, expected text")
    return dict(row)


def identity(text: str, where: str) -> str:
    """The id of a POD or of a party that trades."""
    if not is_identity(text):
        raise Rejected(f"{where} = {text[:64]!r}, expected 1 to 64 of letters, digits, . _ : -")
    return text


def name(text: str, where: str) -> str:
    """An owner's name: 1 to 64 characters that any terminal can print."""
    if not text.strip() or len(text) > 64 or not text.isprintable():
        raise Rejected(f"{where} = {text[:64]!r}, expected a name of 1 to 64 characters")
    return text


def frame(text: str, where: str) -> int:
    """A quarter-hour from its number (utc_ms // 900000) or its begin with an offset."""
    try:
        return frame_of(where, text)
    except FieldRefused as refused:
        raise Rejected(f"{where} = {refused.reason}") from refused


def by_frame(row: Mapping[str, Any], where: str, low: int, high: int) -> dict[int, int]:
    """A table of whole numbers from low to high by quarter-hour, in order."""
    found: dict[int, int] = {}
    for key, value in numbers(row, where).items():
        at = frame(key, where)
        if at in found:
            raise Rejected(f"{where}: quarter-hour {key[:60]} stands twice")
        if not low <= value <= high:
            raise Rejected(f"{where} of {key[:60]} = {value}, expected {low} to {high}")
        found[at] = value
    return dict(sorted(found.items()))


def written(document: Mapping[str, Any]) -> str:
    """The one text of a document: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
