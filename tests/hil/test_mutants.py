"""Each mutant of hil/mutants.toml is caught by the tests it names, and the tests pass without it."""

from pathlib import Path
from typing import Any

import pytest

from hil.mutants import Mutant, MutantError, is_caught, mutants


def cases() -> list[Any]:
    """Four mutants of the journal, and one in sixteen of the others; the rest is long."""
    journals = [m.name for m in mutants() if m.name.startswith("journal_")][:4]
    return [
        pytest.param(m, id=m.name, marks=() if m.name in journals or k % 16 == 0 else (pytest.mark.long,))
        for k, m in enumerate(mutants())
    ]


@pytest.mark.parametrize("mutant", cases())
def test_a_mutant_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    assert is_caught(mutant, tmp_path), f"no test of {mutant.tests} sees {mutant.name}"


def test_a_mutant_that_changes_nothing_is_not_caught(tmp_path: Path) -> None:
    same = Mutant("same", "lightnode/clock.py", "RENEW_MS = 6", "RENEW_MS = 6", "tests/lightnode/test_clock.py")
    assert not is_caught(same, tmp_path)


def test_a_mutant_whose_text_has_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MutantError, match="stands 0 times"):
        Mutant("gone", "lightnode/clock.py", "no such text", "", "tests/lightnode/test_clock.py").firmware(tmp_path)
