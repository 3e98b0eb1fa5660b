"""One record with its receipt in one file: a reading, a batch, a set-point or its answer, a document, a key.

1. The file is canonical JSON with exactly the fields of FORMAT.md; every byte is covered by the seal or by the state proof.
2. The record is signed by a key of the rows that are here, registered by the operator. What it stands in is here too: a
   reading's statement, the set-point that an answer is about; the text of a document is the one whose digest was signed.
3. A reading stands in its statement by a path; the record (of a reading the statement) stands in its tree by its receipt.
4. A promise in place of a receipt: signed, and not committed yet.
5. All receipts name one chain, one contract and the log of this operator; the anchors hold their words, or the state proof
   does under the block hash that was named.
6. What was signed after its key was revoked, or anchored after that, does not count.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash, root_of_path
from backend.evidence.verifier.message import Message, PublicKey, parse_payload, read_message, split
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.registry import Registry
from backend.evidence.verifier.sheet import number, octets, record, rows, text_of, word
from backend.evidence.verifier.state import StateProof, prove

FORMAT = "lightnode-receipt/1"
FIELDS = (
    "format", "deployment", "operator", "log_key", "kind", "record", "about", "index", "path", "name", "body", "keys",
    "receipt", "seal", "state",
)  # fmt: skip
_IN_A_BATCH = {"reading": 1, "gap": 3, "clock link": 4, "diagnostics": 15, "update report": 16, "report": 18}
_LEAVES = {"batch": (2, 1), "setpoint": (6, 2), "decision": (7, 2), "execution": (8, 2)}
KINDS = (*_IN_A_BATCH, *_LEAVES, "document", "key")
_STATEMENT, _SET_POINT, _ENTRY, _EVIDENCE, _EMS_REPORT = 2, 6, 12, 13, 18
_TREE_READINGS, _TREE_SETTLEMENT, _TREE_KEYS = 1, 4, 5


@dataclass(slots=True)
class Single:
    """What was checked; anchored is False when no anchors were given, an epoch is not among them, or it is a promise."""

    what: str
    operator: bytes
    facts: Mapping[str, object]
    is_promise: bool = False
    epochs: set[int] = field(default_factory=set)
    contract: bytes = b""
    log: bytes = b""
    block_hash: bytes = b""
    anchored: bool = False


@dataclass(slots=True)
class _Context:
    document: Mapping[str, Any]
    deployment: bytes
    receipts: Receipts
    registry: Registry
    anchored: list[Anchored] = field(default_factory=list)

    def octets(self, name: str) -> bytes:
        """A field of bytes."""
        return octets(self.document[name], name)


class _Leaf(NamedTuple):
    """Leaf data, its tree, what it is, and the message whose key may have been revoked."""

    raw: bytes
    tree: int
    what: str
    message: Message | None


def verify_single(document: object, anchors: Anchors | None, block_hash: bytes | None = None) -> Single:
    """The report of a receipt file that holds; NotValid with the part and the rule for one that does not."""
    context = _open(document)
    table = context.document
    context.anchored += context.registry.read(rows(table["keys"], "keys"))
    if table["kind"] not in KINDS:
        raise NotValid("kind", f"is none of {', '.join(KINDS)}")
    leaf, tree, what, message = _record(context, table["kind"])
    found = context.receipts.check_or_promise(context.octets("receipt"), leaf, tree, "receipt")
    if message is not None:
        context.registry.check_anchored(message, found, "receipt")
    context.anchored += [found] if found is not None else []
    _seal(context)
    report = Single(what, context.receipts.operator, {"kind": table["kind"]}, is_promise=found is None)
    _compare(context, report, anchors, block_hash)
    return report


def _open(document: object) -> _Context:
    table = record(document, FIELDS, "file")
    log_key, operator = octets(table["log_key"], "log_key", 33), octets(table["operator"], "operator", 8)
    if hashlib.sha256(log_key).digest()[:8] != operator:
        raise NotValid("operator", "is not the id of the log key")
    deployment = octets(table["deployment"], "deployment", 16)
    receipts = Receipts(operator, PublicKey(1, log_key))
    return _Context(table, deployment, receipts, Registry(deployment, receipts, takes_promises=True))


def _record(context: _Context, kind: str) -> _Leaf:
    """What stands in the tree, after rules 2 and 3."""
    raw = context.octets("record")
    if kind in _IN_A_BATCH:
        return _in_batch(context, raw, kind)
    _empty(context, "index", "path")
    if kind in _LEAVES:
        return _leaf(context, raw, kind)
    _empty(context, "about")
    if kind == "document":
        return _document(context, raw)
    _empty(context, "name", "body")
    entry = read_message(raw, context.receipts.log_key, context.deployment, "record", _ENTRY)
    if context.document["keys"][-1:] == [] or context.document["keys"][-1].get("entry") != raw.hex():
        raise NotValid("record", "is not the entry of the last row of keys")
    return _Leaf(raw, _TREE_KEYS, f"key {entry.number('generation')} of {entry.octets('device').hex()}", None)


def _empty(context: _Context, *names: str) -> None:
    for one in names:
        if context.document[one] not in ("", 0, []) or context.document[one] is False:
            raise NotValid(one, "does not belong to a record of this kind")


def _in_batch(context: _Context, raw: bytes, kind: str) -> _Leaf:
    _empty(context, "name", "body")
    message = context.registry.open(raw, _IN_A_BATCH[kind], "record")
    about = context.octets("about")
    statement = context.registry.open(about, _STATEMENT, "about")
    if message.octets("device") != statement.octets("device"):
        raise NotValid("about", "is the statement of another device")
    index, path = number(context.document["index"], "index"), _path(context)
    if message.number("seq") != statement.number("first_seq") + index:
        raise NotValid("index", "is not the place of the record in its statement")
    if root_of_path(leaf_hash(raw), index, statement.number("count"), path) != statement.octets("root"):
        raise NotValid("path", "does not lead from the record to the root of its statement")
    return _Leaf(
        about, _TREE_READINGS, f"{kind} {message.number('seq')} of {message.octets('device').hex()}", statement
    )


def _path(context: _Context) -> list[bytes]:
    return [octets(step, f"path[{k}]", 32) for k, step in enumerate(rows(context.document["path"], "path"))]


def _leaf(context: _Context, raw: bytes, kind: str) -> _Leaf:
    _empty(context, "name", "body")
    expected, tree = _LEAVES[kind]
    if kind == "execution" and parse_payload(split(raw, "record")[1], "record")[0] == _EMS_REPORT:
        expected = _EMS_REPORT
    message = context.registry.open(raw, expected, "record")
    if kind in ("batch", "setpoint"):
        _empty(context, "about")
        who = message.octets("device").hex()
        what = f"batch {message.number('seq')} of {who}" if kind == "batch" else f"set-point for {who}"
        return _Leaf(raw, tree, what, message)
    point = context.registry.open(context.octets("about"), _SET_POINT, "about")
    digest = message.fields.get("digest", point.payload_digest)  # an energy manager's word names the id alone
    same = message.octets("setpoint") == point.octets("id") and digest == point.payload_digest
    if not same or message.octets("device") != point.octets("device"):
        raise NotValid("about", "is another set-point than the one that was answered")
    return _Leaf(raw, tree, f"{kind} of set-point {point.octets('id').hex()}", message)


def _document(context: _Context, raw: bytes) -> _Leaf:
    evidence = read_message(raw, context.receipts.log_key, context.deployment, "record", _EVIDENCE)
    if evidence.octets("operator") != context.receipts.operator:
        raise NotValid("record", "is another operator's")
    name, body = word(context.document["name"], "name"), context.document["body"]
    if not isinstance(body, str) or not body.isascii():
        raise NotValid("body", "is not a text in ASCII")
    if hashlib.sha256(body.encode()).digest() != evidence.octets("digest"):
        raise NotValid("body", "is not the one whose digest was signed")
    if hashlib.sha256(evidence.octets("salt") + name.encode()).digest()[:16] != evidence.octets("subject"):
        raise NotValid("name", "is not the subject that was signed")
    return _Leaf(raw, evidence.number("tree"), f"{name}, version {evidence.number('version')}", None)


def _seal(context: _Context) -> None:
    """Rule 1."""
    raw = context.octets("seal")
    message = read_message(raw, context.receipts.log_key, context.deployment, "seal", _EVIDENCE)
    if message.octets("operator") != context.receipts.operator:
        raise NotValid("seal", "is another operator's")
    if message.octets("subject") != bytes(16) or message.number("tree") != _TREE_SETTLEMENT:
        raise NotValid("seal", "is the evidence of a document, not of a file")
    body = {k: v for k, v in context.document.items() if k not in ("seal", "state")}
    if message.octets("digest") != hashlib.sha256(text_of(body).encode()).digest():
        raise NotValid("seal", "covers another body: a byte was changed that no other check covers")


def _compare(context: _Context, report: Single, anchors: Anchors | None, block_hash: bytes | None) -> None:
    """Rule 5."""
    proof = _state(context)
    if context.anchored:
        first = context.anchored[0]
        report.epochs, report.contract, report.log = {one.epoch for one in context.anchored}, first.contract, first.log
        check_words(context.anchored, anchors)
    if block_hash is not None:
        if proof is None:
            raise NotValid("state", "there is no state proof in the file to compare with the block hash")
        if proof.block_hash != block_hash:
            raise NotValid("state", f"is of block {proof.block_hash.hex()}, not of the block that you named")
        report.block_hash = block_hash
    enough = anchors is not None and report.epochs <= set(anchors.words)
    report.anchored = not report.is_promise and bool(report.epochs) and (enough or bool(report.block_hash))


def _state(context: _Context) -> StateProof | None:
    """The state proof of the file, if there is one: it holds, and holds the words of all receipts."""
    value = context.document["state"]
    if value == "" and isinstance(value, str):
        return None
    if not context.anchored:
        raise NotValid("state", "proves nothing: there is no receipt")
    first = context.anchored[0]
    proof = prove(value, first.contract, first.log, "state")
    if set(proof.words) != {one.epoch for one in context.anchored}:
        raise NotValid("state", "proves other epochs than those of the receipts")
    for one in context.anchored:
        if proof.words[one.epoch] != one.word:
            raise NotValid("state", f"epoch {one.epoch}: the chain holds another commitment")
    return proof


def check_words(anchored: list[Anchored], anchors: Anchors | None) -> None:
    """NotValid unless all name one place, and what the anchors say of their epochs is the same."""
    first = anchored[0]
    for one in anchored:
        if (one.chain_id, one.contract, one.log) != (first.chain_id, first.contract, first.log):
            raise NotValid("anchor", "two receipts name different chains or contracts")
    if anchors is None:
        return
    if (first.chain_id, first.contract, first.log) != (anchors.chain_id, anchors.contract, anchors.log):
        raise NotValid("anchor", "the receipts name another chain, contract or log than the anchors given")
    for one in anchored:
        if anchors.words.get(one.epoch, one.word) != one.word:
            raise NotValid("anchor", f"epoch {one.epoch}: the chain holds another commitment")
