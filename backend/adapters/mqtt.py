"""Link over paho: persistent session, mutual TLS, PUBACK only after the commit.

Incoming messages wait in a queue; the worker takes them in batches and acknowledges each after its commit. What a
killed worker had not acknowledged comes again.
"""

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from backend.errors import Unavailable


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Where the broker is and who we are; PEM files."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message not yet acknowledged to the broker."""

    topic: str
    payload: bytes
    mid: int
    qos: int


class MqttLink:
    """One session; `incoming` feeds the worker, `done` acknowledges."""

    def __init__(self, access: BrokerAccess, client_id: str, filters: list[str]) -> None:
        self._queue: SimpleQueue[Incoming] = SimpleQueue()
        self._filters = filters
        self._access = access
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True)
        context = ssl.create_default_context(cafile=str(access.ca))
        context.load_cert_chain(access.cert, access.key)
        self._client.tls_set_context(context)
        self._client.max_inflight_messages_set(1000)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 8)
        self._client.on_connect = self._connected
        self._client.on_message = self._arrived

    def start(self) -> None:
        """Connects and keeps connected; Unavailable if the broker cannot be reached now."""
        try:
            self._client.connect(self._access.host, self._access.port, keepalive=60)
        except OSError as error:
            raise Unavailable("broker", f"{self._access.host}:{self._access.port}: {error}") from error
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnects; the session stays at the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1, never retained; queued while the broker is away."""
        self._client.publish(topic, payload, qos=1)

    def incoming(self, limit: int, timeout_s: float) -> list[Incoming]:
        """At most `limit` messages; waits up to timeout_s for the first."""
        batch: list[Incoming] = []
        with contextlib.suppress(Empty):
            batch.append(self._queue.get(timeout=timeout_s))
            while len(batch) < limit:
                batch.append(self._queue.get_nowait())
        return batch

    def done(self, batch: list[Incoming]) -> None:
        """Acknowledges to the broker what is committed."""
        for message in batch:
            self._client.ack(message.mid, message.qos)

    def _connected(
        self, client: mqtt.Client, _data: object, _flags: object, _code: object, _properties: object
    ) -> None:
        client.subscribe([(name, 1) for name in self._filters])

    def _arrived(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._queue.put(Incoming(message.topic, bytes(message.payload), message.mid, message.qos))
