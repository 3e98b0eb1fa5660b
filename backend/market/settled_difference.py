"""What changed from one version of a settlement to the next, line by line and party by party.

1. A line is named by its id; one that is in one version only is a change too, null in the other.
2. Of a line that differs the fields that do are given, before and after; a line that is the same is not named.
3. Each party has what it gained before and after, and the difference; the differences sum to zero. Each BRP and quarter-hour has
   its correction before and after.
4. Where a line, what a party gains or a correction differs, a version moves something: it needs a second person (flows/settle.py).
"""

from collections.abc import Mapping
from typing import Any

FORMAT = "lightnode-settlement-difference/1"
Row = Mapping[str, Any]


def difference(before: Row, after: Row) -> dict[str, Any]:
    """Of two settlement documents, as json.loads gives them."""
    changed = []
    for kind in ("lines", "availability", "rebounds"):
        was, now = _by_id(before.get(kind, [])), _by_id(after.get(kind, []))
        changed += [
            {"id": id, **_changed(was.get(id), now.get(id))} for id in sorted(was | now) if was.get(id) != now.get(id)
        ]
    return {
        "format": FORMAT,
        "session": after["session"],
        "lines": changed,
        "parties": _moved(before["gained_ueur"], after["gained_ueur"]),
        "adjustments": _moved(_positions(before), _positions(after)),
    }


def moves(found: Row) -> bool:
    """Rule 4."""
    return bool(found["lines"] or found["parties"] or found["adjustments"])


def _by_id(lines: list[Row]) -> dict[str, Row]:
    return {line["id"]: line for line in lines}


def _changed(was: Row | None, now: Row | None) -> dict[str, Any]:
    """Rules 1 and 2."""
    if was is None or now is None:
        return {"before": was, "after": now}
    names = [name for name in now if was.get(name) != now[name]]
    return {"before": {name: was.get(name) for name in names}, "after": {name: now[name] for name in names}}


def _positions(settlement: Row) -> dict[str, int]:
    return {f"{one['brp']}/{one['frame']}": one["volume_ws"] for one in settlement["adjustments"]}


def _moved(was: Mapping[str, int], now: Mapping[str, int]) -> list[dict[str, Any]]:
    """Rule 3."""
    found = []
    for name in sorted(was.keys() | now.keys()):
        a, b = was.get(name, 0), now.get(name, 0)
        if a != b:
            found.append({"name": name, "before": a, "after": b, "difference": b - a})
    return found
