"""A customer's period in one file: everything needed to check it without this back end (see backend/evidence/FORMAT.md).

1. The file is canonical JSON (sorted keys, no spaces, hex in lower case), a first line and one for each batch, so that every
   byte of it is covered by a check.
2. Up to 5,000 records stand in full; in a larger bundle runs of readings stand in columns (runs.py).
3. Of other PODs it holds the sum of their parts in a shared order, and nothing else.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lightwire import envelope, records

from backend.adapters.sqlite import Kept, Party, SqliteStore
from backend.errors import Rejected
from backend.flows.ledgers import EvidenceTrees
from backend.flows.receipts import key_rows
from backend.flows.runs import packed

IN_FULL = 5000
_FRAME_MS = 900_000


class Bundles:
    """Writes bundles out of the store."""

    def __init__(
        self,
        store: SqliteStore,
        trees: EvidenceTrees,
        log_key_public: bytes,
        identity: tuple[bytes, bytes],
        in_full: int = IN_FULL,
    ) -> None:
        """identity: (deployment, operator); in_full: records up to which a bundle has each with its signature, not in columns."""
        self._store = store
        self._trees = trees
        self._log_key = log_key_public
        self._deployment, self._operator = identity
        self._in_full = in_full

    def of(
        self, pod: str, period_ms: tuple[int, int], epoch: int, anchor: list[object], seal: Callable[[bytes], bytes]
    ) -> str:
        """The bundle of a POD for [start, end); receipts of keys and documents as of an epoch.

        Batches: those that reach into the period or begin at its end, and from the one in which the first of its
        set-points was decided on. seal(digest of the first line without it, 32 bytes) -> sealed Evidence over it.
        """
        parties = [p for p in self._store.parties() if p.pod == pod or p.role == "issuer"]
        device = next(p.id for p in parties if p.role == "node")
        statements = self._statements(device, period_ms, self._decided(pod, period_ms))
        is_large = sum(one.count for _, one in statements) > self._in_full
        receipts = self._store.receipts(device)
        lines = [_text(self._batch(device, *one, receipts, is_large)) for one in statements]
        body = {
            "format": "lightnode-bundle/1",
            "deployment": self._deployment.hex(),
            "operator": self._operator.hex(),
            "log_key": self._log_key.hex(),
            "pod": pod,
            "start_ms": period_ms[0],
            "end_ms": period_ms[1],
            "keys": self._keys(parties, epoch, anchor),
            "placements": [self._placement(one, epoch, anchor) for one in parties],
            "batches": [hashlib.sha256(line.encode()).hexdigest() for line in lines],
            "setpoints": self._setpoints(pod, period_ms, [one for _, one in statements]),
            "documents": self._documents(pod, period_ms, epoch, anchor),
        }
        digest = hashlib.sha256(_text(body).encode()).digest()
        return "\n".join([_text({**body, "seal": seal(digest).hex()}), *lines])

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

    def _batch(
        self,
        device: bytes,
        kept: Kept,
        statement: records.BatchStatement,
        receipts: Mapping[int, bytes],
        is_large: bool,
    ) -> Mapping[str, object]:
        members = self._store.messages(device, statement.first_seq, statement.last_seq)
        return {
            "statement": kept.sealed.hex(),
            "records": packed(members, statement.generation) if is_large else [m.sealed.hex() for m in members],
            "receipt": receipts[kept.seq].hex(),
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

    def _placement(self, party: Party, epoch: int, anchor: list[object]) -> Mapping[str, str]:
        """Where a key's device stands, its salted commitment opened."""
        row = self._document("placement", f"{party.id.hex()}/{party.generation}", epoch, anchor)
        return {name: row[name] for name in ("body", "evidence", "receipt")}

    def _documents(
        self, pod: str, period_ms: tuple[int, int], epoch: int, anchor: list[object]
    ) -> list[Mapping[str, str]]:
        """Orders, statement, outcomes; the totals of the period's orders that other PODs have a part in."""
        found = [self._document(kind, pod, epoch, anchor) for kind in ("orders", "statement", "outcome")]
        frames = range(period_ms[0] // _FRAME_MS, period_ms[1] // _FRAME_MS)
        shared = [id for frame, id in _shared(json.loads(found[0]["body"])["orders"]) if frame in frames]
        return found + [self._document("totals", id, epoch, anchor) for id in shared]

    def _document(self, kind: str, id: str, epoch: int, anchor: list[object]) -> Mapping[str, str]:
        """The highest version; Rejected while there is none."""
        row = self._store.latest(kind, id)
        if row is None:
            raise Rejected(f"no {kind} of {id} is filed yet: file it, then make the bundle")
        receipt = self._trees.prove(epoch, row.tree, row.position, anchor)
        return {"kind": kind, "body": row.body, "evidence": row.evidence.hex(), "receipt": receipt.hex()}


def _shared(orders: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """(quarter-hour, id) of the orders of several PODs, in order."""
    return sorted((one["frame"], one["id"]) for one in orders if one["group_w"] > one["watts"])


def reaches(setpoint: bytes, period_ms: tuple[int, int]) -> bool:
    """Whether the window of a sealed set-point reaches into [start, end)."""
    point = envelope.peek(setpoint)
    return bool(point.not_before_ms < period_ms[1] and point.not_after_ms > period_ms[0])


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
