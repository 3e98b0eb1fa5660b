"""Availability and status (I-13) as documents, and an owner's table of availability as CSV.

1. ``lightnode-availability/1``: owner, aggregator, and by POD its quarter-hours as ``[W up, W down]``.
2. The CSV has a line for each POD and period: ``pod``, ``from``, ``until`` (quarter-hours, half open), ``up_w``, ``down_w``; other
   columns say the same in all lines of a POD. Periods of one POD do not meet.
3. ``lightnode-status/1``: one POD.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from backend.errors import Rejected
from backend.market.availability import Availability, DerState, DerStatus, checked
from backend.market.form import by_frame, fields, frame, identity, name, read, rows, written
from backend.market.register import END_FRAME

AVAILABILITY, STATUS = "lightnode-availability/1", "lightnode-status/1"
_MOST_FRAMES = 40_000
_TERMS = {"brp": str, "longest_frames": int, "rest_frames": int, "asked_ueur_per_mwh": int}
_NO_TERMS: Mapping[str, Any] = {"brp": "", "longest_frames": 0, "rest_frames": 0, "asked_ueur_per_mwh": 0}
_COLUMNS = ("pod", "from", "until", "up_w", "down_w")


def availability_of(text: str) -> tuple[Availability, ...]:
    """What an owner declares; Rejected in one line."""
    document = fields(
        read(text, AVAILABILITY, "availability"), "availability",
        {"format": str, "owner": str, "aggregator": str, "pods": list},
    )  # fmt: skip
    owner = name(document["owner"], "availability owner")
    aggregator = identity(document["aggregator"], "availability aggregator")
    found = []
    for number, row in enumerate(rows(document, "pods"), 1):
        where = f"availability pod {number}"
        taken = fields(row, where, {"pod": str, "frames": dict, **_TERMS}, _NO_TERMS)
        tables = _tables(taken.pop("frames"), f"{where} {taken['pod'][:64]}")
        found.append(Availability(identity(taken.pop("pod"), f"{where} pod"), owner, aggregator, *tables, **taken))
    return checked(found)


def _tables(given: Mapping[str, object], where: str) -> tuple[dict[int, int], dict[int, int]]:
    """W up and W down by quarter-hour; 0 is not kept."""
    for key, value in given.items():
        if not isinstance(value, list) or len(value) != 2:
            raise Rejected(f"{where} frames of {key[:60]} = {value!r:.60}, expected [W up, W down]")
    parts = [
        by_frame({key: value[side] for key, value in given.items() if isinstance(value, list)}, where, 0, 10**12)
        for side in (0, 1)
    ]
    up_w, down_w = ({at: w for at, w in part.items() if w} for part in parts)
    return up_w, down_w


def availability_text(declared: Iterable[Availability]) -> str:
    """The same written; all of one owner and one aggregator."""
    every = list(declared)
    if len({(one.owner, one.aggregator) for one in every}) != 1:
        raise Rejected("availability: expected PODs of one owner and one aggregator")
    pods = []
    for one in every:
        table = {str(at): [one.up_w.get(at, 0), one.down_w.get(at, 0)] for at in one.frames}
        terms = {key: getattr(one, key) for key in _TERMS if getattr(one, key)}
        pods.append({"pod": one.pod, "frames": table, **terms})
    return written({"format": AVAILABILITY, "owner": every[0].owner, "aggregator": every[0].aggregator, "pods": pods})


def availability_of_csv(text: str, owner: str, aggregator: str) -> tuple[Availability, ...]:
    """What an owner's table declares to its aggregator; Rejected with the line."""
    try:
        lines = list(csv.DictReader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise Rejected(f"availability: not CSV: {error}") from error
    name(owner, "availability owner")
    identity(aggregator, "availability aggregator")
    by_pod: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    for number, line in enumerate(lines, 2):
        if None in line or None in line.values():
            raise Rejected(f"availability line {number}: {len(line)} columns do not match line 1")
        missing = [column for column in _COLUMNS if column not in line]
        unknown = sorted(set(line) - {*_COLUMNS, *_TERMS})
        if missing or unknown:
            raise Rejected(
                f"availability line 1: column {(missing or unknown)[0][:60]!r} {'missing' if missing else 'unknown'}"
            )
        by_pod.setdefault(line["pod"].strip(), []).append((number, {key: cell.strip() for key, cell in line.items()}))
    if not by_pod:
        raise Rejected("availability: no line, expected one for each POD and period")
    return checked(_declared(pod, table, owner, aggregator) for pod, table in by_pod.items())


def _declared(pod: str, table: list[tuple[int, Mapping[str, str]]], owner: str, aggregator: str) -> Availability:
    up_w: dict[int, int] = {}
    down_w: dict[int, int] = {}
    first_number, first = table[0]
    for number, line in table:
        where = f"availability line {number}"
        begin, end = (frame(line[key], f"{where} {key}") for key in ("from", "until"))
        if not begin < end <= begin + _MOST_FRAMES:
            raise Rejected(
                f"{where} until = {line['until'][:60]!r}, expected after from and within {_MOST_FRAMES} quarter-hours"
            )
        for key in set(line) & set(_TERMS):
            if line[key] != first[key]:
                raise Rejected(f"{where} {key} = {line[key][:60]!r}, line {first_number} says {first[key][:60]!r}")
        watts = [_number(line[key], f"{where} {key}") for key in ("up_w", "down_w")]
        for at in range(begin, end):
            if at in up_w:
                raise Rejected(f"{where}: {pod} in quarter-hour {at} stands twice")
            up_w[at], down_w[at] = watts
    numbers = {
        key: _number(first.get(key) or "0", f"availability line {first_number} {key}") for key in _TERMS if key != "brp"
    }
    return Availability(
        identity(pod, f"availability line {first_number} pod"), owner, aggregator, {at: w for at, w in up_w.items() if w},
        {at: w for at, w in down_w.items() if w}, first.get("brp", ""), **numbers,
    )  # fmt: skip


def _number(cell: str, where: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 13):
        raise Rejected(f"{where} = {cell[:60]!r}, expected a whole number, 0 or more")
    return int(cell)


def status_of(text: str) -> DerStatus:
    """How a POD's DER is; Rejected in one line."""
    kinds = {
        "format": str, "pod": str, "owner": str, "state": str, "time_ms": int, "until_frame": int, "reason": str,
    }  # fmt: skip
    taken = fields(read(text, STATUS, "status"), "status", kinds, {"until_frame": END_FRAME, "reason": ""})
    if taken["state"] not in list(DerState):
        raise Rejected(f"status state = {taken['state'][:60]!r}, expected {', '.join(DerState)}")
    taken |= {"pod": identity(taken["pod"], "status pod"), "owner": name(taken["owner"], "status owner")}
    return DerStatus(
        **{key: value for key, value in taken.items() if key != "format"} | {"state": DerState(taken["state"])}
    )


def status_text(one: DerStatus) -> str:
    """The same written."""
    row = {"pod": one.pod, "owner": one.owner, "state": one.state.value, "time_ms": one.time_ms, "reason": one.reason}
    return written(
        {"format": STATUS, **row, **({"until_frame": one.until_frame} if one.until_frame != END_FRAME else {})}
    )
