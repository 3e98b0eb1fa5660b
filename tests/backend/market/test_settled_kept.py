"""What a settlement stood on is there in the next one, or the loss is named."""

from dataclasses import replace
from typing import Any

import pytest

from backend.errors import Rejected
from backend.market.baseline import Kind, Method
from backend.market.settled_input import BaselineRow, MeasuredRow, SettlementInput
from backend.market.settled_kept import check_kept
from tests.backend.market.settlement_case import F, measured, worked

WAS = worked()


def with_measured(**rows: MeasuredRow | None) -> SettlementInput:
    """The worked input with other rows of measurements, None for none."""
    given: dict[str, MeasuredRow | None] = {one.pod: one for one in WAS.measured}
    return replace(WAS, measured=tuple(one for one in {**given, **rows}.values() if one is not None))


def with_baseline(pod: str, *rows: BaselineRow) -> SettlementInput:
    return replace(WAS, baselines=(*(one for one in WAS.baselines if one.pod != pod), *rows))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (with_measured(b=None), "POD b, quarter-hour 1993108: 4 s readings of version 3 is missing or less: keep"),
        (with_measured(b=measured("b", None, 0)), "POD b, quarter-hour 1993108: 4 s readings"),
        (with_measured(b=measured("b", None, 0, 1)), "POD b, quarter-hour 1993108: 4 s readings"),
        (with_measured(b=measured("b", 12_000, 999_999)), "POD b, quarter-hour 1993108: 4 s readings"),
        (with_measured(c=measured("c", 2_000, 400_000)), "POD c, quarter-hour 1993108: energy by registers"),
        (with_measured(a=None, b=None), "POD a, .*4 s readings of version 3 is missing or less \\(and 2 more\\): keep"),
        (with_measured(f=None), "POD f, quarter-hour 1993108: 4 s readings"),
        (with_baseline("d"), "POD d, quarter-hour 1993108: baseline"),
        (with_baseline("d", BaselineRow("d", F, None, "gone")), "POD d, quarter-hour 1993108: baseline"),
        (replace(WAS, unavailable=()), "POD g, quarter-hour 1993108: unavailability"),
    ],
)
def test_rules_1_to_3_what_was_there_and_is_not_any_more_is_refused_in_one_line(
    after: SettlementInput, said: str
) -> None:
    with pytest.raises(Rejected, match=said) as refused:
        check_kept(WAS, after, 3)
    assert "\n" not in refused.value.reason


@pytest.mark.parametrize(
    "after",
    [
        WAS,
        with_measured(e=measured("e", 7_000)),
        with_measured(b=measured("b", 13_000), c=measured("c", 3_000, 500_000, 1_700_000)),
        with_baseline("d", BaselineRow("d", F, 4_000)),
        replace(WAS, unavailable=(*WAS.unavailable, replace(WAS.unavailable[0], pod="f"))),
    ],
)
def test_what_is_added_or_put_right_is_not_lost(after: SettlementInput) -> None:
    check_kept(WAS, after, 1)


def test_rule_2_another_method_may_find_no_baseline() -> None:
    pods = tuple(replace(one, method=Method(Kind.BEFORE)) if one.pod == "d" else one for one in WAS.pods)
    check_kept(WAS, replace(with_baseline("d", BaselineRow("d", F, None, "not known")), pods=pods), 1)


def test_rule_4_what_a_corrected_outcome_took_away_needs_no_evidence() -> None:
    """B-1 and its order on d are gone, and d with them; a reserve on f that nobody pays for any more needs no measurement."""
    cheap: Any = {"availability_ueur_per_mw_h": 0}
    awards = tuple(replace(one, **cheap) if one.offer == "B-3" else one for one in WAS.awards if one.offer != "B-1")
    orders = tuple(one for one in WAS.orders if one.offer != "B-1")
    rows = with_measured(d=None, f=None).measured
    baselines = tuple(one for one in WAS.baselines if one.pod not in "df")
    check_kept(WAS, replace(WAS, awards=awards, orders=orders, measured=rows, baselines=baselines), 1)
