"""Batch receipts: a statement stands in the operator's tree, the tree in the epoch's commitment, that on chain.

A receipt is one CBOR array (core deterministic):
  [1, cose_receipt, checkpoint, index, count, [path...], [chain_id, contract, log, block]]

1. cose_receipt: RFC 9942 COSE Receipt by the operator's log key: COSE_Sign1 with protected {1: alg, 395: 1}, unprotected
   {396: {-1: [bstr .cbor [tree size, leaf index, [path...]]]}} and detached payload (nil), the tree's root.
2. checkpoint: the payload of the tree's Checkpoint record; its size and root must be those of the receipt.
3. index, count, path: where the checkpoint stands among the checkpoints of its epoch; their root, epoch and count give
   the word that the contract holds.
4. chain_id, contract (20 bytes), log (32 bytes), block: where to look it up.
5. What binds it where: the RFC leaves external_aad empty, so the log key signs a bare root, without a deployment. The
   sealed statement carries the deployment in its own signature; the checkpoint names operator and kind of tree, and is
   itself a leaf under the word on chain.
6. What a device knows after `check`: its log key signed a tree with this statement in it. Epoch, index, count, path and
   anchor are claims until the word `check` returns is found on chain; a change of any of them changes the word or the
   place to look.
7. Parsing is total: any bytes give a Receipt or a WireError.
"""

import hashlib
from collections import namedtuple

from . import cbor, choice, merkle, records
from .errors import BadProof, BadSignature, OutOfRange, UnknownVersion

VERSION = 1
VDS_RFC9162_SHA256 = 1
_RECEIPT_ALG = {choice.ES256K: -47, choice.ES256: -7}
_HEADER_VDP = 396
_INCLUSION_PROOFS = -1
_PATH_MAX = 64
_Fields = namedtuple("_Fields", "protected signature tree_size leaf_index tree_path checkpoint index count path anchor")


class Receipt(_Fields):
    """A parsed receipt in the one encoding; nothing in it is proven before `check`.

    protected, signature (64 bytes), tree_size, leaf_index, tree_path: the COSE Receipt. checkpoint: the record.
    index, count, path: its place in the commitment. anchor: (chain id, contract, log, block).
    """

    protected: bytes
    signature: bytes
    tree_size: int
    leaf_index: int
    tree_path: list[bytes]
    checkpoint: records.Checkpoint
    index: int
    count: int
    path: list[bytes]
    anchor: tuple[int, bytes, bytes, int]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a receipt is frozen: " + name)


def commitment_word(epoch: int, count: int, root: bytes) -> bytes:
    """What stands on chain for an epoch (32 bytes): SHA-256(02 || epoch u64 || count u64 || root), as the contract does."""
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
    cose = cbor.Tagged(cbor.TAG_SIGN1, [protected, {_HEADER_VDP: {_INCLUSION_PROOFS: [proof]}}, None, sign(digest)])
    return cbor.dumps([VERSION, cbor.dumps(cose), records.encode(checkpoint), index, count, path, anchor])


def decode_receipt(data: bytes) -> Receipt:
    """The receipt in data; raises a WireError for anything else."""
    outer = cbor.loads(data)
    if not isinstance(outer, list) or len(outer) != 7:
        raise OutOfRange("not a batch receipt: an array of 7 items is wanted")
    version, cose, checkpoint, index, count, path, anchor = outer
    if not _number(version) or version != VERSION:
        raise UnknownVersion(f"batch receipt of version {version}")
    if not _octets(cose) or not _octets(checkpoint):
        raise OutOfRange("COSE Receipt or checkpoint is no byte string")
    if not _number(index) or not _number(count) or not _hashes(path):
        raise OutOfRange("the checkpoint's place in the commitment has another form")
    record = records.decode(checkpoint)
    if not isinstance(record, records.Checkpoint):
        raise OutOfRange("the checkpoint is another record")
    protected, signature, proof = _cose_receipt(cbor.loads(cose))
    return Receipt(protected, signature, proof[0], proof[1], proof[2], record, index, count, path, _anchor(anchor))


