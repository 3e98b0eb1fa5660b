"""Checks a bundle, part by part, in the order of trust; the first thing that does not hold is the answer.

1. The file is canonical JSON of the known format; nothing in it is repeated, left out or added.
2. Keys: registered by the operator, introduced by themselves, with a role and a validity (registry.py).
3. Batches: signed, chained, complete, in the tree of readings; they cover the period (batch.py).
4. Set-points: for this device, answered, none left out of what the device accepted (setpoint.py).
5. Documents: exactly one with the orders (tree of the market) and one statement (tree of settlement); each is what was
   signed, about this POD, and its receipt leads to the word on chain.
6. Settlement: the statement is the one that orders, set-points and readings give, to the micro-euro (settlement.py).
7. The seal covers every byte of the body.
8. All receipts name one chain, one contract and the log of this operator; what the anchors say of their epochs is the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.batch import Batches, check_period, read_batches
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message, PublicKey, read_message
from backend.evidence.verifier.order import FRAME_MS, read_orders
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.registry import Registry
from backend.evidence.verifier.setpoint import Answered, read_setpoints
from backend.evidence.verifier.settlement import Case, check_statement
from backend.evidence.verifier.sheet import MAX_BYTES as MAX_BYTES
from backend.evidence.verifier.sheet import number, octets, parse, record, rows, text_of, word

FORMAT = "lightnode-bundle/1"
TREE_MARKET, TREE_SETTLEMENT = 3, 4
_EVIDENCE = 13
_DOCUMENTS = (("orders", TREE_MARKET), ("statement", TREE_SETTLEMENT))
_FIELDS = (
    "format", "deployment", "operator", "log_key", "pod", "start_ms", "end_ms", "keys", "batches", "setpoints",
    "documents", "seal",
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """What was checked; anchored is False when no anchors were given or an epoch is not among them."""

    pod: str
    operator: bytes
    records: int = 0
    batches: int = 0
    setpoints: int = 0
    documents: int = 0
    lines: int = 0
    epochs: set[int] = field(default_factory=set)
    contract: bytes = b""
    log: bytes = b""
    anchored: bool = False
    is_promise: bool = False

    @property
    def what(self) -> str:
        """In words."""
        return (
            f"{self.pod}: {self.records} records in {self.batches} batches, {self.setpoints} set-points, "
            f"{self.lines} settlement lines"
        )

    @property
    def facts(self) -> dict[str, object]:
        """In numbers."""
        names = ("pod", "records", "batches", "setpoints", "documents", "lines")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class _Context:
    document: Mapping[str, Any]
    deployment: bytes
    pod: str
    start_ms: int
    end_ms: int
    receipts: Receipts
    anchored: list[Anchored] = field(default_factory=list)


def verify(data: bytes, anchors: Anchors | None) -> Report:
    """The report of a bundle that holds; NotValid with the part and the rule for one that does not."""
    return verify_document(parse(data, "file"), anchors)


def verify_document(parsed: object, anchors: Anchors | None) -> Report:
    """As `verify`, of the value of a canonical text."""
    context = _open(parsed)
    document = context.document
    report = Report(context.pod, context.receipts.operator)
    registry = Registry(context.deployment, context.receipts)
    context.anchored += registry.read(rows(document["keys"], "keys"))
    device = registry.node()
    batches = read_batches(rows(document["batches"], "batches"), device, registry, context.receipts)
    context.anchored += batches.anchored
    check_period(batches, context.start_ms, context.end_ms)
    setpoints = read_setpoints(rows(document["setpoints"], "setpoints"), device, registry, batches.records)
    bodies = _documents(context)
    report.lines = _settlement(context, bodies, setpoints, batches)
    _seal(context)
    report.records, report.batches = len(batches.records), len(batches.statements)
    report.setpoints, report.documents = len(setpoints), len(bodies)
    _anchors(context, anchors, report)
    return report


def _open(document: object) -> _Context:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NotValid("file", f"is not a bundle of format {FORMAT}")
    record(document, _FIELDS, "file")
    log_key = octets(document["log_key"], "log_key", 33)
    operator = octets(document["operator"], "operator", 8)
    if hashlib.sha256(log_key).digest()[:8] != operator:
        raise NotValid("operator", "is not the id of the log key")
    start_ms, end_ms = number(document["start_ms"], "start_ms"), number(document["end_ms"], "end_ms")
    if start_ms >= end_ms or start_ms % FRAME_MS or end_ms % FRAME_MS:
        raise NotValid("end_ms", "the period is not one or more whole quarter-hours")
    return _Context(
        document,
        octets(document["deployment"], "deployment", 16),
        word(document["pod"], "pod"),
        start_ms,
        end_ms,
        Receipts(operator, PublicKey(1, log_key)),
    )


def _documents(context: _Context) -> list[object]:
    """The bodies of the orders document and the statement, in this order (rule 5)."""
    found = rows(context.document["documents"], "documents")
    if len(found) != len(_DOCUMENTS):
        raise NotValid("documents", f"are {len(found)}, exactly the orders and one statement belong here")
    return [_document(context, row, *_DOCUMENTS[k], f"documents[{k}]") for k, row in enumerate(found)]


def _document(context: _Context, row: object, kind: str, tree: int, where: str) -> object:
    table = record(row, ("kind", "body", "evidence", "receipt"), where)
    if table["kind"] != kind:
        raise NotValid(f"{where}, kind", f"is not {kind}")
    raw = octets(table["evidence"], f"{where}, evidence")
    evidence = _evidence(context, raw, f"{where}, evidence")
    body = table["body"]
    if not isinstance(body, str) or not body.isascii():
        raise NotValid(f"{where}, body", "is not a text in ASCII")
    if hashlib.sha256(body.encode()).digest() != evidence.octets("digest"):
        raise NotValid(where, "the document is not the one whose digest was signed")
    subject = hashlib.sha256(evidence.octets("salt") + f"{kind}/{context.pod}".encode()).digest()[:16]
    if evidence.octets("subject") != subject or evidence.number("tree") != tree:
        raise NotValid(where, "is about another subject, or of another tree")
    context.anchored.append(
        context.receipts.check(octets(table["receipt"], f"{where}, receipt"), raw, tree, f"{where}, receipt")
    )
    return parse(body.encode(), f"{where}, body")


def _evidence(context: _Context, raw: bytes, where: str) -> Message:
    evidence = read_message(raw, context.receipts.log_key, context.deployment, where, _EVIDENCE)
    if evidence.octets("operator") != context.receipts.operator:
        raise NotValid(where, "is another operator's")
    return evidence


def _settlement(context: _Context, bodies: list[object], setpoints: list[Answered], batches: Batches) -> int:
    orders, statement = bodies
    book = read_orders(orders, context.pod, "documents[0], body")
    case = Case(context.pod, context.start_ms, context.end_ms, book, setpoints, batches.records)
    return check_statement(statement, case, "documents[1], body")


def _seal(context: _Context) -> None:
    message = _evidence(context, octets(context.document["seal"], "seal"), "seal")
    if message.octets("subject") != bytes(16) or message.number("tree") != TREE_SETTLEMENT:
        raise NotValid("seal", "is the evidence of a document, not of a bundle")
    body = {k: v for k, v in context.document.items() if k != "seal"}
    if message.octets("digest") != hashlib.sha256(text_of(body).encode()).digest():
        raise NotValid("seal", "covers another body: a byte was changed that no other check covers")


def _anchors(context: _Context, anchors: Anchors | None, report: Report) -> None:
    first = context.anchored[0]
    report.epochs = {one.epoch for one in context.anchored}
    report.contract, report.log = first.contract, first.log
    for one in context.anchored:
        if (one.chain_id, one.contract, one.log) != (first.chain_id, first.contract, first.log):
            raise NotValid("anchor", "two receipts name different chains or contracts")
    if anchors is None:
        return
    if (first.chain_id, first.contract, first.log) != (anchors.chain_id, anchors.contract, anchors.log):
        raise NotValid("anchor", "the receipts name another chain, contract or log than the anchors given")
    for one in context.anchored:
        if anchors.words.get(one.epoch, one.word) != one.word:
            raise NotValid("anchor", f"epoch {one.epoch}: the chain holds another commitment")
    report.anchored = report.epochs <= set(anchors.words)
