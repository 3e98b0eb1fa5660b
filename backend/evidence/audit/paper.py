"""Statements, set-points and documents: rows that point into the trees, and that the trees ask for.

1. The row of a statement names the leaf where it stands, and its receipt proves that to the word on chain.
2. A set-point and its answers are leaves; an answer in the tree has its row. The execution is the agent's, or the energy
   manager's word that the light node signed.
3. A document is the one whose digest was signed, under the id that was signed, at its place in its tree.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightwire import envelope, merkle, receipt, records
from lightwire.errors import WireError

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.copy import Document, Epoch, SetPoint, Statement
from backend.evidence.audit.device import Held, opened
from backend.evidence.audit.forest import Grove
from backend.evidence.audit.registry import Keys, Trust

Place = tuple[int, bytes, int]
"""Chain id, contract, block."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What rows are compared with; place: chain id and contract, where they are known; filed: kind and id of the documents
    that were noted."""

    groves: Mapping[int, Grove]
    keys: Keys
    trust: Trust
    words: Mapping[int, bytes]
    epochs: Mapping[int, Epoch]
    place: tuple[int, bytes] | None
    blocks: Mapping[int, int]
    filed: Sequence[str]


def check_statements(
    rows: Iterable[Statement], kept: Mapping[bytes, Held], sealed: Mapping[tuple[bytes, int], bytes], ground: Ground,
    alarms: Alarms,
) -> None:  # fmt: skip
    """Rule 1; sealed: statements as the tree of readings holds them, by device and seq."""
    grove = ground.groves[records.TREE_READINGS]
    seen = set()
    places: dict[int, dict[str, Place]] = {}
    for row in rows:
        key, id = name(row.device, row.seq), (row.device, row.seq)
        seen.add(id)
        hash = kept[row.device].hashes.get(row.seq) if row.device in kept else None
        hash = hash or (merkle.leaf_hash(sealed[id]) if id in sealed else None)
        at = grove.where.get(hash) if hash else None
        if hash is None or at is None:
            if not alarms.has("message", key):
                alarms.add("statement", key, "no statement of this device and seq stands in the tree: it was put in")
        elif at != row.position:
            alarms.add("statement", key, f"position is {row.position}, its leaf stands at {at}")
        elif row.receipt is not None:
            _check_receipt(row.receipt, hash, ground, places, key, alarms)
    for id in sealed.keys() - seen:
        alarms.add("statement", name(*id), "is missing: it stands in the tree of readings")
    _check_places(places, ground, alarms)


def _check_receipt(
    raw: bytes, leaf: bytes, ground: Ground, places: dict[int, dict[str, Place]], key: str, alarms: Alarms
) -> None:
    """Names a receipt that does not hold; notes the place that another names."""
    try:
        found = receipt.decode_receipt(raw)
        word, digest, signature = receipt.claim(found, leaf, ground.trust.operator, records.ES256K)
    except WireError as error:
        alarms.add("statement", key, f"receipt: {error}")
        return
    if not ground.trust.verifier(ground.trust.log_key)(digest, signature):
        alarms.add("statement", key, "receipt: its signature does not hold")
    elif ground.words.get(found.checkpoint.epoch) != word:
        alarms.add("statement", key, f"receipt: does not lead to the commitment of epoch {found.checkpoint.epoch}")
    elif found.anchor[2] != ground.trust.operator.rjust(32, b"\0"):
        alarms.add("statement", key, "receipt: names another operator's log")
    else:
        places.setdefault(found.checkpoint.epoch, {})[key] = (found.anchor[0], found.anchor[1], found.anchor[3])


def _check_places(places: Mapping[int, Mapping[str, Place]], ground: Ground, alarms: Alarms) -> None:
    """All receipts name one chain and contract, those of an epoch one block, which is that of the epoch."""
    everywhere = Counter((one[0], one[1]) for of_epoch in places.values() for one in of_epoch.values())
    for epoch, of_epoch in places.items():
        row = ground.epochs.get(epoch)
        (chain, contract) = ground.place or everywhere.most_common(1)[0][0]
        said = Counter(one[2] for one in of_epoch.values()).most_common(1)[0]
        block = ground.blocks.get(epoch) or (row.block if row is not None else 0) or said[0]
        if epoch not in ground.blocks and block != said[0] and said[1] > 1:
            alarms.add("epoch", name(epoch), f"is noted in block {block}, {said[1]} receipts say {said[0]}")
            block = said[0]
        for key, one in of_epoch.items():
            if one != (chain, contract, block):
                alarms.add("statement", key, "receipt: names another chain, contract or block than the others")


def check_setpoints(rows: Iterable[SetPoint], kept: Mapping[bytes, Held], ground: Ground, alarms: Alarms) -> None:
    """Rule 2."""
    leaves = _leaves(ground.groves[records.TREE_SETPOINTS])
    seen: dict[bytes, SetPoint] = {}
    commands: dict[bytes, dict[int, bytes]] = {}
    right = [row for id, row in ground.keys.rows.items() if not alarms.has("party", name(*id))]
    pods = {(row.id, row.role): row.pod for row in right}
    for row in rows:
        seen[row.id] = row
        what = _wrong(row, pods, ground)
        if what:
            alarms.add("setpoint", name(row.id), what)
        else:
            point = envelope.peek(row.sealed)
            commands.setdefault(row.device, {})[point.command] = row.id
    for sealed in leaves:
        _check_answer(sealed, seen, alarms)
    for held in kept.values():
        for id in held.decisions.keys() - seen.keys():
            if envelope.peek(held.decisions[id]).outcome == records.ACCEPTED:
                alarms.add("setpoint", name(id), f"is missing: {held.device.hex()} accepted it")


def _wrong(row: SetPoint, pods: Mapping[tuple[bytes, str], str], ground: Ground) -> str:
    """What is wrong with a set-point's row; empty if nothing is."""
    grove = ground.groves[records.TREE_SETPOINTS]
    point = opened(row.sealed, ground.keys, ground.trust, "issuer")
    if isinstance(point, str) or not isinstance(point, records.SetPoint):
        return point if isinstance(point, str) else "is no set-point"
    if (point.id, point.device) != (row.id, row.device):
        return "id or device is not that of the sealed set-point"
    if merkle.leaf_hash(row.sealed) not in grove.where:
        return "is no leaf of the tree of set-points: it was put in or changed"
    if row.pod != pods.get((row.device, "node"), row.pod):
        return "its POD is not that of its device"
    for column, signer in (("decision", "device"), ("execution", "agent")):
        sealed = getattr(row, column)
        if sealed is None:
            continue
        if isinstance(_peek(sealed), records.EmsReport):
            signer = "device"
        answer = opened(sealed, ground.keys, ground.trust, signer)
        if isinstance(answer, str) or getattr(answer, "setpoint", b"") != row.id:
            return f"{column}: {answer if isinstance(answer, str) else 'is about another set-point'}"
        if merkle.leaf_hash(sealed) not in grove.where:
            return f"{column}: is no leaf of the tree of set-points"
    return ""


