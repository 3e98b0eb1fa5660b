"""A table of quarter-hours from a CSV file, and from the example day.

1. First column ``time``: the start of the quarter-hour in UTC (2026-03-18T00:00Z), one row for each without a gap; the others:
   whole W (or var) by name. A cell that is not a whole number, and a gap, are named with line and column.
2. Columns ``load:ID``, ``generator:ID`` (W) and ``var:ID`` (var of a load) name elements of a grid; ``by_node`` makes one
   column of W per node of them.
"""

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from backend.errors import Rejected
from backend.grid.candidate import History
from backend.grid.forecast import Series
from backend.grid.network import Injection, Network

FRAME_S = 900
_MOST_DIGITS = 15
_SIGN = {"load": 1, "generator": -1, "var": 0}


def read_history(path: Path) -> History:
    """The table of a file. Raises Rejected (rule 1); OSError if it cannot be read."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.reader(file)
        head = next(rows, [])
        if len(head) < 2 or head[0] != "time":
            raise Rejected(f"{path.name}: line 1, expected 'time' and at least one column")
        first = -1
        values: list[list[int]] = []
        for number, cells in enumerate(rows, 2):
            if len(cells) != len(head):
                raise Rejected(f"{path.name}: line {number} has {len(cells)} cells, expected {len(head)}")
            frame = frame_of(cells[0], f"{path.name}: line {number} time")
            first = frame if first < 0 else first
            if frame != first + len(values):
                raise Rejected(f"{path.name}: line {number} time = {cells[0]}, expected 15 min after the line before")
            values.append([_whole(cell, path, number, head[k]) for k, cell in enumerate(cells[1:], 1)])
    if not values:
        raise Rejected(f"{path.name}: no quarter-hour in it")
    return History(first, tuple(head[1:]), np.array(values, dtype=np.int64))


def frame_of(text: str, what: str) -> int:
    """The frame that begins at an instant in words. Raises Rejected unless it names its zone and a quarter-hour begins then."""
    try:
        instant = datetime.fromisoformat(text)
        second = instant.timestamp() if instant.tzinfo is not None else -1.0
    except (ValueError, OverflowError):
        second = -1.0
    if second < 0 or second % FRAME_S:
        raise Rejected(f"{what} = {text!r}, expected the start of a quarter-hour with its zone, as 2026-03-18T00:00Z")
    return round(second) // FRAME_S


def instant_ms(text: str, what: str) -> int:
    """UTC ms of an instant in words. Raises Rejected unless it names its zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Rejected(f"{what} = {text!r}, expected an instant with its zone, as 2026-03-18T18:00:04Z") from error
    if instant.tzinfo is None or instant.year < 1971:
        raise Rejected(f"{what} = {text!r}, expected an instant with its zone, as 2026-03-18T18:00:04Z")
    return round(instant.timestamp() * 1000)


def by_element(series: Series, network: Network) -> History:
    """Columns load:ID, generator:ID and var:ID of a series."""
    names = [f"{kind}:{e.id}" for kind, of in _kinds(network).items() for e in of]
    values = np.concatenate([series.load_w, series.generator_w, series.load_var], axis=1)
    return History(series.first_frame, tuple(names), values)


def _kinds(network: Network) -> Mapping[str, Sequence[Injection]]:
    return {"load": network.loads, "generator": network.generators, "var": network.loads}


def by_node(history: History, network: Network) -> History:
    """One column per node with elements in the history: withdrawal less injection. Raises Rejected for an unknown column."""
    places = {f"{kind}:{e.id}": (e.node, _SIGN[kind]) for kind, of in _kinds(network).items() for e in of}
    unknown = [name for name in history.names if name not in places]
    if unknown:
        raise Rejected(f"history: column {unknown[0]!r} is no load:ID, generator:ID or var:ID of grid {network.name!r}")
    nodes = sorted({places[name][0] for name in history.names if places[name][1]})
    values = np.zeros((len(history.values), len(nodes)), dtype=np.int64)
    for k, name in enumerate(history.names):
        node, sign = places[name]
        if sign:
            values[:, nodes.index(node)] += sign * history.values[:, k]
    return History(history.first_frame, tuple(f"node:{node}" for node in nodes), values)


def _whole(cell: str, path: Path, number: int, name: str) -> int:
    digits = cell.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise Rejected(f"{path.name}: line {number} {name} = {cell[:40]!r}, expected a whole number (W)")
    return int(cell)
