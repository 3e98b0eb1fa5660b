"""A session in one file, from which anyone recomputes it: ``lightnode-session/1``.

1. It holds every event of the session in order, each with its time, party and document: announcement and rules, the whole book
   as answered with receipt times, limits, rules and solutions of the clearing, verdicts, outcomes by version, orders,
   activation lists, settlements with their inputs; and what it was made with. All numbers are whole.
2. The file is canonical: it is the one text of what it says, with a digest (SHA-256) over everything else in it. So whatever
   byte is changed, it is found.
3. A difference between two documents is named by the way to it: which part, which row by its ids, which field.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import Rejected
from backend.market.canonical import digest_of_text, text
from backend.nesting import too_deep

FORMAT = "lightnode-session/1"
_IDS = ("id", "called", "offer", "request", "buyer", "element", "order", "pod", "frame", "step", "reserve")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a session; body: its document, or a plain word."""

    time_ms: int
    party: str
    what: str
    body: str


@dataclass(frozen=True, slots=True)
class SessionBundle:
    """What a bundle says; versions: of the programs that made it."""

    session: str
    events: tuple[Event, ...]
    versions: Mapping[str, str]


def bundle_text(one: SessionBundle) -> str:
    """The one text of a bundle, a line (rule 2)."""
    rows = [{"time_ms": e.time_ms, "party": e.party, "what": e.what, "body": _held(e.body)} for e in one.events]
    document = {"format": FORMAT, "session": one.session, "events": rows, "versions": dict(one.versions)}
    return text({**document, "sha256": digest_of_text(text(document))}) + "\n"


def bundle_of(written: str) -> SessionBundle:
    """The bundle in a text; Rejected if it is none, or anything in it was changed."""
    document = _read(written)
    digest = document.pop("sha256", None)
    if digest != digest_of_text(text(document)):
        raise Rejected("bundle sha256: is not the digest of what it holds: something in it was changed")
    if text({**document, "sha256": digest}) + "\n" != written:
        raise Rejected("bundle: is not written canonically: something in it was changed")
    kinds = {"format": str, "session": str, "events": list, "versions": dict}
    _check(document, kinds, "bundle")
    events = []
    for number, row in enumerate(document["events"], 1):
        _check(row, {"time_ms": int, "party": str, "what": str, "body": object}, f"bundle event {number}")
        events.append(Event(row["time_ms"], row["party"], row["what"], _said(row["body"])))
    return SessionBundle(document["session"], tuple(events), document["versions"])


def _read(written: str) -> dict[str, Any]:
    if too_deep(written):
        raise Rejected("bundle: nested too deep")
    try:
        document = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"bundle: not JSON: {error!s:.120}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"bundle: format, expected {FORMAT!r}")
    return document


def _check(row: object, kinds: Mapping[str, type], where: str) -> None:
    if not isinstance(row, dict) or set(row) != set(kinds):
        raise Rejected(f"{where}: expected exactly {', '.join(sorted(kinds))}")
    for name, kind in kinds.items():
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise Rejected(f"{where} {name} = {row[name]!r:.60}, expected {kind.__name__}")


def _held(body: str) -> Any:
    """A document as what it says; whatever is not the one text of an object stands as it is."""
    try:
        found = None if too_deep(body) else json.loads(body)
    except (ValueError, RecursionError):
        return body
    return found if isinstance(found, dict) and text(found) == body else body


def _said(held: object) -> str:
    return held if isinstance(held, str) else text(held)


def difference(where: str, kept: object, made: object) -> str | None:
    """The first difference between what a bundle has and what is recomputed (rule 3), None if there is none."""
    if isinstance(kept, dict) and isinstance(made, dict):
        for name in sorted(kept.keys() | made.keys()):
            if name not in made or name not in kept:
                return f"{where}, {name}: {'is not recomputed' if name not in made else 'is missing in the bundle'}"
            if (found := difference(f"{where}, {name}", kept[name], made[name])) is not None:
                return found
        return None
    if isinstance(kept, list) and isinstance(made, list):
        return _in_lists(where, kept, made)
    same = type(kept) is type(made) and kept == made
    return None if same else f"{where}: the bundle has {kept!r:.80}, recomputed is {made!r:.80}"


def _in_lists(where: str, kept: Sequence[object], made: Sequence[object]) -> str | None:
    for number, (one, other) in enumerate(zip(kept, made, strict=False), 1):
        if (found := difference(f"{where} {_name(one, number)}", one, other)) is not None:
            return found
    if len(kept) == len(made):
        return None
    more, which = (kept, "is not recomputed") if len(kept) > len(made) else (made, "is missing in the bundle")
    number = min(len(kept), len(made))
    return f"{where} {_name(more[number], number + 1)}: {which}"


def _name(row: object, number: int) -> str:
    """A row by its ids, or its number from 1."""
    ids: Iterable[str] = (
        f"{k} {row[k]}" for k in _IDS if isinstance(row, dict) and row.get(k) not in (None, "", False)
    )
    return f"[{', '.join(ids) or number}]"
