"""Sends the journal in order and forgets only what the back end has signed for.

1. Everything after the last acknowledged record is sent, in order of seq, at most WINDOW unanswered by the broker.
2. Only a Delivery sealed with the log key, with this device and the digest of our own record, moves the cursor.
3. A new session starts again behind the cursor: duplicates are the back end's to recognise, losses would be ours. What the
   broker did not acknowledge goes with its packet id and DUP. A broker that leaves something unacknowledged for half a
   minute of silence is given up.
4. A new incarnation of the store, or three minutes without progress, also starts again behind what is still held.
5. A receipt counts when it leads from one of our statements to a root that the log key signed. A statement without a
   receipt after the set time, and every message that claims to be the back end's and is not, is an alarm. The time counts
   from the statement's end; if that was never known, from when this start knew the time. A receipt of no statement that
   waits (it came twice, or is another's) is only counted.
6. Where records were dropped from a full journal, the Gap that names them is sent in their place, ahead of its own seq:
   the back end can acknowledge what follows, and the journal need not drop more.
"""

import asyncio

from lightwire import receipt, records, topics
from lightwire.errors import BadProof, BadSignature, WireError

from .compat import sleep_ms
from .mqtt import MqttError, Session
from .slices import holds, opened

WINDOW = 32
KEEPALIVE_S = 60
STALLED_MS = 180_000
ASK_EVERY_MS = 4000
_LOOKS_EVERY_MS = 60_000
_UTC_FROM_MS = 1 << 40  # below it an instant is monotonic time
_PAUSE_MIN_MS = 50
_PAUSE_MAX_MS = 30_000
_UNANSWERED_S = 30
_OPEN_S = 60  # to a session that takes publications
SILENT_MS = 180_000  # what `run` may go without a sign of life: opening a session, and what it pauses before


