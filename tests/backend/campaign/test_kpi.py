"""Indicators of a campaign by hand; each rule of the module once."""

import json
from datetime import date

from backend.campaign.kpi import check_document, kpi_document
from tests.backend.campaign.records import CHECKED, MWH_WS, record

ONE = kpi_document([record()], 7)
TWO = kpi_document([record(), record(date(2026, 1, 6))], 7)


def test_rule_2_volumes_from_the_request_to_the_delivery() -> None:
    found = ONE["campaign"]
    assert found["requested_ws"] == found["requested_day_ahead_ws"] == {"DSO": MWH_WS, "TSO": 0}
    assert found["offered_day_ahead_ws"] == MWH_WS and found["awarded_ws"] == found["ordered_ws"] == MWH_WS // 2
    assert found["delivered_ws"] == found["paid_ws"] == MWH_WS * 4 // 10 and found["accuracy_ppm"] == 800_000
    assert (found["needs"], found["needs_unserved"], found["served_ppm"]) == (1, 1, 500_000)
    assert found["participation_ppm"] == 500_000


def test_rule_3_violations_from_the_grid_as_it_stood_to_the_grid_as_it_was() -> None:
    assert ONE["campaign"]["violations"] == {
        "real_standing": 5, "real_after_remedy": 3, "real_as_ordered": 2, "real_after_market": 2, "expected": 2,
        "expected_after_remedy": 1, "planned": 1, "avoided_by_remedies": 2, "avoided_by_market": 1, "unexpected": 1,
    }  # fmt: skip
    assert [(v["frame"], v["planned"]) for v in ONE["violations_left"]] == [(0, True), (2, False)]


def test_rule_4_and_5_errors_and_renewable_energy() -> None:
    found = ONE["campaign"]
    assert found["forecast_error_ppm"] == {
        "day-ahead load": 100_000, "near-real-time load": 0, "day-ahead generation": 500_000,
        "near-real-time generation": 250_000,
    }  # fmt: skip
    assert found["renewable"] == {
        "generated_ws": 4 * MWH_WS, "curtailed_without_market_ws": 3 * MWH_WS, "curtailed_ws": MWH_WS, "saved_ws": 2 * MWH_WS,
    }  # fmt: skip
    assert found["response"] == {"activations": 3, "median_s": 10, "p95_s": 40}
    assert found["customers"] == {"absent_days": 1, "silent_days": 0, "weak_days": 1}


def test_a_need_that_stays_is_named_with_its_quarter_hour_of_the_day() -> None:
    assert ONE["unserved"] == [
        {"day": "2026-01-05", "session": "2026-01-05-da", "request": "r", "element": "line:1", "frame": 0, "amount": 50, "unit": "ppt"},
        {"day": "2026-01-05", "session": "2026-01-05-da", "request": "", "element": "node:2:high", "frame": 1, "amount": 7, "unit": "ppt"},
    ]  # fmt: skip


def test_money_sums_to_zero_and_pairs_are_added_up() -> None:
    """0.4 MWh at 60 EUR less a fee of a tenth; of the 0.1 that is missing 0.075 at 30 EUR; two days of it."""
    assert TWO["balance_ueur"] == {"DSO": -43_500_000, "aggregator/A": 4_800_000, "owner/owner": 38_700_000}
    assert TWO["sum_ueur"] == TWO["campaign"]["unbalanced_ueur"] == 0
    assert [(p["payer"], p["what"], p["amount_ueur"]) for p in TWO["payments"]] == [
        ("DSO", "energy", 48_000_000), ("aggregator/A", "penalty", 4_500_000), ("aggregator/A", "energy", 43_200_000),
        ("owner/owner", "penalty", 4_500_000),
    ]  # fmt: skip
    assert TWO["campaign"]["cost_ueur"] == {"DSO": 43_500_000}


def test_rule_6_lines_by_code_flags_and_the_positions_of_the_balancing_parties() -> None:
    found = TWO["campaign"]
    assert (found["settled_as"], found["flags"]) == ({"short": 2}, {})
    assert found["adjustments_ws"] == {"X": -2 * MWH_WS * 4 // 10}


def test_rule_1_days_add_up_to_the_campaign_and_everything_is_whole() -> None:
    for name in ("ordered_ws", "delivered_ws", "needs", "payments_ueur", "tap_operations", "orders"):
        assert TWO["campaign"][name] == sum(day[name] for day in TWO["by_day"]) == 2 * ONE["campaign"][name]
    assert [day["day"] for day in TWO["by_day"]] == ["2026-01-05", "2026-01-06"]

    def refuse(text: str) -> float:
        raise AssertionError(f"{text} is no whole number")

    json.loads(json.dumps(TWO), parse_float=refuse)


def test_the_check_names_where_engines_differ_and_is_none_without_one() -> None:
    assert check_document([record()]) is None
    assert check_document([record(checked=CHECKED), record(checked=CHECKED)]) == {
        "format": "lightnode-kpi-check/1", "engine": "pandapower 3", "states": 200, "violations_found_by_both": 8,
        "differs": [
            {"day": "2026-01-05", "state": "after the market", "frame": 5, "element": "line:1", "said_by": "theirs"}
        ] * 2,
    }  # fmt: skip
