"""One record, with all it takes to check it alone, in one file (see backend/evidence/FORMAT.md, Receipt file).

1. The receipt is as of the first epoch that holds the leaf and stands on chain; else the first that holds it; else a promise.
   So a file that was made early is made again, and is then final.
2. The keys in it are the history of those who signed: entries, enrolments, revocations.
3. Two epochs of a tree go into one file of consistency.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lightwire import envelope, merkle, records

from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.evidence.anchoring import ANCHORED, FINAL
from backend.flows.ledgers import EvidenceTrees
from backend.market.canonical import text

_MEMBERS = {
    records.READING: "reading", records.GAP: "gap", records.CLOCK_LINK: "clock link", records.DIAGNOSTICS: "diagnostics",
    records.UPDATE_REPORT: "update report", records.EMS_REPORT: "report",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues: deployment (16 bytes), operator (8), the log key (33 bytes) and how it signs a digest; chain, contract."""

    deployment: bytes
    operator: bytes
    log_key: bytes
    sign: Callable[[bytes], bytes]
    place: tuple[int, bytes]
    now_ms: int

    def anchor(self, block: int) -> list[object]:
        """Where a commitment stands: [chain id, contract, log, block]."""
        return [*self.place, self.operator.rjust(32, b"\0"), block]

    def seal(self, digest: bytes) -> bytes:
        """Evidence of a file of this digest, sealed with the log key."""
        record = records.Evidence(
            self.operator, os.urandom(16), records.TREE_SETTLEMENT, bytes(16), 1, digest, self.now_ms
        )  # fmt: skip
        sealed: bytes = envelope.seal(record, self.deployment, self.sign)
        return sealed

    def sealed(self, body: dict[str, Any]) -> str:
        """The canonical text of a file, with its seal and without a state proof."""
        digest = hashlib.sha256(text(body).encode()).digest()
        return text({**body, "seal": self.seal(digest).hex(), "state": ""})

    def head(self, format: str) -> dict[str, Any]:
        """What every file begins with."""
        return {
            "format": format,
            "deployment": self.deployment.hex(),
            "operator": self.operator.hex(),
            "log_key": self.log_key.hex(),
        }


