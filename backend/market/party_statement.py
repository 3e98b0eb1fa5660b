"""What one party gets of a settlement, with a reason for each line: ``lightnode-party-statement/1``.

1. An owner sees the lines of its own PODs, what they moved back, and the totals of the orders they have a part in; nothing of
   any other POD.
2. An aggregator sees every line of its offers and emergency orders, with PODs and owners.
3. A buyer (DSO, TSO) pays for orders and reserved W: it sees their totals, and neither PODs nor fees.
4. A BRP sees what corrects its position, line by line, and no money.
5. Payments are those that the party makes or gets; ``gained_ueur`` is their sum.
6. Flags are those of PODs that the party sees.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backend.errors import Rejected

FORMAT = "lightnode-party-statement/1"
Row = Mapping[str, Any]
_BUYERS = ("DSO", "TSO")
_OF_POD = ("owner", "brp", "pod", "id", "reason")
_POSITION = (
    "id", "order", "pod", "frame", "direction", "baseline_w", "measured_ws", "source", "delivered_ws", "position_ws", "held",
    "code", "reason",
)  # fmt: skip
_BACK = ("id", "order", "pod", "frame", "declared_ws", "back_ws", "beyond_ws", "position_ws", "held", "code", "reason")


def parties(settlement: Row) -> list[str]:
    """Everybody who has a part in a settlement, by name."""
    found = set(settlement["gained_ueur"])
    for line in (*settlement["lines"], *settlement["availability"]):
        found |= {line["buyer"], f"aggregator/{line['aggregator']}", f"owner/{line['owner']}", f"BRP/{line['brp']}"}
    return sorted(found)


def party_statement(settlement: Row, party: str) -> dict[str, Any]:
    """The statement of a party as settled_money.py names it; Rejected for one that has no part in it.

    settlement: the document, as json.loads gives it.
    """
    if party not in parties(settlement):
        known = ", ".join(parties(settlement))
        raise Rejected(
            f"statement: {party[:100]!r} has no part in the settlement of {settlement['session']}: {known:.200}"
        )
    role, _, name = party.partition("/")
    made = {
        "format": FORMAT,
        "session": settlement["session"],
        "party": party,
        "payments": [one for one in settlement["payments"] if party in (one["payer"], one["payee"])],
        "gained_ueur": settlement["gained_ueur"].get(party, 0),
    }
    if role in _BUYERS:
        return made | _of_buyer(settlement, role)
    if role == "BRP":
        return made | _of_brp(settlement, name)
    return made | _of_seller(settlement, lambda line: line[role] == name, role == "owner")


def _of_seller(settlement: Row, mine: Callable[[Row], bool], is_owner: bool) -> dict[str, Any]:
    """Rules 1 and 2."""
    lines = [line for line in settlement["lines"] if mine(line)]
    held_ready = [line for line in settlement["availability"] if mine(line)]
    back = [line for line in settlement.get("rebounds", ()) if mine(line)]
    ids = {line["order"] for line in lines}
    orders = [one for one in settlement["orders"] if one["order"] in ids and (not is_owner or one["members"] > 1)]
    return {
        "lines": lines,
        "availability": held_ready,
        "orders": orders,
        "flags": _flags(settlement, [*lines, *held_ready, *back]),
        **({"rebounds": back} if back else {}),
    }


def _flags(settlement: Row, lines: Iterable[Row]) -> list[Row]:
    """Rule 6."""
    points = {(line["pod"].removesuffix("/var"), line["frame"]) for line in lines}
    return [flag for flag in settlement["flags"] if (flag["pod"].removesuffix("/var"), flag["frame"]) in points]


def _of_buyer(settlement: Row, buyer: str) -> dict[str, Any]:
    """Rule 3."""
    ids = {line["order"] for line in settlement["lines"] if line["buyer"] == buyer}
    sums: dict[tuple[str, str, int, str], dict[str, Any]] = {}
    for line in settlement["availability"]:
        if line["buyer"] == buyer:
            key = line["offer"], line["request"], line["frame"], line["code"]
            row = sums.setdefault(
                key, {name: line[name] for name in line if name not in (*_OF_POD, *_SUMMED, "fee_ueur")}
            )
            for name in _SUMMED:
                row[name] = row.get(name, 0) + line[name]
            row["reason"] = _WORDS[line["code"]]
    return {
        "orders": [_without(one, "fee_ueur") for one in settlement["orders"] if one["order"] in ids],
        "availability": [sums[key] for key in sorted(sums)],
    }


def _without(row: Row, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


_SUMMED = ("reserved_ws", "payment_ueur", "withheld_ueur")
_WORDS = {
    "available": "held ready",
    "withheld-unavailable": "withheld: said to be unavailable",
    "withheld-not-delivered": "withheld: its order was short beyond the tolerance",
    "held-with-its-order": "held: its order is held",
    "held-no-measurement": "held: nothing shows that it was there",
}


def _of_brp(settlement: Row, brp: str) -> dict[str, Any]:
    """Rule 4."""
    lines = [line for line in settlement["lines"] if line["brp"] == brp and line["product"] == "active"]
    moved_back = [line for line in settlement.get("rebounds", ()) if line["brp"] == brp and line["product"] == "active"]
    back = [{name: line[name] for name in _BACK} for line in moved_back]
    return {
        "adjustments": [one for one in settlement["adjustments"] if one["brp"] == brp],
        "lines": [{name: line[name] for name in _POSITION} for line in lines],
        "flags": _flags(settlement, [*lines, *moved_back]),
        **({"rebounds": back} if back else {}),
    }
