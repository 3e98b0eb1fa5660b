"""Batches: one chain of statements of one device, each over all its records, that covers the period without a hole.

1. Each record is signed by the device; seq has no hole inside a batch; the root is the statement's. Of the readings of a run
   (run.py) no signature of their own is checked: the same key signed the root above all their bytes.
2. Each statement names the digest of the one before it and lies behind it in seq.
3. Each statement stands in the tree of readings (1) by its receipt.
4. The intervals of the statements and of the signed gaps cover [start_ms, end_ms); what is uncovered is less than a slot
   (a boot's monotonic time is placed to the nearest slot). No batch begins behind the period or ends before an earlier one.
5. Batches come one by one; of a reading only what it adds to its quarter-hour is kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash, root
from backend.evidence.verifier.message import Message, parse_payload, split
from backend.evidence.verifier.metered import Metered
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.registry import EARLIEST_UTC_MS, Registry
from backend.evidence.verifier.run import SLOT_MS, read_run
from backend.evidence.verifier.sheet import octets, record
from backend.evidence.verifier.sheet import rows as rows_of

TREE_READINGS = 1
FIELDS = ("statement", "records", "receipt")
_READING, _STATEMENT, _GAP, _CLOCK_LINK = 1, 2, 3, 4
_MEMBERS = (1, 3, 4, 7, 15, 16, 18)


@dataclass(slots=True)
class Batches:
    """What the batches of a bundle hold: statements, records but readings, the sums of these, how many records in all."""

    statements: list[Message] = field(default_factory=list)
    records: list[Message] = field(default_factory=list)
    metered: Metered = field(default_factory=Metered)
    count: int = 0
    anchored: list[Anchored] = field(default_factory=list)

    def reach(self, seq: int) -> bool:
        """Whether a seq lies between the first and the last record."""
        if not self.count:
            return False
        return self.statements[0].number("first_seq") <= seq <= self.statements[-1].number("last_seq")


def read_batches(rows: Iterable[Any], device: bytes, registry: Registry, receipts: Receipts) -> Batches:
    """All batches by rules 1 to 3."""
    found = Batches()
    for k, row in enumerate(rows):
        where = f"batches[{k}]"
        record(row, FIELDS, where)
        raw = octets(row["statement"], f"{where}, statement")
        statement = registry.open(raw, _STATEMENT, f"{where}, statement")
        if statement.octets("device") != device:
            raise NotValid(where, "is another device's")
        if found.statements:
            _check_order(found.statements[-1], statement, where)
        _take_members(rows_of(row["records"], f"{where}, records"), statement, registry, found, where)
        found.anchored.append(
            receipts.check(octets(row["receipt"], f"{where}, receipt"), raw, TREE_READINGS, f"{where}, receipt")
        )
        registry.check_anchored(statement, found.anchored[-1], f"{where}, receipt")
        found.statements.append(statement)
    return found


def _check_order(previous: Message, statement: Message, where: str) -> None:
    if statement.octets("previous") != previous.payload_digest:
        raise NotValid(where, "does not follow the statement before it")
    if statement.number("first_seq") <= previous.number("last_seq"):
        raise NotValid(where, "its range of seq overlaps the one before it")


def _take_members(rows: Sequence[Any], statement: Message, registry: Registry, found: Batches, where: str) -> None:
    """Adds the records of a batch to what was found (rule 1)."""
    first, last, count = (statement.number(name) for name in ("first_seq", "last_seq", "count"))
    leaves: list[bytes] = []
    for j, row in enumerate(rows):
        place = f"{where}, records[{j}]"
        if isinstance(row, dict):
            run = read_run(row, statement, registry.key_of(statement), first + len(leaves), place)
            if run.is_trusted:
                registry.check_times(statement, run.time_ms, run.time_ms + SLOT_MS * (len(run.leaves) - 1), place)
            leaves += run.leaves
            found.metered.add_run(run)
        else:
            leaves.append(_take(octets(row, place), statement, first + len(leaves), registry, found, place))
    if len(leaves) != count or last - first + 1 != count:
        raise NotValid(where, f"the statement counts {count} records of {first}..{last}, {len(leaves)} are here")
    if root(leaves) != statement.octets("root"):
        raise NotValid(where, "the records do not give the statement's root")
    found.count += count


def _take(raw: bytes, statement: Message, seq: int, registry: Registry, found: Batches, place: str) -> bytes:
    """Adds one record, which must have this seq; its leaf hash."""
    kind = parse_payload(split(raw, place)[1], place)[0]
    if kind not in _MEMBERS:
        raise NotValid(place, f"kind {kind} does not belong into a batch")
    message = registry.open(raw, kind, place)
    if message.octets("device") != statement.octets("device"):
        raise NotValid(place, "is another device's")
    if message.number("seq") != seq:
        raise NotValid(place, f"has seq {message.number('seq')}, {seq} belongs here")
    if kind == _READING:
        found.metered.add(message)
    else:
        found.records.append(message)
    if kind == _CLOCK_LINK:
        found.metered.link(message)
    return leaf_hash(raw)


def check_period(batches: Batches, start_ms: int, end_ms: int) -> None:
    """NotValid unless the batches cover [start_ms, end_ms) (rule 4)."""
    covered = start_ms
    for begin, end in sorted(_intervals(batches)):
        if begin - covered >= SLOT_MS:
            break
        covered = max(covered, end)
    if covered + SLOT_MS <= end_ms:
        raise NotValid("batches", f"neither statements nor signed gaps cover {covered} of [{start_ms}, {end_ms})")
    if batches.statements[-1].number("start_ms") > end_ms:
        raise NotValid(f"batches[{len(batches.statements) - 1}]", "begins behind the period")


def _intervals(batches: Batches) -> Iterator[tuple[int, int]]:
    """[start, end) of every statement that is in UTC, and of every signed gap."""
    for message in (*batches.statements, *(m for m in batches.records if m.kind == _GAP)):
        if message.number("start_ms") >= EARLIEST_UTC_MS:
            yield message.number("start_ms"), message.number("end_ms")
