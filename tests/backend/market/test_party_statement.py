"""What each party of the worked session gets in hand, and what nobody gets."""

import json
from dataclasses import replace
from typing import Any

import pytest

from backend.errors import Rejected
from backend.market.party_statement import parties, party_statement
from backend.market.settled import settled, settlement_text
from tests.backend.market.settlement_case import worked
from tests.backend.market.test_settled import session


def document(of: Any = None) -> Any:
    return json.loads(settlement_text(settled(of or worked())))


def test_rule_1_an_owner_sees_its_own_lines_the_totals_of_a_shared_order_and_no_other_pod() -> None:
    said = party_statement(document(), "owner/Owner a")
    assert [(x["id"], x["code"], x["payment_ueur"]) for x in said["lines"]] == [("energy/o1/a", "short", 200_000)]
    assert [(x["code"], x["withheld_ueur"]) for x in said["availability"]] == [("withheld-not-delivered", 10_000)]
    assert [(x["order"], x["members"], x["payment_ueur"]) for x in said["orders"]] == [("o1", 2, 600_000)]
    assert said["gained_ueur"] == 137_500
    assert [(x["payer"], x["what"], x["amount_ueur"]) for x in said["payments"]] == [
        ("aggregator/A", "energy", 180_000), ("owner/Owner a", "penalty", 42_500),
    ]  # fmt: skip
    assert "Owner b" not in json.dumps(said) and "/b" not in json.dumps(said)


def test_rule_1_a_held_group_does_not_say_which_other_pod_it_waits_for() -> None:
    blind = document(replace(worked(), measured=tuple(x for x in worked().measured if x.pod != "b")))
    for pod in "ab":
        said = party_statement(blind, f"owner/Owner {pod}")
        assert said["lines"][0]["held"] and f"Owner {'ba'['ab'.index(pod)]}" not in json.dumps(said)


def test_rule_2_an_aggregator_sees_every_line_of_its_offers_and_emergencies() -> None:
    said = party_statement(document(), "aggregator/A")
    assert [x["id"] for x in said["lines"]] == ["energy/o1/a", "energy/o1/b", "energy/o2/c", "energy/o9/h"]
    assert said["gained_ueur"] == 90_400 == sum(x["fee_ueur"] for x in (*said["lines"], *said["availability"]))
    assert {x["pod"] for x in said["flags"]} == {"c"}


def test_rule_3_a_buyer_sees_totals_and_neither_pods_nor_owners_nor_fees() -> None:
    said = party_statement(document(), "DSO")
    assert [(x["order"], x["code"], x["payment_ueur"], x["penalty_ueur"]) for x in said["orders"]] == [
        ("o1", "short", 600_000, 127_500), ("o4", "held-no-measurement", 0, 0), ("o9", "emergency-short", 100_000, 0),
    ]  # fmt: skip
    assert [(x["offer"], x["reserved_ws"], x["payment_ueur"], x["withheld_ueur"]) for x in said["availability"]] == [
        ("A-1", 27_000_000, 0, 30_000), ("B-3", 4_500_000, 7_500, 0), ("B-4", 1_800_000, 0, 3_000),
    ]  # fmt: skip
    assert said["gained_ueur"] == -580_000
    assert not any(word in json.dumps(said) for word in ("Owner", "pod", "fee", "inverter"))
    paid = sum(x["payment_ueur"] - x.get("penalty_ueur", 0) for x in (*said["orders"], *said["availability"]))
    assert paid == 580_000


def test_rule_4_a_brp_sees_what_corrects_its_position_and_no_money() -> None:
    said = party_statement(document(), "BRP/Y")
    assert [(x["volume_ws"], x["held_orders"]) for x in said["adjustments"]] == [(-7_200_000, 1)]
    assert [(x["pod"], x["position_ws"], x["code"]) for x in said["lines"]] == [
        ("c", -7_200_000, "over-delivered"), ("d", 0, "wrong-way"), ("e", 0, "held-no-measurement"),
    ]  # fmt: skip
    assert "payment" not in json.dumps(said["lines"]) and said["payments"] == [] and said["gained_ueur"] == 0


@pytest.mark.parametrize("seed", range(10))
def test_rule_5_every_party_s_statement_adds_up_to_what_it_gains(seed: int) -> None:
    whole = document(session(seed))
    gained = 0
    for party in parties(whole):
        said = party_statement(whole, party)
        moved = sum(x["amount_ueur"] * (1 if x["payee"] == party else -1) for x in said["payments"])
        assert moved == said["gained_ueur"]
        gained += moved
        assert all(
            x["reason"] for x in (*said.get("lines", ()), *said.get("availability", ()), *said.get("orders", ()))
        )
    assert gained == 0


@pytest.mark.parametrize("party", ["", "owner/", "owner/Owner z", "BRP", "dso", "x" * 5000])
def test_a_party_that_has_no_part_in_it_is_told_who_has(party: str) -> None:
    with pytest.raises(Rejected, match="no part in the settlement of da-27: BRP/X, BRP/Y") as refused:
        party_statement(document(), party)
    assert len(refused.value.reason) < 400
