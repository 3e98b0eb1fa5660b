"""Documents between the actors of a session: resources (I-02), constraints, awards to judge, verdicts (I-07), outcomes (I-08).

Each has its ``format``; a field that is missing, unknown or of another kind is refused in one line that names it. Numbers are
whole. The operator's own documents are written by backend/grid/answer.py.
"""

import json
from collections.abc import Sequence

from backend.domain.bids import Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.errors import Rejected
from backend.market.form import fields, json_object, numbers, read, rows, words, written
from backend.market.judged import Judged
from backend.market.register import END_FRAME, Register, Resource
from backend.market.submission import FORMAT as BIDS
from backend.market.submission_field import offer_row, request_row

RESOURCES, CONSTRAINTS = "lightnode-resources/1", "lightnode-constraints/1"
AWARDS, VERDICTS = "lightnode-awards/1", "lightnode-verdicts/1"
Allowed = tuple[dict[tuple[str, str], dict[int, int]], dict[str, str]]


def resources_of(*texts: str) -> Register:
    """Whose each POD is and what it has (I-02), from one or several lists; Rejected where two of them meet."""
    return Register([one for text in texts for one in _resources(text)])


def _resources(text: str) -> list[Resource]:
    kinds = {
        "pod": str, "aggregator": str, "up_w": int, "down_w": int, "from_frame": int, "until_frame": int, "brp": str,
    }  # fmt: skip
    otherwise = {"from_frame": 0, "until_frame": END_FRAME, "brp": ""}
    given = rows(read(text, RESOURCES, "resources"), "resources")
    return [Resource(**fields(row, f"resource {number}", kinds, otherwise)) for number, row in enumerate(given, 1)]


def resources_text(resources: Sequence[Resource]) -> str:
    """The same written."""
    made = []
    for one in resources:
        row: dict[str, object] = {
            "pod": one.pod, "aggregator": one.aggregator, "up_w": one.up_w, "down_w": one.down_w,
        }  # fmt: skip
        if (one.from_frame, one.until_frame) != (0, END_FRAME):
            row |= {"from_frame": one.from_frame, "until_frame": one.until_frame}
        made.append(row | ({"brp": one.brp} if one.brp else {}))
    return written({"format": RESOURCES, "resources": made})


def bids_text(requests: Sequence[Request], offers: Sequence[Offer]) -> str:
    """A book as a file of bids has it."""
    body = {"format": BIDS, "offers": [offer_row(o) for o in offers], "requests": [request_row(r) for r in requests]}
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def constraints_of(text: str) -> tuple[Constraint, ...]:
    """The limits that a session is cleared within, as the operator froze them."""
    kinds = {"element": str, "frame": int, "margin_ppt": int, "effect_ppt_per_w": dict, "effect_ppt_per_var": dict}
    found = []
    for number, row in enumerate(rows(read(text, CONSTRAINTS, "constraints"), "constraints"), 1):
        where = f"constraint {number}"
        row = {"effect_ppt_per_var": {}, **row} if isinstance(row, dict) else row
        taken = fields(row, where, kinds)
        for name in ("effect_ppt_per_w", "effect_ppt_per_var"):
            numbers(taken[name], f"{where} {name}")
        found.append(Constraint(**taken))
    return tuple(found)


def check_frames(text: str, frames: Sequence[int]) -> None:
    """Rejected where the limits say which quarter-hours they are of, and one of these, which are asked for, is not among them."""
    said = read(text, CONSTRAINTS, "constraints").get("frames")
    if said is None:
        return
    if not isinstance(said, list) or any(type(one) is not int for one in said):
        raise Rejected("constraints frames, expected a list of quarter-hours")
    if missing := sorted(set(frames) - set(said)):
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise Rejected(
            f"constraints: nothing is said of quarter-hour {missing[0]}{more}, which is asked for: make the limits from "
            "states that have it"
        )


def nodes_of(text: str) -> dict[str, str]:
    """At which node each POD is connected, where the document of the limits says so."""
    nodes = read(text, CONSTRAINTS, "constraints").get("nodes", {})
    if not isinstance(nodes, dict):
        raise Rejected("constraints nodes, expected an object")
    return words(nodes, "constraints nodes")


def constraints_text(constraints: Sequence[Constraint]) -> str:
    """The same written."""
    made = [
        {
            "element": c.element, "frame": c.frame, "margin_ppt": c.margin_ppt, "effect_ppt_per_w": dict(c.effect_ppt_per_w),
            "effect_ppt_per_var": dict(c.effect_ppt_per_var),
        }
        for c in constraints
    ]  # fmt: skip
    return json.dumps({"format": CONSTRAINTS, "constraints": made}, sort_keys=True, separators=(",", ":"))


def outcome_of(text: str) -> Outcome:
    """An outcome from its canonical text (market.canonical)."""
    document = json_object(text)
    taken = fields(document, "outcome", {"session": str, "awards": list, "results": list, "unserved": dict})
    awards = tuple(_award(row, f"award {number}") for number, row in enumerate(taken["awards"], 1))
    results = tuple(_result(row, f"result {number}") for number, row in enumerate(taken["results"], 1))
    unserved = {}
    for key, left in numbers(taken["unserved"], "outcome unserved").items():
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
    taken = fields(given, where, kinds)
    if sum(numbers(taken["parts_w"], f"{where} parts_w").values()) != taken["volume_w"]:
        raise Rejected(f"{where} of {taken['offer']}: parts_w do not add up to volume_w = {taken['volume_w']}")
    return Award(**taken)


def _result(row: object, where: str) -> Result:
    kinds = {"offer": str, "fate": str, "reason": str, "offered_w": int, "accepted_w": int, "element": str}
    taken = fields(row, where, kinds)
    try:
        return Result(**{**taken, "fate": Fate(taken["fate"]), "reason": Reason(taken["reason"])})
    except ValueError as error:
        raise Rejected(f"{where} of {taken['offer']}: {error}") from error


def awards_text(awarded: Sequence[Judged], number: int | None = None) -> str:
    """What the operator is asked to judge, as a document; number: of the round of the session, if it is of one."""
    made = []
    for one in awarded:
        row: dict[str, object] = {
            "offer": one.offer.id, "buyer": one.buyer.value, "linked": one.offer.linked, "minimum_ppm": one.least_ppm,
        }  # fmt: skip
        row["delta_var" if one.is_reactive else "delta_w"] = one.change
        made.append(row | ({"rebound_w": one.rebound} if one.rebound else {}))
    of_round = {} if number is None else {"round": number}
    return json.dumps({"format": AWARDS, "awards": made, **of_round}, sort_keys=True, separators=(",", ":"))


def round_of(text: str, otherwise: int) -> int:
    """Of which round verdicts are, as the awards said that they are on; otherwise: if they say nothing. Rejected."""
    number = read(text, VERDICTS, "verdicts").get("round", otherwise)
    if type(number) is not int:
        raise Rejected(f"verdicts round = {number!r:.60}, expected a whole number")
    return number


def verdicts_of(text: str, frames: Sequence[int], awarded: Sequence[Judged]) -> Allowed:
    """(part in 1e-6 by offer and request and quarter-hour, element that stopped an offer) of the operator's verdicts.

    Rejected unless there is one verdict on everything that was to be judged, and on nothing else."""
    wanted = {(one.offer.id, one.buyer.value): one for one in awarded}
    allowed: dict[tuple[str, str], dict[int, int]] = {}
    elements: dict[str, str] = {}
    for number, row in enumerate(rows(read(text, VERDICTS, "verdicts"), "verdicts"), 1):
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
