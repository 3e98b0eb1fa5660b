"""Batch receipts: a statement stands in the operator's tree, the tree in the epoch's commitment, that on chain.

A receipt is one CBOR array (core deterministic):
  [1, cose_receipt, checkpoint, index, count, [path...], [chain_id, contract, log, block]]

1. cose_receipt: RFC 9942 COSE Receipt by the operator's log key: COSE_Sign1 with protected {1: alg, 395: 1}, unprotected
   {396: {-1: [bstr .cbor [tree size, leaf index, [path...]]]}} and detached payload (nil), the tree's root.
2. checkpoint: the payload of the tree's Checkpoint record; its size and root must be those of the receipt.
3. index, count, path: where the checkpoint stands among the checkpoints of its epoch; their root, epoch and count give
   the word that the contract holds.
4. chain_id, contract (20 bytes), log (32 bytes), block: where to look it up. A device trusts the log key it was given at
   enrolment; a customer's verifier compares the word with the chain.
"""

import hashlib

from . import cbor, choice, merkle, records
from .errors import BadProof, BadSignature, OutOfRange

VDS_RFC9162_SHA256 = 1
_RECEIPT_ALG = {choice.ES256K: -47, choice.ES256: -7}


class Receipt:
    """A parsed batch receipt; nothing in it is checked before `check`."""

    def __init__(
        self,
        cose: tuple[bytes, bytes, tuple[int, int, list[bytes]]],
        checkpoint: bytes,
        place: tuple[int, int, list[bytes]],
        anchor: list[object],
    ) -> None:
        self.protected, self.signature, (self.tree_size, self.leaf_index, self.tree_path) = cose
        self.checkpoint = checkpoint
        self.index, self.count, self.path = place
        self.anchor = anchor


def commitment_word(epoch: int, count: int, root: bytes) -> bytes:
    """What stands on chain for an epoch (32 bytes)."""
    return hashlib.sha256(b"\x02" + epoch.to_bytes(8, "big") + count.to_bytes(8, "big") + root).digest()


def checkpoint_leaf(checkpoint: bytes) -> bytes:
    """Leaf hash of a checkpoint payload in the epoch's commitment."""
    return merkle.leaf_hash(checkpoint)


def protected_header(algorithm: int) -> bytes:
    """Protected header of the COSE Receipt."""
    return cbor.dumps({1: _RECEIPT_ALG[algorithm], 395: VDS_RFC9162_SHA256})


def to_sign(protected: bytes, tree_root: bytes) -> bytes:
    """Sig_structure of the COSE Receipt: no external_aad, the tree's root as payload (RFC 9942, 5.2)."""
    return cbor.dumps(["Signature1", protected, b"", tree_root])


def encode_receipt(  # type: ignore[no-untyped-def]
    sign, algorithm: int, leaf_index: int, tree_path: list[bytes], checkpoint: records.Checkpoint, index: int, count: int,
    path: list[bytes], anchor: list[object],
) -> bytes:  # fmt: skip
    """The receipt of one statement; sign(digest 32) -> 64 bytes is the log key's; anchor as in the module's rule 4."""
    protected = protected_header(algorithm)
    proof = cbor.dumps([checkpoint.size, leaf_index, tree_path])
    digest = hashlib.sha256(to_sign(protected, checkpoint.root)).digest()
    cose = cbor.Tagged(cbor.TAG_SIGN1, [protected, {396: {-1: [proof]}}, None, sign(digest)])
    return cbor.dumps([1, cbor.dumps(cose), records.encode(checkpoint), index, count, path, anchor])


def decode_receipt(data: bytes) -> Receipt:
    """The receipt in data; raises a WireError for anything else."""
    outer = cbor.loads(data)
    if not isinstance(outer, list) or len(outer) != 7 or outer[0] != 1:
        raise OutOfRange("not a batch receipt of version 1")
    _, cose, checkpoint, index, count, path, anchor = outer
    if not _octets(cose) or not _octets(checkpoint) or not _number(index) or not _number(count) or not _hashes(path):
        raise OutOfRange("a field of the receipt has another form")
    if not isinstance(anchor, list) or len(anchor) != 4 or not _number(anchor[0]) or not _number(anchor[3]):
        raise OutOfRange("the anchor has another form")
    if not _octets(anchor[1], 20) or not _octets(anchor[2], 32):
        raise OutOfRange("the anchor has another form")
    return Receipt(_decode_cose(cbor.loads(cose)), checkpoint, (index, count, path), anchor)


def _decode_cose(value: object) -> tuple[bytes, bytes, tuple[int, int, list[bytes]]]:
    parts = value.value if isinstance(value, cbor.Tagged) else None
    if not isinstance(parts, list) or len(parts) != 4 or parts[2] is not None:
        raise OutOfRange("not a COSE Receipt with detached payload")
    protected, unprotected, _, signature = parts
    if not _octets(protected) or not _octets(signature, 64) or not isinstance(unprotected, dict):
        raise OutOfRange("not a COSE Receipt")
    proofs = unprotected.get(396)
    if (
        len(unprotected) != 1
        or not isinstance(proofs, dict)
        or len(proofs) != 1
        or not isinstance(proofs.get(-1), list)
    ):
        raise OutOfRange("not one inclusion proof")
    if len(proofs[-1]) != 1 or not _octets(proofs[-1][0]):
        raise OutOfRange("not one inclusion proof")
    proof = cbor.loads(proofs[-1][0])
    if (
        not isinstance(proof, list)
        or len(proof) != 3
        or not _number(proof[0])
        or not _number(proof[1])
        or not _hashes(proof[2])
    ):
        raise OutOfRange("the inclusion proof has another form")
    return protected, signature, (proof[0], proof[1], proof[2])


def _octets(value: object, length: int = -1) -> bool:
    return isinstance(value, bytes) and (length < 0 or len(value) == length)


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _hashes(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 64 and all([_octets(v, 32) for v in value])


def check(receipt: Receipt, statement: bytes, operator: bytes, verify_log, algorithm: int) -> bytes:  # type: ignore[no-untyped-def]
    """The commitment word that must stand on chain if everything in the receipt holds for this sealed statement.

    verify_log(digest 32, signature 64) -> bool is bound to the log key. Raises BadSignature or BadProof with the reason.
    """
    checkpoint = records.decode(receipt.checkpoint)
    if not isinstance(checkpoint, records.Checkpoint):
        raise BadProof("the checkpoint is another record")
    if checkpoint.operator != operator or checkpoint.tree != choice.TREE_READINGS:
        raise BadProof("the checkpoint is another operator's or another tree's")
    if receipt.tree_size != checkpoint.size:
        raise BadProof("the proof is for another size than the checkpoint")
    leaf = merkle.leaf_hash(statement)
    if not merkle.verify_inclusion(leaf, receipt.leaf_index, checkpoint.size, receipt.tree_path, checkpoint.root):
        raise BadProof("the statement does not stand in the tree")
    if receipt.protected != protected_header(algorithm):
        raise BadSignature("the receipt's header is not that of the log key")
    if not verify_log(hashlib.sha256(to_sign(receipt.protected, checkpoint.root)).digest(), receipt.signature):
        raise BadSignature("the log key did not sign this root")
    root = merkle.root_of_path(checkpoint_leaf(receipt.checkpoint), receipt.index, receipt.count, receipt.path)
    if not root:
        raise BadProof("the checkpoint does not stand in the commitment")
    return commitment_word(checkpoint.epoch, receipt.count, root)
