"""Link to intake to store: messages in, one commit, then the acknowledgements.

1. A batch is verified, stored in one commit and only then acknowledged to the broker.
2. A device may forget what a Delivery names: cumulative, at most once a minute and after each statement, sent only for
   what is committed.
3. A statement becomes a leaf of the tree of readings when the records of its range are there and give its root.
4. A light node that has gone is a finding, once, until it says that it is there again. Its word is not signed: no evidence.
5. Two payloads under one identity, or two statements over one seq, are equivocation: the second is refused and kept.
6. What is refused is counted and kept as a finding; it never stops the rest. So is an energy manager that failed.
7. The first word of an energy manager about a set-point is its execution, as the light node signed it, unless an agent has
   answered. That it could not be reached is the node's word, a finding only.
8. Alarms that a light node counts in its diagnostics are a finding when they have become more.
9. What another process has written counts from the next batch on: keys it registered or revoked, customers it erased.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from lightwire import decision, envelope, merkle, records, topics
from lightwire.errors import WireError

from backend.adapters.keys import SigningKey, verifier
from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import Party, SqliteStore
from backend.evidence.intake import Refused, Signer, open_verified, same_payload
from backend.flows.ledgers import EvidenceTrees
from backend.ports import Link

DELIVERY_EVERY_MS = 60_000
_parsed = lru_cache(maxsize=65536)(topics.parse)
UPLINK_KINDS = (
    records.READING, records.STATEMENT, records.GAP, records.CLOCK_LINK, records.DECISION,
    records.DIAGNOSTICS, records.UPDATE_REPORT, records.EMS_REPORT,
)  # fmt: skip


@dataclass(slots=True)
class DeviceState:
    """What collect knows of one device: up to which seq everything is committed, what is ahead of a hole, what was
    acknowledged and when, statements that wait for the records of their range, up to which seq statements cover, whether the
    broker says that it is gone, the start and the number of alarms that its last diagnostics name."""

    committed: int = 0
    ahead: set[int] = field(default_factory=set)
    delivered: int = 0
    delivered_ms: int = 0
    covered: int = 0
    statement_waits: bool = False
    is_gone: bool = False
    waiting: dict[int, bytes] = field(default_factory=dict)
    alarms: tuple[int, int] = (0, 0)


class Collect:
    """One worker. `process` runs in the ingest thread, `deliver` in the clock's."""

    def __init__(
        self,
        store: SqliteStore,
        link: Link,
        trees: EvidenceTrees,
        log_key: SigningKey,
        identity: tuple[bytes, bytes],
        now_ms: Callable[[], int],
    ) -> None:
        """identity: (deployment 16 bytes, operator 8 bytes)."""
        self._store = store
        self._link = link
        self._trees = trees
        self._log_key = log_key
        self._deployment, self._operator = identity
        self._now_ms = now_ms
        self._signers: dict[tuple[bytes, int], Signer] = {}
        self._devices: dict[bytes, DeviceState] = {}
        self.refused = 0
        self.duplicates = 0
        self._seen = store.changes
        self._read_keys()

    def _follow(self) -> None:
        """Rule 9."""
        if (seen := self._store.changes) != self._seen:
            self._seen = seen
            self._read_keys()

    def _read_keys(self) -> None:
        """Takes the keys as the register has them, and forgets those that it has no more."""
        parties = self._store.parties()
        registered = {(party.id, party.generation) for party in parties}
        self.forget({id for id, generation in self._signers if (id, generation) not in registered})
        for party in parties:
            if (party.id, party.generation) not in self._signers:
                self.admit(party)
        for id, generation in self._store.revocations():
            self.retire(id, generation)

    def admit(self, party: Party) -> None:
        """Makes a registered key known."""
        self._signers[party.id, party.generation] = Signer(party.role, party.algorithm, verifier(party.public))
        if party.role == "node" and party.id not in self._devices:
            state = DeviceState()
            for kind, seq, sealed in self._store.numbers(party.id):
                self._arrived(state, kind, seq, sealed)
                if kind == records.DIAGNOSTICS:
                    _new_alarms(state, envelope.peek(sealed))
            taken = [envelope.peek(sealed) for seq, sealed in state.waiting.items() if seq <= state.committed]
            state.covered = max((one.last_seq for one in taken), default=0)
            state.waiting = {seq: sealed for seq, sealed in state.waiting.items() if seq > state.committed}
            self._devices[party.id] = state

    def retire(self, id: bytes, generation: int) -> None:
        """Takes nothing more from a key that was revoked."""
        if signer := self._signers.get((id, generation)):
            self._signers[id, generation] = replace(signer, is_revoked=True)

    def forget(self, devices: Iterable[bytes]) -> None:
        """Takes nothing more from devices that were erased, and keeps nothing of them."""
        for device in devices:
            self._devices.pop(device, None)
            for id in [id for id in self._signers if id[0] == device]:
                del self._signers[id]

    def process(self, batch: list[Incoming]) -> None:
        """Stores a batch in one commit (rule 1); the caller acknowledges to the broker afterwards."""
        with self._store.writing():
            self._follow()
            for message in batch:
                try:
                    self._one(message)
                except Refused as refusal:
                    self.refused += 1
                    self._store.add_finding(self._now_ms(), f"refused: {refusal}")

    def deliver(self, utc_ms: int) -> None:
        """Sends the Deliveries that are due (rule 2)."""
        with self._store.writing():
            self._follow()
            self._deliver_due(utc_ms)

    def _deliver_due(self, utc_ms: int) -> None:
        for device, state in self._devices.items():
            due = state.statement_waits or abs(utc_ms - state.delivered_ms) >= DELIVERY_EVERY_MS  # back, after a jump
            if due and state.committed > state.delivered:
                self._deliver(device, state, utc_ms)

    def deliver_all(self, utc_ms: int) -> None:
        """Sends a Delivery to every device again: for a node that came back and may have missed one."""
        with self._store.writing():
            for device, state in self._devices.items():
                if state.committed:
                    self._deliver(device, state, utc_ms)

    def committed(self) -> dict[bytes, int]:
        """Highest committed seq by device."""
        return {device: state.committed for device, state in self._devices.items()}

    def _deliver(self, device: bytes, state: DeviceState, utc_ms: int) -> None:
        seq = state.committed
        kept = self._store.messages(device, seq, seq)
        if not kept:
            return
        digest = envelope.payload_digest(envelope.split(kept[0].sealed)[0])
        record = records.Delivery(
            self._operator, self._store.incarnation, device, kept[0].boot, seq, digest, utc_ms
        )  # fmt: skip
        self._store.note_delivered(device, self._send(device, "delivery", record))
        state.delivered, state.delivered_ms, state.statement_waits = seq, utc_ms, False

    def _send(self, device: bytes, channel: str, record: Any) -> bytes:
        sealed: bytes = envelope.seal(record, self._deployment, self._log_key.sign)
        self._link.publish(topics.topic(device, channel), sealed)
        return sealed

    def _one(self, message: Incoming) -> None:
        try:
            device, channel = _parsed(message.topic)
        except WireError as error:
            raise Refused(str(error)) from error
        if channel == "record":
            self._record(device, message.payload)
        elif channel == "ask":
            self._answer_time(device, message.payload)
        elif channel == "decision":
            self._decision(device, message.payload)
        elif channel == "execution":
            self._execution(device, message.payload)
        elif channel == "status":
            self._status(device, message.payload)

    def _answer_time(self, device: bytes, nonce: bytes) -> None:
        if len(nonce) != 16 or device not in self._devices:
            raise Refused(f"{device.hex()}: a question for the time without a nonce, or from an unknown device")
        self._send(device, "time", records.TimeAnswer(self._operator, device, nonce, self._now_ms()))

    def _status(self, device: bytes, word: bytes) -> None:
        """Rule 4."""
        if device not in self._devices or word not in (topics.ONLINE, topics.OFFLINE):
            raise Refused(f"{device.hex()}: a status of {len(word)} bytes that says nothing, or of an unknown device")
        state, is_gone = self._devices[device], word == topics.OFFLINE
        if is_gone and not state.is_gone:
            self._store.add_finding(self._now_ms(), f"{device.hex()} is offline, says the broker")
        state.is_gone = is_gone

    def _record(self, device: bytes, sealed: bytes) -> None:
        record = open_verified(sealed, self._deployment, self._signers, "node", "device")
        if record.device != device or record.KIND not in UPLINK_KINDS:
            raise Refused(f"{device.hex()}: a record of another device or kind on its topic")
        there = self._store.keep_message(record, sealed, self._stored_time(record))
        if there is not None:
            self.duplicates += 1
            if not same_payload(there, sealed):
                self._store.keep_conflict(device, record.seq, self._now_ms(), sealed)
                raise Refused(
                    f"equivocation: {device.hex()} signed two payloads as boot {record.boot} seq {record.seq}"
                )
            return
        state = self._devices[device]
        if record.KIND == records.EMS_REPORT:
            self._ems_report(record, sealed)
        if record.KIND == records.DIAGNOSTICS and (new := _new_alarms(state, record)):
            self._store.add_finding(self._now_ms(), _alarmed(record, new))
        self._place(record)
        self._arrived(state, record.KIND, record.seq, sealed)
        for seq in sorted(seq for seq in state.waiting if seq <= state.committed) if state.waiting else ():
            waiting = state.waiting.pop(seq)
            self._statement(state, envelope.peek(waiting), waiting)

    def _place(self, record: Any) -> None:
        """Readings before trust get their slot in UTC from the link of their boot, whichever of the two comes first."""
        links = [record] if record.KIND == records.CLOCK_LINK else []
        if record.KIND == records.READING and record.flags & records.UNTRUSTED_CLOCK:
            links = [envelope.peek(sealed) for sealed in self._store.links(record.device, record.boot)]
        for link in links[:1]:
            self._store.place(link.device, link.boot, link.utc_ms - link.monotonic_ms)

    def _arrived(self, state: DeviceState, kind: int, seq: int, sealed: bytes) -> None:
        """Moves the front of what is committed without a hole; a dropped range named by a Gap is no hole."""
        state.ahead.add(seq)
        if kind == records.GAP:
            gap = envelope.peek(sealed)
            if gap.cause == records.CAUSE_OVERRUN:
                state.ahead.update(range(gap.first_seq, gap.last_seq + 1))
        elif kind == records.STATEMENT:
            state.waiting[seq] = sealed
        while state.committed + 1 in state.ahead:
            state.committed += 1
            state.ahead.discard(state.committed)

    def _stored_time(self, record: Any) -> int:
        if getattr(record, "flags", 0) & records.UNTRUSTED_CLOCK:
            return -1 - int(record.time_ms)
        return int(getattr(record, "time_ms", 0) or getattr(record, "start_ms", 0) or getattr(record, "utc_ms", 0))

    def _statement(self, state: DeviceState, statement: records.BatchStatement, sealed: bytes) -> None:
        if statement.first_seq <= state.covered:
            raise Refused(
                f"equivocation: {statement.device.hex()} signed statement {statement.seq} over seq {statement.first_seq}, "
                f"which an earlier one covers"
            )
        kept = self._store.messages(statement.device, statement.first_seq, statement.last_seq)
        leaves = [merkle.leaf_hash(k.sealed) for k in kept]
        if len(kept) != statement.count or merkle.root(leaves) != statement.root:
            raise Refused(
                f"{statement.device.hex()}: statement {statement.seq} names {statement.count} records of "
                f"{statement.first_seq}..{statement.last_seq}, {len(kept)} are kept or their root differs"
            )
        state.covered = statement.last_seq
        position = self._trees.append(records.TREE_READINGS, sealed)
        self._store.add_statement(statement.device, statement.seq, position)
        state.statement_waits = True

    def _decision(self, device: bytes, payload: bytes) -> None:
        length = envelope.message_length(records.DECISION)
        sealed, point = payload[:length], payload[length:]
        record = open_verified(sealed, self._deployment, self._signers, "node", "device")
        if record.device != device or record.KIND != records.DECISION:
            raise Refused(f"{device.hex()}: no decision of this device")
        try:
            digest = envelope.payload_digest(envelope.split(point)[0])
        except WireError as error:
            raise Refused(f"{device.hex()}: decision without its set-point: {error}") from error
        if digest != record.digest:
            raise Refused(f"{device.hex()}: decision about another set-point than the one it carries")
        if self._store.answer_setpoint(record.setpoint, device, "decision", sealed):
            self._trees.append(records.TREE_SETPOINTS, sealed)
        elif record.outcome == records.REFUSED:
            self._store.add_finding(
                self._now_ms(), f"{device.hex()} refused a set-point that is not ours: reason {record.reason}"
            )

    def _execution(self, device: bytes, sealed: bytes) -> None:
        record = open_verified(sealed, self._deployment, self._signers, "agent", "agent")
        if record.device != device or record.KIND != records.EXECUTION:
            raise Refused(f"{device.hex()}: no execution for this device")
        self._carried_out(record, sealed)

    def _ems_report(self, report: records.EmsReport, sealed: bytes) -> None:
        """Rules 5 and 6."""
        if report.state == records.FAILED:
            self._store.add_finding(self._now_ms(), _ems_failed(report))
        if (report.state, report.reason) != (records.FAILED, decision.EMS_UNREACHABLE):
            self._carried_out(report, sealed)

    def _carried_out(self, answer: records.Execution | records.EmsReport, sealed: bytes) -> None:
        if self._store.answer_setpoint(answer.setpoint, answer.device, "execution", sealed):
            self._trees.append(records.TREE_SETPOINTS, sealed)


def _new_alarms(state: DeviceState, told: Any) -> int:
    """How many alarms these diagnostics name that those before did not; each start counts from 0."""
    boot, known = state.alarms
    state.alarms = max(state.alarms, (told.boot, told.alarms))
    return max(0, int(told.alarms) - (known if boot == told.boot else 0))


def _alarmed(told: Any, new: int) -> str:
    why = "late receipts, messages that are not ours, a silent energy manager; its log names them"
    return f"{told.device.hex()}: alarms, {new} new, {told.alarms} since start {told.boot}: {why}"


def _ems_failed(report: Any) -> str:
    reason = decision.REASONS[report.reason] if report.reason < len(decision.REASONS) else str(report.reason)
    point = f"set-point {report.setpoint.hex()}" if any(report.setpoint) else "no set-point"
    return f"{report.device.hex()}: {reason}, {point}"
