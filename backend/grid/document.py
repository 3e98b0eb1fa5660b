"""The network document (FORMAT.md): JSON text to a checked Network, and back.

1. Its fields are those of the records in ``element.py``; branches name their ends ``from`` and ``to``; a field with a
   default may be left out.
2. Unknown or missing fields, numbers that are not whole and wrong kinds are findings; all of them are reported at once.
3. ``lightnode-network/1`` is read as well: it is version 2 without what version 2 added.
4. Elements are in the order of their ids, however the text has them: what is found of a grid does not depend on that.
5. Written, a network is the same bytes every time: one element a line, fields at their default left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from backend.errors import Rejected
from backend.grid.element import Rest
from backend.grid.network import (
    FORMAT,
    FORMATS,
    Connection,
    Finding,
    Injection,
    Line,
    Link,
    MeasuringPoint,
    Network,
    Node,
    Shunt,
    Source,
    Storage,
    ThreeWinding,
    Transformer,
    Unsound,
)
from backend.nesting import too_deep

KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "nodes": ("node", Node),
    "lines": ("line", Line),
    "transformers": ("transformer", Transformer),
    "links": ("link", Link),
    "sources": ("source", Source),
    "loads": ("load", Injection),
    "generators": ("generator", Injection),
}
ADDED: Mapping[str, tuple[str, type[Any]]] = {
    "three_windings": ("three_winding", ThreeWinding),
    "storages": ("storage", Storage),
    "shunts": ("shunt", Shunt),
    "connections": ("pod", Connection),
    "measuring_points": ("measuring_point", MeasuringPoint),
}
RENAMED = {"from_node": "from", "to_node": "to"}
OPTIONAL: Mapping[str, object] = {"name": "", "q_nominal_var": 0, "profile": ""}
_WORDS = {int: "a whole number", str: "text", bool: "true or false", Rest: "field names with millionths of their unit"}
_TOP = {"format", "name", "frequency_hz", *KINDS, *ADDED}
_LARGEST = 2**53


def parse_network(text: str) -> Network:
    """The network written in ``text``. Raises Rejected with every finding (the first twenty in words)."""
    if too_deep(text):
        raise Rejected("network: nested too deep for a network")
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"network: not JSON: {error}") from error
    return network_of(document)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Rejected(f"network: field {twice!r} stands twice in one object (id {row.get('id')!r})")
    return row


def network_of(document: object) -> Network:
    """The network of a document read from JSON. Raises Rejected with every finding."""
    if not isinstance(document, dict) or document.get("format") not in FORMATS:
        raise Rejected(f"network: format, expected {FORMAT!r}")
    found = list(_unusable(document))
    if found:
        raise Unsound("network", found)
    every = {**KINDS, **ADDED}
    parts = {key: tuple(_record(row, kind) for row in document.get(key, ())) for key, (_, kind) in every.items()}
    parts = {key: by_id(rows) if key != "connections" else rows for key, rows in parts.items()}
    parts["connections"] = tuple(sorted(parts["connections"], key=lambda c: c.pod))
    return Network(name=document["name"], frequency_hz=document["frequency_hz"], **parts)


def by_id(elements: tuple[Any, ...]) -> tuple[Any, ...]:
    """The elements in the order of their ids (rule 4)."""
    return tuple(sorted(elements, key=lambda element: element.id))


def written(network: Network) -> str:
    """The document of a network, in version 2; read again it is the same network."""
    head = [f'"format": "{FORMAT}"', f'"name": {json.dumps(network.name)}', f'"frequency_hz": {network.frequency_hz}']
    for key, (_, kind) in {**KINDS, **ADDED}.items():
        rows = [json.dumps(_row(element, kind), ensure_ascii=False) for element in getattr(network, key)]
        if rows or key in KINDS:
            head.append(f'"{key}": [' + ("\n  " + ",\n  ".join(rows) + "\n]" if rows else "]"))
    return "{\n" + ",\n".join(head) + "\n}\n"


def _row(element: object, kind: type[Any]) -> dict[str, object]:
    row: dict[str, object] = {}
    for f in fields(kind):
        value = getattr(element, f.name)
        if value != f.default:
            row[RENAMED.get(f.name, f.name)] = dict(value) if f.name == "rest" else value
    return row


def _record(row: Mapping[str, Any], kind: type[Any]) -> Any:
    values = {}
    for f in fields(kind):
        default = OPTIONAL.get(f.name) if f.default is MISSING else f.default
        value = row.get(RENAMED.get(f.name, f.name), default)
        values[f.name] = tuple(sorted(value.items())) if isinstance(value, dict) else value
    return kind(**values)


def _unusable(document: Mapping[str, Any]) -> Iterator[Finding]:
    for key in sorted(set(document) - _TOP):
        yield Finding("network", key, "...", "no such field")
    if type(document.get("frequency_hz")) is not int or document["frequency_hz"] not in (50, 60):
        yield Finding("network", "frequency_hz", document.get("frequency_hz"), "50 or 60")
    if not isinstance(document.get("name"), str):
        yield Finding("network", "name", document.get("name"), "text")
    for key, (word, kind) in {**KINDS, **ADDED}.items():
        rows = document.get(key, [] if key in ADDED else None)
        if not isinstance(rows, list):
            yield Finding("network", key, rows, "a list")
            continue
        for place, row in enumerate(rows):
            yield from _wrong_fields(row, word, place, kind)


def _wrong_fields(row: object, word: str, place: int, kind: type[Any]) -> Iterator[Finding]:
    if not isinstance(row, dict):
        yield Finding(f"{word} number {place + 1}", "", row, "an object")
        return
    name = f"{word}:{row.get('pod' if kind is Connection else 'id', f'number {place + 1}')}"
    if isinstance(row.get("name"), str) and row["name"]:
        name += f' "{row["name"]}"'
    known = {RENAMED.get(f.name, f.name): f for f in fields(kind)}
    for key in sorted(set(row) - set(known)):
        yield Finding(name, key, row[key], "no such field")
    for key, f in known.items():
        if key in row:
            if not _fits(row[key], f):
                yield Finding(name, key, row[key], _WORDS[f.type])  # type: ignore[index]
        elif f.name not in OPTIONAL and f.default is MISSING:
            yield Finding(name, key, None, _WORDS[f.type])  # type: ignore[index]


def _fits(value: object, f: Field[Any]) -> bool:
    if f.type is Rest:
        return isinstance(value, dict) and all(type(v) is int for v in value.values())
    return type(value) is f.type and (type(value) is not int or abs(value) < _LARGEST)
