"""Checks a bundle, part by part, in the order of trust; the first thing that does not hold is the answer.

1. The file is canonical JSON of the known format; nothing in it is repeated, left out or added.
2. Keys: each registry entry is signed with the log key; the enrolment in it by its own key; a device id is its key's.
3. Batches: each record is signed by its device; seq without holes inside a batch; the root is the statement's; the
   statements form one chain; the receipt leads to the word on chain.
4. Set-points: issuer, node and agent signed; digests agree.
5. Documents: the evidence is signed, its digest is the document's, the receipt leads to the word on chain.
6. Settlement: each line is computed again from the readings and agrees to the micro-euro.
7. The seal covers every byte of the body.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash, root
from backend.evidence.verifier.message import Message, PublicKey, read_message, split
from backend.evidence.verifier.receipt import Anchored, check_receipt
from backend.evidence.verifier.settlement import check_statement
from backend.nesting import too_deep

MAX_BYTES = 32 * 1024 * 1024
_FIELDS = {
    "format", "deployment", "operator", "log_key", "pod", "start_ms", "end_ms", "keys", "batches", "setpoints",
    "documents", "seal",
}  # fmt: skip


@dataclass(slots=True)
class Report:
    """What was checked; anchored is False when no anchors were given or an epoch is not among them."""

    pod: str
    records: int = 0
    batches: int = 0
    setpoints: int = 0
    documents: int = 0
    lines: int = 0
    epochs: set[int] = field(default_factory=set)
    contract: bytes = b""
    log: bytes = b""
    anchored: bool = False


@dataclass(slots=True)
class _Context:
    document: Mapping[str, Any]
    deployment: bytes
    operator: bytes
    log_key: PublicKey
    keys: dict[tuple[bytes, int], PublicKey] = field(default_factory=dict)
    devices: dict[str, bytes] = field(default_factory=dict)
    records: list[Message] = field(default_factory=list)
    anchors: list[Anchored] = field(default_factory=list)


def verify(data: bytes, anchors: Anchors | None) -> Report:
    """The report of a bundle that holds; NotValid with the part and the rule for one that does not."""
    document = _parse(data)
    context = _Context(
        document,
        _octets(document, "deployment", 16),
        _octets(document, "operator", 8),
        PublicKey(1, _octets(document, "log_key", 33)),
    )
    if hashlib.sha256(context.log_key.public).digest()[:8] != context.operator:
        raise NotValid("operator", "is not the id of the log key")
    report = Report(str(document["pod"]))
    _keys(context)
    _batches(context, report)
    _setpoints(context, report)
    _documents(context, report)
    _seal(context, data)
    _anchors(context, anchors, report)
    return report


def _parse(data: bytes) -> Mapping[str, Any]:
    if len(data) > MAX_BYTES:
        raise NotValid("file", f"has {len(data)} bytes, a bundle has at most {MAX_BYTES}")
    try:
        if too_deep(data.decode("ascii")):
            raise NotValid("file", "is nested too deep for a bundle")
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotValid("file", f"is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != "lightnode-bundle/1":
        raise NotValid("file", "is not a bundle of format lightnode-bundle/1")
    if set(document) != _FIELDS:
        raise NotValid("file", f"fields differ: {', '.join(sorted(set(document) ^ _FIELDS))}")
    if json.dumps(document, sort_keys=True, separators=(",", ":")).encode() != data:
        raise NotValid("file", "is not in its one encoding (sorted keys, no spaces, no repeated key)")
    return document


def _octets(table: Mapping[str, Any], key: str, length: int = -1, where: str = "") -> bytes:
    value = table.get(key) if isinstance(table, dict) else None
    place = f"{where}, {key}" if where else key
    try:
        octets = bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        octets = None
    if octets is None or octets.hex() != value or (length >= 0 and len(octets) != length):
        raise NotValid(place, "is not lower case hexadecimal of the right length")
    return octets


def _rows(context: _Context, key: str) -> list[Any]:
    rows = context.document[key]
    if not isinstance(rows, list):
        raise NotValid(key, "is not a list")
    return rows


def _keys(context: _Context) -> None:
    for k, row in enumerate(_rows(context, "keys")):
        where = f"keys[{k}]"
        entry = read_message(
            _octets(row, "entry", where=where), context.log_key, context.deployment, f"{where}, entry", 12
        )
        key = PublicKey(entry.number("algorithm"), entry.octets("public_key"))
        enrolled = _octets(row, "enrolment", where=where)
        if enrolled:
            enrolment = read_message(enrolled, key, context.deployment, f"{where}, enrolment", 11)
            if enrolment.payload_digest != entry.octets("enrolment") or enrolment.octets("public_key") != key.public:
                raise NotValid(where, "the entry approves another enrolment")
        device = entry.octets("device")
        if entry.number("generation") == 1 and hashlib.sha256(key.public).digest()[:8] != device:
            raise NotValid(where, "the id is not that of its first key")
        context.keys[device, entry.number("generation")] = key
        context.devices.setdefault(str(row.get("role")), device)
    if "node" not in context.devices:
        raise NotValid("keys", "no key of a light node")


def _key(context: _Context, raw: bytes, field_name: str, where: str) -> PublicKey:
    """The registered key that a message claims; the claim is checked by the signature afterwards."""
    from backend.evidence.verifier.message import parse_payload

    _, fields = parse_payload(split(raw, where)[1], where)
    found = context.keys.get((fields.get(field_name), fields.get("generation", 1)))  # type: ignore[arg-type]
    if found is None:
        raise NotValid(where, "its key is not registered in this bundle")
    return found


def _batches(context: _Context, report: Report) -> None:
    previous: Message | None = None
    device = context.devices["node"]
    for k, row in enumerate(_rows(context, "batches")):
        where = f"batches[{k}]"
        raw = _octets(row, "statement", where=where)
        statement = read_message(
            raw, _key(context, raw, "device", f"{where}, statement"), context.deployment, f"{where}, statement", 2
        )
        if statement.octets("device") != device:
            raise NotValid(where, "is another device's")
        if previous is not None and statement.octets("previous") != previous.payload_digest:
            raise NotValid(where, "does not follow the statement before it")
        _members(context, row, statement, where, report)
        receipt = _octets(row, "receipt", where=where)
        context.anchors.append(check_receipt(receipt, raw, 1, context.operator, context.log_key, f"{where}, receipt"))
        previous = statement
        report.batches += 1


def _members(context: _Context, row: Mapping[str, Any], statement: Message, where: str, report: Report) -> None:
    members = row.get("records")
    if not isinstance(members, list) or len(members) != statement.number("count"):
        raise NotValid(where, f"the statement counts {statement.number('count')} records, another number is here")
    leaves = []
    for j in range(len(members)):
        place = f"{where}, records[{j}]"
        raw = _octets({"record": members[j]}, "record", where=place)
        kind = split(raw, place)[1][2]
        if kind not in (1, 3, 4, 7):
            raise NotValid(place, f"kind {kind} does not belong into a batch")
        message = read_message(raw, _key(context, raw, "device", place), context.deployment, place, kind)
        if message.octets("device") != statement.octets("device"):
            raise NotValid(place, "is another device's")
        if message.number("seq") != statement.number("first_seq") + j:
            raise NotValid(place, f"has seq {message.number('seq')}, {statement.number('first_seq') + j} belongs here")
        leaves.append(leaf_hash(raw))
        context.records.append(message)
        report.records += 1
    if root(leaves) != statement.octets("root"):
        raise NotValid(where, "the records do not give the statement's root")


def _setpoints(context: _Context, report: Report) -> None:
    for k, row in enumerate(_rows(context, "setpoints")):
        where = f"setpoints[{k}]"
        raw = _octets(row, "setpoint", where=where)
        point = read_message(raw, _key(context, raw, "issuer", where), context.deployment, where, 6)
        for name, signer, kind in (("decision", "device", 7), ("execution", "agent", 8)):
            answer = _octets(row, name, where=where)
            if not answer:
                continue
            place = f"{where}, {name}"
            message = read_message(answer, _key(context, answer, signer, place), context.deployment, place, kind)
            if message.octets("digest") != point.payload_digest or message.octets("setpoint") != point.octets("id"):
                raise NotValid(place, "is about another set-point")
        report.setpoints += 1


def _documents(context: _Context, report: Report) -> None:
    for k, row in enumerate(_rows(context, "documents")):
        where = f"documents[{k}]"
        raw = _octets(row, "evidence", where=where)
        evidence = read_message(raw, context.log_key, context.deployment, f"{where}, evidence", 13)
        body = row.get("body")
        if not isinstance(body, str) or hashlib.sha256(body.encode()).digest() != evidence.octets("digest"):
            raise NotValid(where, "the document is not the one whose digest was signed")
        subject = hashlib.sha256(f"{row.get('kind')}/{context.document['pod']}".encode()).digest()[:16]
        if evidence.octets("subject") != subject:
            raise NotValid(where, "is about another subject")
        receipt = _octets(row, "receipt", where=where)
        tree = evidence.number("tree")
        context.anchors.append(
            check_receipt(receipt, raw, tree, context.operator, context.log_key, f"{where}, receipt")
        )
        report.lines += check_statement(body, str(context.document["pod"]), context.records, where)
        report.documents += 1


def _seal(context: _Context, data: bytes) -> None:
    seal = _octets(context.document, "seal")
    message = read_message(seal, context.log_key, context.deployment, "seal", 13)
    body = {k: v for k, v in context.document.items() if k != "seal"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()
    if message.octets("digest") != digest:
        raise NotValid("seal", "covers another body: a byte was changed that no other check covers")


def _anchors(context: _Context, anchors: Anchors | None, report: Report) -> None:
    report.epochs = {a.epoch for a in context.anchors}
    if context.anchors:
        report.contract, report.log = context.anchors[0].contract, context.anchors[0].log
    if anchors is None:
        return
    held = bool(context.anchors)
    for one in context.anchors:
        if (one.chain_id, one.contract, one.log) != (anchors.chain_id, anchors.contract, anchors.log):
            raise NotValid("anchor", "the receipt names another chain, contract or log than the anchors given")
        word = anchors.words.get(one.epoch)
        if word is None:
            held = False
        elif word != one.word:
            raise NotValid("anchor", f"epoch {one.epoch}: the chain holds another commitment")
    report.anchored = held
