"""The messages of one device: each signed, each with the columns made from it, none missing from what a statement names.

1. A message is signed by a registered key of its device, and its row has the columns of its record.
2. A reading made before trusted time stands where the clock link of its boot puts it.
3. Each record that a statement names is there, and they give its root. Two statements over one seq are equivocation, and so
   are two payloads under one identity.
4. Below the highest seq nothing is missing but what a Gap names as dropped; what a Delivery acknowledged is there.
5. A key signs inside its validity only.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightwire import envelope, merkle, records
from lightwire.errors import WireError

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.copy import Conflict, Delivered, Message
from backend.evidence.audit.registry import Keys, Trust
from backend.evidence.decoding import decode

_MOST_MISSING = 100_000
_SLOT_MS = 4000
_MEMBERS = (
    records.READING, records.STATEMENT, records.GAP, records.CLOCK_LINK, records.DECISION, records.DIAGNOSTICS,
    records.UPDATE_REPORT, records.EMS_REPORT,
)  # fmt: skip
EARLIEST_UTC_MS = 10**12
"""Below this an instant is a device's monotonic time."""


@dataclass(slots=True)
class Held:
    """What is kept of a device: leaf hashes and payload digests by seq of the messages that are right, and what they say."""

    device: bytes
    hashes: dict[int, bytes] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    present: int = 0
    statements: dict[int, records.BatchStatement] = field(default_factory=dict)
    dropped: list[tuple[int, int]] = field(default_factory=list)
    decisions: dict[bytes, bytes] = field(default_factory=dict)
    links: dict[int, int] = field(default_factory=dict)
    early: list[tuple[Message, records.Reading]] = field(default_factory=list)
    bad: int = 0


def check_messages(device: bytes, rows: Iterable[Message], keys: Keys, trust: Trust, alarms: Alarms) -> Held:
    """Rules 1, 2 and 5 for every message; what is kept."""
    held = Held(device)
    for row in rows:
        held.present += 1
        held.seen.add(row.seq)
        record = opened(row.sealed, keys, trust, "device")
        if what := _wrong(row, record):
            held.bad += 1
            alarms.add("message", name(row.device, row.seq), what)
            continue
        _keep(held, record, row.sealed)
        if record.KIND == records.READING and record.flags & records.UNTRUSTED_CLOCK:
            held.early.append((row, record))
        elif row.time_ms != stored_time(record):
            alarms.add("message", name(row.device, row.seq), "time_ms is not that of its record")
        _check_validity(record, row.sealed, keys, alarms)
    return held


def _wrong(row: Message, record: Any) -> str:
    """What is wrong with a message, opened to a record or to a reason; empty if nothing is."""
    if isinstance(record, str):
        return record
    return _other_columns(row, record) if record.KIND in _MEMBERS else "is no record of a device"


