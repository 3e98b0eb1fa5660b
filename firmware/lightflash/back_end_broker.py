"""The broker as a commissioning asks it, with the operator's credential: it hears what one device and its agent say, and may
send a set-point.

1. It hears from the moment on when it was opened; nothing is changed for the back end, which hears everything as always.
2. A test set-point is signed by the operator's issuer, is numbered behind the device's last one, asks for at most the
   withdrawal that the device's own limit allows, and ends after two minutes.
3. The register is not here: `registered` is what was given.
"""

import os
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

import paho.mqtt.client as mqtt
from lightwire import envelope, records, topics
from lightwire.errors import WireError
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from lightflash.back_end import Answers, Registered
from lightflash.errors import PartMissing
from lightflash.operator_file import Operator

TEST_MS = 120_000
_OPEN_S = 10.0
_CHANNELS = ("record", "decision", "execution")
_KEPT = 256
_DECIDED, _ACTED = (records.DECISION,), (records.EXECUTION, records.EMS_REPORT)  # a record may be a decision, too


class OperatorBroker:
    """lightflash.back_end.BackEnd for one device (id, 8 bytes); a context manager.

    limit_w: maximum withdrawal in the device's settings; registered: from its enrolment or the register, None if not known.
    """

    def __init__(
        self, who: Operator, device: bytes, limit_w: int, registered: Registered | None, now_ms: Callable[[], int]
    ) -> None:
        self.deployment = who.deployment
        self._who = who
        self._device = device
        self._limit_w = limit_w
        self._registered = registered
        self._now_ms = now_ms
        self._heard: dict[str, list[bytes]] = {channel: [] for channel in _CHANNELS}
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._refused = ""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "commissioning-" + os.urandom(4).hex())
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived

    def __enter__(self) -> "OperatorBroker":
        who = self._who
        where = f"{who.host}:{who.port}"
        try:
            context = ssl.create_default_context(cafile=str(who.ca))
            context.load_cert_chain(who.cert, who.key)
            self._client.tls_set_context(context)
            self._client.connect(who.host, who.port, keepalive=30)
        except (OSError, ValueError) as error:
            cure = "check host, port and the files of the operator's file"
            raise PartMissing("broker", f"{where}: {error}", cure) from error
        self._client.loop_start()
        if not self._ready.wait(_OPEN_S):
            self.close()
            cause = self._refused or "it does not answer"
            raise PartMissing("broker", f"{where}: {cause}", "has the operator's certificate a right to these topics?")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session."""
        self._client.disconnect()
        self._client.loop_stop()

    def registered(self, device: bytes) -> Registered | None:
        """Rule 3."""
        return self._registered if device == self._device else None

    def readings(self, device: bytes, after_seq: int) -> Sequence[bytes]:
        """Those that passed since it was opened."""
        with self._lock:
            heard = list(self._heard["record"])
        return [sealed for sealed in heard if _is_reading(sealed, after_seq)]

    def send_test(self, device: bytes, command: int) -> bytes | None:
        """Rule 2."""
        if self._who.issuer is None:
            return None
        now_ms, issuer = self._now_ms(), self._who.issuer
        point = records.SetPoint(
            id=os.urandom(16), device=device, issuer=issuer.id, role=self._who.role, command=command + 1,
            not_before_ms=now_ms, not_after_ms=now_ms + TEST_MS, resource=records.POD_NET,
            control=records.MAX_WITHDRAWAL, value=self._limit_w, ramp_w_per_s=0, fallback=records.FALLBACK_RELEASE,
            fallback_value=0, reason=0, order=bytes(16), nonce=bytes(16), salt=os.urandom(16),
        )  # fmt: skip
        sealed = envelope.seal(point, self.deployment, issuer.sign)
        self._client.publish(topics.topic(device, "setpoint"), sealed, qos=1).wait_for_publish(_OPEN_S)
        return bytes(point.id)

    def answers(self, device: bytes, setpoint: bytes) -> Answers:
        """The first of each about this set-point; what is no message of ours is passed over."""
        with self._lock:
            said = [message[: envelope.message_length(records.DECISION)] for message in self._heard["decision"]]
            acted = self._heard["execution"] + self._heard["record"]
        return Answers(_about(said, setpoint, _DECIDED), _about(acted, setpoint, _ACTED))

    def _connected(
        self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        if code.is_failure:
            self._refused = f"it refuses the session ({code})"
            return
        client.subscribe([(topics.topic(self._device, channel), 1) for channel in _CHANNELS])

    def _arrived(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        channel = message.topic.rpartition("/")[2]
        with self._lock:
            heard = self._heard[channel]
            heard.append(bytes(message.payload))
            del heard[:-_KEPT]


def _is_reading(sealed: bytes, after_seq: int) -> bool:
    try:
        found = envelope.peek(sealed)
    except WireError:
        return False
    return bool(found.KIND == records.READING and found.seq > after_seq)


def _about(messages: Sequence[bytes], setpoint: bytes, kinds: Sequence[int]) -> bytes:
    for sealed in messages:
        try:
            found = envelope.peek(sealed)
        except WireError:
            continue
        if found.KIND in kinds and found.setpoint == setpoint:
            return sealed
    return b""