def _check_answer(sealed: bytes, seen: Mapping[bytes, SetPoint], alarms: Alarms) -> None:
    record = _peek(sealed)
    columns = {records.SET_POINT: "sealed", records.DECISION: "decision", records.EXECUTION: "execution"}
    columns[records.EMS_REPORT] = "execution"
    column = columns.get(getattr(record, "KIND", 0))
    if column is None or record is None:
        return
    id = record.id if column == "sealed" else record.setpoint
    if id not in seen:
        alarms.add("setpoint", name(id), "is missing: it stands in the tree of set-points")
    elif getattr(seen[id], column) is None:
        alarms.add("setpoint", name(id), f"{column} is missing: it stands in the tree of set-points")


def check_documents(rows: Iterable[Document], ground: Ground, alarms: Alarms) -> None:
    """Rule 3."""
    seen = set()
    for row in rows:
        seen.add(merkle.leaf_hash(row.evidence))
        if what := _wrong_document(row, ground):
            alarms.add("document", name(row.kind, row.id, row.version), what)
    for grove in ground.groves.values():
        for sealed in _leaves(grove):
            record = _peek(sealed)
            if isinstance(record, records.Evidence) and merkle.leaf_hash(sealed) not in seen:
                at = grove.where.get(merkle.leaf_hash(sealed))
                if at is not None:
                    where = f"leaf {grove.number}/{at}"
                    key = _named(record, _known(ground, record))
                    alarms.add("document", key, f"is missing: its evidence is {where}")


def _known(ground: Ground, record: records.Evidence) -> str:
    """The id of a missing document, where it can be told from the keys: its subject is a hash."""
    placed = (f"placement/{name(*id)}" for id in ground.keys.entries)
    of_pods = (f"{kind}/{row.pod}" for kind in ("orders", "statement", "outcome") for row in ground.keys.rows.values())
    for said in (*ground.filed, *placed, *of_pods):
        if hashlib.sha256(record.salt + said.encode("utf-8", "surrogatepass")).digest()[:16] == record.subject:
            return said
    return ""


def _named(record: records.Evidence, known: str) -> str:
    return f"{known}/{record.version}" if known else f"subject {record.subject.hex()}/{record.version}"


def _wrong_document(row: Document, ground: Ground) -> str:
    """What is wrong with a document's row; empty if nothing is."""
    evidence = ground.trust.by_operator(row.evidence)
    if not isinstance(evidence, records.Evidence):
        return "its evidence is none that the log key signed"
    if hashlib.sha256(row.body.encode("utf-8", "surrogatepass")).digest() != evidence.digest:
        return "body is not the one whose digest was signed"
    said = f"{row.kind}/{row.id}".encode("utf-8", "surrogatepass")
    subject = hashlib.sha256(evidence.salt + said).digest()[:16]
    if (subject, row.version, row.tree) != (evidence.subject, evidence.version, evidence.tree):
        return "kind, id, version or tree is not what was signed"
    grove = ground.groves.get(row.tree)
    at = grove.where.get(merkle.leaf_hash(row.evidence)) if grove else None
    if at is None:
        return "its evidence is no leaf: it was put in"
    return "" if at == row.position else f"position is {row.position}, its leaf stands at {at}"


def _leaves(grove: Grove) -> list[bytes]:
    """The data of a tree that is what was anchored."""
    return [data for k, data in grove.leaves.items() if grove.where.get(merkle.leaf_hash(data)) == k]


def _peek(sealed: bytes) -> Any:
    try:
        return envelope.peek(sealed)
    except WireError:
        return None
