"""The rig's emulated board (MPS2-AN385) as a board: UART 1 for the meter, a raw flash partition for the journal.

It has no network, so the uplink never connects; everything up to it runs as on a board that is sold.
"""

import asyncio
import os

import machine
import mps2
from lightwire import records

from .board_port import Terminal
from .board_port import keep_reason as keep_reason
from .board_port import last_reason as last_reason
from .heap import largest_block_bytes as largest_block_bytes
from .system_clock import SystemClock as SystemClock

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


def open_serial(path: str, baud: int = 9600, parity: str = "N", stop_bits: int = 1, **pins: object):  # type: ignore[no-untyped-def]
    """(reader, writer) streams of the UART with this number; the emulated UART has no parity and one stop bit."""
    port = machine.UART(int(path), baudrate=baud)
    return asyncio.StreamReader(port), asyncio.StreamWriter(port, {})


def check_files(paths: list[str]) -> str:
    """Nothing is a file here: "" always."""
    return ""


def open_network(value) -> None:  # type: ignore[no-untyped-def]
    """There is none."""


def link() -> str:
    """There is none."""
    return "none"


async def open_tcp(host: str, port: int):  # type: ignore[no-untyped-def]
    """OSError: this board has no network."""
    raise OSError("no network")


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """OSError: this board has no network."""
    raise OSError("no network")


class Watchdog:
    """The board's watchdog. It cannot be stopped."""

    def __init__(self, timeout_ms: int) -> None:
        self._timer = machine.WDT(timeout=timeout_ms)

    def feed(self) -> None:
        """Begins anew."""
        self._timer.feed()

    def release(self) -> None:
        """It goes on."""


def watchdog(timeout_ms: int) -> Watchdog:
    """Armed from here on."""
    return Watchdog(timeout_ms)


def reset_cause() -> int:
    """Whether the watchdog or the power began this start."""
    return records.RESET_WATCHDOG if mps2.by_watchdog() else records.RESET_POWER


def open_console() -> Terminal:
    """UART 0, where the REPL is."""
    return Terminal(True)
