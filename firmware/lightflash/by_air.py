"""A release over the broker: announced to a device, handed out piece by piece, its signed report waited for and verified.

1. Only the pieces that the device wishes for are sent. What it says of the outcome counts when its key has signed it.
2. The session is the device's own and stays at the broker until there is an outcome: a report that came while nobody was
   here is read by the same command again.
3. Nothing is retained at the broker. What a device acknowledged it may have lost with its power before it was kept: while
   nothing is fetched, it is told again.
"""

import queue
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from lightwire import envelope, records, topics, update
from lightwire.errors import WireError
from paho.mqtt.enums import CallbackAPIVersion

from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.key import is_signed
from lightflash.link import Refused
from lightflash.offer import Offer

_STEP = "update"
_CONNECT_S = 20.0
_EARLIER_S = 1.0
AGAIN_S = 60.0
Say = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is and who we are there; PEM files."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Device:
    """Whose report counts. id: 8 bytes; public_key: 33 bytes; deployment: 16 bytes."""

    id: bytes
    public_key: bytes
    deployment: bytes


@dataclass
class Session:
    """A session at the broker for one update of one device; a context manager."""

    broker: Broker
    device: Device
    wanted: Offer
    say: Say
    again_s: float = AGAIN_S

    def __enter__(self) -> "Session":
        self._came: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._sent = 0
        self._client = self._made(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def outcome(self, wait_s: float) -> records.UpdateReport:
        """The verified report on this release. Pending if there is none in time."""
        report, end = self._report(_EARLIER_S), time.monotonic() + wait_s
        while report is None and (left := end - time.monotonic()) > 0:
            if not self._sent:
                self._announce()
            report = self._report(min(left, self.again_s))
        if report is None:
            sent = f", {self._sent} bytes were fetched" if self._sent else ", nothing was fetched"
            raise Pending(_STEP, f"no report of the device within {wait_s:g} s{sent}", "run the same command again")
        return report

    def _announce(self) -> None:
        self.say("announce", 0, 1)
        topic = topics.topic(self.device.id, "update")
        self._client.publish(topic, self.wanted.announcement, 1).wait_for_publish(_CONNECT_S)

    def forget(self) -> None:
        """The session is over at the broker, too (rule 2)."""
        self.__exit__()
        self._client = self._made(True)

    def _made(self, clean: bool) -> mqtt.Client:
        """A connected client. PartMissing with the reason if the broker is not there or does not take us."""
        name = f"flash-{self.device.id.hex()}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=clean)
        answer: queue.SimpleQueue[bool] = queue.SimpleQueue()
        client.on_message = lambda _client, _data, message: self._came.put((message.topic, bytes(message.payload)))
        client.on_connect = lambda _client, _data, _flags, code, _properties: answer.put(not code.is_failure)
        where = f"{self.broker.host}:{self.broker.port}"
        try:
            context = ssl.create_default_context(cafile=str(self.broker.ca))
            context.load_cert_chain(self.broker.cert, self.broker.key)
            client.tls_set_context(context)
            client.connect(self.broker.host, self.broker.port)
            client.loop_start()
            if not answer.get(timeout=_CONNECT_S):
                raise PartMissing(_STEP, f"the broker {where} refuses us", "give the certificate of the back end")
        except (OSError, ValueError, queue.Empty) as error:
            client.loop_stop()
            cause = f"the broker {where} cannot be reached ({str(error) or 'no answer'})"
            raise PartMissing(_STEP, cause, "is it there, are --ca, --cert and --key right?") from error
        if not clean:
            client.subscribe([(topics.topic(self.device.id, channel), 1) for channel in ("record", "fetch")])
        return client

    def _report(self, wait_s: float) -> records.UpdateReport | None:
        """Answers wishes meanwhile."""
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            try:
                topic, payload = self._came.get(timeout=left)
            except queue.Empty:
                return None
            if topic.endswith("/fetch"):
                self._hand_out(payload)
            elif (report := self._verified(payload)) is not None:
                return report
        return None

    def _hand_out(self, payload: bytes) -> None:
        try:
            sequence, path, offset, length = update.decode_wish(payload)
            if sequence != self.wanted.manifest.sequence:
                return
            data = self.wanted.piece(path, offset, length)
        except (WireError, FlashError):
            return  # of another release, or of nobody's
        self._sent += len(data)
        total = self.wanted.manifest.total_bytes
        self.say("bring", min(self._sent, total), total)
        piece = update.encode_piece(sequence, path, offset, data)
        self._client.publish(topics.topic(self.device.id, "chunk"), piece, 1)

    def _verified(self, sealed: bytes) -> records.UpdateReport | None:
        """The report on this release if it is one and the device has signed it (rule 1)."""
        try:
            claimed = envelope.peek(sealed)
            if not isinstance(claimed, records.UpdateReport) or claimed.digest != self.wanted.digest:
                return None
            report = envelope.open_sealed(
                sealed,
                self.device.deployment,
                lambda digest, signature: is_signed(self.device.public_key, digest, signature),
            )
        except WireError:
            return None
        return report if isinstance(report, records.UpdateReport) and report.device == self.device.id else None


def words(report: records.UpdateReport) -> str:
    """The outcome as the device reports it."""
    outcome = {records.UPDATE_COMMITTED: "committed", records.UPDATE_ROLLED_BACK: "rolled back"}.get(
        report.outcome, "refused"
    )
    reason = update.REASONS[report.reason] if report.reason < len(update.REASONS) else str(report.reason)
    return outcome if report.outcome == records.UPDATE_COMMITTED else f"{outcome}: {reason}"


def check(report: records.UpdateReport, was_begun: bool) -> str:
    """The outcome in words. Refused in the device's words if the release does not run.

    was_begun: this very release had been offered before; "replayed" then says that it is the one that runs.
    """
    if report.outcome == records.UPDATE_COMMITTED:
        return "committed"
    if report.outcome == records.UPDATE_REFUSED and report.reason == update.REPLAYED and was_begun:
        return "committed before"
    raise Refused(_STEP, f"the device says: {words(report)}", "correct the release, give it the next sequence")
