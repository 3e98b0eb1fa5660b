"""Modbus RTU as a link of the master: a serial line. Modbus over Serial Line V1.02.

1. A frame counts with the right CRC only. Before a request the line must have been silent for 3.5 characters, longer after
   a failure; what came meanwhile is thrown away.
2. RTU frames have no number. A request that was not answered is *owed*: as long as its answer may still come, for
   OWED_CYCLES cycles, no request of the same length is sent; its neighbours in the map are read with it instead. So a late
   answer is known by its length, never taken for this one, and listening goes on.
3. If every length a request may have is owed, it is not sent.
"""

import asyncio

from .errors import MeterError
from .modbus import content

OWED_CYCLES = 24
_QUIET_MS = 20
_BITS = 11  # of a character on the line
_SILENCES_MAX = 64


# of four bits at a time; a literal lies in the firmware, not in the heap
_CRC = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
)  # fmt: skip


def crc16(data: bytes) -> bytes:
    """CRC of a frame, low byte first (Modbus over Serial Line V1.02, 6.2.2)."""
    table = _CRC
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        crc = crc >> 4 ^ table[crc & 15]
        crc = crc >> 4 ^ table[crc & 15]
    return bytes((crc & 0xFF, crc >> 8))


def gap_ms(baud: int) -> int:
    """3.5 characters, at least 1.75 ms, in whole ms."""
    return max(2, (3500 * _BITS + baud - 1) // baud)


class RtuLink:
    """`heard`: whether anything came since the master's cycle began."""

    def __init__(self, open_line, baud: int = 9600, step: int = 1) -> None:  # type: ignore[no-untyped-def]
        """open_line() -> (reader, writer) streams; called again after the line was lost. step: the meter reads its
        registers in multiples of so many."""
        self._open_line = open_line
        self._baud = baud
        self._step = step
        self._reader = None
        self._writer = None
        self._dirty = True
        self._extra = 0  # registers that the next request asks for beyond its own
        self._owed: list[list[int]] = []  # [registers, cycles that it is still owed]
        self.heard = False

    def begin(self, answered: bool) -> None:
        """A cycle begins."""
        for debt in self._owed:
            debt[1] -= 1
        self._owed = [debt for debt in self._owed if debt[1]]

    def failed(self) -> None:
        """What still comes belongs to nobody."""
        self._dirty = True

    def lost(self) -> None:
        """The line is opened again."""
        self._dirty = True
        self._reader = None

    async def ready(self, request) -> int:  # type: ignore[no-untyped-def]
        """The line has been silent as rule 1 wants: the ms for request and answer. MeterError if it never is, or by rule 3."""
        self._extra = self._free(*request[1:])
        await self._quiet()
        return (13 + 2 * (request[1] + self._extra)) * _BITS * 1000 // self._baud + gap_ms(self._baud)

    async def _quiet(self) -> None:
        if self._reader is None:
            self._reader, self._writer = self._open_line()
        wait_s = (_QUIET_MS if self._dirty else gap_ms(self._baud)) / 1000
        for _ in range(_SILENCES_MAX):
            try:
                found = await asyncio.wait_for(self._reader.read(256), wait_s)  # type: ignore[attr-defined]
            except asyncio.TimeoutError:
                self._dirty = False
                return
            if not found:
                raise EOFError
            self.heard = True
        raise MeterError("the line is never silent")

    async def ask(self, unit: int, function: int, request) -> bytes:  # type: ignore[no-untyped-def]
        """The registers of a request; MeterError for what is no answer to it."""
        first, count, _, after = request
        sent = count + self._extra
        start = first - max(0, self._extra - after)
        body = bytes((unit, function)) + start.to_bytes(2, "big") + sent.to_bytes(2, "big")
        self._owed.append([sent, OWED_CYCLES])
        self._writer.write(body + crc16(body))  # type: ignore[attr-defined]
        await self._writer.drain()  # type: ignore[attr-defined]
        registers = await self._listen(body[:2], 2 * sent)
        at = 2 * (first - start)
        return registers[at : at + 2 * count]

    def _free(self, count: int, before: int, after: int) -> int:
        owed = [debt[0] for debt in self._owed]
        for extra in range(0, before + after + 1, self._step):
            if count + extra not in owed:
                return extra
        raise MeterError("answers to earlier requests may still come")

    async def _listen(self, head: bytes, wanted: int) -> bytes:
        while True:
            frame = await self._reader.readexactly(3)  # type: ignore[attr-defined]
            self.heard = True
            refused = frame[1] & 0x80
            if frame[0] != head[0] or frame[1] & 0x7F != head[1]:
                raise MeterError("an answer to another question")
            frame += await self._reader.readexactly(2 if refused else frame[2] + 2)  # type: ignore[attr-defined]
            if crc16(frame[:-2]) != frame[-2:]:
                raise MeterError("noise on the line")
            if refused or frame[2] == wanted:
                self._settle(wanted // 2)
                return content(head[1], wanted, frame[1:-2])
            if not self._settle(frame[2] // 2):
                raise MeterError("an answer to another question")

    def _settle(self, count: int) -> bool:
        """An answer of so many registers came; whether one was owed."""
        for debt in self._owed:
            if debt[0] == count:
                self._owed.remove(debt)
                return True
        return False
