"""The register map as a Modbus server, TCP and RTU.

Modbus Application Protocol V1.1b3, functions 3, 4, 6, 16; Messaging on TCP/IP V1.0b; over Serial Line V1.02.

1. A request is answered from one instant: a block that is read with one request is consistent.
2. A request that is not right is answered by an exception and changes nothing; what is no frame ends a TCP connection
   and is silence on a line. Another unit is exception 11 on TCP and silence on a line; nothing is broadcast to us.
3. At most CONNECTIONS_MAX connections; one more is closed at once. A connection without a request for IDLE_S, and a frame
   or a reader of answers that takes longer than FRAME_S, ends its connection.
4. After an answer a connection is not heard for PAUSE_MS: a flood waits at its sender and takes no time from sampling.
"""

import asyncio

from .compat import close, sleep_ms
from .ems_map import EMS_BASE, EMS_FIELDS, NODE_FIELDS, width
from .modbus_rtu import crc16

CONNECTIONS_MAX = 2
IDLE_S = 15
FRAME_S = 2
PAUSE_MS = 25
_STALE_S = 0.05
_LONGEST = 256
_BAD_FUNCTION, _BAD_ADDRESS, _BAD_VALUE, _NO_UNIT = 1, 2, 3, 11
_READ, _READ_INPUTS, _WRITE_ONE, _WRITE = 3, 4, 6, 16
_NODE_WORDS = sum([width(form) for _, form in NODE_FIELDS]) // 2
_EMS_WORDS = sum([width(form) for _, form in EMS_FIELDS]) // 2


class Registers:
    """What a request is answered from. node_block() gives the node's block of this instant; said: the EmsBlock."""

    def __init__(self, node_block, said) -> None:  # type: ignore[no-untyped-def]
        self._node_block = node_block
        self._said = said

    def answer(self, request: bytes) -> bytes:
        """The answer to a request (function code and data, 1 to 253 bytes): the answer's, or an exception."""
        function = request[0]
        if function in (_READ, _READ_INPUTS):
            return self._read(function, request)
        if function in (_WRITE_ONE, _WRITE):
            return self._write(function, request)
        return _refusal(function, _BAD_FUNCTION)

    def _read(self, function: int, request: bytes) -> bytes:
        first, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        if len(request) != 5 or not 1 <= count <= 125:
            return _refusal(function, _BAD_VALUE)
        if first + count <= _NODE_WORDS:
            octets = self._node_block()
        elif EMS_BASE <= first and first + count <= EMS_BASE + _EMS_WORDS:
            first -= EMS_BASE
            octets = self._said.octets
        else:
            return _refusal(function, _BAD_ADDRESS)
        return bytes((function, 2 * count)) + octets[2 * first : 2 * (first + count)]

    def _write(self, function: int, request: bytes) -> bytes:
        first, octets = int.from_bytes(request[1:3], "big"), request[3:]
        if function == _WRITE:
            count, octets = int.from_bytes(request[3:5], "big"), request[6:]
            if len(request) < 8 or not 1 <= count <= 123 or request[5] != 2 * count or len(octets) != 2 * count:
                return _refusal(function, _BAD_VALUE)
        elif len(octets) != 2:
            return _refusal(function, _BAD_VALUE)
        first -= EMS_BASE
        if first < 0 or first + len(octets) // 2 > _EMS_WORDS:
            return _refusal(function, _BAD_ADDRESS)
        if not self._said.write(first, octets):
            return _refusal(function, _BAD_VALUE)
        return request[:5]


def _refusal(function: int, reason: int) -> bytes:
    return bytes((function | 0x80, reason))


class TcpServer:
    """`open`: connections now; `refused`: those that were one too many; `dropped`: those that went away or had to."""

    def __init__(self, registers: Registers, unit: int) -> None:
        self._registers = registers
        self._units = (unit, 0, 255)
        self.open = 0
        self.refused = 0
        self.dropped = 0

    async def listen(self, address: str):  # type: ignore[no-untyped-def]
        """The listening server at host:port; OSError if that cannot be had."""
        host, port = address.rsplit(":", 1)
        return await asyncio.start_server(self._serve, host, int(port))

    async def _serve(self, reader, writer) -> None:  # type: ignore[no-untyped-def]
        if self.open >= CONNECTIONS_MAX:
            self.refused += 1
        else:
            self.open += 1
            try:
                while await self._one(reader, writer):
                    await sleep_ms(PAUSE_MS)
            except (OSError, EOFError, asyncio.TimeoutError):
                self.dropped += 1
            finally:
                self.open -= 1
        close(writer)

    async def _one(self, reader, writer) -> bool:  # type: ignore[no-untyped-def]
        """Answers one frame; False if it was none."""
        head = await asyncio.wait_for(reader.readexactly(1), IDLE_S)
        head += await asyncio.wait_for(reader.readexactly(6), FRAME_S)
        length = int.from_bytes(head[4:6], "big")
        if head[2:4] != b"\0\0" or not 2 <= length <= 254:
            self.dropped += 1
            return False
        request = await asyncio.wait_for(reader.readexactly(length - 1), FRAME_S)
        if head[6] in self._units:
            answer = self._registers.answer(request)
        else:
            answer = _refusal(request[0], _NO_UNIT)
        writer.write(head[:4] + (len(answer) + 1).to_bytes(2, "big") + head[6:] + answer)
        await asyncio.wait_for(writer.drain(), FRAME_S)
        return True


class RtuServer:
    """One unit on a serial line. `answered`: frames that were for it and right."""

    def __init__(self, registers: Registers, unit: int) -> None:
        self._registers = registers
        self._unit = unit
        self.answered = 0

    async def serve(self, reader, writer) -> None:  # type: ignore[no-untyped-def]
        """Answers until the line is gone: EOFError or OSError."""
        heard = b""
        while True:
            try:
                more = await asyncio.wait_for(reader.read(_LONGEST), _STALE_S) if heard else await reader.read(_LONGEST)
            except asyncio.TimeoutError:
                heard = await self._silence(heard, writer)
                continue
            if not more:
                raise EOFError
            heard = await self._frames((heard + more)[-2 * _LONGEST :], writer)

    async def _frames(self, heard: bytes, writer) -> bytes:  # type: ignore[no-untyped-def]
        """Answers the whole frames for us; gives back what may still become one."""
        while len(heard) >= 8:
            if heard[0] == self._unit and heard[1] < 0x80:
                if heard[1] not in (_READ, _READ_INPUTS, _WRITE_ONE, _WRITE):
                    break  # only silence says where it ends
                length = 9 + heard[6] if heard[1] == _WRITE else 8
                if length <= _LONGEST and len(heard) < length:
                    break
                if length <= _LONGEST and crc16(heard[: length - 2]) == heard[length - 2 : length]:
                    await self._answer(heard[:length], writer)
                    heard = heard[length:]
                    continue
                await sleep_ms(0)
            heard = heard[1:]
        return heard

    async def _silence(self, heard: bytes, writer) -> bytes:  # type: ignore[no-untyped-def]
        """What stands between two silences may be a frame with a function that we do not know; all else is none."""
        if 4 <= len(heard) <= _LONGEST and heard[0] == self._unit and crc16(heard[:-2]) == heard[-2:]:
            await self._answer(heard, writer)
        return b""

    async def _answer(self, frame: bytes, writer) -> None:  # type: ignore[no-untyped-def]
        self.answered += 1
        answer = frame[:1] + self._registers.answer(frame[1:-2])
        writer.write(answer + crc16(answer))
        await writer.drain()
        await sleep_ms(PAUSE_MS)
