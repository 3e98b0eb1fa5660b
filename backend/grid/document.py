"""The network document: JSON text of ``lightnode-network/1`` to a checked Network.

Its fields are those of the records in ``network.py``; branches name their ends ``from`` and ``to``. Unknown or missing
fields, numbers that are not whole and wrong kinds are findings; all of them are reported at once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from backend.errors import Rejected
from backend.grid.network import FORMAT, Finding, Injection, Line, Link, Network, Node, Source, Transformer
from backend.nesting import too_deep

T = TypeVar("T")
_KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "nodes": ("node", Node),
    "lines": ("line", Line),
    "transformers": ("transformer", Transformer),
    "links": ("link", Link),
    "sources": ("source", Source),
    "loads": ("load", Injection),
    "generators": ("generator", Injection),
}
_RENAMED = {"from_node": "from", "to_node": "to"}
_OPTIONAL: Mapping[str, object] = {"name": "", "q_nominal_var": 0, "profile": ""}
_TYPES = {"int": int, "str": str, "bool": bool}
_WORDS = {"int": "a whole number", "str": "text", "bool": "true or false"}
_TOP = {"format", "name", "frequency_hz", *_KINDS}
_MOST_REPORTED = 20


def parse_network(text: str) -> Network:
    """The network written in ``text``. Raises Rejected with every finding (the first twenty in words)."""
    if too_deep(text):
        raise Rejected("network: nested too deep for a network")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"network: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"network: format, expected {FORMAT!r}")
    found = list(_unusable(document))
    if found:
        more = f"; and {len(found) - _MOST_REPORTED} more" if len(found) > _MOST_REPORTED else ""
        raise Rejected("network: " + "; ".join(str(f) for f in found[:_MOST_REPORTED]) + more)
    parts = {key: tuple(_record(row, kind) for row in document[key]) for key, (_, kind) in _KINDS.items()}
    return Network(name=document["name"], frequency_hz=document["frequency_hz"], **parts)


def _record(row: Mapping[str, Any], kind: type[T]) -> T:
    values = {f.name: row.get(_RENAMED.get(f.name, f.name), _OPTIONAL.get(f.name)) for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**values)


def _unusable(document: Mapping[str, Any]) -> Iterator[Finding]:
    for key in sorted(set(document) - _TOP):
        yield Finding("network", key, "...", "no such field")
    if type(document.get("frequency_hz")) is not int or document["frequency_hz"] not in (50, 60):
        yield Finding("network", "frequency_hz", document.get("frequency_hz"), "50 or 60")
    if not isinstance(document.get("name"), str):
        yield Finding("network", "name", document.get("name"), "text")
    for key, (word, kind) in _KINDS.items():
        rows = document.get(key)
        if not isinstance(rows, list):
            yield Finding("network", key, rows, "a list")
            continue
        for place, row in enumerate(rows):
            yield from _wrong_fields(row, word, place, kind)


def _wrong_fields(row: object, word: str, place: int, kind: type[Any]) -> Iterator[Finding]:
    if not isinstance(row, dict):
        yield Finding(f"{word} number {place + 1}", "", row, "an object")
        return
    name = f"{word}:{row.get('id', f'number {place + 1}')}"
    known = {}
    for f in fields(kind):
        known[_RENAMED.get(f.name, f.name)] = f
    for key in sorted(set(row) - set(known)):
        yield Finding(name, key, row[key], "no such field")
    for key, f in known.items():
        type_name = f.type if isinstance(f.type, str) else f.type.__name__
        if key not in row:
            if f.name not in _OPTIONAL and f.default is MISSING:
                yield Finding(name, key, None, _WORDS[type_name])
        elif type(row[key]) is not _TYPES[type_name]:
            yield Finding(name, key, row[key], _WORDS[type_name])