def check_places(held: Held, alarms: Alarms) -> None:
    """Rule 2. Where the link of a boot is not there any more, a reading is taken to stand where it was put."""
    for row, reading in held.early:
        if reading.boot in held.links:
            there = (held.links[reading.boot] + reading.time_ms + _SLOT_MS // 2) // _SLOT_MS * _SLOT_MS
        else:
            there = row.time_ms if held.bad and row.time_ms >= EARLIEST_UTC_MS else -1 - reading.time_ms
        if row.time_ms != there:
            alarms.add("message", name(row.device, row.seq), "time_ms is not where the clock link of its boot puts it")


def _keep(held: Held, record: Any, sealed: bytes) -> None:
    held.hashes[record.seq] = merkle.leaf_hash(sealed)
    held.digests[record.seq] = envelope.payload_digest(envelope.split(sealed)[0])
    if record.KIND == records.STATEMENT:
        held.statements[record.seq] = record
    elif record.KIND == records.GAP and record.cause == records.CAUSE_OVERRUN:
        held.dropped.append((record.first_seq, record.last_seq))
    elif record.KIND == records.CLOCK_LINK:
        held.links.setdefault(record.boot, record.utc_ms - record.monotonic_ms)
    elif record.KIND == records.DECISION:
        held.decisions[record.setpoint] = sealed


def opened(sealed: bytes, keys: Keys, trust: Trust, signer: str) -> Any:
    """The record in sealed bytes, signed by the registered key that its field `signer` names; else what is wrong (text)."""
    try:
        payload, signature, algorithm = envelope.split(sealed)
        record = decode(payload)
    except WireError as error:
        return f"was changed: {error}"
    id, generation = getattr(record, signer, b""), getattr(record, "generation", 1)
    key = keys.find(id, generation)
    if key is None:
        return f"no key {generation} of {id.hex()} is registered"
    if algorithm != key[1] or not _verifies(
        trust, key[0], envelope.digest(payload, trust.deployment, algorithm), signature
    ):
        return "was changed: its signature does not hold"
    return record


def _verifies(trust: Trust, public: bytes, digest: bytes, signature: bytes) -> bool:
    try:
        return trust.verifier(public)(digest, signature)
    except ValueError:
        return False


def _other_columns(row: Message, record: Any) -> str:
    """Which column is not that of the record; empty if all are."""
    said = (record.device, record.seq, record.boot, record.KIND)
    if said[:2] != (row.device, row.seq):
        return f"was exchanged: it holds the record {name(*said[:2])}"
    if said != (row.device, row.seq, row.boot, row.kind):
        return "boot or kind is not that of its record"
    for column in ("power_w", "import_wh", "export_wh"):
        if getattr(row, column) != getattr(record, column, None):
            return f"{column} is {getattr(row, column)}, its record says {getattr(record, column, None)}"
    return ""


def stored_time(record: Any) -> int:
    """The instant under which a record is kept: its own, its beginning, or that of the clock link."""
    if getattr(record, "flags", 0) & records.UNTRUSTED_CLOCK:
        return -1 - int(record.time_ms)
    return int(getattr(record, "time_ms", 0) or getattr(record, "start_ms", 0) or getattr(record, "utc_ms", 0))


def _check_validity(record: Any, sealed: bytes, keys: Keys, alarms: Alarms) -> None:
    """Rule 5."""
    validity = keys.validity(record.device, record.generation)
    time_ms = record.end_ms if record.KIND == records.STATEMENT else getattr(record, "time_ms", 0)
    if validity is None or record.KIND == records.DECISION or getattr(record, "flags", 0) & records.UNTRUSTED_CLOCK:
        return
    if time_ms >= EARLIEST_UTC_MS and not validity[0] <= time_ms <= validity[1]:
        what = f"signed at {time_ms}, its key is valid from {validity[0]} to {validity[1]}"
        alarms.add("message", name(record.device, record.seq), what, sealed)


def check_ranges(
    held: Held, leaves: Mapping[int, bytes], delivered: Delivered | None, trust: Trust, alarms: Alarms
) -> None:
    """Rules 3 and 4; leaves: sealed statements of this device by seq, as the tree of readings holds them."""
    statements = {**{seq: envelope.peek(sealed) for seq, sealed in leaves.items()}, **held.statements}
    for seq in leaves.keys() - held.hashes.keys():
        alarms.add("message", name(held.device, seq), "is missing: it is a leaf of the tree of readings")
    last: tuple[int, int] = (0, 0)
    for seq in sorted(statements):
        one = statements[seq]
        if one.first_seq <= last[0]:
            what = f"equivocation: its range {one.first_seq}..{one.last_seq} overlaps that of statement {last[1]}"
            alarms.add("message", name(held.device, seq), what, *(leaves[k] for k in (last[1], seq) if k in leaves))
            continue
        last = (one.last_seq, seq)
        if one.last_seq - one.first_seq + 1 == one.count:
            _check_members(held, one, alarms)
    _check_holes(held, delivered, trust, alarms)


def _check_members(held: Held, one: records.BatchStatement, alarms: Alarms) -> None:
    range_of = range(one.first_seq, one.last_seq + 1)
    missing = [seq for seq in range_of if seq not in held.hashes]
    for seq in missing:
        held.bad += 1
        alarms.add("message", name(held.device, seq), f"is missing: statement {one.seq} names it")
    if not missing and merkle.root([held.hashes[seq] for seq in range_of]) != one.root:
        key = f"{held.device.hex()}/{one.first_seq}..{one.last_seq}"
        alarms.add("message", key, f"these records do not give the root of statement {one.seq}")


def _check_holes(held: Held, delivered: Delivered | None, trust: Trust, alarms: Alarms) -> None:
    highest = max(held.hashes, default=0)
    if delivered is not None:
        said = trust.by_operator(delivered.sealed)
        if not isinstance(said, records.Delivery) or said.device != held.device:
            alarms.add("delivered", name(held.device), "was changed: it is no Delivery to this device by the log key")
        else:
            if said.seq in held.digests and held.digests[said.seq] != said.digest:
                alarms.add("message", name(held.device, said.seq), "is not the one that was acknowledged")
            highest = max(highest, said.seq)
    known = set(held.hashes)
    for first, last in held.dropped:
        known.update(range(first, min(last, highest) + 1))
    holes = (seq for seq in range(1, highest) if seq not in known)
    for seq in itertools.islice(holes, _MOST_MISSING):
        held.bad += 1
        alarms.add("message", name(held.device, seq), "is missing: later ones are here")
    if highest and highest not in known:
        alarms.add("message", name(held.device, highest), "is missing: it was acknowledged as kept")


def check_conflicts(
    rows: Iterable[Conflict], kept: Mapping[bytes, Held], keys: Keys, trust: Trust, alarms: Alarms
) -> None:
    """Each is a second payload that its device signed: the alarm carries it."""
    for row in rows:
        record = opened(row.sealed, keys, trust, "device")
        key = name(row.device, row.seq)
        if isinstance(record, str) or (record.device, record.seq) != (row.device, row.seq):
            alarms.add("conflict", key, "is no message of this device and seq")
            continue
        held = kept.get(row.device)
        digest = envelope.payload_digest(envelope.split(row.sealed)[0])
        if held is not None and held.digests.get(row.seq) != digest:
            what = f"equivocation: two payloads are signed as boot {record.boot} seq {row.seq}"
            alarms.add("conflict", key, what, row.sealed)
        else:
            alarms.add("conflict", key, "says the same as the message that is kept")
