"""The keys: what the tree of keys and the rows say of them, and whether they agree.

1. An entry counts if the log key signed it for this operator; it is found in the tree and in the rows.
2. A row of a key has the columns of its entry, and ends where its revocation says. Its enrolment is the one approved.
3. Role and POD are those of its placement, a document in the tree.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightwire import envelope, merkle, records
from lightwire.errors import WireError

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.copy import Key, Revocation

Verify = Callable[[bytes, bytes], bool]
Id = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose database it is: the deployment (16 bytes), the operator's id and log key, and how a key is made to verify."""

    deployment: bytes
    operator: bytes
    log_key: bytes
    verifier: Callable[[bytes], Verify]

    def opened(self, sealed: bytes, public: bytes, algorithm: int) -> Any:
        """The record in sealed bytes if this key signed it here; None for anything else."""
        try:
            return envelope.open_sealed(sealed, self.deployment, self.verifier(public), algorithm)
        except (WireError, ValueError):
            return None

    def by_operator(self, sealed: bytes) -> Any:
        """The record in sealed bytes if the log key signed it as this operator's; None for anything else."""
        record = self.opened(sealed, self.log_key, records.ES256K)
        return record if getattr(record, "operator", b"") == self.operator else None


@dataclass(slots=True)
class Keys:
    """The entries by id and generation, their ends (UTC ms and leaf hash), and the rows."""

    entries: dict[Id, records.RegistryEntry] = field(default_factory=dict)
    ends: dict[Id, tuple[int, bytes]] = field(default_factory=dict)
    rows: dict[Id, Key] = field(default_factory=dict)

    def find(self, id: bytes, generation: int) -> tuple[bytes, int] | None:
        """(public key, algorithm); None if there is no such key."""
        entry, row = self.entries.get((id, generation)), self.rows.get((id, generation))
        if entry is not None:
            return entry.public_key, entry.algorithm
        return (row.public, row.algorithm) if row is not None and not row.entry else None

    def validity(self, id: bytes, generation: int) -> tuple[int, int] | None:
        """[from, to) in UTC ms, as entry and revocation say."""
        entry = self.entries.get((id, generation))
        if entry is None:
            return None
        end = self.ends.get((id, generation))
        return entry.valid_from_ms, min(entry.valid_to_ms, end[0]) if end else entry.valid_to_ms


def gather_keys(leaves: Iterable[bytes], rows: Iterable[Key], ends: Iterable[Revocation], trust: Trust) -> Keys:
    """Everything that is said of keys, from the leaves of the tree of keys and from the rows."""
    found = Keys()
    found.rows = {(row.id, row.generation): row for row in rows}
    said = [*leaves, *(row.entry for row in found.rows.values()), *(row.entry for row in ends)]
    for sealed in said:
        entry = trust.by_operator(sealed)
        if not isinstance(entry, records.RegistryEntry):
            continue
        id = entry.device, entry.generation
        if entry.action == records.REVOKE:
            found.ends.setdefault(id, (entry.time_ms, merkle.leaf_hash(sealed)))
        else:
            found.entries.setdefault(id, entry)
    return found


def check_keys(
    keys: Keys, ends: Iterable[Revocation], placed: Mapping[str, str], in_tree: Callable[[bytes], bool], trust: Trust,
    alarms: Alarms,
) -> None:  # fmt: skip
    """Names the rows of keys and revocations that are not as their entries say; placed: bodies of placements by id and generation;
    in_tree: whether sealed bytes are a leaf."""
    for id, row in keys.rows.items():
        if what := _wrong(keys, id, row, placed.get(name(*id)), in_tree, trust):
            alarms.add("party", name(*id), what)
    for id in keys.entries.keys() - keys.rows.keys():
        alarms.add("party", name(*id), "is missing: its entry stands in the tree of keys")
    rows = {(row.id, row.generation): row for row in ends}
    for id, end in rows.items():
        entry = trust.by_operator(end.entry)
        right = isinstance(entry, records.RegistryEntry) and entry.action == records.REVOKE and in_tree(end.entry)
        if not right or (entry.device, entry.generation, entry.time_ms) != (*id, end.time_ms):
            alarms.add("revocation", name(*id), "is not what its entry says, or the entry is no leaf")
    for id in keys.ends.keys() - rows.keys():
        alarms.add("revocation", name(*id), "is missing: its entry stands in the tree of keys")


def _wrong(keys: Keys, id: Id, row: Key, placement: str | None, in_tree: Callable[[bytes], bool], trust: Trust) -> str:
    """What is wrong with a row (rules 1 to 3); empty if nothing is."""
    entry = trust.by_operator(row.entry)
    if not isinstance(entry, records.RegistryEntry) or entry.action == records.REVOKE:
        return "its entry is none that the log key signed"
    if not in_tree(row.entry):
        return "its entry is no leaf of the tree of keys"
    said = (entry.device, entry.generation, entry.algorithm, entry.public_key, entry.valid_from_ms)
    if said != (row.id, row.generation, row.algorithm, row.public, row.valid_from_ms):
        return "its columns are not those of its entry"
    validity = keys.validity(*id)
    if validity is None or row.valid_to_ms != validity[1]:
        return "it ends at another time than entry and revocation say"
    if not _approves(entry, row, keys, trust):
        return "its enrolment is not the one that was approved"
    return (
        ""
        if placement is None or _placed(placement) == (row.role, row.pod)
        else "its role or POD is not that of its placement"
    )


def _approves(entry: records.RegistryEntry, row: Key, keys: Keys, trust: Trust) -> bool:
    if not row.enrolment:
        return not any(entry.enrolment)
    before = keys.find(row.id, row.generation - 1) if row.generation > 1 else (row.public, row.algorithm)
    enrolment = trust.opened(row.enrolment, *before) if before else None
    return (
        isinstance(enrolment, records.Enrolment)
        and envelope.payload_digest(envelope.split(row.enrolment)[0]) == entry.enrolment
    )


def _placed(body: str) -> tuple[object, object]:
    try:
        said: Mapping[str, object] = json.loads(body)
        return said.get("role"), said.get("pod")
    except (ValueError, AttributeError, RecursionError):
        return None, None


def operator_of(log_key: bytes) -> bytes:
    """The id of an operator: first 8 bytes of the SHA-256 of its log key."""
    return hashlib.sha256(log_key).digest()[:8]
