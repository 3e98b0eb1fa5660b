"""The notes of the back end: every row against its digest, every table against its seal.

1. Where the sum of the rows is the one that was sealed, the rows are right, and digests that differ were changed; where the
   sum of the digests is, the digests are right, and rows that differ were changed.
2. A table without a seal of the log key, or whose seal neither sum gives, is named itself.
3. What `kept` names as the highest seq of a device is there.
"""

from collections.abc import Iterable, Mapping

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.copy import Copy, Kept, Noted, Seal, sound
from backend.evidence.audit.device import Held
from backend.evidence.audit.registry import Trust
from backend.evidence.notes import NOTES, row_digest, seal_of, sum_of


def check_notes(copy: Copy, held: Mapping[bytes, Held], trust: Trust, alarms: Alarms) -> None:
    """Names every row of the notes that was changed, put in or taken away (rules 1 to 3)."""
    seals = {row.name: row for row in sound(Seal, copy.rows(Seal, "seal"), alarms)}
    noted: dict[str, dict[str, bytes]] = {table: {} for table in NOTES}
    for row in sound(Noted, copy.rows(Noted, "noted"), alarms):
        if row.name in noted:
            noted[row.name][row.key] = row.digest
        else:
            alarms.add("noted", name(row.name, row.key), "is of no table: it was put in")
    for table in seals.keys() - NOTES.keys():
        alarms.add("seal", table, "is of no table: it was put in")
    for table in NOTES:
        there = {key: row_digest(cells) for key, cells in copy.notes(table)}
        _check_table(table, there, noted[table], seals.get(table), trust, alarms)
    _check_kept(sound(Kept, copy.rows(Kept, "kept"), alarms), held, alarms)


def _check_table(
    table: str, there: Mapping[str, bytes], noted: Mapping[str, bytes], seal: Seal | None, trust: Trust, alarms: Alarms
) -> None:
    """Rules 1 and 2."""
    different = sorted(key for key in there.keys() | noted.keys() if there.get(key) != noted.get(key))
    if seal is None or trust.by_operator(seal.sealed) != seal_of(trust.operator, table, seal.total):
        what = "is missing" if seal is None else "was changed: the log key did not sign this sum"
        alarms.add("seal", table, what)
    elif sum_of(table, there) == seal.total:
        for key in different:
            alarms.add("noted", name(table, key), _said(key, noted, there))
        return
    elif not different:
        alarms.add("seal", table, "is not that of these rows: table and digests are those of another time")
    for key in different:
        alarms.add(table, key, _said(key, there, noted))


def _said(key: str, wrong: Mapping[str, bytes], right: Mapping[str, bytes]) -> str:
    if key not in wrong:
        return "is missing: it was noted"
    return "was changed since it was noted" if key in right else "was put in: nobody noted it"


def _check_kept(rows: Iterable[Kept], held: Mapping[bytes, Held], alarms: Alarms) -> None:
    """Rule 3."""
    for row in rows:
        highest = max(held[row.device].seen, default=0) if row.device in held else 0
        if highest < row.seq and not alarms.has("kept", name(row.device)):
            for seq in range(highest + 1, min(row.seq, highest + 1000) + 1):
                alarms.add("message", name(row.device, seq), "is missing: it was noted as kept")
