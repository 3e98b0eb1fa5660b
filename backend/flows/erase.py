"""A customer goes: every row and salt is removed, tombstones stay, every other proof holds.

1. Erased: keys of the POD's devices, their messages and statements, the POD's set-points with their answers, documents of the
   POD, findings that name it, its name in a quarter-hour that is served; from the file as well, not only from its tables.
2. A document of many that names the POD is filed again without it, under the next version; the version before is erased.
3. For each leaf whose data goes, a Tombstone (kind 14) is put into the same tree: it names place and hash, and is anchored
   with the next epoch. The hash stays in its place, so that no root and no path changes; it says nothing, since what it was
   made of held a signature or a salt that nobody has any more.
4. Another process may work on the same database meanwhile; it forgets the devices with the next thing that it does.
"""

import os
from dataclasses import dataclass

from lightwire import envelope, merkle, records

from backend.adapters.keys import SigningKey
from backend.adapters.sqlite import SqliteStore
from backend.errors import Rejected
from backend.flows.ledgers import TREES, EvidenceTrees


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done: ids of the devices that are gone, how many leaves have a tombstone, documents that were filed again."""

    devices: tuple[bytes, ...]
    tombstones: int
    filed_again: int


class Erase:
    """Erases customers."""

    def __init__(
        self, store: SqliteStore, trees: EvidenceTrees, log_key: SigningKey, identity: tuple[bytes, bytes]
    ) -> None:
        """identity: (deployment 16 bytes, operator 8 bytes)."""
        self._store = store
        self._trees = trees
        self._log_key = log_key
        self._deployment, self._operator = identity

    def customer(self, pod: str, now_ms: int) -> Erased:
        """Rules 1 to 3, in one commit; Rejected if no device of this POD is registered."""
        parties = [party for party in self._store.parties() if pod and party.pod == pod]
        if not parties:
            raise Rejected(f"no device stands at {pod!r}")
        devices = tuple(sorted({party.id for party in parties}))
        with self._store.writing():
            shared = self._file_again(pod, devices, now_ms)
            stones = sum(self._bury(tree, pod, devices, now_ms) for tree in TREES)
            self._store.erase(pod, devices)
        self._store.shred()
        return Erased(devices, stones, shared)

    def _file_again(self, pod: str, devices: tuple[bytes, ...], now_ms: int) -> int:
        """Rule 2: how many."""
        kept = {(row.kind, row.id): row for row in self._store.all_documents() if self._is_shared(row.id, pod, devices)}
        found = 0
        for (kind, id), row in sorted(kept.items()):
            if pod in row.body:
                body = row.body.replace(pod, f"erased-{os.urandom(8).hex()}")
                self._trees.add_document(row.tree, kind, id, row.version + 1, body, now_ms)
                found += 1
        return found

    def _is_shared(self, id: str, pod: str, devices: tuple[bytes, ...]) -> bool:
        return id != pod and not any(id.startswith(device.hex()) for device in devices)

    def _bury(self, tree: int, pod: str, devices: tuple[bytes, ...], now_ms: int) -> int:
        """Rule 3, for one tree: how many."""
        evidence = {
            row.evidence
            for row in self._store.all_documents()
            if pod in row.body or not self._is_shared(row.id, pod, devices)
        }
        found = 0
        for position, sealed in self._store.placed_leaves(tree):
            record = envelope.peek(sealed)
            if sealed in evidence or not self._signers(record).isdisjoint(devices):
                self._store.erase_leaf(tree, position)
                stone = records.Tombstone(
                    self._operator, os.urandom(16), tree, position, merkle.leaf_hash(sealed), now_ms
                )
                self._trees.append(tree, envelope.seal(stone, self._deployment, self._log_key.sign))
                found += 1
        return found

    @staticmethod
    def _signers(record: object) -> set[bytes]:
        return {getattr(record, name) for name in ("device", "agent") if hasattr(record, name)}
