"""The rig's emulated board (MPS2-AN385) as a board: UART 1 for the meter, a raw flash partition for the journal.

It has no network, so the uplink never connects; everything up to it runs as on a board that is sold.
"""

import asyncio
import os

import machine
import mps2

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


def open_serial(path: str, baud: int = 9600, parity: str = "N", stop_bits: int = 1):  # type: ignore[no-untyped-def]
    """(reader, writer) streams of the UART with this number; the emulated UART has no parity and one stop bit."""
    port = machine.UART(int(path), baudrate=baud)
    return asyncio.StreamReader(port), asyncio.StreamWriter(port, {})


def check_files(paths: list[str]) -> str:
    """Nothing is a file here: "" always."""
    return ""


async def open_tcp(host: str, port: int):  # type: ignore[no-untyped-def]
    """OSError: this board has no network."""
    raise OSError("no network")


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """OSError: this board has no network."""
    raise OSError("no network")
