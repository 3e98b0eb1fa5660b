"""Documents between the actors of a session: resources (I-02), constraints, awards to judge, verdicts (I-07), outcomes (I-08).

Each has its ``format``; a field that is missing, unknown or of another kind is refused in one line that names it. Numbers are
whole. The operator's own documents are written by backend/grid/answer.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backend.domain.bids import Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.errors import Rejected
from backend.market.judged import Judged
from backend.market.submission import FORMAT as BIDS
from backend.market.submission_field import offer_row, request_row
from backend.nesting import too_deep

RESOURCES, CONSTRAINTS = "lightnode-resources/1", "lightnode-constraints/1"
AWARDS, VERDICTS = "lightnode-awards/1", "lightnode-verdicts/1"
Resources = tuple[dict[str, str], dict[tuple[str, Direction], int]]
Allowed = tuple[dict[tuple[str, str], dict[int, int]], dict[str, str]]


def resources_of(text: str) -> Resources:
    """(aggregator by POD, W by POD and direction) of I-02."""
    aggregator_of: dict[str, str] = {}
    capacity_w: dict[tuple[str, Direction], int] = {}
    for number, row in enumerate(_rows(document_of(text, RESOURCES, "resources"), "resources"), 1):
        where = f"resource {number}"
        taken = fields_of(row, where, {"pod": str, "aggregator": str, "up_w": int, "down_w": int})
        pod = taken["pod"]
        if pod in aggregator_of:
            raise Rejected(f"{where} pod = {pod!r}, stands twice")
        if min(taken["up_w"], taken["down_w"]) < 0:
            raise Rejected(f"{where} of {pod}: up_w and down_w, expected 0 or more")
        aggregator_of[pod] = taken["aggregator"]
        capacity_w[pod, Direction.UP], capacity_w[pod, Direction.DOWN] = taken["up_w"], taken["down_w"]
    return aggregator_of, capacity_w


def bids_text(requests: Sequence[Request], offers: Sequence[Offer]) -> str:
    """A book as a file of bids has it."""
    body = {"format": BIDS, "offers": [offer_row(o) for o in offers], "requests": [request_row(r) for r in requests]}
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def constraints_of(text: str) -> tuple[Constraint, ...]:
    """The limits that a session is cleared within, as the operator froze them."""
    kinds = {"element": str, "frame": int, "margin_ppt": int, "effect_ppt_per_w": dict, "effect_ppt_per_var": dict}
    found = []
    for number, row in enumerate(_rows(document_of(text, CONSTRAINTS, "constraints"), "constraints"), 1):
        where = f"constraint {number}"
        row = {"effect_ppt_per_var": {}, **row} if isinstance(row, dict) else row
        taken = fields_of(row, where, kinds)
        for name in ("effect_ppt_per_w", "effect_ppt_per_var"):
            _numbers(taken[name], f"{where} {name}")
        found.append(Constraint(**taken))
    return tuple(found)


def constraints_text(constraints: Sequence[Constraint]) -> str:
    """The same written."""
    rows = [
        {
            "element": c.element, "frame": c.frame, "margin_ppt": c.margin_ppt, "effect_ppt_per_w": dict(c.effect_ppt_per_w),
            "effect_ppt_per_var": dict(c.effect_ppt_per_var),
        }
        for c in constraints
    ]  # fmt: skip
    return json.dumps({"format": CONSTRAINTS, "constraints": rows}, sort_keys=True, separators=(",", ":"))


def outcome_of(text: str) -> Outcome:
    """An outcome from its canonical text (market.canonical)."""
    document = _object(text)
    taken = fields_of(document, "outcome", {"session": str, "awards": list, "results": list, "unserved": dict})
    awards = tuple(_award(row, f"award {number}") for number, row in enumerate(taken["awards"], 1))
    results = tuple(_result(row, f"result {number}") for number, row in enumerate(taken["results"], 1))
    unserved = {}
    for key, left in _numbers(taken["unserved"], "outcome unserved").items():
        request, slash, frame = key.rpartition("/")
        if not slash or not frame.isdigit():
            raise Rejected(f"outcome unserved {key!r}, expected REQUEST/QUARTER-HOUR")
        unserved[request, int(frame)] = left
    return Outcome(taken["session"], awards, results, unserved)


def _award(row: object, where: str) -> Award:
    given = {"step": 0, "reserve": False, "price_ueur_per_mwh": None, **row} if isinstance(row, dict) else row
    kinds = {
        "offer": str, "request": str, "frame": int, "volume_w": int, "parts_w": dict, "step": int, "reserve": bool,
        "price_ueur_per_mwh": (int, type(None)),
    }  # fmt: skip
    taken = fields_of(given, where, kinds)
    if sum(_numbers(taken["parts_w"], f"{where} parts_w").values()) != taken["volume_w"]:
        raise Rejected(f"{where} of {taken['offer']}: parts_w do not add up to volume_w = {taken['volume_w']}")
    return Award(**taken)


def _result(row: object, where: str) -> Result:
    kinds = {"offer": str, "fate": str, "reason": str, "offered_w": int, "accepted_w": int, "element": str}
    taken = fields_of(row, where, kinds)
    try:
        return Result(**{**taken, "fate": Fate(taken["fate"]), "reason": Reason(taken["reason"])})
    except ValueError as error:
        raise Rejected(f"{where} of {taken['offer']}: {error}") from error


def awards_text(awarded: Sequence[Judged]) -> str:
    """What the operator is asked to judge, as a document."""
    rows = []
    for one in awarded:
        row: dict[str, object] = {
            "offer": one.offer.id, "buyer": one.buyer.value, "linked": one.offer.linked, "minimum_ppm": one.least_ppm,
        }  # fmt: skip
        row["delta_var" if one.is_reactive else "delta_w"] = one.change
        rows.append(row | ({"rebound_w": one.rebound} if one.rebound else {}))
    return json.dumps({"format": AWARDS, "awards": rows}, sort_keys=True, separators=(",", ":"))


def verdicts_of(text: str, frames: Sequence[int], awarded: Sequence[Judged]) -> Allowed:
    """(part in 1e-6 by offer and request and quarter-hour, element that stopped an offer) of the operator's verdicts.

    Rejected unless there is one verdict on everything that was to be judged, and on nothing else."""
    wanted = {(one.offer.id, one.buyer.value): one for one in awarded}
    allowed: dict[tuple[str, str], dict[int, int]] = {}
    elements: dict[str, str] = {}
    for number, row in enumerate(_rows(document_of(text, VERDICTS, "verdicts"), "verdicts"), 1):
        if not isinstance(row, dict) or not isinstance(row.get("offer"), str):
            raise Rejected(f"verdict {number}: offer, expected the id of an offer")
        key = row["offer"], str(row.get("buyer"))
        if key not in wanted:
            raise Rejected(f"verdict {number}: {key[0]} for the {key[1]} was not to be judged, or stands twice")
        one = wanted.pop(key)
        name = "delta_var" if one.is_reactive else "delta_w"
        parts = one.allow(frames, _table(row.get(name), f"verdict on {key[0]} {name}", len(frames)))
        if parts:
            allowed |= parts
            elements[key[0]] = _element(row.get("stops"))
    for offer, buyer in wanted:
        raise Rejected(f"verdicts: none on {offer} for the {buyer}")
    return allowed, elements


def _table(table: object, where: str, count: int) -> dict[str, list[int]]:
    if not isinstance(table, dict) or any(
        not isinstance(row, list) or len(row) != count or any(type(w) is not int for w in row) for row in table.values()
    ):
        raise Rejected(f"{where}: expected {count} whole numbers for each POD")
    return table


def _element(stops: object) -> str:
    if not isinstance(stops, list) or not stops or not all(isinstance(stop, dict) for stop in stops):
        return ""
    first = min(stops, key=lambda stop: (stop.get("passed_w", 0), stop.get("frame", 0)))
    return str(first.get("element", ""))[:96]


def document_of(text: str, format: str, key: str) -> dict[str, Any]:
    """The object written in a text, of this format; key names it in a refusal."""
    document = _object(text)
    if document.get("format") != format:
        raise Rejected(f"{key}: format, expected {format!r}")
    return document


def _object(text: str) -> dict[str, Any]:
    if too_deep(text):
        raise Rejected("document: nested too deep")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"document: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Rejected("document: expected an object")
    return document


def _rows(document: Mapping[str, Any], key: str) -> list[object]:
    rows = document.get(key)
    if not isinstance(rows, list):
        raise Rejected(f"{key}: expected a list")
    return rows


def fields_of(row: object, where: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row, all of them there and of their kind (name to type or types); Rejected in one line."""
    if not isinstance(row, dict):
        raise Rejected(f"{where}: expected an object")
    for name in sorted(set(row) | set(kinds)):
        if name not in kinds:
            raise Rejected(f"{where} {name[:60]}: no such field")
        kind = kinds[name] if isinstance(kinds[name], tuple) else (kinds[name],)
        if name not in row or type(row[name]) not in kind:
            raise Rejected(f"{where} {name} = {row.get(name)!r:.60}, expected {kind[0].__name__}")
    return dict(row)


def _numbers(row: Mapping[str, Any], where: str) -> Mapping[str, int]:
    for key, value in row.items():
        if type(value) is not int:
            raise Rejected(f"{where} of {key[:60]} = {value!r:.60}, expected a whole number")
    return row
