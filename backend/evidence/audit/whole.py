"""The audit: every root computed again from the rows, compared with the chain, and each row with everything it stems from.

1. Whose database it is must be known first: the log key is that of the operator, and some entry of the registry holds under
   the deployment that the facts name.
2. Then trees and commitments, keys, messages, and the rows that point to them. Each bad row is named once.
3. Of a key that was revoked nothing counts that was anchored after its revocation.
4. What nobody else has signed, findings and the transaction in flight among it, is compared with what the log key noted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lightwire import envelope, merkle, records
from lightwire.errors import WireError

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.commitment import Chain, Commitments, check_commitments, first_epoch, gather
from backend.evidence.audit.copy import (
    TABLES,
    Conflict,
    Copy,
    Delivered,
    Document,
    Epoch,
    Fact,
    Key,
    Leaf,
    Message,
    Noted,
    Point,
    Revocation,
    SetPoint,
    Statement,
    sound,
)  # fmt: skip
from backend.evidence.audit.device import Held, check_conflicts, check_messages, check_places, check_ranges
from backend.evidence.audit.forest import Grove, compare, resolve
from backend.evidence.audit.notes import check_notes
from backend.evidence.audit.paper import Ground, check_documents, check_setpoints, check_statements
from backend.evidence.audit.registry import Keys, Trust, Verify, check_keys, gather_keys, operator_of

TREES = (
    records.TREE_READINGS, records.TREE_SETPOINTS, records.TREE_MARKET, records.TREE_SETTLEMENT, records.TREE_KEYS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outside:
    """What the auditor brings: the operator it trusts, the chain, chain id and contract; each None if unknown."""

    operator: bytes | None
    chain: Chain | None
    place: tuple[int, bytes] | None


class Audit:
    """One run over one copy; `alarms` says what was found."""

    def __init__(self, copy: Copy, outside: Outside, verifier: Callable[[bytes], Verify]) -> None:
        self.alarms = Alarms()
        self.messages = 0
        self._copy, self._outside, self._verifier = copy, outside, verifier
        self._facts = {row.name: row.value for row in self._rows(Fact)}
        self._ends: list[Revocation] = self._rows(Revocation)
        self._documents: list[Document] = self._rows(Document)
        self._points: list[Point] = self._rows(Point)
        self._epochs: list[Epoch] = self._rows(Epoch)
        self._statements: list[Statement] = self._rows(Statement)
        self._setpoints: list[SetPoint] = self._rows(SetPoint)
        self._parties: list[Key] = self._rows(Key)

    def _rows(self, kind: Any) -> list[Any]:
        return list(sound(kind, self._copy.rows(kind, TABLES[kind][0]), self.alarms))

    def run(self) -> Alarms:
        """All alarms."""
        trust = self._trust()
        if trust is None:
            return self.alarms
        held = gather(trust.operator, self._epochs, self._points, self._outside.chain)
        groves = self._groves(trust)
        keys = gather_keys(groves[records.TREE_KEYS].leaves.values(), self._parties, self._ends, trust)
        self._plant(groves, held, keys, trust)
        check_commitments(held, self._outside.chain, groves, self.alarms)
        sealed = self._statement_leaves(groves[records.TREE_READINGS])
        kept = self._devices(sealed, keys, trust)
        chain = self._outside.chain
        ground = Ground(
            groves,
            keys,
            trust,
            held.words,
            held.epochs,
            self._outside.place,
            chain.blocks if chain else {},
            [row.key.rpartition("/")[0] for row in self._rows(Noted) if row.name == "document"],
        )
        check_documents(self._documents, ground, self.alarms)
        self._check_keys(keys, groves[records.TREE_KEYS], trust)
        check_statements(self._statements, kept, sealed, ground, self.alarms)
        check_setpoints(self._setpoints, kept, ground, self.alarms)
        check_conflicts(self._rows(Conflict), kept, keys, trust, self.alarms)
        self._after_revocation(groves, held, keys)
        check_notes(self._copy, kept, trust, self.alarms)
        return self.alarms

    def _check_keys(self, keys: Keys, grove: Grove, trust: Trust) -> None:
        """The rows of keys, with the placements that hold."""
        placed = {
            row.id: row.body
            for row in self._documents
            if row.kind == "placement" and not self.alarms.has("document", name(row.kind, row.id, row.version))
        }
        check_keys(keys, self._ends, placed, lambda sealed: merkle.leaf_hash(sealed) in grove.where, trust, self.alarms)

    def _trust(self) -> Trust | None:
        """Rule 1."""
        log_key, deployment = self._facts.get("log_key", b""), self._facts.get("deployment", b"")
        operator = self._outside.operator or operator_of(log_key)
        if operator_of(log_key) != operator:
            self.alarms.add("fact", "log_key", f"is missing, or not the key of operator {operator.hex()}")
            return None
        trust = Trust(deployment, operator, log_key, self._verifier)
        if len(deployment) != 16 or not any(trust.by_operator(row.entry) for row in self._parties):
            what = "is missing, or not the one under which the registry's entries are signed"
            self.alarms.add("fact", "deployment", what)
            return None
        if self._outside.place is not None:
            chain_id, contract = self._outside.place
            for fact, value in (("chain_id", chain_id.to_bytes(8, "big")), ("contract", contract)):
                if self._facts.get(fact, value) != value:
                    self.alarms.add("fact", fact, "is not that of the chain that was given")
        for row in self._rows(Delivered):
            said = trust.by_operator(row.sealed)
            if isinstance(said, records.Delivery) and said.incarnation != self._facts.get("incarnation"):
                self.alarms.add("fact", "incarnation", "is not the one under which messages were acknowledged")
        return trust

    def _groves(self, trust: Trust) -> dict[int, Grove]:
        """The trees as their rows have them."""
        found: dict[str, dict[int, dict[int, bytes]]] = {}
        for table in ("node", "leaf"):
            by_tree = found.setdefault(table, {tree: {} for tree in TREES})
            for row in sound(Leaf, self._copy.rows(Leaf, table), self.alarms, table):
                if row.tree in by_tree:
                    by_tree[row.tree][row.position] = row.octets
                else:
                    self.alarms.add(table, name(row.tree, row.position), "is of no tree: it was put in")
        return {tree: Grove(tree, found["node"][tree], found["leaf"][tree]) for tree in TREES}

    def _plant(self, groves: Mapping[int, Grove], held: Commitments, keys: Keys, trust: Trust) -> None:
        """Finds the true leaves of every tree, and names the rows that differ."""
        self._add_sources(groves)
        for tree, grove in groves.items():
            rising: list[tuple[int, bytes]] = []
            for epoch, size, root in held.genuine(tree):
                if rising and size < rising[-1][0]:
                    self.alarms.add("checkpoint", name(epoch, tree), "is of a smaller tree than the one before it")
                else:
                    rising.append((size, root))
            resolve(grove, rising, lambda sealed: self._is_believed(sealed, keys, trust), self.alarms)
            compare(grove, _buried(grove, trust), self.alarms)

    def _is_believed(self, sealed: bytes, keys: Keys, trust: Trust) -> bool:
        """Whether somebody who may have signed it did."""
        try:
            record = envelope.peek(sealed)
        except WireError:
            return False
        if hasattr(record, "operator"):
            return trust.by_operator(sealed) is not None
        for signer in ("device", "issuer", "agent"):
            key = keys.find(getattr(record, signer, b""), getattr(record, "generation", 1))
            if key is not None and trust.opened(sealed, *key) is not None:
                return True
        return False

    def _add_sources(self, groves: Mapping[int, Grove]) -> None:
        """What each leaf was made from, with its position where the row knows it."""
        placed: dict[int, dict[int, bytes]] = {tree: {} for tree in groves}
        for row in self._documents:
            if row.tree in placed:
                placed[row.tree][row.position] = merkle.leaf_hash(row.evidence)
        for one in self._statements:
            if sealed := self._copy.message(one.device, one.seq):
                placed[records.TREE_READINGS][one.position] = merkle.leaf_hash(sealed)
        for tree, grove in groves.items():
            grove.sources = placed[tree]
        answers = [m for row in self._setpoints for m in (row.sealed, row.decision, row.execution) if m]
        groves[records.TREE_SETPOINTS].unplaced = [merkle.leaf_hash(one) for one in answers]
        entries = [row.entry for row in self._parties] + [row.entry for row in self._ends]
        groves[records.TREE_KEYS].unplaced = [merkle.leaf_hash(one) for one in entries]

    def _statement_leaves(self, grove: Grove) -> dict[tuple[bytes, int], bytes]:
        """Sealed statements by device and seq, of the leaves that are true."""
        found = {}
        for k, sealed in grove.leaves.items():
            if grove.where.get(merkle.leaf_hash(sealed)) != k:
                continue
            record = _peek(sealed)
            if isinstance(record, records.BatchStatement):
                found[record.device, record.seq] = sealed
        return found

    def _devices(self, sealed: Mapping[tuple[bytes, int], bytes], keys: Keys, trust: Trust) -> dict[bytes, Held]:
        """Every device's messages."""
        delivered = {row.device: row for row in self._rows(Delivered)}
        if delivered or "delivers" in self._facts:
            if "delivers" not in self._facts:
                self.alarms.add("fact", "delivers", "is missing: acknowledgements were sent")
            for device in {device for device, _ in sealed} - delivered.keys():
                self.alarms.add("delivered", name(device), "is missing: its statements were acknowledged")
        leaves: dict[bytes, dict[int, bytes]] = {}
        for (device, seq), one in sealed.items():
            leaves.setdefault(device, {})[seq] = one
        found = {}
        for device in sorted({*self._copy.devices(), *leaves, *delivered}):
            rows = sound(Message, self._copy.messages(device), self.alarms)
            held = check_messages(device, rows, keys, trust, self.alarms)
            check_ranges(held, leaves.get(device, {}), delivered.get(device), trust, self.alarms)
            check_places(held, self.alarms)
            self.messages += held.present
            found[device] = held
        return found

    def _after_revocation(self, groves: Mapping[int, Grove], held: Commitments, keys: Keys) -> None:
        """Rule 3."""
        ends = {}
        of_keys = held.genuine(records.TREE_KEYS)
        for id, (_, hash) in keys.ends.items():
            at = groves[records.TREE_KEYS].where.get(hash)
            ends[id] = first_epoch(of_keys, at) if at is not None else None
        if not ends:
            return
        for tree in (records.TREE_READINGS, records.TREE_SETPOINTS):
            of_tree = held.genuine(tree)
            for k, sealed in groves[tree].leaves.items():
                record = _peek(sealed)
                signer = (
                    getattr(record, "agent", b"") or getattr(record, "issuer", b"") or getattr(record, "device", b"")
                )
                ended = ends.get((signer, getattr(record, "generation", 1)))
                anchored = first_epoch(of_tree, k) if ended is not None else None
                if ended is not None and (anchored is None or anchored > ended):
                    what = f"is anchored after epoch {ended}, in which its key was revoked"
                    self.alarms.add("leaf", name(tree, k), what, sealed)


def _buried(grove: Grove, trust: Trust) -> dict[int, bytes]:
    """Leaf hashes that tombstones in a tree name, by position."""
    found = {}
    for k, sealed in grove.leaves.items():
        if grove.where.get(merkle.leaf_hash(sealed)) == k and isinstance(_peek(sealed), records.Tombstone):
            stone = trust.by_operator(sealed)
            if stone is not None and stone.tree == grove.number:
                found[stone.index] = stone.leaf
    return found


def _peek(sealed: bytes) -> Any:
    try:
        return envelope.peek(sealed)
    except WireError:
        return None
