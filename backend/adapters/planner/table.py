"""pandapower's JSON as plain tables of rows; what stands in them is asked for field by field.

1. Only data is read: the file's module and class names are never imported.
2. An index that stands twice in a table is a finding, as is a missing, NaN or non-numeric quantity.
3. Findings are collected; notes say what was changed or left out. Nothing is dropped without one of the two.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.errors import Rejected
from backend.grid.element import MILLION, Finding, Rest
from backend.nesting import too_deep

MAX_CHARACTERS = 200_000_000
_FRAMES = ("DataFrame", "GeoDataFrame")


@dataclass(slots=True)
class Report:
    """What the import says beside the network."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Row:
    """One element of a table."""

    def __init__(self, table: str, index: int, values: Mapping[str, Any], report: Report) -> None:
        self.table, self.index, self._values, self.report = table, index, values, report
        name = values.get("name")
        self.name = name if isinstance(name, str) else "" if name is None else str(name)

    @property
    def called(self) -> str:
        """Table:index and the name in quotes."""
        return f'{self.table}:{self.index} "{self.name}"' if self.name else f"{self.table}:{self.index}"

    def wrong(self, column: str, value: object, expected: str) -> None:
        """Records a finding of this element."""
        self.report.findings.append(Finding(self.called, column, value, expected))

    def note(self, text: str) -> None:
        """Records what was done with this element."""
        self.report.notes.append(f"{self.called}: {text}")

    def has(self, column: str) -> bool:
        """Whether the column holds a value (not null, not NaN)."""
        value = self._values.get(column)
        return value is not None and not (isinstance(value, float) and math.isnan(value))

    def number(self, column: str, default: float | None = None) -> float:
        """The number of a column; a finding and 1.0 if there is none and no default."""
        value = self._values.get(column)
        if not self.has(column) and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(column, value, "a number")
            return 1.0
        return float(value)

    def text(self, column: str) -> str:
        """The text of a column, "" if there is none."""
        value = self._values.get(column)
        return value if isinstance(value, str) else ""

    def flag(self, column: str, *, default: bool = True) -> bool:
        """The truth of a column."""
        value = self._values.get(column)
        if value is None:
            return default
        if value not in (True, False):
            self.wrong(column, value, "true or false")
        return bool(value)

    def node(self, column: str, nodes: Mapping[int, Any]) -> int:
        """The bus that a column names; a finding if there is no such bus."""
        value: Any = self._values.get(column)
        index = int(value) if isinstance(value, int | float) and math.isfinite(value) else value
        if index not in nodes:
            self.wrong(column, value, "the index of a bus")
            return next(iter(nodes), 0)
        return int(index)

    def phase_power(self, phase: str) -> tuple[float, float]:
        """MW and Mvar of one phase of an asymmetric element."""
        return self.number(f"p_{phase}_mw", 0.0), self.number(f"q_{phase}_mvar", 0.0)


class Whole:
    """Makes quantities whole and keeps what is left over as the element's rest."""

    def __init__(self) -> None:
        self._rest: dict[str, int] = {}

    def __call__(self, name: str, value: float) -> int:
        """The value, in the unit of the field ``name``, as a whole number."""
        whole = round(value)
        millionths = round((value - whole) * MILLION)
        if millionths:
            self._rest[name] = millionths
        return whole

    @property
    def rest(self) -> Rest:
        """What is left over, by field."""
        return tuple(sorted(self._rest.items()))


class Tables:
    """The tables of one file, by pandapower's names."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.report = Report()
        self.values = {k: v for k, v in document.items() if not isinstance(v, dict | list)}
        self._frames = {k: v for k, v in document.items() if isinstance(v, dict) and v.get("_class") in _FRAMES}

    def names(self) -> Iterator[str]:
        """Tables that have rows, without results and settings."""
        yield from (n for n in sorted(self._frames) if not n.startswith(("_", "res_")) and self.rows(n, quiet=True))

    def rows(self, table: str, *, quiet: bool = False) -> list[Row]:
        """The rows of a table in the file's order; empty if it is not there."""
        report = Report() if quiet else self.report
        frame = self._frames.get(table)
        return [] if frame is None else list(_rows(table, frame, report))

    def results(self, table: str) -> dict[int, Row]:
        """Results of the file's own power flow, by index."""
        return {row.index: row for row in self.rows(f"res_{table}", quiet=True)}


def _rows(table: str, frame: Mapping[str, Any], report: Report) -> Iterator[Row]:
    content: Any = frame.get("_object")
    try:
        split = json.loads(content) if isinstance(content, str) else content
        columns, index, data = split["columns"], split["index"], split["data"]
        complete = len(index) == len(data) and all(len(values) == len(columns) for values in data)
    except (ValueError, TypeError, KeyError) as error:
        raise Rejected(f"table {table!r}: not a table of pandapower (columns, index, data): {error}") from error
    if not complete:
        raise Rejected(f"table {table!r}: rows and columns do not fit")
    seen: set[Any] = set()
    for number, values in zip(index, data, strict=True):
        row = Row(table, number if isinstance(number, int) else -1, dict(zip(columns, values, strict=True)), report)
        if type(number) is not int:
            row.wrong("index", number, "a whole number")
        elif number in seen:
            row.wrong("index", number, f"an index that no other {table} has")
        seen.add(number)
        yield row


def read_tables(text: str) -> Tables:
    """The tables of a pandapower file. Rejected if it is none."""
    if len(text) > MAX_CHARACTERS:
        raise Rejected(f"grid file: longer than {MAX_CHARACTERS} characters")
    if too_deep(text):
        raise Rejected("grid file: nested too deep for a grid")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"grid file: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("_class") != "pandapowerNet":
        raise Rejected("grid file: not a net written by pandapower's to_json (no _class pandapowerNet)")
    content = document.get("_object")
    if not isinstance(content, dict) or not isinstance(content.get("bus"), dict):
        raise Rejected("grid file: a net without a table 'bus'")
    return Tables(content)
