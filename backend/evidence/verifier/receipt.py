"""Receipts: RFC 9942 COSE Receipt of a leaf, checkpoint in the commitment, word on chain. Layout in FORMAT.md."""

import hashlib
from dataclasses import dataclass

import cbor2

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash, root_of_path
from backend.evidence.verifier.message import PublicKey, check_signature, decode_one, parse_payload


@dataclass(frozen=True, slots=True)
class Anchored:
    """What a receipt proves: the word that must stand on chain for an epoch, and where."""

    epoch: int
    word: bytes
    chain_id: int
    contract: bytes
    log: bytes


def check_receipt(raw: bytes, leaf: bytes, tree: int, operator: bytes, log_key: PublicKey, where: str) -> Anchored:
    """What the receipt of a leaf (its data) proves; NotValid with the true reason."""
    outer = decode_one(raw, where)
    if not isinstance(outer, list) or len(outer) != 7 or outer[0] != 1 or cbor2.dumps(outer) != raw:
        raise NotValid(where, "is not a receipt of version 1 in its one encoding")
    _, cose, checkpoint, index, count, path, anchor = outer
    if not isinstance(checkpoint, bytes) or not isinstance(cose, bytes) or not isinstance(path, list):
        raise NotValid(where, "has a field of another type")
    kind, fields = parse_payload(checkpoint, f"{where}, checkpoint")
    if kind != 10 or fields["operator"] != operator or fields["tree"] != tree:
        raise NotValid(where, "has the checkpoint of another operator or tree")
    size, root, epoch = fields["size"], fields["root"], fields["epoch"]
    assert isinstance(size, int) and isinstance(root, bytes) and isinstance(epoch, int)
    _check_cose(cose, leaf, size, root, log_key, where)
    if not isinstance(index, int) or not isinstance(count, int) or not all(_hash(p) for p in path):
        raise NotValid(where, "has a field of another type")
    commitment = root_of_path(leaf_hash(checkpoint), index, count, path)
    if commitment is None:
        raise NotValid(where, "the checkpoint's path does not fit the commitment")
    word = hashlib.sha256(b"\x02" + epoch.to_bytes(8, "big") + count.to_bytes(8, "big") + commitment).digest()
    if (
        not isinstance(anchor, list)
        or len(anchor) != 4
        or not isinstance(anchor[0], int)
        or not isinstance(anchor[1], bytes)
    ):
        raise NotValid(where, "has another form of anchor")
    if not isinstance(anchor[2], bytes) or not isinstance(anchor[3], int):
        raise NotValid(where, "has another form of anchor")
    return Anchored(epoch, word, anchor[0], anchor[1], anchor[2])


def _hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 32


def _check_cose(raw: bytes, leaf: bytes, size: int, root: bytes, log_key: PublicKey, where: str) -> None:
    tagged = decode_one(raw, f"{where}, COSE receipt")
    parts = tagged.value if isinstance(tagged, cbor2.CBORTag) and tagged.tag == 18 else None
    if not isinstance(parts, list) or len(parts) != 4 or parts[2] is not None or cbor2.dumps(tagged) != raw:
        raise NotValid(where, "holds no COSE Receipt in its one encoding")
    protected, unprotected, _, signature = parts
    if protected != cbor2.dumps({1: -47 if log_key.algorithm == 1 else -7, 395: 1}):
        raise NotValid(where, "COSE Receipt: protected header is not {alg, vds: RFC9162_SHA256}")
    proofs = unprotected.get(396) if isinstance(unprotected, dict) and len(unprotected) == 1 else None
    if not isinstance(proofs, dict) or list(proofs) != [-1] or not isinstance(proofs[-1], list) or len(proofs[-1]) != 1:
        raise NotValid(where, "COSE Receipt: not exactly one inclusion proof")
    proof = decode_one(proofs[-1][0], f"{where}, inclusion proof") if isinstance(proofs[-1][0], bytes) else None
    if not isinstance(proof, list) or len(proof) != 3 or cbor2.dumps(proof) != proofs[-1][0]:
        raise NotValid(where, "COSE Receipt: inclusion proof has another form")
    claimed, index, path = proof
    if claimed != size or not isinstance(index, int) or not isinstance(path, list) or not all(_hash(p) for p in path):
        raise NotValid(where, "COSE Receipt: inclusion proof is for another size than the checkpoint")
    if root_of_path(leaf_hash(leaf), index, size, path) != root:
        raise NotValid(where, "does not lead from this record to the root of the tree")
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise NotValid(where, "COSE Receipt: no signature of 64 bytes")
    check_signature(log_key, cbor2.dumps(["Signature1", protected, b"", root]), signature, f"{where}, COSE receipt")
