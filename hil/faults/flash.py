"""Slow flash around any block device: worn cells and busy buses take their time."""

import time
from collections.abc import Callable
from typing import Any


class SlowFlash:
    """The block-device protocol with waits. `spent_ms`: waited so far; sleep(seconds) may be a virtual one."""

    def __init__(
        self,
        flash: Any,
        program_ms: float = 3.0,
        erase_ms: float = 400.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """program_ms: for each started page of 256 bytes; erase_ms: for each sector. Data-sheet maxima of serial NOR."""
        self._flash = flash
        self._program_ms = program_ms
        self._erase_ms = erase_ms
        self._sleep = sleep
        self.spent_ms = 0.0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer, at once."""
        self._flash.readblocks(block, buffer, offset)

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs after the wait for its pages."""
        pages = (offset + len(data) + 255) // 256 - offset // 256
        self._wait(pages * self._program_ms)
        self._flash.writeblocks(block, data, offset)

    def ioctl(self, operation: int, argument: int) -> Any:
        """As the device, an erase after its wait."""
        if operation == 6:
            self._wait(self._erase_ms)
        return self._flash.ioctl(operation, argument)

    def _wait(self, duration_ms: float) -> None:
        self.spent_ms += duration_ms
        self._sleep(duration_ms / 1000)
