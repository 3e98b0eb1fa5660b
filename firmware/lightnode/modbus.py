"""Modbus RTU master, asyncio: reads registers, believes nothing that is not exactly the answer.

Modbus Application Protocol V1.1b3, function 4; framing and CRC of Modbus over Serial Line V1.02.

1. A frame counts only with the right unit, function, length and CRC.
2. A cycle sends at most REQUESTS_MAX requests, repetitions included: meters restart when they are polled fast.
3. What did not come truly is a MeterError, never a value. Before a request is repeated the line is emptied.
"""

import asyncio

from .errors import MeterError

REQUESTS_MAX = 3
TIMEOUT_MS = 250
_QUIET_MS = 20


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        entries.append(byte)
    return tuple(entries)


_CRC = _table()


def crc16(data: bytes) -> bytes:
    """CRC of a frame, low byte first (Modbus over Serial Line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return bytes((crc & 0xFF, crc >> 8))


class RtuMaster:
    """Requests on one serial line, one at a time. `errors`: attempts that failed since the start."""

    def __init__(self, open_line, timeout_ms: int = TIMEOUT_MS, patience: int = 1) -> None:  # type: ignore[no-untyped-def]
        """open_line() -> (reader, writer) streams; called again after the line was lost.

        patience: so many times longer it waits for a meter that answered the last cycle.
        """
        self._open_line = open_line
        self._reader = None
        self._writer = None
        self._timeout_s = timeout_ms / 1000
        self._patience = patience
        self._answers = True
        self._dirty = True
        self.errors = 0

    async def read_inputs(self, unit: int, requests) -> list[bytes]:  # type: ignore[no-untyped-def]
        """For each (first register, count) its 2 * count bytes; MeterError as soon as the attempts are used up."""
        left = REQUESTS_MAX
        timeout_s = self._timeout_s * self._patience if self._answers else self._timeout_s
        self._answers = False
        blocks: list[bytes] = []
        problem = ""
        while len(blocks) < len(requests):
            if not left:
                raise MeterError(f"unit {unit}, register {requests[len(blocks)][0]}: {problem}")
            left -= 1
            start, count = requests[len(blocks)]
            body = bytes((unit, 4)) + start.to_bytes(2, "big") + count.to_bytes(2, "big")
            try:
                await self._ready()
                blocks.append(await asyncio.wait_for(self._ask(body, 2 * count), timeout_s))
                continue
            except asyncio.TimeoutError:
                problem = "no answer"
            except MeterError as error:
                problem = str(error)
            except (EOFError, OSError):
                problem = "the line is gone"
                self._reader = None
            self.errors += 1
            self._dirty = True
        self._answers = True
        return blocks

    async def _ask(self, body: bytes, wanted: int) -> bytes:
        self._writer.write(body + crc16(body))  # type: ignore[attr-defined]
        await self._writer.drain()  # type: ignore[attr-defined]
        frame = await self._reader.readexactly(5)  # type: ignore[attr-defined]
        if frame[0] == body[0] and frame[1] == body[1] | 0x80 and crc16(frame[:3]) == frame[3:]:
            raise MeterError(f"the meter refused with exception {frame[2]}")
        if frame[0] != body[0] or frame[1] != body[1] or frame[2] != wanted:
            raise MeterError("an answer to another question")
        frame += await self._reader.readexactly(wanted)  # type: ignore[attr-defined]
        if crc16(frame[:-2]) != frame[-2:]:
            raise MeterError("noise on the line")
        return frame[3:-2]

    async def _ready(self) -> None:
        if self._reader is None:
            self._reader, self._writer = self._open_line()
        if self._dirty:
            await self._empty()

    async def _empty(self) -> None:
        """Throws away what still comes, until the line is silent."""
        try:
            for _ in range(64):
                await asyncio.wait_for(self._reader.read(256), _QUIET_MS / 1000)  # type: ignore[attr-defined]
        except asyncio.TimeoutError:
            self._dirty = False
