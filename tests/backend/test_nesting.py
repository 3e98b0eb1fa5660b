"""Depth is judged by brackets outside texts."""

import pytest

from backend.nesting import DEEPEST, too_deep


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        ("[" * DEEPEST + "]" * DEEPEST, False),
        ("[" * (DEEPEST + 1), True),
        ('{"a":' * 100_000, True),
        ('"' + "[" * 1000 + '"', False),
        ('"\\"' + "[" * 1000 + '"', False),
        ("[]" * 1000, False),
    ],
)
def test_only_real_nesting_counts(text: str, deep: bool) -> None:
    assert too_deep(text) is deep
