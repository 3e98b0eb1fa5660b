"""Checks a bundle, part by part, in the order of trust; the first thing that does not hold is the answer.

1. The first line is canonical JSON of the known format, each line behind it one batch; nothing in it is repeated, left out
   or added.
2. Keys: registered by the operator, introduced by themselves, with a role and a validity (registry.py), each at the place
   that was committed to (placement.py).
3. Batches: signed, chained, complete, in the tree of readings; they cover the period (batch.py).
4. Set-points: for this device, answered, none left out of what the device accepted (setpoint.py).
5. Documents: one with the orders, one statement, one with the outcomes, and the totals of each order of the period that
   other PODs have a part in; each is what was signed, about this POD or order, in its tree, and its receipt leads to the word
   on chain.
6. Settlement: the statement is the one that orders, totals, set-points and readings give, to the micro-euro
   (settlement.py); the orders stand on the outcomes (outcome.py).
7. The seal covers every byte: the first line but itself, and in it the digest of each other line.
8. All receipts name one chain, one contract and the log of this operator; what the anchors say of their epochs is the same.
9. With an executor signatures are checked beside the reading (signatures.py); the answer is the same.
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.batch import Batches, check_period, read_batches
from backend.evidence.verifier.document import TREE_MARKET, TREE_SETTLEMENT, Documents
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Check, PublicKey
from backend.evidence.verifier.order import FRAME_MS, Book, read_orders
from backend.evidence.verifier.outcome import check_orders, read_outcome
from backend.evidence.verifier.placement import read_placements
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.registry import Registry
from backend.evidence.verifier.setpoint import Answered, read_setpoints
from backend.evidence.verifier.settlement import Case, check_statement, grouped
from backend.evidence.verifier.sheet import head, number, octets, parse, record, rest, rows, text_of, word
from backend.evidence.verifier.signatures import Signatures
from backend.evidence.verifier.totals import Totals, read_totals

FORMAT = "lightnode-bundle/1"
FIELDS = (
    "format", "deployment", "operator", "log_key", "pod", "start_ms", "end_ms", "keys", "placements", "batches", "setpoints",
    "documents", "seal",
)  # fmt: skip
DOCUMENT_FIELDS = ("kind", "body", "evidence", "receipt")
_KINDS = (("orders", TREE_MARKET), ("statement", TREE_SETTLEMENT), ("outcome", TREE_MARKET))


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
    pod: str
    start_ms: int
    end_ms: int
    papers: Documents

    @property
    def receipts(self) -> Receipts:
        """Checks the receipts of the operator."""
        return self.papers.receipts

    @property
    def anchored(self) -> list[Anchored]:
        """What the receipts prove."""
        return self.papers.anchored


@dataclass(frozen=True, slots=True)
class _Papers:
    """The documents of a bundle."""

    book: Book
    statement: object
    outcome: object
    totals: Mapping[str, Totals]


def verify(data: bytes, anchors: Anchors | None) -> Report:
    """The report of a bundle that holds; NotValid with the part and the rule for one that does not."""
    return verify_document(parse(head(data), "file"), data, anchors)


def verify_document(parsed: object, data: bytes, anchors: Anchors | None, executor: Executor | None = None) -> Report:
    """As `verify`, with the value of the first line; the lines behind it are read one by one. executor: who checks signatures
    in the meantime (rule 9)."""
    with Signatures(executor) as signatures:
        return _verified(_open(parsed, signatures.check), data, anchors)


def _verified(context: _Context, data: bytes, anchors: Anchors | None) -> Report:
    _count_lines(context, data)
    document = context.document
    report = Report(context.pod, context.receipts.operator)
    registry = Registry(context.papers.deployment, context.receipts)
    context.papers.anchored += registry.read(rows(document["keys"], "keys"))
    device = registry.node()
    batches = read_batches(_batch_rows(context, data), device, registry, context.receipts)
    context.papers.anchored += batches.anchored
    check_period(batches, context.start_ms, context.end_ms)
    setpoints = read_setpoints(rows(document["setpoints"], "setpoints"), device, registry, batches)
    papers = _papers(context)
    report.lines = _settlement(context, papers, setpoints, batches)
    read_placements(rows(document["placements"], "placements"), registry, context.pod, context.papers)
    _seal(context)
    report.records, report.batches = batches.count, len(batches.statements)
    report.setpoints, report.documents = len(setpoints), len(document["documents"])
    _anchors(context, anchors, report)
    return report


def _count_lines(context: _Context, data: bytes) -> None:
    """A file that was cut is told at once."""
    named, there = len(rows(context.document["batches"], "batches")), data.count(b"\n")
    if named != there:
        raise NotValid("batches", f"are {there} lines, the first line names {named}")


def _batch_rows(context: _Context, data: bytes) -> Iterator[object]:
    """The batch in each line, which is the one that the first line names."""
    for k, line in enumerate(rest(data)):
        yield parse(line, f"batches[{k}]")
        if context.document["batches"][k] != hashlib.sha256(line).hexdigest():
            raise NotValid(f"batches[{k}]", "is another line than the one that the first line names")


def _open(document: object, check: Check) -> _Context:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NotValid("file", f"is not a bundle of format {FORMAT}")
    record(document, FIELDS, "file")
    log_key = octets(document["log_key"], "log_key", 33)
    operator = octets(document["operator"], "operator", 8)
    if hashlib.sha256(log_key).digest()[:8] != operator:
        raise NotValid("operator", "is not the id of the log key")
    start_ms, end_ms = number(document["start_ms"], "start_ms"), number(document["end_ms"], "end_ms")
    if start_ms >= end_ms or start_ms % FRAME_MS or end_ms % FRAME_MS:
        raise NotValid("end_ms", "the period is not one or more whole quarter-hours")
    papers = Documents(
        octets(document["deployment"], "deployment", 16), Receipts(operator, PublicKey(1, log_key), check)
    )
    return _Context(document, word(document["pod"], "pod"), start_ms, end_ms, papers)


def _papers(context: _Context) -> _Papers:
    """Orders, statement, outcomes, then the totals of the period's orders that are shared (rule 5)."""
    found = rows(context.document["documents"], "documents")
    if len(found) < len(_KINDS):
        raise NotValid("documents", f"are {len(found)}, the orders, one statement and the outcomes belong here")
    orders, statement, outcome = (
        _document(context, found[k], kind, context.pod, tree, f"documents[{k}]")
        for k, (kind, tree) in enumerate(_KINDS)
    )
    book = read_orders(orders, context.pod, "documents[0], body")
    shared = grouped(book.by_frame, context.start_ms, context.end_ms)
    if len(found) != len(_KINDS) + len(shared):
        raise NotValid(
            "documents", f"are {len(found)}, {len(_KINDS)} and the totals of {len(shared)} orders belong here"
        )
    totals = {}
    for k, one in enumerate(shared, len(_KINDS)):
        body = _document(context, found[k], "totals", one.id, TREE_SETTLEMENT, f"documents[{k}]")
        totals[one.id] = read_totals(body, one, book.terms, f"documents[{k}], body")
    return _Papers(book, statement, outcome, totals)


def _document(context: _Context, row: object, kind: str, id: str, tree: int, where: str) -> object:
    table = record(row, DOCUMENT_FIELDS, where)
    if table["kind"] != kind:
        raise NotValid(f"{where}, kind", f"is not {kind}")
    return context.papers.read(table, f"{kind}/{id}", tree, where)


def _settlement(context: _Context, papers: _Papers, setpoints: list[Answered], batches: Batches) -> int:
    period = context.start_ms, context.end_ms
    case = Case(context.pod, *period, papers.book, setpoints, batches.metered, papers.totals)
    made = check_statement(papers.statement, case, "documents[1], body")
    check_orders(papers.book, read_outcome(papers.outcome, context.pod, "documents[2], body"), "documents[2], body")
    return made


def _seal(context: _Context) -> None:
    message = context.papers.evidence(octets(context.document["seal"], "seal"), "seal")
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
