"""What an aggregator owes its owners of a settlement (I-18), and what it keeps: one account for each owner.

1. It is made from the settlement, or from the aggregator's own statement of it; only lines of its own count.
2. Of each line the owner gets what the buyer pays (for energy or for being ready) less the fee, and bears the penalty: net is
   payment less fee less penalty. A held line moves no money and is counted.
3. What the aggregator gets from buyers is what it passes on to owners and what it keeps as fee, to the micro-euro; it must be
   what the settlement's payments say, else the document is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import Rejected
from backend.market.form import json_object, rows, written

FORMAT = "lightnode-owner-account/1"
_READ = ("lightnode-settlement/1", "lightnode-party-statement/1")
_TEXT, _MONEY = ("aggregator", "owner", "pod", "buyer", "reason"), ("payment_ueur", "fee_ueur")


@dataclass(frozen=True, slots=True)
class AccountLine:
    """I-18. One order or award at one POD (micro-EUR): paid by the buyer, the fee and the penalty that come off; why."""

    pod: str
    frame: int
    buyer: str
    payment_ueur: int
    fee_ueur: int
    penalty_ueur: int
    held: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """One owner's lines, by POD and quarter-hour."""

    session: str
    aggregator: str
    owner: str
    lines: tuple[AccountLine, ...]

    @property
    def fee_ueur(self) -> int:
        """What the aggregator keeps."""
        return sum(line.fee_ueur for line in self.lines)

    @property
    def net_ueur(self) -> int:
        """What the owner gets; below zero it pays."""
        return sum(line.payment_ueur - line.fee_ueur - line.penalty_ueur for line in self.lines)

    @property
    def held(self) -> int:
        """How many lines wait for evidence."""
        return sum(line.held for line in self.lines)


def accounts(text: str, aggregator: str) -> tuple[Account, ...]:
    """The accounts of an aggregator's owners, by owner. Rejected in one line."""
    document = json_object(text)
    if document.get("format") not in _READ:
        raise Rejected(f"settlement: format, expected {' or '.join(_READ)}")
    session = document.get("session")
    if not isinstance(session, str):
        raise Rejected(f"settlement session = {session!r:.60}, expected text")
    by_owner: dict[str, list[AccountLine]] = {}
    for key in ("lines", "availability"):
        for number, row in enumerate(rows(document, key), 1):
            owner, line = _line(row, f"settlement {key} {number}", aggregator)
            if line is not None:
                by_owner.setdefault(owner, []).append(line)
    if not by_owner:
        raise Rejected(f"settlement of {session}: has no line of {aggregator}")
    made = tuple(
        Account(session, aggregator, owner, tuple(sorted(lines, key=lambda one: (one.pod, one.frame, one.reason))))
        for owner, lines in sorted(by_owner.items())
    )
    _check(document, made)
    return made


def _line(row: object, where: str, aggregator: str) -> tuple[str, AccountLine | None]:
    if not isinstance(row, dict):
        raise Rejected(f"{where}: expected an object")
    row = {"penalty_ueur": 0, **row}
    for name in (*_TEXT, *_MONEY, "penalty_ueur", "frame", "held"):
        kind = str if name in _TEXT else bool if name == "held" else int
        if type(row.get(name)) is not kind:
            raise Rejected(f"{where} {name} = {row.get(name)!r:.60}, expected {kind.__name__}")
    if row["aggregator"] != aggregator:
        return "", None
    if min(row[name] for name in (*_MONEY, "penalty_ueur")) < 0 or row["fee_ueur"] > row["payment_ueur"]:
        raise Rejected(f"{where}: payment, fee and penalty, expected 0 or more and a fee within the payment")
    names = ("pod", "frame", "buyer", "payment_ueur", "fee_ueur", "penalty_ueur", "held", "reason")
    return row["owner"], AccountLine(**{name: row[name] for name in names})


def _check(document: Mapping[str, Any], made: Iterable[Account]) -> None:
    """Rule 3, against the settlement's payments."""
    said: dict[str, int] = {}
    for number, row in enumerate(rows(document, "payments"), 1):
        if not isinstance(row, dict) or type(row.get("amount_ueur")) is not int:
            raise Rejected(f"settlement payment {number}: expected payer, payee and amount_ueur")
        for party, sign in ((row.get("payer"), -1), (row.get("payee"), 1)):
            said[str(party)] = said.get(str(party), 0) + sign * row["amount_ueur"]
    every = list(made)
    wanted = {f"aggregator/{every[0].aggregator}": sum(one.fee_ueur for one in every)}
    if document["format"] == _READ[1]:
        wanted |= {f"owner/{one.owner}": one.net_ueur for one in every}
    for party, amount in wanted.items():
        if said.get(party, 0) != amount:
            raise Rejected(
                f"settlement: its lines give {party[:80]} {amount} micro-EUR, its payments {said.get(party, 0)}"
            )


def account_text(one: Account) -> str:
    """An account as a document for its owner."""
    lines = [{name: getattr(line, name) for name in AccountLine.__slots__} for line in one.lines]
    return written(
        {
            "format": FORMAT, "session": one.session, "aggregator": one.aggregator, "owner": one.owner, "lines": lines,
            "fee_ueur": one.fee_ueur, "net_ueur": one.net_ueur, "held": one.held,
        }
    )  # fmt: skip
