"""Fields of rows that come in from outside, each checked alone: a wrong one is a refusal with its reason code."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from backend.domain.quantity import FRAME_MS

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_FRAME_RANGE = range(1, 1 << 28)


class Code(StrEnum):
    """Reason codes of rows."""

    MALFORMED = "malformed"
    MISSING = "field-missing"
    UNKNOWN = "field-unknown"
    WRONG_KIND = "wrong-kind"
    OUT_OF_RANGE = "out-of-range"
    NOT_A_QUARTER_HOUR = "not-a-quarter-hour"
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"


class FieldRefused(Exception):
    """One field, why it is refused, and what is expected."""

    def __init__(self, field: str, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.field, self.code, self.reason = field, code, reason


class Row:
    """Takes checked fields out of a row; what is wrong is collected, what is left over unknown."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = dict(row)
        self.refused: list[FieldRefused] = []

    def take(self, name: str, check: Callable[[str, Any], Any], otherwise: Any = ...) -> Any:
        """The field's value; ``otherwise`` where it may be left out; None where it is refused."""
        if name not in self._row:
            if otherwise is ...:
                self.refused.append(FieldRefused(name, Code.MISSING, "is missing"))
                return None
            return otherwise
        try:
            return check(name, self._row.pop(name))
        except FieldRefused as refused:
            self.refused.append(refused)
            return None

    def end(self) -> None:
        """Whatever was not taken has no meaning."""
        for name in sorted(self._row):
            self.refused.append(FieldRefused(str(name)[:60], Code.UNKNOWN, "no such field"))


def frame_of(field: str, key: str) -> int:
    """A quarter-hour's number from its number or its begin with an offset."""
    if key.isascii() and key.isdigit() and len(key) < 12:
        frame = int(key)
    else:
        try:
            begin = datetime.fromisoformat(key)
        except ValueError:
            begin = datetime.min
        if begin.tzinfo is None:
            raise FieldRefused(
                field, Code.NOT_A_QUARTER_HOUR, f"{key[:60]!r}, expected a number or a begin with an offset"
            )
        frame, rest = divmod(round(begin.timestamp() * 1000), FRAME_MS)
        if rest:
            raise FieldRefused(field, Code.NOT_A_QUARTER_HOUR, f"{key[:60]!r} is within a quarter-hour")
    if frame not in _FRAME_RANGE:
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{key[:60]!r} is not of this age")
    return frame


def is_identity(text: str) -> bool:
    """Whether a text may be the id of a bid, a party or a POD."""
    return _ID.fullmatch(text) is not None


def name_of(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected text")
    if not is_identity(value):
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{shown(value)}, expected 1 to 64 of letters, digits, . _ : -")
    return value


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    def check(field: str, value: Any) -> int:
        if type(value) is not int:
            raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected a whole number")
        if not low <= value <= high:
            raise FieldRefused(field, Code.OUT_OF_RANGE, f"{shown(value)}, expected {low} to {high}")
        return value

    return check


def true_or_false(field: str, value: Any) -> bool:
    if type(value) is not bool:
        raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected true or false")
    return value


def one_of(words: type[StrEnum]) -> Callable[[str, Any], StrEnum]:
    def check(field: str, value: Any) -> StrEnum:
        expected = " or ".join(word.value for word in words)
        if not isinstance(value, str):
            raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected {expected}")
        if value not in {word.value for word in words}:
            raise FieldRefused(field, Code.OUT_OF_RANGE, f"{shown(value)}, expected {expected}")
        return words(value)

    return check


def object_of(field: str, value: Any, most: int) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldRefused(field, Code.WRONG_KIND, f"{shown(value)}, expected an object")
    if not 1 <= len(value) <= most:
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{len(value)} entries, expected 1 to {most}")
    return value


def numbers_by(key_of: Callable[[str, str], Any], low: int, high: int, most: int) -> Callable[[str, Any], Any]:
    number = whole(low, high)

    def check(field: str, value: Any) -> dict[Any, int]:
        return {
            key_of(field, key): number(f"{field}.{key[:60]}", one) for key, one in object_of(field, value, most).items()
        }

    return check


def shown(value: Any) -> str:
    return repr(value)[:60]
