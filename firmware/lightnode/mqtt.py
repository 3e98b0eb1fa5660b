"""An MQTT 3.1.1 client for one broker: TLS, persistent session, QoS 1 both ways, bounded memory.

OASIS MQTT 3.1.1. Incoming QoS 1 messages are acknowledged after `received` returned. Nothing is retried here: who
publishes knows what is unacknowledged and sends it again in the next session.
"""

_PUBLISH, _PUBACK, _SUBACK, _PINGRESP = 3, 4, 9, 13
PACKET_MAX = 65536 + 128


class MqttError(Exception):
    """The broker refused or broke the protocol, or the connection ended."""


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    head = bytearray((first,))
    while True:
        digit = length & 127
        length >>= 7
        head.append(digit | 128 if length else digit)
        if not length:
            return bytes(head) + body


class Session:
    """One connection, from CONNECT to the end. `in_flight`: packet ids published and not yet acknowledged."""

    def __init__(self, reader, writer, received) -> None:  # type: ignore[no-untyped-def]
        self._reader = reader
        self._writer = writer
        self._received = received
        self._id = 0
        self.in_flight: set[int] = set()

    async def connect(self, client: str, keepalive_s: int, will_topic: str = "", will: bytes = b"") -> bool:
        """CONNECT with a persistent session; True if the broker still had it. MqttError if refused."""
        flags = 0
        tail = b""
        if will_topic:
            flags = 0x04 | 0x08
            tail = _text(will_topic) + len(will).to_bytes(2, "big") + will
        body = _text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + _text(client) + tail
        await self._send(_packet(0x10, body))
        kind, packet = await self._packet()
        if kind >> 4 != 2 or len(packet) != 2 or packet[1]:
            raise MqttError(f"the broker refused the connection with code {packet[1] if len(packet) > 1 else -1}")
        return bool(packet[0] & 1)

    async def subscribe(self, topics: list[str]) -> None:
        """Subscribes with QoS 1; the answer is checked by `listen`."""
        body = self._next_id().to_bytes(2, "big") + b"".join([_text(t) + b"\x01" for t in topics])
        await self._send(_packet(0x82, body))

    async def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1."""
        packet_id = self._next_id()
        self.in_flight.add(packet_id)
        await self._send(_packet(0x32, _text(topic) + packet_id.to_bytes(2, "big") + payload))

    async def ping(self) -> None:
        """Keeps the connection."""
        await self._send(b"\xc0\x00")

    async def listen(self) -> None:
        """Reads packets until the connection ends (MqttError, OSError)."""
        while True:
            kind, packet = await self._packet()
            if kind >> 4 == _PUBLISH:
                await self._publish(kind, packet)
            elif kind >> 4 == _PUBACK:
                self.in_flight.discard(int.from_bytes(packet[:2], "big"))
            elif kind >> 4 == _SUBACK:
                if 0x80 in packet[2:]:
                    raise MqttError("the broker refused a subscription")
            elif kind >> 4 != _PINGRESP:
                raise MqttError(f"unexpected packet {kind >> 4}")

    def close(self) -> None:
        """Drops the connection."""
        self._writer.close()

    async def _publish(self, kind: int, packet: bytes) -> None:
        at = 2 + int.from_bytes(packet[:2], "big")
        topic = packet[2:at].decode()
        packet_id = b""
        if kind & 6:
            packet_id = packet[at : at + 2]
            at += 2
        self._received(topic, packet[at:])
        if packet_id:
            await self._send(b"\x40\x02" + packet_id)

    def _next_id(self) -> int:
        self._id = self._id % 0xFFFF + 1
        return self._id

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _packet(self) -> tuple[int, bytes]:
        first = (await self._read(1))[0]
        length = shift = 0
        while True:
            digit = (await self._read(1))[0]
            length |= (digit & 127) << shift
            shift += 7
            if not digit & 128:
                break
            if shift > 21:
                raise MqttError("a length of more than four bytes")
        if length > PACKET_MAX:
            raise MqttError(f"a packet of {length} bytes")
        return first, await self._read(length) if length else b""

    async def _read(self, count: int) -> bytes:
        try:
            data = await self._reader.readexactly(count)
        except EOFError:
            raise MqttError("the broker closed the connection")
        if len(data) != count:
            raise MqttError("the broker closed the connection")
        return data  # type: ignore[no-any-return]
