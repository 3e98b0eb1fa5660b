"""A meter on Modbus TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b): on 127.0.0.1 unless told otherwise.

A frame that is not Modbus ends its connection; frames for other units get no answer.
"""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import cast

from hil.meters.station import Station

_HEADER = 7
_LONGEST = 254


@dataclass(frozen=True, slots=True)
class TcpFraming:
    """The header of the request's transaction."""

    transaction: bytes

    def wrap(self, unit: int, response: bytes) -> bytes:
        """The frame on the connection."""
        return self.transaction + b"\0\0" + (len(response) + 1).to_bytes(2, "big") + bytes((unit,)) + response

    def spoil(self, frame: bytes, random: Random) -> bytes:
        """The frame with another transaction's number: what TCP has instead of a CRC."""
        other = (int.from_bytes(frame[:2], "big") + random.randint(1, 65_535)) % 65_536
        return other.to_bytes(2, "big") + frame[2:]

    def hurt(self, frame: bytes, random: Random) -> bytes:
        """The same: TCP carries no frame with a changed byte."""
        return self.spoil(frame, random)


class _Connection(asyncio.Protocol):
    def __init__(self, station: Station, open_ones: set[asyncio.Transport]) -> None:
        self._station = station
        self._open = open_ones
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._open.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _HEADER and self._transport is not None:
            length = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\0\0" or not 2 <= length <= _LONGEST:
                self._transport.close()
                return
            if len(self._buffer) < 6 + length:
                return
            frame, self._buffer = self._buffer[: 6 + length], self._buffer[6 + length :]
            self._respond(frame)

    def _respond(self, frame: bytes) -> None:
        for sending in self._station.answer(frame[6], frame[7:], TcpFraming(frame[:2])):
            if sending.delay_ms:
                asyncio.get_running_loop().call_later(sending.delay_ms / 1000, self._send, sending.data)
            else:
                self._send(sending.data)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class TcpServer:
    """One station; `port` once it listens."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self.port = 0

    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """The port it listens on; 0 takes a free one; OSError if it cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._station, self._open), host, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    def close(self) -> None:
        """Ends all connections and stops listening."""
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            transport.abort()
