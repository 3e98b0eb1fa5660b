"""A constraint answers for changes of withdrawal as its rules say."""

import pytest

from backend.domain.constraint import Constraint, reactive
from backend.errors import Rejected


def test_more_withdrawal_eats_the_margin_and_less_gives_it_back():
    line = Constraint("line:97", 1_970_951, -1_000_000, {"B": 100, "A": 40})
    assert line.need_ppt == 1_000_000
    assert line.margin_after({"A": 1_000}) == -1_040_000
    assert line.margin_after({"A": -5_000, "B": -8_000, "elsewhere": 9}) == 0


def test_a_limit_that_holds_needs_nothing():
    assert Constraint("node:3:high", 7, 5, {}).need_ppt == 0


def test_effects_are_frozen_and_sorted_by_pod():
    effect = {"B": 2, "A": 1}
    line = Constraint("line:1", 7, 0, effect)
    effect["A"] = 9
    assert list(line.effect_ppt_per_w.items()) == [("A", 1), ("B", 2)]
    with pytest.raises(TypeError):
        line.effect_ppt_per_w["A"] = 3
    assert line == Constraint("line:1", 7, 0, {"A": 1, "B": 2}) and len({line, line}) == 1


def test_a_constraint_without_element_or_time_is_refused():
    with pytest.raises(Rejected):
        Constraint("", 7, 0, {})
    with pytest.raises(Rejected):
        Constraint("line:1", -1, 0, {})


def test_reactive_power_moves_under_its_own_name() -> None:
    one = Constraint("node:1:high", 5, 1_000, {"a": 3}, {"a": 7})
    assert dict(one.effects) == {"a": 3, reactive("a"): 7}
    assert one.margin_after({"a": 2, reactive("a"): -10, "other": 5}) == 1_000 - 6 + 70
