"""A JSON document of another party, read without mercy: every field is checked as it is taken, and none is left over.

1. A text is one JSON object of the expected ``format``, at most 64 MiB, at most 32 deep, no key twice in an object.
2. Numbers are whole and within the limits of their field; 10.0, "10", true, NaN and 1e30 are none.
3. The first thing that is wrong is said in one line: where, field, value (cut), what belongs there.
"""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from backend.errors import Rejected
from backend.market.form import json_object
from backend.market.row_field import is_identity

MOST_CHARACTERS = 64 << 20
_Word = TypeVar("_Word", bound=StrEnum)


def parse(text: str, what: str, format: str) -> "Fields":
    """The object of a text, its format taken (rule 1)."""
    if len(text) > MOST_CHARACTERS:
        raise Rejected(f"{what}: {len(text)} characters, at most {MOST_CHARACTERS}")
    fields = Fields(json_object(text, what), what)
    if fields.take("format") != format:
        raise Rejected(f"{what} format, expected {format!r}")
    return fields


class Fields:
    """The fields of an object; `where` names it in a refusal."""

    def __init__(self, row: object, where: str) -> None:
        if not isinstance(row, dict):
            raise Rejected(f"{where}: expected an object")
        self._row = dict(row)
        self.where = where

    def take(self, name: str) -> Any:
        """The field's value, unchecked."""
        if name not in self._row:
            raise Rejected(f"{self.where}: {name} is missing")
        return self._row.pop(name)

    def has(self, name: str) -> bool:
        """Whether a field that may be left out is there."""
        return name in self._row

    def end(self) -> None:
        """Whatever was not taken has no meaning."""
        for name in sorted(self._row):
            raise Rejected(f"{self.where} {name[:60]!r}: no such field")

    def name(self, field: str, empty: bool = False) -> str:
        """1 to 64 of letters, digits, . _ : -"""
        value = self.take(field)
        if not isinstance(value, str) or not (is_identity(value) or (empty and not value)):
            self.refuse(field, value, "1 to 64 of letters, digits, . _ : -")
        return str(value)

    def point(self, field: str) -> str:
        """A POD, or its reactive power as POD/var (see domain.constraint)."""
        value = self.take(field)
        if not isinstance(value, str) or not is_identity(value.removesuffix("/var")):
            self.refuse(field, value, "a POD of 1 to 64 of letters, digits, . _ : -, or POD/var")
        return value

    def words(self, field: str, most: int = 200, least: int = 0) -> str:
        """A printable text."""
        value = self.take(field)
        if not isinstance(value, str) or not least <= len(value) <= most or not value.isprintable():
            self.refuse(field, value, f"printable text of {least} to {most} characters")
        return str(value)

    def digest(self, field: str) -> str:
        """A SHA-256 in lower-case hexadecimal."""
        value = self.take(field)
        if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
            self.refuse(field, value, "64 hexadecimal digits")
        return str(value)

    def whole(self, field: str, low: int, high: int) -> int:
        """A number within limits (rule 2)."""
        return self._number(field, self.take(field), low, high)

    def whole_or_none(self, field: str, low: int, high: int) -> int | None:
        """The same, or null where nothing is known."""
        value = self.take(field)
        return None if value is None else self._number(field, value, low, high)

    def flag(self, field: str) -> bool:
        """true or false."""
        value = self.take(field)
        if type(value) is not bool:
            self.refuse(field, value, "true or false")
        return bool(value)

    def choice(self, field: str, words: type[_Word]) -> _Word:
        """One of the words of an enumeration."""
        value = self.take(field)
        if not isinstance(value, str) or value not in {word.value for word in words}:
            self.refuse(field, value, " or ".join(word.value for word in words))
        return words(value)

    def day(self, field: str, value: object) -> date:
        """A date, 2026-11-27."""
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        self.refuse(field, value, "a date, as 2026-11-27")

    def rows(self, field: str, most: int) -> list[Any]:
        """A list of at most so many."""
        value = self.take(field)
        if not isinstance(value, list) or len(value) > most:
            self.refuse(field, value, f"a list of at most {most}")
        return list(value)

    def objects(self, field: str, what: str, most: int) -> "list[Fields]":
        """A list of objects, named by their number from 1."""
        return [Fields(row, f"{what} {number}") for number, row in enumerate(self.rows(field, most), 1)]

    def party(self, field: str) -> str:
        """Who somebody is: 1 to 96 printable characters."""
        return self.words(field, 96, 1)

    def numbers(self, field: str, low: int, high: int, most: int, least: int = 1) -> dict[str, int]:
        """Numbers within limits by name (a party or a POD)."""
        value = self.take(field)
        if not isinstance(value, dict) or not least <= len(value) <= most:
            self.refuse(field, value, f"an object of {least} to {most} entries")
        for key in value:
            if not 1 <= len(key) <= 96 or not key.isprintable():
                self.refuse(field, key, "names of 1 to 96 printable characters")
        return {key: self._number(f"{field} of {key}", one, low, high) for key, one in value.items()}

    def part(self, field: str, value: Mapping[str, Any] | object) -> "Fields":
        """The fields of an object within this one."""
        return Fields(value, f"{self.where} {field}")

    def refuse(self, field: str, value: object, expected: str) -> NoReturn:
        """Raises Rejected (rule 3)."""
        raise Rejected(f"{self.where} {field} = {value!r:.60}, expected {expected}")

    def _number(self, field: str, value: object, low: int, high: int) -> int:
        if type(value) is int and low <= value <= high:
            return value
        self.refuse(field, value, f"a whole number from {low} to {high}")
