"""The same map as JSON on a local broker: the node says what it offers, the EMS answers with its block.

1. `lightnode/<device id>/setpoint` gets the node's block at each change and every EVERY_MS, QoS 1, never retained.
2. `lightnode/<device id>/ems` is taken from: one flat JSON object with every field of the EMS's block and no other, whole
   numbers or null where a value may be missing, at most BYTES_MAX bytes. Anything else changes nothing and is counted.
3. The session is not kept by the broker: what the EMS said while nobody listened is not taken for news.
4. A broker that says nothing for a minute is left and tried again.
5. TLS with the certificate of the node; the broker's authority is `ems.ca`, else that of the uplink.
"""

import asyncio
import json

from lightwire import topics

from .compat import sleep_ms
from .ems_map import NODE_FIELDS
from .mqtt import MqttError, Session
from .settings import bracket_fault

EVERY_MS = 10_000
BYTES_MAX = 512
_KEEPALIVE_S = 30
_OPEN_S = 60
_UNANSWERED_MAX = 4
_LOOK_MS = 200
_PAUSE_MIN_MS = 500
_PAUSE_MAX_MS = 30_000


def names(device: bytes) -> tuple[str, str]:
    """(topic of the set-point, topic of the EMS)."""
    root = "lightnode/" + topics.station(device).split("/")[1]
    return root + "/setpoint", root + "/ems"


def say(offer: dict[str, object]) -> bytes:
    """The node's block as JSON: bytes in hexadecimal, null is not available."""
    values = {}
    for name, _ in NODE_FIELDS:
        value = offer.get(name)
        values[name] = value.hex() if isinstance(value, bytes) else value
    return json.dumps(values).encode()


def read(payload: bytes) -> dict[str, object] | None:
    """The EMS's block in a message, its values not yet checked; None if it is no flat object (rule 2)."""
    if len(payload) > BYTES_MAX or bracket_fault(payload, 1):
        return None
    try:
        values = json.loads(payload.decode())
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


class LocalTopic:
    """`connected`; `refused`: messages that were no block."""

    def __init__(self, board, settings, device: bytes, offer, block) -> None:  # type: ignore[no-untyped-def]
        value = settings.value
        host, port = value("ems.broker").rsplit(":", 1)
        authority = value("ems.ca") or value("broker.ca")
        self._connect = lambda: board.connect(host, int(port), authority, value("broker.cert"), value("broker.key"))
        self._client = "ems-" + topics.station(device)
        self._topic, self._from = names(device)
        self._offer = offer
        self._block = block
        self.connected = False
        self.refused = 0

    async def run(self) -> None:
        """Connects, works, connects again with growing pauses; never returns."""
        pause_ms = _PAUSE_MIN_MS
        while True:
            try:
                await self._session()
            except (OSError, MqttError, ValueError, asyncio.TimeoutError):
                pause_ms = _PAUSE_MIN_MS if self.connected else min(pause_ms * 2, _PAUSE_MAX_MS)
            self.connected = False
            await sleep_ms(pause_ms)

    async def _session(self) -> None:
        reader, writer = await asyncio.wait_for(self._connect(), _OPEN_S)
        session = Session(reader, writer, self._received, lambda: None)
        try:
            await asyncio.wait_for(session.connect(self._client, _KEEPALIVE_S, True), _OPEN_S)
            await session.subscribe([self._from])
            self.connected = True
            listening = asyncio.create_task(session.listen())
            try:
                await self._say(session, listening)
            finally:
                listening.cancel()
        finally:
            session.close()

    async def _say(self, session: Session, listening) -> None:  # type: ignore[no-untyped-def]
        said, left_ms = -1, 0
        while True:
            if listening.done():
                await listening
            offer = self._offer()
            if offer["sequence"] != said or left_ms <= 0:
                if len(session.in_flight) >= _UNANSWERED_MAX:
                    raise MqttError("the broker is silent")
                said, left_ms = offer["sequence"], EVERY_MS
                await session.publish(self._topic, say(offer))
            await sleep_ms(_LOOK_MS)
            left_ms -= _LOOK_MS

    async def _received(self, topic: str, payload: bytes) -> None:
        values = read(payload) if topic == self._from else None
        if values is None or not self._block.take(values):
            self.refused += 1
