"""What `lightnode grid dispatch` does: orders and what PODs can do in, parts, set-points and shortfalls out. Nothing is sent.

Document lightnode-dispatch/1: ``frame``; ``abilities``, a list of pod, baseline_w, lowest_w, highest_w, up_w, down_w; ``orders``, a
list of order, buyer ("DSO", "TSO"), direction ("up", "down"), volume_w, shares_w (W by POD). Whole numbers only.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from backend.domain.bids import Buyer
from backend.errors import Rejected
from backend.market.dispatch import Ability, Call, Dispatched, dispatch, replaced
from backend.nesting import once_each, too_deep

FORMAT = "lightnode-dispatch/1"
_ABILITY = {"pod": str, "baseline_w": int, "lowest_w": int, "highest_w": int, "up_w": int, "down_w": int}
_ORDER = {"order": str, "buyer": str, "direction": str, "volume_w": int, "shares_w": dict}
_WORDS = {str: "text", int: "a whole number", dict: "W by POD"}
_MOST_W = 10**12
_LONGEST = 64


def run(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """(document, text) of a dispatch; the PODs of --out are replaced within their groups."""
    calls, abilities, frame = _read(options.orders.read_text())
    made = dispatch(calls, abilities, frame)
    unknown = sorted(set(options.out) - set(abilities))
    if unknown:
        raise Rejected(f"--out {unknown[0]}: no such POD among the abilities")
    if options.out:
        made = replaced(made, abilities, options.out)
    for said in _beyond(made, abilities):
        print(f"lightnode: {said}", file=sys.stderr)
    return document_of(made), _text(made)


def document_of(made: Dispatched) -> dict[str, object]:
    """Parts, shortfalls and targets (W at the POD, withdrawal positive)."""
    return {
        "format": "lightnode-dispatched/1",
        "frame": made.frame,
        "orders": [{"order": p.call.order, "parts_w": dict(p.parts_w), "short_w": p.short_w} for p in made.parts],
        "targets": [{"pod": p.pod, "target_w": p.target_w, "orders": list(p.orders)} for p in made.plans],
        "out": list(made.out),
    }


def _read(text: str) -> tuple[list[Call], dict[str, Ability], int]:
    try:
        document = None if too_deep(text) else json.loads(text, object_pairs_hook=lambda p: once_each(p, "orders"))
    except (ValueError, RecursionError) as error:
        raise Rejected(f"orders: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"orders: format, expected {FORMAT!r}")
    for name in sorted(set(document) - {"format", "frame", "abilities", "orders"}):
        raise Rejected(f"orders: no such field as {name[:40]!r}")
    frame = document.get("frame")
    if type(frame) is not int or not 0 <= frame <= _MOST_W:
        raise Rejected(f"orders: frame = {frame!r:.60}, expected a quarter-hour of UTC (utc_ms // 900000)")
    rows = {name: document.get(name) for name in ("abilities", "orders")}
    for name, value in rows.items():
        if not isinstance(value, list):
            raise Rejected(f"orders: {name}, expected a list")
    abilities: dict[str, Ability] = {}
    for number, row in enumerate(rows["abilities"] or (), 1):
        ability = Ability(**_fields(row, _ABILITY, f"ability number {number}"))
        if ability.pod in abilities:
            raise Rejected(f"ability number {number}: POD {ability.pod} is there twice")
        abilities[ability.pod] = ability
    calls = [_call(row, number, frame) for number, row in enumerate(rows["orders"] or (), 1)]
    return calls, abilities, frame


def _call(row: object, number: int, frame: int) -> Call:
    given = _fields(row, _ORDER, f"order number {number}")
    if given["buyer"] not in list(Buyer):
        raise Rejected(f"order number {number}: buyer = {given['buyer']!r:.60}, expected DSO or TSO")
    for pod, watts in given["shares_w"].items():
        _check_name(pod, f"order number {number}: POD of shares_w")
        if type(watts) is not int or abs(watts) > _MOST_W:
            raise Rejected(f"order number {number}: share of {pod:.60} = {watts!r:.60}, expected a whole number of W")
    return Call(frame=frame, **given)


def _fields(row: object, expected: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) != set(expected):
        raise Rejected(f"{where}: expected exactly {', '.join(expected)}")
    for name, kind in expected.items():
        value: Any = row[name]
        if type(value) is not kind or (isinstance(value, int) and abs(value) > _MOST_W):
            raise Rejected(f"{where}: {name} = {value!r:.60}, expected {_WORDS[kind]}")
        if name in ("pod", "order"):
            _check_name(str(value), f"{where}: {name}")
    return row


def _check_name(name: str, where: str) -> None:
    if not (0 < len(name) <= _LONGEST and name.isprintable()):
        raise Rejected(f"{where} = {name!r:.60}, expected 1 to {_LONGEST} characters that can be printed")


def _text(made: Dispatched) -> str:
    lines = [
        f"{plan.pod}: {plan.target_w} W for {', '.join(plan.orders) or 'no order (baseline)'}" for plan in made.plans
    ]
    for part in made.parts:
        placed = sum(part.parts_w.values())
        short = f"; SHORT {part.short_w} W" if part.short_w else ""
        lines.append(f"order {part.call.order}: {placed} of {part.call.volume_w} W {part.call.direction}{short}")
    return "\n".join(lines) or "no order: nobody is asked for anything"


def _beyond(made: Dispatched, abilities: Mapping[str, Ability]) -> Iterator[str]:
    """Targets that the POD's own limits do not allow: of a baseline that is outside of them."""
    for plan in made.plans:
        of = abilities[plan.pod]
        if not of.lowest_w <= plan.target_w <= of.highest_w:
            limits = f"{of.lowest_w} to {of.highest_w} W (baseline {of.baseline_w} W)"
            yield f"POD {plan.pod}: target {plan.target_w} W is outside of its limits, {limits}: its node will refuse it"
