"""MQTT session to node and back end over paho: persistent, QoS 1, mutual TLS."""

import ssl
from queue import Empty, SimpleQueue

import paho.mqtt.client as mqtt
from lightwire import topics
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.settings import Settings


class LinkUnavailable(Exception):
    """The broker cannot be reached."""


class Link:
    """Decisions in, executions out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decisions: SimpleQueue[bytes] = SimpleQueue()
        self._in = topics.topic(settings.device, "decision")
        self._out = topics.topic(settings.device, "execution")
        name = f"agent/{topics.station(settings.device)}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        context = ssl.create_default_context(cafile=str(settings.broker_ca))
        context.load_cert_chain(settings.broker_cert, settings.broker_key)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda client, *_: client.subscribe(self._in, 1)
        self._client.on_message = lambda _client, _data, message: self._decisions.put(bytes(message.payload))
        self._client.reconnect_delay_set(1, 8)

    def start(self) -> None:
        """Connects and stays connected; LinkUnavailable if the broker is not there now."""
        try:
            self._client.connect(self._settings.broker_host, self._settings.broker_port, keepalive=60)
        except OSError as error:
            raise LinkUnavailable(f"{self._settings.broker_host}:{self._settings.broker_port}: {error}") from error
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnects; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()

    def decisions(self) -> list[bytes]:
        """What has arrived since the last call."""
        found = []
        try:
            while True:
                found.append(self._decisions.get_nowait())
        except Empty:
            return found

    def report(self, sealed: bytes) -> None:
        """Sends an execution; queued while the broker is away."""
        self._client.publish(self._out, sealed, qos=1)
