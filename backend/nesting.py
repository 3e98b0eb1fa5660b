"""A bound on hostile JSON: Python's parser recurses, and a raised recursion limit turns depth into a crash."""

import re

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
