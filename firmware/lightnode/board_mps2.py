"""The rig's emulated board (MPS2-AN385) as a board: UART 1 for the meter, a raw flash partition for the journal.

It has no network, so the uplink never connects; everything up to it runs as on a board that is sold.
"""

import asyncio
import os
import time

import machine
import mps2

_JOURNAL_FIRST = 0  # sectors of the flash: 0-159 journal, 160-255 files
_JOURNAL_SECTORS = 160
_SECTOR = 4096


def random(count: int) -> bytes:
    """Bytes of the board's generator, which has a seed: its keys are for the rig."""
    return os.urandom(count)


def open_flash(path: str, size: int):  # type: ignore[no-untyped-def]
    """The journal's partition; path is not used. OSError if it is smaller than that."""
    if size // _SECTOR > _JOURNAL_SECTORS:
        raise OSError(f"the journal's partition has {_JOURNAL_SECTORS} sectors")
    return mps2.Partition(_JOURNAL_FIRST, size // _SECTOR)


def open_serial(path: str):  # type: ignore[no-untyped-def]
    """(reader, writer) streams of the UART with this number."""
    port = machine.UART(int(path), baudrate=9600)
    return asyncio.StreamReader(port), asyncio.StreamWriter(port, {})


def check_files(paths: list[str]) -> str:
    """Nothing is a file here: "" always."""
    return ""


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """OSError: this board has no network."""
    raise OSError("no network")


class SystemClock:
    """Monotonic time of the board since its start; slots come when they are due."""

    def __init__(self) -> None:
        self._ticks = time.ticks_ms()  # type: ignore[attr-defined]
        self._elapsed = 0

    def monotonic_ms(self) -> int:
        """Milliseconds since the start; called at least every six days, before the port's counter turns over twice."""
        now = time.ticks_ms()  # type: ignore[attr-defined]
        self._elapsed += time.ticks_diff(now, self._ticks)  # type: ignore[attr-defined]
        self._ticks = now
        return self._elapsed

    def agrees(self, utc_ms: int) -> bool:
        """A board's clock has no opinion about UTC."""
        return True

    async def next_slot(self, due) -> int | None:  # type: ignore[no-untyped-def]
        """Waits until the instant that due() gives; asks again while waiting, since trust may move the slots."""
        while True:
            mark = due()
            wait = mark - self.monotonic_ms()
            if wait <= 0:
                return mark  # type: ignore[no-any-return]
            await asyncio.sleep_ms(min(wait, 500))  # type: ignore[attr-defined]

    async def done(self, facts) -> None:  # type: ignore[no-untyped-def]
        """Nobody waits."""
