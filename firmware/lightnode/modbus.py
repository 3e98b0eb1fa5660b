"""Modbus RTU master, asyncio: reads registers, believes nothing that is not exactly the answer.

A frame counts only with the right unit, function, length and CRC; anything else is a MeterError after the retries.
"""

import asyncio

from .errors import MeterError


def crc16(data: bytes) -> bytes:
    """CRC of a frame, low byte first (Modbus over Serial Line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return bytes((crc & 0xFF, crc >> 8))


class RtuMaster:
    """Requests on one serial line, one at a time; `port` has write(bytes), read(count) -> bytes or None, and a stream."""

    def __init__(self, reader, writer, timeout_ms: int = 500, retries: int = 2) -> None:  # type: ignore[no-untyped-def]
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_ms / 1000
        self._retries = retries
        self.errors = 0

    async def read_input(self, unit: int, start: int, count: int) -> bytes:
        """2 * count bytes of input registers (function 4); MeterError when no attempt gave a true answer."""
        body = bytes((unit, 4)) + start.to_bytes(2, "big") + count.to_bytes(2, "big")
        problem = ""
        for _ in range(self._retries + 1):
            try:
                return await asyncio.wait_for(self._ask(body, 2 * count), self._timeout_s)
            except asyncio.TimeoutError:
                problem = "no answer"
            except MeterError as error:
                problem = str(error)
            self.errors += 1
            await self._quiet()
        raise MeterError(f"unit {unit}, register {start}: {problem}")

    async def _ask(self, body: bytes, wanted: int) -> bytes:
        self._writer.write(body + crc16(body))
        await self._writer.drain()
        frame = await self._reader.readexactly(5)
        if frame[0] == body[0] and frame[1] == body[1] | 0x80:
            raise MeterError(f"the meter refused with exception {frame[2]}")
        if frame[0] != body[0] or frame[1] != body[1] or frame[2] != wanted:
            raise MeterError("an answer to another question")
        frame += await self._reader.readexactly(wanted)
        if crc16(frame[:-2]) != frame[-2:]:
            raise MeterError("noise on the line")
        return frame[3:-2]

    async def _quiet(self) -> None:
        """Throws away what still comes, until the line is silent for 20 ms."""
        try:
            for _ in range(64):
                await asyncio.wait_for(self._reader.read(256), 0.02)
        except asyncio.TimeoutError:
            return
