"""Receipts: RFC 9942 COSE Receipt of a leaf, checkpoint in the commitment, word on chain. Layout in FORMAT.md.

1. A receipt leads from a leaf to the root that the log key signed, from the checkpoint to the commitment, to the word.
2. A promise is the COSE Receipt alone: the log key signed a tree with this leaf in it, no epoch has committed to it yet. It
   counts only where the caller takes promises.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2

from backend.evidence.verifier.cbor import decode_one
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash, root_of_path
from backend.evidence.verifier.message import Check, PublicKey, check_signature, parse_payload

_PROMISE = b"\xd2"


@dataclass(frozen=True, slots=True)
class Anchored:
    """What a receipt proves: the word that must stand on chain for an epoch, and where."""

    epoch: int
    word: bytes
    chain_id: int
    contract: bytes
    log: bytes


@dataclass(frozen=True, slots=True)
class Receipts:
    """Checks receipts of one operator (8 bytes) and its log key; signature: who checks what was signed."""

    operator: bytes
    log_key: PublicKey
    signature: Check = check_signature

    def check_or_promise(self, raw: bytes, leaf: bytes, tree: int, where: str) -> Anchored | None:
        """As `check`; None for a promise that holds (rule 2)."""
        if raw[:1] != _PROMISE:
            return self.check(raw, leaf, tree, where)
        self._check_cose(raw, leaf, None, where)
        return None

    def check(self, raw: bytes, leaf: bytes, tree: int, where: str) -> Anchored:
        """What the receipt of a leaf (its data) proves; NotValid with the true reason."""
        outer = decode_one(raw, where)
        if not isinstance(outer, list) or len(outer) != 7 or outer[0] != 1 or cbor2.dumps(outer) != raw:
            raise NotValid(where, "is not a receipt of version 1 in its one encoding")
        _, cose, checkpoint, index, count, path, anchor = outer
        if not isinstance(checkpoint, bytes) or not isinstance(cose, bytes) or not _hashes(path):
            raise NotValid(where, "has a field of another type")
        kind, fields = parse_payload(checkpoint, f"{where}, checkpoint")
        if kind != 10 or fields["operator"] != self.operator or fields["tree"] != tree:
            raise NotValid(where, f"has the checkpoint of another operator, or not of tree {tree}")
        size, root, epoch = fields["size"], fields["root"], fields["epoch"]
        assert isinstance(size, int) and isinstance(root, bytes) and isinstance(epoch, int)
        self._check_cose(cose, leaf, (size, root), where)
        if not _number(index) or not _number(count):
            raise NotValid(where, "has a field of another type")
        commitment = root_of_path(leaf_hash(checkpoint), index, count, path)
        if commitment is None:
            raise NotValid(where, "the checkpoint's path does not fit the commitment")
        word = hashlib.sha256(b"\x02" + epoch.to_bytes(8, "big") + count.to_bytes(8, "big") + commitment).digest()
        return self._anchored(epoch, word, anchor, where)

    def _check_cose(self, raw: bytes, leaf: bytes, tree: tuple[int, bytes] | None, where: str) -> None:
        """NotValid unless raw is a COSE Receipt of the leaf in a tree of this size and root, or in any tree."""
        protected, proof, signature = split_cose(raw, -1, self.log_key, where)
        if len(proof) != 3:
            raise NotValid(where, "COSE Receipt: inclusion proof has another form")
        claimed, index, path = proof
        if not _number(claimed) or not _number(index) or not _hashes(path) or (tree is not None and claimed != tree[0]):
            raise NotValid(where, "COSE Receipt: inclusion proof is for another size than the checkpoint")
        root = root_of_path(leaf_hash(leaf), index, claimed, path)
        if root is None or (tree is not None and root != tree[1]):
            raise NotValid(where, "does not lead from this record to the root of the tree")
        structure = cbor2.dumps(["Signature1", protected, b"", root])
        self.signature(self.log_key, structure, signature, f"{where}, COSE receipt")

    def _anchored(self, epoch: int, word: bytes, anchor: object, where: str) -> Anchored:
        if not isinstance(anchor, list) or len(anchor) != 4:
            raise NotValid(where, "has another form of anchor")
        chain_id, contract, log, block = anchor
        if not _number(chain_id) or not _octets(contract, 20) or not _octets(log, 32) or not _number(block):
            raise NotValid(where, "the anchor is not [chain id, contract (20 bytes), log (32 bytes), block]")
        if log != self.operator.rjust(32, b"\0"):
            raise NotValid(where, "the anchor names a log that is not this operator's")
        return Anchored(epoch, word, chain_id, contract, log)


def _number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _octets(value: object, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def _hashes(value: object) -> bool:
    return isinstance(value, list) and all(_octets(step, 32) for step in value)


def split_cose(raw: bytes, kind: int, log_key: PublicKey, where: str) -> tuple[bytes, list[Any], bytes]:
    """(protected, proof, signature) of a COSE Receipt with one proof of a kind (-1 inclusion, -2 consistency)."""
    tagged = decode_one(raw, f"{where}, COSE receipt")
    parts = tagged.value if isinstance(tagged, cbor2.CBORTag) else None
    if not isinstance(parts, list) or len(parts) != 4 or parts[2] is not None or cbor2.dumps(tagged) != raw:
        raise NotValid(where, "holds no COSE Receipt in its one encoding")
    protected, unprotected, _, signature = parts
    if protected != cbor2.dumps({1: -47 if log_key.algorithm == 1 else -7, 395: 1}):
        raise NotValid(where, "COSE Receipt: protected header is not {alg, vds: RFC9162_SHA256}")
    proofs = unprotected.get(396) if isinstance(unprotected, dict) and len(unprotected) == 1 else None
    named = "inclusion" if kind == -1 else "consistency"
    if not isinstance(proofs, dict) or list(proofs) != [kind] or not isinstance(proofs[kind], list):
        raise NotValid(where, f"COSE Receipt: not exactly one {named} proof")
    if len(proofs[kind]) != 1 or not isinstance(proofs[kind][0], bytes):
        raise NotValid(where, f"COSE Receipt: not exactly one {named} proof")
    proof = decode_one(proofs[kind][0], f"{where}, {named} proof")
    if not isinstance(proof, list) or cbor2.dumps(proof) != proofs[kind][0]:
        raise NotValid(where, f"COSE Receipt: {named} proof has another form")
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise NotValid(where, "COSE Receipt: no signature of 64 bytes")
    return protected, proof, signature
