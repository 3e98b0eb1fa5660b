"""The agent's session at the broker: mutual TLS, persistent, QoS 1.

A message is acknowledged to the broker only after the agent has kept what it brings. A broker that is away is tried again
for ever; meanwhile the agent goes on with what it holds.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from lightwire import topics
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import SettingsError
from edge_agent.log import Log
from edge_agent.settings import BrokerSettings


class Link:
    """receive: one message of the decision topic; sent: the broker has execution seq."""

    def __init__(
        self,
        settings: BrokerSettings,
        device: bytes,
        receive: Callable[[bytes], bool],
        sent: Callable[[int], None],
        log: Log,
    ) -> None:
        """SettingsError if the certificate or the key cannot be used."""
        self._settings = settings
        self._device = device
        self._receive = receive
        self._sent = sent
        self._log = log
        self._waiting: dict[int, int] = {}
        self._early: set[int] = set()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"agent/{topics.station(device)}", clean_session=False, manual_ack=True
        )
        self._client.tls_set_context(tls_context(settings))
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 8)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._arrived
        self._client.on_publish = self._published

    def start(self) -> None:
        """Connects in the background."""
        self._client.connect_async(self._settings.host, self._settings.port, keepalive=60)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnects; the session stays at the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, seq: int, sealed: bytes) -> None:
        """Publishes an execution; queued while the broker is away."""
        mid = self._client.publish(topics.topic(self._device, "execution"), sealed, qos=1).mid
        self._waiting[mid] = seq
        if mid in self._early:
            self._early.discard(mid)
            self._sent(self._waiting.pop(mid))

    def _connected(
        self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode, _more: Properties | None
    ) -> None:
        if code.is_failure:
            self._log("broker refused", reason=str(code))
            return
        client.subscribe(topics.topic(self._device, "decision"), qos=1)
        self._log("connected")

    def _disconnected(
        self, _client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _more: Properties | None
    ) -> None:
        if code.is_failure:
            self._log("disconnected", reason=str(code))

    def _arrived(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if self._receive(bytes(message.payload)):
            client.ack(message.mid, message.qos)

    def _published(
        self, _client: mqtt.Client, _data: object, mid: int, _code: ReasonCode, _more: Properties | None
    ) -> None:
        if mid in self._waiting:
            self._sent(self._waiting.pop(mid))
        else:
            self._early.add(mid)


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """Our certificate, their authority; SettingsError naming the file that cannot be used."""
    for path in (settings.ca, settings.cert, settings.key):
        _readable(path)
    context = ssl.create_default_context(cafile=str(_certificate(settings.ca, "the operator's CA certificate")))
    _certificate(settings.cert, "this agent's certificate")
    try:
        context.load_cert_chain(settings.cert, settings.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(f"{settings.key}: not the key of {settings.cert}: copy both from one issue") from error
        raise SettingsError(
            f"{settings.key}: no private key to be used ({error.reason}): put the key of {settings.cert} there, PEM "
            "without passphrase"
        ) from error
    return context


def _readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        reason = str(error.strerror).lower()
        raise SettingsError(f"{path}: {reason}: put the file there, or correct [broker]") from error


def _certificate(path: Path, wanted: str) -> Path:
    """The path again, if it holds a certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise SettingsError(f"{path}: no certificate in it: put {wanted} (PEM) there") from error
    return path
