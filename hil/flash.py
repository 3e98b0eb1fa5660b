"""NOR flash as it fails: a cut leaves half-programmed cells and half-erased sectors that read differently each time.

1. Programming only clears bits; setting one is a fault of the caller and raises `ProgramError`.
2. A cut comes after `left` steps of work: a programmed byte is one step, an erase is ERASE_STEPS. The byte that was being
   programmed and the sector that was being erased are left part way, with weak cells.
3. A weak cell reads as 0 or 1, anew at each read, until it is programmed again or its sector is erased.

Method: every-byte cuts over a journal (see tests/lightnode/test_journal.py). MicroPython's block-device protocol.
"""

import copy
import random
from collections.abc import Callable

SECTOR = 4096
ERASE_STEPS = 16
_WEAK_AFTER_ERASE = 0.05


class PowerCut(Exception):
    """The device has lost power in the middle of an operation on its flash."""


class ProgramError(AssertionError):
    """A bit was to be programmed from 0 to 1, which no NOR flash can do."""


class NorFlash:
    """Cells, wear and cuts. `left`: steps of work until power fails, None for never; `work`: steps done since the start;
    `programmed`: bytes, `erases`: cycles by sector."""

    def __init__(self, sectors: int, seed: int = 0) -> None:
        self.cells = bytearray(b"\xff" * (SECTOR * sectors))
        self.erases = [0] * sectors
        self.programmed = 0
        self.work = 0
        self.left: int | None = None
        self._weak: dict[int, int] = {}
        self._random = random.Random(seed)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer; weak cells read as they like."""
        start = block * SECTOR + offset
        buffer[:] = self.cells[start : start + len(buffer)]
        for at, bits in self._weak.items():
            if start <= at < start + len(buffer):
                buffer[at - start] ^= bits & self._random.getrandbits(8)

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs bytes one after the other. PowerCut in the middle, ProgramError (rule 1)."""
        start = block * SECTOR + offset
        whole = len(data) if self.left is None else min(self.left, len(data))
        self._program(start, bytes(data[:whole]))
        if whole < len(data):
            self._check(start + whole, data[whole])
            self._spend(1, lambda _done: self._half_program(start + whole, data[whole]))

    def _program(self, start: int, data: bytes) -> None:
        there, wanted = int.from_bytes(self.cells[start : start + len(data)], "big"), int.from_bytes(data, "big")
        if there & wanted != wanted:
            for at, byte in enumerate(data, start):
                self._check(at, byte)
        self.cells[start : start + len(data)] = data
        if self._weak:
            self._weak = {at: bits for at, bits in self._weak.items() if not start <= at < start + len(data)}
        self.programmed += len(data)
        self.work += len(data)
        if self.left is not None:
            self.left -= len(data)

    def _check(self, at: int, byte: int) -> None:
        if self.cells[at] & byte != byte:
            raise ProgramError(f"byte {at} holds {self.cells[at]:02x}, {byte:02x} cannot be programmed over it")

    def ioctl(self, operation: int, argument: int) -> int:
        """4: number of blocks; 5: their size; 6: erases a block."""
        if operation == 4:
            return len(self.erases)
        if operation == 5:
            return SECTOR
        if operation == 6:
            self.erases[argument] += 1
            self._spend(ERASE_STEPS, lambda done: self._half_erase(argument, done / ERASE_STEPS))
            start = argument * SECTOR
            self.cells[start : start + SECTOR] = b"\xff" * SECTOR
            self._weak = {at: bits for at, bits in self._weak.items() if not start <= at < start + SECTOR}
        return 0

    def _spend(self, steps: int, half_done) -> None:  # type: ignore[no-untyped-def]
        self.work += steps
        if self.left is None:
            return
        if self.left < steps:
            done, self.left = self.left, 0
            half_done(done)
            raise PowerCut
        self.left -= steps

    def _half_program(self, at: int, byte: int) -> None:
        bits = self.cells[at] & ~byte
        self.cells[at] &= ~(bits & self._random.getrandbits(8)) & 0xFF
        self._weak[at] = bits

    def _half_erase(self, block: int, part: float) -> None:
        for at in range(block * SECTOR, (block + 1) * SECTOR):
            for bit in range(8):
                if self._random.random() < part:
                    self.cells[at] |= 1 << bit
            if self._random.random() < _WEAK_AFTER_ERASE:
                self._weak[at] = self._random.getrandbits(8)


class CutRecorder(NorFlash):
    """A flash that lives on, and hands out what each cut on its way would have left.

    on_cut(flash, operation) is called with a copy of the flash as a cut would leave it, for the cuts that `wanted` names of
    an operation (its steps: bytes, or ERASE_STEPS): before its first step, inside it, after all but the last.
    """

    def __init__(self, sectors: int, seed: int, wanted: Callable[[int, int], list[int]]) -> None:
        super().__init__(sectors, seed)
        self._wanted = wanted
        self.operations = 0
        self.on_cut: Callable[[NorFlash, int], None] = lambda _flash, _operation: None

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """As NorFlash; first the cuts."""
        self._cut(len(data), lambda flash: flash.writeblocks(block, data, offset))
        super().writeblocks(block, data, offset)

    def ioctl(self, operation: int, argument: int) -> int:
        """As NorFlash; before an erase the cuts."""
        if operation == 6:
            self._cut(ERASE_STEPS, lambda flash: flash.ioctl(operation, argument))
        return super().ioctl(operation, argument)

    def _cut(self, steps: int, operate: Callable[[NorFlash], object]) -> None:
        self.operations += 1
        for left in self._wanted(self.operations, steps):
            image = NorFlash(len(self.erases), self._random.getrandbits(32))
            image.cells, image.erases = bytearray(self.cells), list(self.erases)
            image._weak = copy.copy(self._weak)
            image.left = left
            try:
                operate(image)
            except PowerCut:
                image.left = None
                self.on_cut(image, self.operations)
