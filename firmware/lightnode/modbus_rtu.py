"""Modbus RTU as a link of the master: a serial line. Modbus over Serial Line V1.02.

1. A frame counts with the right CRC only. Before a request the line must have been silent for 3.5 characters, longer after
   a failure; what came meanwhile is thrown away.
2. RTU frames have no number. A request that was not answered is *owed*: as long as its answer may still come, for
   OWED_CYCLES cycles, no request of the same length is sent; its neighbours in the map are read with it instead. So a late
   answer is known by its length, never taken for this one, and listening goes on.
3. If every length a request may have is owed, it is not sent.
4. What is on its way is not waited for byte by byte: the device would wake for each.
"""

from .compat import heard, said, sleep_ms
from .errors import MeterError
from .modbus import content

OWED_CYCLES = 24
_QUIET_MS = 20
_BITS = 11  # of a character on the line
_SILENCES_MAX = 64
_SUMS_KEPT = 4


# fmt: off
# of a byte, the low halves and the high ones; a literal lies in the firmware, not in the heap
_LOW = (
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41"
    b"\x01\xc0\x80\x41\x00\xc1\x81\x40\x00\xc1\x81\x40\x01\xc0\x80\x41\x00\xc1\x81\x40\x01\xc0\x80\x41\x01\xc0\x80\x41\x00\xc1\x81\x40"
)
_HIGH = (
    b"\x00\xc0\xc1\x01\xc3\x03\x02\xc2\xc6\x06\x07\xc7\x05\xc5\xc4\x04\xcc\x0c\x0d\xcd\x0f\xcf\xce\x0e\x0a\xca\xcb\x0b\xc9\x09\x08\xc8"
    b"\xd8\x18\x19\xd9\x1b\xdb\xda\x1a\x1e\xde\xdf\x1f\xdd\x1d\x1c\xdc\x14\xd4\xd5\x15\xd7\x17\x16\xd6\xd2\x12\x13\xd3\x11\xd1\xd0\x10"
    b"\xf0\x30\x31\xf1\x33\xf3\xf2\x32\x36\xf6\xf7\x37\xf5\x35\x34\xf4\x3c\xfc\xfd\x3d\xff\x3f\x3e\xfe\xfa\x3a\x3b\xfb\x39\xf9\xf8\x38"
    b"\x28\xe8\xe9\x29\xeb\x2b\x2a\xea\xee\x2e\x2f\xef\x2d\xed\xec\x2c\xe4\x24\x25\xe5\x27\xe7\xe6\x26\x22\xe2\xe3\x23\xe1\x21\x20\xe0"
    b"\xa0\x60\x61\xa1\x63\xa3\xa2\x62\x66\xa6\xa7\x67\xa5\x65\x64\xa4\x6c\xac\xad\x6d\xaf\x6f\x6e\xae\xaa\x6a\x6b\xab\x69\xa9\xa8\x68"
    b"\x78\xb8\xb9\x79\xbb\x7b\x7a\xba\xbe\x7e\x7f\xbf\x7d\xbd\xbc\x7c\xb4\x74\x75\xb5\x77\xb7\xb6\x76\x72\xb2\xb3\x73\xb1\x71\x70\xb0"
    b"\x50\x90\x91\x51\x93\x53\x52\x92\x96\x56\x57\x97\x55\x95\x94\x54\x9c\x5c\x5d\x9d\x5f\x9f\x9e\x5e\x5a\x9a\x9b\x5b\x99\x59\x58\x98"
    b"\x88\x48\x49\x89\x4b\x8b\x8a\x4a\x4e\x8e\x8f\x4f\x8d\x4d\x4c\x8c\x44\x84\x85\x45\x87\x47\x46\x86\x82\x42\x43\x83\x41\x81\x80\x40"
)
# fmt: on


def crc16(data: bytes) -> bytes:
    """CRC of a frame, low byte first (Modbus over Serial Line V1.02, 6.2.2)."""
    lows = _LOW
    highs = _HIGH
    low = high = 0xFF
    for byte in data:
        byte ^= low
        low = high ^ lows[byte]
        high = highs[byte]
    return bytes((low, high))


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
        self._sums: dict[bytes, bytes] = {}  # CRCs of the requests, which are the same in most cycles
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
        wait_ms = _QUIET_MS if self._dirty else gap_ms(self._baud)
        for _ in range(_SILENCES_MAX):
            found = await heard(self._reader, wait_ms)
            if found is None:
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
        if body not in self._sums:
            if len(self._sums) >= _SUMS_KEPT:
                self._sums.clear()
            self._sums[body] = crc16(body)
        await said(self._writer, body + self._sums[body])
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
        found = b""
        while True:
            found = await self._more(found, 5, 5 + wanted)
            refused = found[1] & 0x80
            if found[0] != head[0] or found[1] & 0x7F != head[1]:
                raise MeterError("an answer to another question")
            end = 5 if refused else 5 + found[2]
            found = await self._more(found, end, end)
            frame, found = found[:end], found[end:]
            if crc16(frame[:-2]) != frame[-2:]:
                raise MeterError("noise on the line")
            if refused or frame[2] == wanted:
                self._settle(wanted // 2)
                return content(head[1], wanted, frame[1:-2])
            if not self._settle(frame[2] // 2):
                raise MeterError("an answer to another question")

    async def _more(self, found: bytes, least: int, most: int) -> bytes:
        """What was found and what follows, `least` bytes or up to `most`. Rule 4: sleeps while they are on the line."""
        while len(found) < least:
            if found:
                await sleep_ms((least - len(found)) * _BITS * 1000 // self._baud)
            some = await self._reader.read(most - len(found))  # type: ignore[attr-defined]
            if not some:
                raise EOFError
            self.heard = True
            found += some
        return found

    def _settle(self, count: int) -> bool:
        """An answer of so many registers came; whether one was owed."""
        for debt in self._owed:
            if debt[0] == count:
                self._owed.remove(debt)
                return True
        return False
