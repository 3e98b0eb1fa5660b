"""Late readings come in: what changes, for whom, and nothing else."""

import json
from dataclasses import replace
from typing import Any

from backend.market.settled import settled, settlement_text
from backend.market.settled_difference import difference
from tests.backend.market.settlement_case import F, measured, worked
from tests.backend.market.test_settled import session


def document(of: Any) -> Any:
    return json.loads(settlement_text(settled(of)))


def test_the_late_readings_of_a_held_pod_pay_its_line_and_change_no_other() -> None:
    """e's readings come in: 7 kW less 1 kW are the 6 kW that were ordered, 5,400,000 Ws at 50 EUR/MWh: 75,000 micro-EUR."""
    late = replace(worked(), measured=(*worked().measured[:-1], measured("e", 7_000)))
    found = difference(document(worked()), document(late))
    (line,) = found["lines"]
    assert line["id"] == "energy/o4/e"
    assert line["before"]["code"] == "held-no-measurement" and line["after"]["code"] == "delivered"
    assert (line["before"]["payment_ueur"], line["after"]["payment_ueur"]) == (0, 75_000)
    assert "pod" not in line["after"], "only what differs is said"
    assert [(x["name"], x["difference"]) for x in found["parties"]] == [("DSO", -75_000), ("owner/Owner e", 75_000)]
    assert [(x["name"], x["difference"]) for x in found["adjustments"]] == [(f"Y/{F}", 5_400_000)]


def test_rule_1_a_line_of_one_version_only_is_a_change() -> None:
    without = replace(worked(), orders=worked().orders[:-1])
    found = difference(document(without), document(worked()))
    assert [(x["id"], x["before"]) for x in found["lines"]] == [("energy/o9/h", None)]
    assert difference(document(worked()), document(without))["lines"][0]["after"] is None


def test_rule_3_differences_of_money_sum_to_zero_and_nothing_differs_from_itself() -> None:
    for seed in range(10):
        before, after = document(session(seed)), document(session(seed + 100))
        assert sum(x["difference"] for x in difference(before, after)["parties"]) == 0
        same = difference(before, before)
        assert (same["lines"], same["parties"], same["adjustments"]) == ([], [], [])
