"""Sends the journal in order and forgets only what the back end has signed for.

1. Everything after the last acknowledged record is sent, in order of seq, at most WINDOW unanswered by the broker.
2. Only a Delivery sealed with the log key, with this device and the digest of our own record, moves the cursor.
3. A new session starts again behind the cursor: duplicates are the back end's to recognise, losses would be ours.
4. A new incarnation of the store, or three minutes without progress, also starts again behind what is still held.
"""

import asyncio

from lightwire import ecdsa, envelope, receipt, records, topics
from lightwire.errors import WireError

from .mqtt import MqttError, Session

WINDOW = 32
KEEPALIVE_S = 60
STALLED_MS = 180_000


class Uplink:
    """`connected`; `receipts`: checked and true; `alarms`: messages that claimed to be the back end's and were not."""

    def __init__(self, board, settings, recorder, journal, clock, setpoints, device: bytes) -> None:  # type: ignore[no-untyped-def]
        self._board = board
        self._settings = settings
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._setpoints = setpoints
        self._device = device
        self._operator = settings.value("operator")
        self._deployment = settings.value("deployment")
        self._work = asyncio.Event()
        self._sent = 0
        self._incarnation = b""
        self._progress_ms = 0
        self._asked_mark = -1
        self.connected = False
        self.sessions = 0
        self.receipts = 0
        self.alarms = 0
        recorder.wake = self._work.set

    async def run(self) -> None:
        """Connects, works, connects again with growing pauses; never returns."""
        pause_ms = 50
        while True:
            try:
                await self._session()
                pause_ms = 50
            except (OSError, MqttError, ValueError):
                self.connected = False
            jitter = self._board.random(1)[0]
            await asyncio.sleep_ms(pause_ms + pause_ms * jitter // 512)  # type: ignore[attr-defined]
            pause_ms = min(pause_ms * 2, 30_000) if not self.connected else 50

    def tick(self) -> None:
        """Once a slot: asks for time while there is none, sees that the flow has not stalled."""
        now = self._clock.monotonic_ms()
        if self._journal.acked < self._journal.seq and now - self._progress_ms > STALLED_MS:
            self._progress_ms = now
            self._sent = self._journal.acked
        self._work.set()

    async def _session(self) -> None:
        value = self._settings.value
        reader, writer = await self._board.connect(
            value("broker.host"), value("broker.port"), value("broker.ca"), value("broker.cert"), value("broker.key")
        )
        session = Session(reader, writer, self._received)
        try:
            await session.connect(topics.station(self._device), KEEPALIVE_S)
            await session.subscribe([topics.topic(self._device, channel) for channel in topics.DOWNLINK])
            self._sent = self._journal.acked
            self._asked_mark = -1
            self.connected = True
            self.sessions += 1
            listening = asyncio.create_task(session.listen())
            try:
                await self._send(session, listening)
            finally:
                listening.cancel()
        finally:
            self.connected = False
            session.close()

    async def _send(self, session: Session, listening) -> None:  # type: ignore[no-untyped-def]
        idle_ms = 0
        while True:
            if listening.done():
                await listening
            self._work.clear()
            busy = await self._send_some(session)
            if busy:
                idle_ms = 0
                continue
            try:
                await asyncio.wait_for(self._work.wait(), 1)
            except asyncio.TimeoutError:
                idle_ms += 1000
                if idle_ms >= KEEPALIVE_S * 500:
                    await session.ping()
                    idle_ms = 0

    async def _send_some(self, session: Session) -> bool:
        mark = self._clock.monotonic_ms()
        if not self._clock.trusted and mark and mark != self._asked_mark:
            self._asked_mark = mark
            await session.publish(topics.topic(self._device, "ask"), self._clock.ask())
        while self._setpoints.answers:
            seq, message = self._setpoints.answers[0]
            await session.publish(topics.topic(self._device, "decision"), self._recorder.sealed(seq) + message)
            self._setpoints.answers.pop(0)
        if self._sent >= self._journal.seq:
            return False
        if len(session.in_flight) >= WINDOW:
            await asyncio.sleep_ms(2)  # type: ignore[attr-defined]
            return True
        self._sent += 1
        sealed = self._recorder.sealed(self._sent)
        if sealed:
            await session.publish(topics.topic(self._device, "record"), sealed)
        return True

    def _received(self, topic: str, payload: bytes) -> None:
        try:
            device, channel = topics.parse(topic)
            if device != self._device:
                raise WireError("another device's topic")
            if channel == "setpoint":
                self._setpoints.receive(payload)
            elif channel == "delivery":
                self._delivery(payload)
            elif channel == "time":
                self._time(payload)
            elif channel == "receipt":
                self._receipt(payload)
        except WireError:
            self.alarms += 1

    def _from_back_end(self, payload: bytes):  # type: ignore[no-untyped-def]
        record = envelope.open_sealed(payload, self._deployment, self._log_signed)
        if record.operator != self._operator or record.device != self._device:
            raise WireError("for another device or from another operator")
        return record

    def _log_signed(self, digest: bytes, signature: bytes) -> bool:
        return ecdsa.verify(ecdsa.SECP256K1, self._settings.value("log_key"), digest, signature)

    def _time(self, payload: bytes) -> None:
        answer = self._from_back_end(payload)
        if isinstance(answer, records.TimeAnswer):
            self._clock.answer(answer.nonce, answer.utc_ms)

    def _delivery(self, payload: bytes) -> None:
        delivery = self._from_back_end(payload)
        if not isinstance(delivery, records.Delivery):
            raise WireError("not a delivery")
        if self._incarnation and delivery.incarnation != self._incarnation:
            self._journal.forget_acknowledgements()
            self._sent = self._journal.acked
        self._incarnation = delivery.incarnation
        if delivery.seq <= self._journal.acked:
            return
        if delivery.seq > self._journal.seq or self._recorder.digest(delivery.seq) != delivery.digest:
            raise WireError("acknowledges what this device did not send")
        self._journal.acknowledge(delivery.seq)
        self._progress_ms = self._clock.monotonic_ms()

    def _receipt(self, payload: bytes) -> None:
        found = receipt.decode_receipt(payload)
        problem = WireError("no statement waits for this receipt")
        for seq, sealed in list(self._recorder.statements.items()):
            try:
                receipt.check(found, sealed, self._operator, self._log_signed, records.ES256K)
            except WireError as error:
                problem = error
                continue
            del self._recorder.statements[seq]
            self.receipts += 1
            return
        raise problem
