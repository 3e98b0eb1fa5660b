"""The budgets: exact, held by the ratchet, and honest about targets."""

import os
from typing import Any

import pytest

from hil import budget
from hil.budget import Row
from hil.targets.chip import Chip

on_the_chip = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def chip() -> None:
    if reason := Chip().missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@on_the_chip
@pytest.mark.long
@pytest.mark.usefixtures("chip")
def test_rule_1_two_runs_count_the_same_and_a_reading_within_a_thousandth() -> None:
    first, again = (budget.instructions(128 * 1024) for _ in range(2))
    assert {name: first[name] for name in budget.FLOWS} == {name: again[name] for name in budget.FLOWS}
    assert abs(first["reading"] - again["reading"]) <= first["reading"] / 1000


@on_the_chip
@pytest.mark.usefixtures("chip")
def test_rule_2_no_figure_has_grown_beyond_the_ratchet() -> None:
    if reason := budget.not_comparable():
        pytest.skip(reason)
    rows = budget.compare(budget.measure(), budget.read_ratchet())
    grown = [str(row) for row in rows if row.has_grown]
    assert not grown, "\n".join([*grown, "if this is wanted: ./run hil budget --accept, and say why in the commit"])


@pytest.mark.parametrize(
    ("now", "grown"), [(1_000_000, False), (1_020_000, False), (1_020_001, True), (900_000, False)]
)
def test_rule_2_two_percent_may_be_added(now: int, grown: bool) -> None:
    assert Row("signature", now, 1_000_000, "abc", None).has_grown is grown


@pytest.mark.parametrize(("now", "grown"), [(164, False), (165, True)])
def test_rule_2_a_small_module_may_grow_by_64_bytes(now: int, grown: bool) -> None:
    assert Row("compiled.lightnode.errors", now, 100, "abc", None).has_grown is grown


def test_rule_2_growth_is_told_with_both_figures_and_the_commit() -> None:
    text = str(Row("signature", 1_100_000, 1_000_000, "0123456789ab", None))
    assert text == "signature grew from 1,000,000 to 1,100,000 (+10.0 %), set by commit 0123456789ab"


def test_rule_2_a_figure_without_an_entry_fails() -> None:
    (row,) = budget.compare({"new": 5}, {})
    assert row.has_grown and "no entry" in str(row)


def test_accepting_names_the_commit_for_what_changed_only() -> None:
    before: dict[str, Any] = {"a": {"value": 1, "commit": "old"}, "b": {"value": 2, "commit": "old"}}
    after = budget.entries(budget.compare({"a": 1, "b": 3}, before), "new")
    assert after == {"a": {"value": 1, "commit": "old"}, "b": {"value": 3, "commit": "new"}}


def test_rule_3_a_missed_target_is_said_and_does_not_fail() -> None:
    row = Row("compiled", 200_000, 200_000, "abc", 163_840)
    assert not row.has_grown and row.misses_target
    assert budget.table([row]).splitlines()[1].endswith("abc          target missed")


def test_figures_of_another_compiler_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "made_with", lambda: "another compiler")
    assert budget.not_comparable().endswith("here is another compiler")


def test_every_target_has_an_entry_in_the_ratchet() -> None:
    assert set(budget.TARGETS) <= set(budget.read_ratchet())
