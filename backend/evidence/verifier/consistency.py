"""Two epochs of one tree: the later tree begins with the earlier one. Layout in FORMAT.md.

1. Each checkpoint stands in the commitment of its epoch by its path, as in a receipt.
2. The proof is an RFC 9942 COSE Receipt of consistency: the log key signed the later root, and the path of RFC 9162
   (2.1.4.2) leads from the earlier root to it.
3. The words of both epochs stand on chain where the anchor says; the state proof holds them too, if there is one.
4. The seal covers every other byte.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import cbor2

from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import is_consistent, leaf_hash, root_of_path
from backend.evidence.verifier.message import PublicKey, check_signature, parse_payload, read_message
from backend.evidence.verifier.receipt import Anchored, split_cose
from backend.evidence.verifier.sheet import number, octets, record, rows, text_of
from backend.evidence.verifier.single import Single, check_words
from backend.evidence.verifier.state import prove

FORMAT = "lightnode-consistency/1"
FIELDS = (
    "format", "deployment", "operator", "log_key", "tree", "first", "second", "proof", "chain_id", "contract", "seal", "state",
)  # fmt: skip
POINT_FIELDS = ("checkpoint", "index", "count", "path")
_CHECKPOINT, _EVIDENCE = 10, 13
_TREES = {1: "readings", 2: "set-points", 3: "market", 4: "settlement", 5: "keys"}


def verify_consistency(document: object, anchors: Anchors | None, block_hash: bytes | None = None) -> Single:
    """The report of a consistency file that holds; NotValid with the part and the rule for one that does not."""
    table = record(document, FIELDS, "file")
    log_key, operator = octets(table["log_key"], "log_key", 33), octets(table["operator"], "operator", 8)
    if hashlib.sha256(log_key).digest()[:8] != operator:
        raise NotValid("operator", "is not the id of the log key")
    key = PublicKey(1, log_key)
    tree = number(table["tree"], "tree", 1, 5)
    first, second = (_point(table[name], operator, tree, name) for name in ("first", "second"))
    if first[0] >= second[0]:
        raise NotValid("second", "is not a later epoch than first")
    _check_proof(octets(table["proof"], "proof"), first, second, key)
    _check_seal(table, operator, key)
    place = number(table["chain_id"], "chain_id", 0, (1 << 64) - 1), octets(table["contract"], "contract", 20)
    anchored = [Anchored(one[0], one[3], *place, operator.rjust(32, b"\0")) for one in (first, second)]
    what = f"the tree of {_TREES[tree]} of epoch {second[0]} ({second[1]} leaves) begins with that of {first[0]} ({first[1]})"
    report = Single(what, operator, {"kind": "consistency", "tree": tree, "sizes": [first[1], second[1]]})
    report.epochs, report.contract, report.log = {first[0], second[0]}, place[1], anchored[0].log
    check_words(anchored, anchors)
    _check_state(table["state"], anchored, report, block_hash)
    report.anchored = bool(report.block_hash) or (anchors is not None and report.epochs <= set(anchors.words))
    return report


def _point(value: object, operator: bytes, tree: int, where: str) -> tuple[int, int, bytes, bytes]:
    """(epoch, size, root, word) of a checkpoint (rule 1)."""
    table = record(value, POINT_FIELDS, where)
    checkpoint = octets(table["checkpoint"], f"{where}, checkpoint")
    kind, fields = parse_payload(checkpoint, f"{where}, checkpoint")
    if kind != _CHECKPOINT or fields["operator"] != operator or fields["tree"] != tree:
        raise NotValid(where, f"is the checkpoint of another operator, or not of tree {tree}")
    index, count = (
        number(table["index"], f"{where}, index"),
        number(table["count"], f"{where}, count", 1, (1 << 63) - 1),
    )
    path = [octets(step, f"{where}, path[{k}]", 32) for k, step in enumerate(rows(table["path"], f"{where}, path"))]
    commitment = root_of_path(leaf_hash(checkpoint), index, count, path)
    if commitment is None:
        raise NotValid(where, "the checkpoint's path does not fit the commitment")
    epoch, size, root = fields["epoch"], fields["size"], fields["root"]
    assert isinstance(epoch, int) and isinstance(size, int) and isinstance(root, bytes)
    word = hashlib.sha256(b"\x02" + epoch.to_bytes(8, "big") + count.to_bytes(8, "big") + commitment).digest()
    return epoch, size, root, word


def _check_proof(
    raw: bytes, first: tuple[int, int, bytes, bytes], second: tuple[int, int, bytes, bytes], key: PublicKey
) -> None:
    """Rule 2."""
    protected, proof, signature = split_cose(raw, -2, key, "proof")
    if len(proof) != 3 or proof[:2] != [first[1], second[1]] or any(type(n) is not int for n in proof[:2]):
        raise NotValid("proof", "is for other sizes than those of the checkpoints")
    path = proof[2]
    if not isinstance(path, list) or not all(isinstance(step, bytes) and len(step) == 32 for step in path):
        raise NotValid("proof", "its path is not a list of hashes")
    if not is_consistent(first[1], second[1], first[2], second[2], path):
        raise NotValid("proof", "the later tree does not begin with the earlier one")
    check_signature(key, cbor2.dumps(["Signature1", protected, b"", second[2]]), signature, "proof")


def _check_seal(table: Mapping[str, Any], operator: bytes, key: PublicKey) -> None:
    """Rule 4."""
    deployment = octets(table["deployment"], "deployment", 16)
    message = read_message(octets(table["seal"], "seal"), key, deployment, "seal", _EVIDENCE)
    if message.octets("operator") != operator or message.octets("subject") != bytes(16) or message.number("tree") != 4:
        raise NotValid("seal", "is the evidence of a document, or another operator's")
    body = {k: v for k, v in table.items() if k not in ("seal", "state")}
    if message.octets("digest") != hashlib.sha256(text_of(body).encode()).digest():
        raise NotValid("seal", "covers another body: a byte was changed that no other check covers")


def _check_state(value: object, anchored: list[Anchored], report: Single, block_hash: bytes | None) -> None:
    """Rule 3, of a state proof."""
    if isinstance(value, str) and value == "":
        if block_hash is not None:
            raise NotValid("state", "there is no state proof in the file to compare with the block hash")
        return
    proof = prove(value, report.contract, report.log, "state")
    if proof.words != {one.epoch: one.word for one in anchored}:
        raise NotValid("state", "proves other epochs, or the chain holds another commitment")
    if block_hash not in (None, proof.block_hash):
        raise NotValid("state", f"is of block {proof.block_hash.hex()}, not of the block that you named")
    report.block_hash = block_hash or b""
