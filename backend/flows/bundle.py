"""A customer's period in one file: everything needed to check it without this back end (see backend/evidence/FORMAT.md).

The file is canonical JSON (sorted keys, no spaces, hex in lower case) so that every byte of it is covered by a check.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping

from lightwire import envelope, records

from backend.adapters.sqlite import Kept, Party, SqliteStore
from backend.flows.ledgers import EvidenceTrees
from backend.flows.receipts import key_rows


class Bundles:
    """Writes bundles out of the store."""

    def __init__(
        self, store: SqliteStore, trees: EvidenceTrees, log_key_public: bytes, identity: tuple[bytes, bytes]
    ) -> None:
        self._store = store
        self._trees = trees
        self._log_key = log_key_public
        self._deployment, self._operator = identity

    def of(self, pod: str, period_ms: tuple[int, int], epoch: int, anchor: list[object], seal: object) -> str:
        """The bundle of a POD for [start, end); receipts of keys and documents as of an epoch.

        Batches: those that reach into the period or begin at its end, and from the one in which the first of its
        set-points was decided on. seal(digest of the body, 32 bytes) -> sealed Evidence over it.
        """
        parties = [p for p in self._store.parties() if p.pod == pod or p.role == "issuer"]
        device = next(p.id for p in parties if p.role == "node")
        statements = self._statements(device, period_ms, self._decided(pod, period_ms))
        body = {
            "format": "lightnode-bundle/1",
            "deployment": self._deployment.hex(),
            "operator": self._operator.hex(),
            "log_key": self._log_key.hex(),
            "pod": pod,
            "start_ms": period_ms[0],
            "end_ms": period_ms[1],
            "keys": self._keys(parties, epoch, anchor),
            "batches": [self._batch(device, *one) for one in statements],
            "setpoints": self._setpoints(pod, period_ms, [one for _, one in statements]),
            "documents": [self._document(kind, pod, epoch, anchor) for kind in ("orders", "statement")],
        }
        digest = hashlib.sha256(_text(body).encode()).digest()
        return _text({**body, "seal": seal(digest).hex()})  # type: ignore[operator]

    def _keys(self, parties: list[Party], epoch: int, anchor: list[object]) -> list[dict[str, str]]:
        """Their history up to the epoch."""
        size = self._trees.place(epoch, records.TREE_KEYS)[0].size
        ends = {
            id: end
            for id, end in self._store.revocations().items()
            if self._store.position(records.TREE_KEYS, end[1]) < size
        }

        def receipt(tree: int, entry: bytes) -> bytes:
            return self._trees.prove(epoch, tree, self._store.position(tree, entry), anchor)

        return key_rows(parties, ends, receipt)

    def _decided(self, pod: str, period_ms: tuple[int, int]) -> list[int]:
        """The seq of every decision about a set-point of the period."""
        rows = [row for row in self._store.setpoints() if row.pod == pod and reaches(row.sealed, period_ms)]
        return [envelope.peek(row.decision).seq for row in rows if row.decision]

    def _statements(
        self, device: bytes, period_ms: tuple[int, int], seqs: list[int]
    ) -> list[tuple[Kept, records.BatchStatement]]:
        """The statements from the first to the last that is needed, up to the first that has no receipt yet."""
        receipts = self._store.receipts(device)
        kept = [(one, envelope.peek(one.sealed)) for one in self._store.of_kind(device, records.STATEMENT)]
        needed = [
            k
            for k, (_, one) in enumerate(kept)
            if (one.start_ms <= period_ms[1] and one.end_ms > period_ms[0])
            or any(one.first_seq <= seq <= one.last_seq for seq in seqs)
        ]
        run = kept[needed[0] : needed[-1] + 1] if needed else []
        return list(itertools.takewhile(lambda pair: pair[0].seq in receipts, run))

    def _batch(self, device: bytes, kept: Kept, statement: records.BatchStatement) -> Mapping[str, object]:
        members = self._store.messages(device, statement.first_seq, statement.last_seq)
        return {
            "statement": kept.sealed.hex(),
            "records": [m.sealed.hex() for m in members],
            "receipt": self._store.receipts(device)[kept.seq].hex(),
        }

    def _setpoints(
        self, pod: str, period_ms: tuple[int, int], statements: list[records.BatchStatement]
    ) -> list[Mapping[str, str]]:
        """Those that reach into the period, and those decided in the batches that are here."""
        found: list[Mapping[str, str]] = []
        for row in self._store.setpoints():
            seq = envelope.peek(row.decision).seq if row.decision else 0
            here = any(one.first_seq <= seq <= one.last_seq for one in statements)
            if row.pod == pod and (here or reaches(row.sealed, period_ms)):
                found.append(
                    {"setpoint": row.sealed.hex(), "decision": row.decision.hex(), "execution": row.execution.hex()}
                )
        return found

    def _document(self, kind: str, pod: str, epoch: int, anchor: list[object]) -> Mapping[str, object]:
        """The highest version; LookupError while there is none."""
        row = [one for one in self._store.documents(kind) if one.id == pod][-1]
        receipt = self._trees.prove(epoch, row.tree, row.position, anchor)
        return {"kind": kind, "body": row.body, "evidence": row.evidence.hex(), "receipt": receipt.hex()}


def reaches(setpoint: bytes, period_ms: tuple[int, int]) -> bool:
    """Whether the window of a sealed set-point reaches into [start, end)."""
    point = envelope.peek(setpoint)
    return bool(point.not_before_ms < period_ms[1] and point.not_after_ms > period_ms[0])


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
