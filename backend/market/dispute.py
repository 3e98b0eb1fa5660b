"""What a party holds against a line of a settlement, and what it is answered.

1. A party disputes a line of its own statement, with a reason; the same dispute again, while it is open, is the same.
2. It is answered once, by somebody else: upheld or refused, with a reason. What is upheld is mended by a new version of the
   settlement; a dispute changes no money by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from backend.errors import Rejected

MOST_WORDS = 2_000


class DisputeState(StrEnum):
    """Where a dispute stands."""

    OPEN = "open"
    UPHELD = "upheld"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Dispute:
    """version: of the settlement it is about; opened_ms and answered_ms: UTC, 0 while it is open."""

    id: str
    party: str
    version: int
    line: str
    reason: str
    opened_ms: int
    state: DisputeState = DisputeState.OPEN
    answer: str = ""
    answered_by: str = ""
    answered_ms: int = 0


def lines_of(statement: Mapping[str, Any]) -> set[str]:
    """The names of all that a party can dispute in its statement (party_statement.py): the ``id`` of a line; ``order/ID``,
    ``availability/OFFER/REQUEST/FRAME`` and ``position/FRAME`` where it sees totals only."""
    named = {
        line["id"] for kind in ("lines", "availability", "rebounds") for line in statement.get(kind, ()) if "id" in line
    }
    named |= {f"order/{one['order']}" for one in statement.get("orders", ())}
    named |= {
        f"availability/{one['offer']}/{one['request']}/{one['frame']}"
        for one in statement.get("availability", ())
        if "id" not in one
    }
    return named | {f"position/{one['frame']}" for one in statement.get("adjustments", ())}


def opened(before: list[Dispute], wanted: Dispute, statement: Mapping[str, Any]) -> Dispute:
    """The dispute as it stands: a new one, or the one that is open already (rule 1). Rejected for what is none."""
    _check_words("reason", wanted.reason)
    if wanted.line not in lines_of(statement):
        known = ", ".join(sorted(lines_of(statement)))
        raise Rejected(f"dispute: {wanted.line[:100]!r} is no line of the statement of {wanted.party}: {known:.200}")
    for one in before:
        same = (one.party, one.version, one.line, one.reason) == (
            wanted.party,
            wanted.version,
            wanted.line,
            wanted.reason,
        )
        if same and one.state is DisputeState.OPEN:
            return one
    return wanted


def answered(one: Dispute, state: DisputeState, answer: str, party: str, now_ms: int) -> Dispute:
    """The dispute with its answer (rule 2); the same answer again gives it as it is."""
    _check_words("answer", answer)
    _check_words("party", party)
    if (one.state, one.answer, one.answered_by) == (state, answer, party):
        return one
    if one.state is not DisputeState.OPEN:
        raise Rejected(f"dispute {one.id}: was {one.state} by {one.answered_by}")
    if state is DisputeState.OPEN:
        raise Rejected(f"dispute {one.id}: an answer is upheld or refused")
    if party == one.party:
        raise Rejected(f"dispute {one.id}: {party} opened it, somebody else has to answer it")
    return replace(one, state=state, answer=answer, answered_by=party, answered_ms=now_ms)


def _check_words(what: str, words: str) -> None:
    if not words.strip() or len(words) > MOST_WORDS or not words.isprintable():
        raise Rejected(f"dispute: {what}, expected 1 to {MOST_WORDS} printable characters")
