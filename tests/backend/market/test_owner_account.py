"""An aggregator's accounts with its owners: from the settlement or its own statement, fee and net add up to the micro-euro."""

import json

import pytest

from backend.errors import Rejected
from backend.market.owner_account import account_text, accounts
from backend.market.party_statement import party_statement
from backend.market.settled import settled, settlement_text
from tests.backend.market.settlement_case import worked

SETTLEMENT = settlement_text(settled(worked()))
DOCUMENT = json.loads(SETTLEMENT)
MINE = json.dumps(party_statement(DOCUMENT, "aggregator/A"))


def test_rule_1_settlement_and_statement_give_the_same_accounts():
    assert accounts(SETTLEMENT, "A") == accounts(MINE, "A")
    assert {line["owner"] for line in DOCUMENT["lines"] if line["aggregator"] == "A"} <= {
        one.owner for one in accounts(MINE, "A")
    }


@pytest.mark.parametrize("aggregator", ["A", "B"])
def test_rule_2_and_3_what_buyers_pay_is_fee_and_net(aggregator):
    made = accounts(SETTLEMENT, aggregator)
    party = f"aggregator/{aggregator}"
    assert DOCUMENT["gained_ueur"].get(party, 0) == sum(one.fee_ueur for one in made)
    from_buyers = sum(
        p["amount_ueur"] * (1 if p["payee"] == party else -1)
        for p in DOCUMENT["payments"]
        if party in (p["payer"], p["payee"])
        and not {p["payer"], p["payee"]} - {party} <= {f"owner/{o.owner}" for o in made}
    )
    assert from_buyers == sum(one.fee_ueur + one.net_ueur for one in made)


def test_rule_2_a_held_line_moves_no_money():
    held = [line for one in accounts(SETTLEMENT, "A") + accounts(SETTLEMENT, "B") for line in one.lines if line.held]
    assert held and all((line.payment_ueur, line.fee_ueur, line.penalty_ueur) == (0, 0, 0) for line in held)


def test_an_account_says_its_lines_and_sums():
    one = accounts(SETTLEMENT, "A")[0]
    written = json.loads(account_text(one))
    assert written["format"] == "lightnode-owner-account/1" and written["owner"] == one.owner
    assert written["net_ueur"] == sum(w["payment_ueur"] - w["fee_ueur"] - w["penalty_ueur"] for w in written["lines"])
    assert all(w["reason"] for w in written["lines"])


def paid_line():
    return next(
        k for k, line in enumerate(DOCUMENT["lines"]) if line["aggregator"] == "A" and line["payment_ueur"] > 10
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fee_ueur": 1}, "its lines give aggregator/A"),
        ({"payment_ueur": "5"}, "payment_ueur = '5', expected int"),
        ({"held": 0}, "held = 0, expected bool"),
        ({"fee_ueur": 10**15}, "a fee within the payment"),
        ({"owner": None}, "owner = None, expected str"),
    ],
)
def test_a_settlement_that_does_not_add_up_is_refused(change, words):
    document = json.loads(SETTLEMENT)
    document["lines"][paid_line()].update(change)
    with pytest.raises(Rejected, match=words):
        accounts(json.dumps(document), "A")


def test_a_payment_that_the_lines_do_not_give_is_refused():
    document = json.loads(MINE)
    document["payments"][-1]["amount_ueur"] += 1
    with pytest.raises(Rejected, match="its payments"):
        accounts(json.dumps(document), "A")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format":"lightnode-settlement/1"}', '{"format":"lightnode-settlement/1","session":"s"}']
)
def test_what_is_no_settlement_is_refused(text):
    with pytest.raises(Rejected):
        accounts(text, "A")


def test_an_aggregator_without_a_line_is_refused():
    with pytest.raises(Rejected, match="has no line of C"):
        accounts(SETTLEMENT, "C")
