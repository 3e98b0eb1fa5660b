"""Fields of a JSON object, each checked; what is wrong is one line: file, field, value, what belongs there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

_T = TypeVar("_T")


class CatalogueError(ValueError):
    """A register map that cannot be used, in one line."""


@dataclass(frozen=True, slots=True)
class Fields:
    """`row` of `file`; `prefix` names it in errors."""

    file: str
    row: Any
    prefix: str

    def __post_init__(self) -> None:
        if not isinstance(self.row, dict):
            raise CatalogueError(f"{self.file}: {self.prefix.rstrip('.') or 'the document'} is not an object")

    def wrong(self, key: str, wanted: str) -> CatalogueError:
        """The error for a field."""
        found = json.dumps(self.row[key])[:60] if key in self.row else "missing"
        return CatalogueError(f"{self.file}: {self.prefix}{key} is {found}, {wanted} belongs here")

    def knows(self, keys: set[str]) -> None:
        """Refuses fields that nobody reads."""
        if unknown := sorted(set(self.row) - keys):
            raise CatalogueError(
                f"{self.file}: {self.prefix}{unknown[0]} is not a field; fields: {', '.join(sorted(keys))}"
            )

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.row.get(key)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text")
        return value

    def number(self, key: str, low: int, high: int) -> int:
        """A whole number from low to high."""
        value = self.row.get(key)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def decimal(self, key: str) -> Fraction:
        """A decimal number of at least 0, exact."""
        value = self.row.get(key)
        if type(value) not in (int, float) or value < 0:
            raise self.wrong(key, "a decimal number of at least 0")
        return Fraction(str(value))

    def choice(self, key: str, choices: Mapping[Any, _T]) -> _T:
        """What the field's value stands for."""
        value = self.row.get(key)
        if isinstance(value, list | dict) or value not in choices or type(value) not in {type(c) for c in choices}:
            raise self.wrong(key, "one of " + ", ".join(json.dumps(c) for c in choices))
        return choices[value]

    def values(self, key: str) -> list[Any]:
        """A list."""
        value = self.row.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def pairs(self, key: str) -> tuple[tuple[int, int], ...]:
        """[first, count] of registers, given back as [first, end)."""
        values = self.values(key)
        good = values and all(
            isinstance(v, list) and len(v) == 2 and all(type(x) is int for x in v) and v[0] >= 0 < v[1] for v in values
        )
        if not good or any(v[0] + v[1] > 65_536 for v in values):
            raise self.wrong(key, "a list of [first register, count]")
        return tuple((v[0], v[0] + v[1]) for v in values)

    def hexadecimal(self, key: str, size: int) -> bytes:
        """`size` bytes in hexadecimal digits."""
        try:
            data = bytes.fromhex(self.text(key))
        except ValueError:
            data = b""
        if len(data) != size:
            raise self.wrong(key, f"{size} bytes in hexadecimal")
        return data

    def inner(self, key: str) -> "Fields":
        """An object inside."""
        return Fields(self.file, self.row.get(key), f"{self.prefix}{key}.")

    def inners(self, key: str) -> list["Fields"]:
        """A list of objects that is not empty."""
        values = self.values(key)
        if not values:
            raise self.wrong(key, "a list of objects")
        return [Fields(self.file, row, f"{self.prefix}{key}[{n}].") for n, row in enumerate(values)]