class Uplink:
    """`connected`; `sessions`; `receipts`: checked and true; `receipts_refused`: of no statement here; `alarms`: rule 5;
    `receipts_late`: those of them for a receipt; `times_refused`: answers to another question, or no better than what the clock knows."""

    def __init__(self, board, settings, recorder, journal, clock, setpoints, device: bytes) -> None:  # type: ignore[no-untyped-def]
        value = settings.value
        self._connect = lambda: board.connect(
            value("broker.host"), value("broker.port"), value("broker.ca"), value("broker.cert"), value("broker.key")
        )
        self._random = board.random
        self._log_key = value("log_key")
        self._operator = value("operator")
        self._receipt_late_ms = 1000 * value("receipt_late_s")
        self._deployment = value("deployment")
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._setpoints = setpoints
        self._device = device
        self._work = asyncio.Event()
        self._alive = lambda: None
        self._sent = 0
        self._told = 0  # seq of the Gap that went ahead of its turn
        self._progress_ms = 0
        self._looked_ms = 0
        self._knows_time_ms = 0
        self._asked_ms: int | None = None
        self._unanswered: dict[int, int] = {}  # packet id -> seq: what the broker of the session before left open
        self._unsure: list[tuple[int, bytes]] = []
        self._late_seq = 0
        self.connected = False
        self.sessions = 0
        self.receipts = 0
        self.receipts_refused = 0
        self.receipts_late = 0
        self.alarms = 0
        self.times_refused = 0
        self.updates = None  # takes `update` and `chunk`, and says what to ask for on `fetch`
        recorder.wake = self._work.set

    async def run(self, alive=lambda: None) -> None:  # type: ignore[no-untyped-def]
        """Connects, works, connects again with growing pauses; never returns. alive() is called at each step."""
        self._alive = alive
        pause_ms = _PAUSE_MIN_MS
        while True:
            alive()
            before = self.sessions
            try:
                await self._session()
            except (OSError, MqttError, ValueError, asyncio.TimeoutError):
                pause_ms = _PAUSE_MIN_MS if self.sessions > before else min(pause_ms * 2, _PAUSE_MAX_MS)
            await sleep_ms(pause_ms + pause_ms * self._random(1)[0] // 512)

    def tick(self) -> None:
        """Once a slot: lets the session ask for time, sees that the flow has not stalled and no receipt is late."""
        now = self._clock.monotonic_ms()
        if self._journal.acked < self._journal.seq and now - self._progress_ms > STALLED_MS:
            self._progress_ms = now
            self._from_the_cursor()
        if now - self._looked_ms >= _LOOKS_EVERY_MS and self._clock.trusted:
            self._looked_ms = now
            self._notice_late(self._clock.utc_ms())
        self._work.set()

    def _notice_late(self, utc_ms: int) -> None:
        """Rule 5; statements end in order of seq."""
        self._knows_time_ms = self._knows_time_ms or utc_ms
        for seq in sorted(self._journal.unproven):
            end_ms = self._journal.unproven[seq]
            since_ms = end_ms if end_ms > _UTC_FROM_MS else self._knows_time_ms
            if seq > self._late_seq and utc_ms - since_ms > self._receipt_late_ms:
                self._late_seq = seq
                self.receipts_late += 1
                self.alarms += 1

    def _from_the_cursor(self) -> None:
        self._sent = self._journal.acked
        self._told = 0

    async def _session(self) -> None:
        reader, writer = await asyncio.wait_for(self._connect(), _OPEN_S)
        held = self._unanswered
        for packet in [packet for packet in held if held[packet] <= self._journal.acked]:
            del held[packet]
        session = Session(reader, writer, self._received, self._work.set, held)
        try:
            await asyncio.wait_for(self._enter(session), _OPEN_S)
            self._from_the_cursor()
            self._asked_ms = None
            self._setpoints.answers[:0] = self._unsure
            self._unsure = []
            self.connected = True
            self.sessions += 1
            listening = asyncio.create_task(session.listen())
            try:
                await self._send(session, listening)
            finally:
                listening.cancel()
        finally:
            self.connected = False
            held.update(session.in_flight)
            session.close()

    async def _enter(self, session: Session) -> None:
        status = topics.topic(self._device, "status")
        if not await session.connect(topics.station(self._device), KEEPALIVE_S, False, (status, topics.OFFLINE)):
            self._unanswered.clear()
        await session.publish(status, topics.ONLINE)
        await session.subscribe([topics.topic(self._device, channel) for channel in topics.DOWNLINK])

    async def _send(self, session: Session, listening) -> None:  # type: ignore[no-untyped-def]
        idle_s = heard = waits_s = oldest = 0
        while True:
            self._alive()
            if listening.done():
                await listening
            self._work.clear()
            if await self._send_some(session):
                continue
            try:
                await asyncio.wait_for(self._work.wait(), 1)
            except asyncio.TimeoutError:
                idle_s = idle_s + 1 if session.heard == heard else 0
                heard = session.heard
                if idle_s >= KEEPALIVE_S:
                    raise MqttError("the broker is silent")
                if idle_s == KEEPALIVE_S // 2:
                    await session.ping()
                first = min(session.in_flight) if session.in_flight else 0
                waits_s = waits_s + 1 if first and first == oldest else 0
                oldest = first
                if waits_s >= _UNANSWERED_S:
                    raise MqttError("the broker acknowledges nothing")

    async def _send_some(self, session: Session) -> bool:
        """Sends what is first in line; False if nothing may be sent now."""
        now = self._clock.monotonic_ms()
        if self._clock.wants_answer and (self._asked_ms is None or now - self._asked_ms >= ASK_EVERY_MS):
            self._asked_ms = now
            await session.publish(topics.topic(self._device, "ask"), self._clock.ask())
        if len(session.in_flight) >= WINDOW:
            return False
        wish = self.updates.wish() if self.updates else b""
        if wish:
            await session.publish(topics.topic(self._device, "fetch"), wish)
        if not session.in_flight:
            self._unsure = []
        if self._setpoints.answers:
            answer = self._setpoints.answers.pop(0)
            self._unsure.append(answer)
            sealed = await self._recorder.sealed(answer[0])
            if sealed:
                await session.publish(topics.topic(self._device, "decision"), sealed + answer[1])
            return True
        return self._sent < self._journal.seq and await self._send_record(session)

    async def _send_record(self, session: Session) -> bool:
        """The next record, or the Gap for those that are gone (rule 6); False if there is none yet."""
        sent, sealed = await self._recorder.following(self._sent)
        first, last = self._journal.named
        if sealed and first <= self._sent + 1 <= last < sent != self._journal.named_by:
            gap = await self._recorder.sealed(self._journal.named_by)
            if gap:
                self._told, sent, sealed = self._journal.named_by, last, gap
        if sealed:
            is_told, self._sent = sent == self._told, sent
            again = (
                [packet for packet in self._unanswered if self._unanswered[packet] == sent] if self._unanswered else ()
            )
            for packet in again:
                del self._unanswered[packet]
            if not is_told:
                await session.publish(topics.topic(self._device, "record"), sealed, sent, again[0] if again else 0)
        return bool(sealed)

    async def _received(self, topic: str, payload: bytes) -> None:
        try:
            device, channel = topics.parse(topic)
            if device != self._device:
                raise WireError("another device's topic")
            if channel == "setpoint":
                await self._setpoints.receive(payload)
            elif channel == "delivery":
                await self._delivery(payload)
            elif channel == "time":
                await self._time(payload)
            elif channel == "receipt":
                await self._receipt(payload)
            elif self.updates:
                self.updates.receive(channel, payload)
        except WireError:
            self.alarms += 1

    async def _from_back_end(self, payload: bytes, kind: int):  # type: ignore[no-untyped-def]
        record = await opened(payload, self._deployment, self._log_signed)
        if record.KIND != kind or record.operator != self._operator or record.device != self._device:
            raise WireError("for another device or from another operator")
        return record

    async def _log_signed(self, digest: bytes, signature: bytes) -> bool:
        return await holds(self._log_key, digest, signature)

    async def _time(self, payload: bytes) -> None:
        answer = await self._from_back_end(payload, records.TIME_ANSWER)
        self.times_refused += not self._clock.answer(answer.nonce, answer.utc_ms)

    async def _delivery(self, payload: bytes) -> None:
        delivery = await self._from_back_end(payload, records.DELIVERY)
        known = self._journal.incarnation
        restored = any(known) and delivery.incarnation != known
        if delivery.seq <= self._journal.acked and not restored:
            return
        if delivery.seq > self._journal.seq:
            raise WireError("acknowledges what this device did not make")
        digest = self._recorder.digest(delivery.seq)
        if digest and digest != delivery.digest:
            raise WireError("acknowledges what this device did not send")
        await sleep_ms(0)
        self._journal.acknowledge(delivery.seq, delivery.incarnation)
        if restored:
            self._from_the_cursor()
        self._progress_ms = self._clock.monotonic_ms()

    async def _receipt(self, payload: bytes) -> None:
        found = receipt.decode_receipt(payload)
        for seq in sorted(self._journal.unproven):
            leaf = await self._recorder.leaf(seq)
            try:
                _, digest, signature = receipt.claim(found, leaf, self._operator, records.ES256K)
            except BadProof:
                continue
            if not await self._log_signed(digest, signature):
                raise BadSignature("the log key did not sign this root")
            self._recorder.proven(seq)
            self.receipts += 1
            return
        self.receipts_refused += 1
