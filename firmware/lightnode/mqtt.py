"""An MQTT 3.1.1 client for one connection: persistent session, QoS 1 both ways, bounded memory.

OASIS MQTT 3.1.1. Incoming QoS 1 messages are acknowledged after `received` returned. Nothing is sent twice by itself: who
publishes knows what is unacknowledged and sends it again in the next session, with its packet id and DUP. The broker takes
nothing retained.
"""

import asyncio

from .compat import close

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP = 2, 3, 4, 9, 13
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
    """One connection, from CONNECT to the end.

    `in_flight`: packet ids published and not yet acknowledged, each with its publisher's number; `heard`: how many packets
    came; `await received(topic, payload)` takes what was published to us; acknowledged() is called when a publication of ours
    was.
    """

    def __init__(self, reader, writer, received, acknowledged, held=()) -> None:  # type: ignore[no-untyped-def]
        """held: packet ids that are to be sent again and taken for nothing else."""
        self._reader = reader
        self._writer = writer
        self._received = received
        self._acknowledged = acknowledged
        self._id = 0
        self._lock = asyncio.Lock()
        self._held = held
        self.in_flight: dict[int, int] = {}
        self.heard = 0

    async def connect(self, client: str, keepalive_s: int, is_clean: bool = False, will=None) -> bool:  # type: ignore[no-untyped-def]
        """CONNECT with a persistent session; True if the broker still had it. MqttError if refused.

        is_clean: the broker shall forget what was and keep nothing afterwards. will: (topic, message) that the broker says for
        us, with QoS 1 and not retained, when the connection ends without a word.
        """
        flags = (2 if is_clean else 0) | (12 if will else 0)
        body = _text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + _text(client)
        if will:
            body += _text(will[0]) + len(will[1]).to_bytes(2, "big") + will[1]
        await self._send(_packet(0x10, body))
        first, packet = await self._packet()
        if first >> 4 != _CONNACK or len(packet) != 2:
            raise MqttError(f"packet {first >> 4} where the broker's answer belongs")
        if packet[1]:
            raise MqttError(f"the broker refused the connection with code {packet[1]}")
        return bool(packet[0] & 1)

    async def subscribe(self, topics: list[str]) -> None:
        """Subscribes with QoS 1; the answer is checked by `listen`."""
        body = self._next_id().to_bytes(2, "big") + b"".join([_text(t) + b"\x01" for t in topics])
        await self._send(_packet(0x82, body))

    async def publish(self, topic: str, payload: bytes, number: int = 0, again: int = 0) -> None:
        """Sends with QoS 1. again: the packet id that it had when it was sent in the session before."""
        packet_id = again or self._next_id()
        self.in_flight[packet_id] = number
        await self._send(_packet(0x3A if again else 0x32, _text(topic) + packet_id.to_bytes(2, "big") + payload))

    async def ping(self) -> None:
        """Keeps the connection; the answer counts in `heard`."""
        await self._send(b"\xc0\x00")

    async def listen(self) -> None:
        """Reads packets until the connection ends (MqttError, OSError)."""
        while True:
            first, packet = await self._packet()
            self.heard += 1
            kind = first >> 4
            if kind == _PUBLISH:
                await self._take(first, packet)
            elif kind == _PUBACK and len(packet) == 2:
                self.in_flight.pop(int.from_bytes(packet, "big"), None)
                self._acknowledged()
            elif kind == _SUBACK and len(packet) > 2:
                if 0x80 in packet[2:]:
                    raise MqttError("the broker refused a subscription")
            elif kind != _PINGRESP:
                raise MqttError(f"unexpected packet {kind} of {len(packet)} bytes")

    def close(self) -> None:
        """Drops the connection."""
        close(self._writer)

    async def _take(self, first: int, packet: bytes) -> None:
        at = 2 + int.from_bytes(packet[:2], "big")
        quality = first >> 1 & 3
        end = at + 2 if quality else at
        if quality > 1 or end > len(packet):
            raise MqttError(f"a publication of {len(packet)} bytes with quality {quality}")
        await self._received(packet[2:at].decode(), packet[end:])
        if quality:
            await self._send(b"\x40\x02" + packet[at:end])

    def _next_id(self) -> int:
        while True:
            self._id = self._id % 0xFFFF + 1
            if self._id not in self.in_flight and self._id not in self._held:
                return self._id

    async def _send(self, data: bytes) -> None:
        async with self._lock:
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
        return data  # type: ignore[no-any-return]