def _anchor(value: object) -> tuple[object, ...]:
    if (
        not isinstance(value, list) or len(value) != 4
        or not _number(value[0]) or not _octets(value[1], 20) or not _octets(value[2], 32) or not _number(value[3])
    ):  # fmt: skip
        raise OutOfRange("the anchor is not [chain id, contract (20 bytes), log (32 bytes), block]")
    return tuple(value)


def _cose_receipt(value: object):  # type: ignore[no-untyped-def]
    """(protected, signature, [tree size, leaf index, path]) of a COSE Receipt with one inclusion proof."""
    parts = value.value if isinstance(value, cbor.Tagged) else None
    if not isinstance(parts, list) or len(parts) != 4 or parts[2] is not None:
        raise OutOfRange("not a COSE Receipt with detached payload")
    protected, unprotected, _, signature = parts
    if not _octets(protected) or not _octets(signature, 64):
        raise OutOfRange("protected header or signature of the COSE Receipt has another form")
    proofs = _only(_only(unprotected, _HEADER_VDP), _INCLUSION_PROOFS)
    if not isinstance(proofs, list) or len(proofs) != 1 or not _octets(proofs[0]):
        raise OutOfRange("the COSE Receipt has not one inclusion proof")
    proof = cbor.loads(proofs[0])
    if not isinstance(proof, list) or len(proof) != 3:
        raise OutOfRange("the inclusion proof is not [tree size, leaf index, path]")
    if not _number(proof[0]) or not _number(proof[1]) or not _hashes(proof[2]):
        raise OutOfRange("the inclusion proof is not [tree size, leaf index, path]")
    return protected, signature, proof


def _only(value: object, key: int) -> object:
    """What a map of exactly this key holds; None for anything else."""
    return value.get(key) if isinstance(value, dict) and len(value) == 1 else None


def _octets(value: object, length: int = -1) -> bool:
    return isinstance(value, bytes) and (length < 0 or len(value) == length)


def _number(value: object) -> bool:
    return type(value) is int and value >= 0


def _hashes(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _PATH_MAX and all([_octets(v, 32) for v in value])


def check(receipt: Receipt, statement: bytes, operator: bytes, verify_log, algorithm: int) -> bytes:  # type: ignore[no-untyped-def]
    """The commitment word that must stand on chain if everything in the receipt holds for this sealed statement.

    operator: whose log it must be (8 bytes). verify_log(digest 32, signature 64) -> bool is bound to the log key, whose
    algorithm is given. Raises BadProof or BadSignature with the reason; the signature is checked last.
    """
    word, digest, signature = claim(receipt, merkle.leaf_hash(statement), operator, algorithm)
    if not verify_log(digest, signature):
        raise BadSignature("the log key did not sign this root")
    return word


def claim(receipt: Receipt, leaf: bytes, operator: bytes, algorithm: int) -> tuple[bytes, bytes, bytes]:
    """(word, digest, signature): everything holds for the statement with this leaf hash if the signature of the digest is
    the log key's. For who checks it in slices. Raises BadProof or BadSignature with the reason."""
    checkpoint = receipt.checkpoint
    if checkpoint.operator != operator:
        raise BadProof("the checkpoint is another operator's")
    if checkpoint.tree != choice.TREE_READINGS:
        raise BadProof(f"the checkpoint is of tree {checkpoint.tree}, statements stand in {choice.TREE_READINGS}")
    if receipt.tree_size != checkpoint.size:
        raise BadProof(f"the proof is for size {receipt.tree_size}, the checkpoint for {checkpoint.size}")
    if not merkle.verify_inclusion(leaf, receipt.leaf_index, checkpoint.size, receipt.tree_path, checkpoint.root):
        raise BadProof("the statement does not stand in the tree")
    leaf = checkpoint_leaf(records.encode(checkpoint))
    root = merkle.root_of_path(leaf, receipt.index, receipt.count, receipt.path)
    if not root:
        raise BadProof("the checkpoint's path does not fit its place in the commitment")
    if receipt.protected != protected_header(algorithm):
        raise BadSignature("the COSE Receipt's header is not that of the log key's algorithm")
    digest = hashlib.sha256(to_sign(receipt.protected, checkpoint.root)).digest()
    return commitment_word(checkpoint.epoch, receipt.count, root), digest, receipt.signature
