"""Set-points: each was issued for this device, answered by its node and its agent or energy manager, none is left out.

1. Rows stand in rising order of set-point id, so each is there once.
2. A set-point is signed by an issuer, for the device of this POD.
3. Decision (node) and execution (agent) name the set-point by id and digest. The decision is one of the records in the
   batches.
4. Each set-point that a Decision in the batches accepts has its row.
5. Where an energy manager is the node's client its word stands for the agent's: an EmsReport that the node signed. If the
   batches reach its seq it is the record there. A report that it was not reached is the node's word, not its own.
6. Each set-point about which the batches hold such a word has an execution.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.evidence.verifier.batch import Batches
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message, parse_payload, split
from backend.evidence.verifier.registry import Registry
from backend.evidence.verifier.sheet import octets, record

_SET_POINT, _DECISION, _EXECUTION, _EMS_REPORT = 6, 7, 8, 18
_ACCEPTED = 1
_FAILED, _UNREACHABLE = 4, 16


@dataclass(frozen=True, slots=True)
class Answered:
    """One set-point; SHA-256 of the messages that answered it (hex), "" where there is none."""

    point: Message
    where: str
    decision: str
    execution: str


def read_setpoints(rows: Sequence[Any], device: bytes, registry: Registry, batches: Batches) -> list[Answered]:
    """All set-points of a bundle by rules 1 to 6."""
    records = batches.records
    decided = {(m.octets("setpoint"), m.octets("digest"), m.payload_digest): m for m in records if m.kind == _DECISION}
    found: list[Answered] = []
    last = b""
    for k, row in enumerate(rows):
        where = f"setpoints[{k}]"
        record(row, ("setpoint", "decision", "execution"), where)
        point = registry.open(octets(row["setpoint"], f"{where}, setpoint"), _SET_POINT, where)
        if point.octets("id") <= last:
            raise NotValid(where, "is there twice, or not in order of id")
        last = point.octets("id")
        if point.octets("device") != device:
            raise NotValid(where, "is for another device than the light node of this POD")
        decision = _answer(row, "decision", _DECISION, point, registry, where)
        if decision is not None and (last, point.payload_digest, decision.payload_digest) not in decided:
            raise NotValid(f"{where}, decision", "is in none of the batches")
        execution = _execution(row, point, registry, where, batches)
        if execution is not None and execution.octets("device") != device:
            raise NotValid(f"{where}, execution", "is another device's")
        found.append(Answered(point, where, _digest(decision), _digest(execution)))
    _check_complete(records, found)
    _check_told(records, found)
    return found


def _answer(row: Any, name: str, kind: int, point: Message, registry: Registry, where: str) -> Message | None:
    place = f"{where}, {name}"
    raw = octets(row[name], place)
    if not raw:
        return None
    message = registry.open(raw, kind, place)
    digest = message.fields.get("digest", point.payload_digest)
    if digest != point.payload_digest or message.octets("setpoint") != point.octets("id"):
        raise NotValid(place, "is about another set-point")
    return message


def _execution(row: Any, point: Message, registry: Registry, where: str, batches: Batches) -> Message | None:
    """The agent's answer, or the energy manager's word (rule 5)."""
    place = f"{where}, execution"
    raw = octets(row["execution"], place)
    if not raw or parse_payload(split(raw, place)[1], place)[0] != _EMS_REPORT:
        return _answer(row, "execution", _EXECUTION, point, registry, where)
    message = _answer(row, "execution", _EMS_REPORT, point, registry, where)
    if message is None or not _is_word(message):
        raise NotValid(place, "is no word of the energy manager: it was not reached")
    words = {m.payload_digest for m in batches.records if m.kind == _EMS_REPORT}
    if batches.reach(message.number("seq")) and message.payload_digest not in words:
        raise NotValid(place, "is in none of the batches, which reach its seq")
    return message


def _is_word(report: Message) -> bool:
    return (report.number("state"), report.number("reason")) != (_FAILED, _UNREACHABLE)


def _digest(message: Message | None) -> str:
    return "" if message is None else hashlib.sha256(message.raw).hexdigest()


def _check_complete(records: Sequence[Message], found: Sequence[Answered]) -> None:
    """Rule 4; a decision that a row has was compared with the batches before."""
    rows = {one.point.octets("id"): one for one in found}
    for message in records:
        if message.kind != _DECISION or message.number("outcome") != _ACCEPTED:
            continue
        id = message.octets("setpoint")
        if id not in rows:
            raise NotValid("setpoints", f"the device accepted set-point {id.hex()}, which is not here")
        if not rows[id].decision:
            raise NotValid(f"{rows[id].where}, decision", "is missing: the batches hold it")


def _check_told(records: Sequence[Message], found: Sequence[Answered]) -> None:
    """Rule 6."""
    rows = {one.point.octets("id"): one for one in found}
    for message in records:
        if message.kind == _EMS_REPORT and _is_word(message):
            row = rows.get(message.octets("setpoint"))
            if row is not None and not row.execution:
                raise NotValid(f"{row.where}, execution", "is missing: the batches hold the energy manager's word")
