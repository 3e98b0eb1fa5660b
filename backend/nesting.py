"""Bounds on hostile JSON that Python's parser has not: depth, which crashes it, and fields that stand twice, of which it would
drop all but the last in silence.
"""

import re
from collections.abc import Iterable
from typing import Any

from backend.errors import Rejected

DEEPEST = 32
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[{\]}]")


def too_deep(text: str) -> bool:
    """Whether arrays and objects are nested deeper than DEEPEST; looks at the text only, in linear time."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_TEXT.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            return True
    return False


def once_each(pairs: Iterable[tuple[str, Any]], what: str) -> dict[str, Any]:
    """The object of these fields. Raises Rejected, which begins with `what`, for one that stands twice."""
    row: dict[str, Any] = {}
    for name, value in pairs:
        if name in row:
            raise Rejected(f"{what}: field {name[:40]!r} stands twice, expected once")
        row[name] = value
    return row