class ReceiptFiles:
    """Makes the files of rule 1 to 3 out of the store; each method gives the text of one. Rejected if it is not there."""

    def __init__(self, store: SqliteStore, trees: EvidenceTrees, issuer: Issuer) -> None:
        self._store = store
        self._trees = trees
        self._issuer = issuer

    def record(self, device: bytes, seq: int) -> str:
        """Of one record in a batch: a reading (I-04), a gap, a report; of a statement its batch (I-01)."""
        kept = self._store.messages(device, seq, seq)
        if not kept:
            raise Rejected(f"no record {seq} of {device.hex()} is kept")
        record = envelope.peek(kept[0].sealed)
        if record.KIND == records.STATEMENT:
            return self._file("batch", kept[0].sealed, records.TREE_READINGS, [device])
        if record.KIND == records.DECISION:
            return self.answer(record.setpoint, "decision")
        for one in self._store.of_kind(device, records.STATEMENT):
            statement = envelope.peek(one.sealed)
            if statement.first_seq <= seq <= statement.last_seq:
                return self._in_batch(kept[0].sealed, record, one.sealed, statement)
        raise Rejected(
            f"record {seq} of {device.hex()} stands in no statement yet: wait for the end of its quarter-hour"
        )

    def _in_batch(self, sealed: bytes, record: Any, about: bytes, statement: records.BatchStatement) -> str:
        members = self._store.messages(record.device, statement.first_seq, statement.last_seq)
        leaves = [merkle.leaf_hash(one.sealed) for one in members]
        index = record.seq - statement.first_seq
        more = {
            "about": about.hex(),
            "index": index,
            "path": [step.hex() for step in merkle.inclusion_path(leaves, index)],
        }
        kind = _MEMBERS[record.KIND]
        return self._file(kind, sealed, records.TREE_READINGS, [record.device], leaf=about, **more)

    def answer(self, setpoint: bytes, kind: str) -> str:
        """Of a set-point, or of its answer: kind "setpoint", "decision" or "execution"."""
        rows = [row for row in self._store.setpoints() if row.id == setpoint]
        sealed = (
            rows and {"setpoint": rows[0].sealed, "decision": rows[0].decision, "execution": rows[0].execution}[kind]
        )
        if not rows or not sealed:
            raise Rejected(f"no {kind} of set-point {setpoint.hex()} is kept")
        issuer = envelope.peek(rows[0].sealed).issuer
        if kind == "setpoint":
            return self._file(kind, sealed, records.TREE_SETPOINTS, [issuer])
        record = envelope.peek(sealed)
        signer = record.agent if isinstance(record, records.Execution) else record.device
        return self._file(kind, sealed, records.TREE_SETPOINTS, [issuer, signer], about=rows[0].sealed.hex())

    def document(self, kind: str, id: str, version: int = 0) -> str:
        """Of a market document: requests, offers, an outcome (I-08), orders (I-09), a statement (I-16); 0: the latest."""
        rows = [one for one in self._store.documents(kind) if one.id == id and version in (0, one.version)]
        if not rows:
            raise Rejected(f"no document {kind}/{id} is kept" + (f" in version {version}" if version else ""))
        row = rows[-1]
        return self._file("document", row.evidence, row.tree, [], name=f"{kind}/{id}", body=row.body)

    def key(self, id: bytes, generation: int) -> str:
        """Of the entry of a key; where it was revoked, of that."""
        parties = [p for p in self._store.parties() if p.id == id and p.generation <= generation]
        if not parties or parties[-1].generation != generation:
            raise Rejected(f"no key {generation} of {id.hex()} is registered")
        ended = self._store.revocations().get((id, generation))
        entry = ended[1] if ended else parties[-1].entry
        rows = [row for row in self._keys([id]) if row["entry"] != entry.hex()]
        mine = [row for row in self._keys([id]) if row["entry"] == entry.hex()]
        return self._file("key", entry, records.TREE_KEYS, [], keys=[*rows, *mine])

    def consistency(self, tree: int, first: int, second: int) -> str:
        """That a tree of epoch `second` begins with that of epoch `first` (rule 3)."""
        try:
            points = [self._trees.place(epoch, tree) for epoch in (first, second)]
        except KeyError as error:
            raise Rejected(f"tree {tree} has no checkpoint in epoch {first} or {second}") from error
        if first >= second:
            raise Rejected(f"epoch {second} is not later than {first}")
        rows = [
            {
                "checkpoint": records.encode(point).hex(), "index": index, "count": count,
                "path": [step.hex() for step in path],
            }
            for point, index, count, path in points
        ]  # fmt: skip
        proof = self._trees.consistency(tree, points[0][0].size, points[1][0].size)
        where = {"chain_id": self._issuer.place[0], "contract": self._issuer.place[1].hex()}
        head = self._issuer.head("lightnode-consistency/1")
        return self._issuer.sealed(
            {**head, "tree": tree, "first": rows[0], "second": rows[1], "proof": proof.hex(), **where}
        )

    def _file(
        self, kind: str, sealed: bytes, tree: int, signers: Iterable[bytes], leaf: bytes | None = None, **more: object
    ) -> str:
        empty = {"about": "", "index": 0, "path": [], "name": "", "body": "", "keys": self._keys(signers)}
        body = {
            **self._issuer.head("lightnode-receipt/1"), "kind": kind, "record": sealed.hex(), **empty, **more,
            "receipt": self.receipt(tree, leaf or sealed).hex(),
        }  # fmt: skip
        return self._issuer.sealed(body)

    def _keys(self, signers: Iterable[bytes]) -> list[dict[str, str]]:
        """Rule 2."""
        ids = set(signers)
        return key_rows([p for p in self._store.parties() if p.id in ids], self._store.revocations(), self.receipt)

    def receipt(self, tree: int, sealed: bytes) -> bytes:
        """Rule 1; Rejected if the bytes are no leaf."""
        try:
            position = self._store.position(tree, sealed)
        except IndexError as error:
            raise Rejected(f"tree {tree} does not hold this record yet") from error
        rows = {epoch: (state, block) for epoch, _, _, state, block in self._store.epochs()}
        holding = [epoch for epoch in rows if self._size(epoch, tree) > position]
        on_chain = [epoch for epoch in holding if rows[epoch][0] in (ANCHORED, FINAL)]
        if not holding:
            return self._trees.promise(tree, position)
        epoch = (on_chain or holding)[0]
        return self._trees.prove(epoch, tree, position, self._issuer.anchor(rows[epoch][1]))

    def _size(self, epoch: int, tree: int) -> int:
        payload = dict(self._store.checkpoints(epoch)).get(tree)
        return records.decode(payload).size if payload else 0  # type: ignore[attr-defined]


def key_rows(
    parties: Iterable[Party],
    ends: Mapping[tuple[bytes, int], tuple[int, bytes]],
    receipt: Callable[[int, bytes], bytes],
) -> list[dict[str, str]]:
    """The history of keys as a file has it: each entry, and behind it the end of a key that was revoked."""
    found = []
    for party in parties:
        entries = [(party.entry, party.enrolment)]
        if (party.id, party.generation) in ends:
            entries.append((ends[party.id, party.generation][1], b""))
        found += [
            {
                "role": party.role, "entry": entry.hex(), "enrolment": enrolment.hex(),
                "receipt": receipt(records.TREE_KEYS, entry).hex(),
            }
            for entry, enrolment in entries
        ]  # fmt: skip
    return found
