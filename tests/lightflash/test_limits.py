"""The limits: in one place, complete, and as the README shows them."""

from pathlib import Path

from lightflash import limits as module
from lightflash.limits import GROUPS, limits
from lightflash.record import FAILED, NOT_DONE, PASSED

README = (Path(module.__file__).parent / "README.md").read_text()


def test_rule_1_every_check_has_a_limit_but_the_one_that_the_installer_gives() -> None:
    bare = [limit.name for limit in limits().values() if limit.low is None and limit.high is None]
    assert bare == ["active power"]
    assert all(limit.why for limit in limits().values())


def test_every_group_has_checks_and_they_stand_together() -> None:
    seen = list(dict.fromkeys(limit.group for limit in limits().values()))
    assert tuple(seen) == GROUPS


def test_a_measure_within_its_limits_has_no_cure_and_one_beyond_keeps_it() -> None:
    limit = limits()["frequency"]
    assert (limit.measured(49_500, "d", "c").result, limit.measured(49_500, "d", "c").cure) == (PASSED, "")
    assert (limit.measured(49_499, "d", "c").result, limit.measured(49_499, "d", "c").cure) == (FAILED, "c")


def test_rule_2_what_was_not_done_has_no_value() -> None:
    made = limits()["frequency"].not_done("the meter is silent", "look at it")
    assert (made.value, made.result, made.detail, made.cure) == (None, NOT_DONE, "the meter is silent", "look at it")


def test_the_readme_has_every_limit() -> None:
    for limit in limits().values():
        row = next(line for line in README.splitlines() if line.startswith(f"| {limit.name} |"))
        for number in (limit.low, limit.high):
            assert number is None or limit.unit == "yes/no" or f"{number:,}" in row, row
