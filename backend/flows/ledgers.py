"""The operator's growing trees: every piece of evidence becomes a leaf, every epoch a commitment, every leaf a receipt."""

import hashlib
import os
from collections.abc import Callable

from lightwire import cbor, envelope, merkle, receipt, records

from backend.adapters.sqlite import DocumentRow, SqliteStore
from backend.evidence.trees import Tree

FRAME_MS = 900_000
TREES = (
    records.TREE_READINGS,
    records.TREE_SETPOINTS,
    records.TREE_MARKET,
    records.TREE_SETTLEMENT,
    records.TREE_KEYS,
)


class EvidenceTrees:
    """Trees in memory, leaves in the store; built from it at start, and again when another process has written to it."""

    def __init__(self, store: SqliteStore, sign: Callable[[bytes], bytes], deployment: bytes, operator: bytes) -> None:
        self._store = store
        self._sign = sign
        self._deployment = deployment
        self._operator = operator
        store.keep_notes(sign, (deployment, operator))
        self._seen = store.changes
        self._trees = {k: Tree(store.hashes(k)) for k in TREES}

    def _follow(self) -> None:
        """Takes the leaves that another process has put in, or what stands there after a commit that did not come about."""
        seen = self._store.changes
        if seen == self._seen:
            return
        for number, tree in self._trees.items():
            if seen[1] != self._seen[1]:
                self._trees[number] = Tree(self._store.hashes(number))
            else:
                for leaf in self._store.hashes(number, tree.size):
                    tree.append(leaf)
        self._seen = seen

    def append(self, tree: int, sealed: bytes) -> int:
        """Adds a sealed message as a leaf; its position."""
        with self._store.writing():
            self._follow()
            position = self._trees[tree].append(merkle.leaf_hash(sealed))
            self._store.add_leaf(tree, position, sealed)
        return position

    def add_document(self, tree: int, kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        """Keeps a market document (canonical JSON) and puts its salted, signed digest into a tree."""
        salt = os.urandom(16)
        evidence = records.Evidence(
            self._operator, salt, tree, hashlib.sha256(salt + f"{kind}/{id}".encode()).digest()[:16], version,
            hashlib.sha256(body.encode()).digest(), time_ms,
        )  # fmt: skip
        sealed = envelope.seal(evidence, self._deployment, self._sign)
        with self._store.writing():
            position = self.append(tree, sealed)
            self._store.add_document(DocumentRow(kind, id, version, body, sealed, tree, position))

    def close_epoch(self, epoch: int) -> bool:
        """Makes the commitment of an epoch from the trees as they are.

        False if nothing has been put into any, or the epoch has its commitment: what came later is in the next one.
        """
        points: list[tuple[int, bytes]] = []
        if self._store.checkpoints(epoch):
            return False
        with self._store.writing():
            self._follow()
            for number, tree in self._trees.items():
                if tree.size:
                    point = records.Checkpoint(self._operator, number, epoch, tree.size, tree.root())
                    points.append((number, records.encode(point)))
            if not points:
                return False
            root = merkle.root([receipt.checkpoint_leaf(p) for _, p in points])
            self._store.save_epoch(epoch, root, len(points), points)
        return True

    def promise(self, tree: int, position: int) -> bytes:
        """The COSE Receipt of a leaf in the tree as it is: the log key's word, before an epoch has committed to it."""
        self._follow()
        size = self._trees[tree].size
        proof = cbor.dumps([size, position, self._trees[tree].inclusion(position, size)])
        return self._cose(-1, proof, self._trees[tree].root())

    def consistency(self, tree: int, first: int, second: int) -> bytes:
        """The COSE Receipt of consistency (RFC 9942): the tree of `second` leaves begins with that of `first`."""
        self._follow()
        proof = cbor.dumps([first, second, self._trees[tree].consistency(first, second)])
        return self._cose(-2, proof, self._trees[tree].root(second))

    def _cose(self, kind: int, proof: bytes, root: bytes) -> bytes:
        protected = receipt.protected_header(records.ES256K)
        signature = self._sign(hashlib.sha256(receipt.to_sign(protected, root)).digest())
        return cbor.dumps(cbor.Tagged(cbor.TAG_SIGN1, [protected, {396: {kind: [proof]}}, None, signature]))

    def place(self, epoch: int, tree: int) -> tuple[records.Checkpoint, int, int, list[bytes]]:
        """(checkpoint, index, count, path) of a tree in an epoch's commitment; KeyError if it is not in it."""
        self._follow()
        points = self._store.checkpoints(epoch)
        checkpoint = records.decode(dict(points)[tree])
        assert isinstance(checkpoint, records.Checkpoint)
        leaves = [receipt.checkpoint_leaf(p) for _, p in points]
        index = [number for number, _ in points].index(tree)
        return checkpoint, index, len(points), merkle.inclusion_path(leaves, index)

    def prove(self, epoch: int, tree: int, position: int, anchor: list[object]) -> bytes:
        """The receipt of a leaf in an epoch's commitment; anchor as lightwire.receipt says. KeyError if it is not in it."""
        checkpoint, index, count, path = self.place(epoch, tree)
        if position >= checkpoint.size:
            raise KeyError(f"leaf {position} came after epoch {epoch}")
        return receipt.encode_receipt(
            self._sign, records.ES256K, position, self._trees[tree].inclusion(position, checkpoint.size),
            checkpoint, index, count, path, anchor,
        )  # fmt: skip
