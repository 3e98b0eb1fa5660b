"""A customer's period in one file: everything needed to check it without this back end (see backend/evidence/FORMAT.md).

The file is canonical JSON (sorted keys, no spaces, hex in lower case) so that every byte of it is covered by a check.
"""

import hashlib
import json
from collections.abc import Mapping

from lightwire import envelope, records

from backend.adapters.sqlite import SqliteStore
from backend.flows.ledgers import EvidenceTrees

TREE_SEALED = records.TREE_SETTLEMENT


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
        """The bundle of a POD for [start, end): batches that touch it, set-points, documents; receipts as of an epoch.

        seal(digest of the body, 32 bytes) -> sealed Evidence over it.
        """
        parties = [p for p in self._store.parties() if p.pod == pod or p.role == "issuer"]
        device = next(p.id for p in parties if p.role == "node")
        body = {
            "format": "lightnode-bundle/1",
            "deployment": self._deployment.hex(),
            "operator": self._operator.hex(),
            "log_key": self._log_key.hex(),
            "pod": pod,
            "start_ms": period_ms[0],
            "end_ms": period_ms[1],
            "keys": [{"role": p.role, "entry": p.entry.hex(), "enrolment": p.enrolment.hex()} for p in parties],
            "batches": self._batches(device, period_ms),
            "setpoints": self._setpoints(pod),
            "documents": self._documents(pod, epoch, anchor),
        }
        digest = hashlib.sha256(_text(body).encode()).digest()
        return _text({**body, "seal": seal(digest).hex()})  # type: ignore[operator]

    def _batches(self, device: bytes, period_ms: tuple[int, int]) -> list[Mapping[str, object]]:
        receipts = self._store.receipts(device)
        found: list[Mapping[str, object]] = []
        for kept in self._store.of_kind(device, records.STATEMENT):
            statement = records.decode(envelope.split(kept.sealed)[0])
            assert isinstance(statement, records.BatchStatement)
            outside = statement.end_ms <= period_ms[0] or statement.start_ms >= period_ms[1]
            if kept.seq not in receipts or (outside and statement.start_ms > 10**12):
                continue
            members = self._store.messages(device, statement.first_seq, statement.last_seq)
            found.append(
                {
                    "statement": kept.sealed.hex(),
                    "records": [m.sealed.hex() for m in members],
                    "receipt": receipts[kept.seq].hex(),
                }
            )
        return found

    def _setpoints(self, pod: str) -> list[Mapping[str, str]]:
        return [
            {"setpoint": row.sealed.hex(), "decision": row.decision.hex(), "execution": row.execution.hex()}
            for row in self._store.setpoints()
            if row.pod == pod
        ]

    def _documents(self, pod: str, epoch: int, anchor: list[object]) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        for row in self._store.documents("statement"):
            if row.id == pod:
                receipt = self._trees.prove(epoch, row.tree, row.position, anchor)
                found.append(
                    {"kind": row.kind, "body": row.body, "evidence": row.evidence.hex(), "receipt": receipt.hex()}
                )
        return found


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
