"""What the commands of `lightnode market` about orders do: files in, one step of the activation, text or one JSON object out."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from backend.adapters.bounded import read_text
from backend.errors import Rejected
from backend.flows.orders import Orders
from backend.market.active import list_for, parties_of
from backend.market.canonical import text
from backend.market.order_row import emergencies_of, orders_of

Said = tuple[dict[str, Any], str]


def _order(options: argparse.Namespace, orders: Orders) -> Said:
    return _answers(orders.order(options.session, orders_of(read_text(options.file)), options.party))


def _emergency(options: argparse.Namespace, orders: Orders) -> Said:
    return _answers(orders.order(options.session, emergencies_of(read_text(options.file)), options.party))


def _withdraw(options: argparse.Namespace, orders: Orders) -> Said:
    return _answers([(options.order, orders.withdraw(options.session, options.order, options.party).value)])


def _answers(answers: list[tuple[str, str]]) -> Said:
    return {"answers": [list(row) for row in answers]}, "\n".join(f"{id}: {answer}" for id, answer in answers)


def _orders(options: argparse.Namespace, orders: Orders) -> Said:
    if options.to_judge:
        made = orders.to_judge(options.session)
        return json.loads(made), made
    standing = orders.desk(options.session).book.standing()
    lines = [
        f"{one.called}: {one.volume_w} of {one.offer or 'emergency'} for the {one.buyer} in quarter-hour {one.frame}"
        for one in standing
    ]
    return {"orders": json.loads(text(standing))}, "\n".join(lines) or "nothing is ordered"


def _activation(options: argparse.Namespace, orders: Orders) -> Said:
    if options.verdicts is not None:
        made = orders.activate(options.session, read_text(options.verdicts))
    else:
        made = orders.activation(options.session)
    if options.party is not None:
        if options.party not in parties_of(made):
            raise Rejected(f"party {options.party[:64]!r}, expected one of {', '.join(parties_of(made))}")
        made = list_for(made, options.party)
    return json.loads(made), made


COMMANDS: dict[str, Callable[[argparse.Namespace, Orders], Said]] = {
    "order": _order, "emergency": _emergency, "withdraw-order": _withdraw, "orders": _orders, "activation": _activation,
}  # fmt: skip
