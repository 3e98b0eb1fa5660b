"""RP2040 and RP2350 with wireless: WLAN, a UART, the end of the flash for the journal, the watchdog of 8.3 s.

The journal lies in the last journal.bytes of the flash's storage; the image's `_boot.py` has LittleFS in front of it
(firmware/device/rp2). This flash programs whole pages. No board of this kind was at hand when this was written: types are
checked against the port's stubs, logic on stand-ins.
"""

import os

import machine
import network
import ntptime
import rp2
from lightwire import records

from . import board_network
from .board_chip import PagedFlash, Watchdog, open_uart
from .board_network import connect as connect
from .board_network import link as link
from .board_network import open_tcp as open_tcp
from .board_port import Terminal
from .board_port import check_files as check_files
from .board_port import keep_reason as keep_reason
from .board_port import last_reason as last_reason
from .errors import NodeError
from .heap import largest_block_bytes as largest_block_bytes
from .system_clock import SystemClock as SystemClock

WATCHDOG_MOST_MS = 8388  # 24 bits of half microseconds on the RP2040
_SECTOR = 4096


def random(count: int) -> bytes:
    """Random bytes of the ring oscillator's generator."""
    return os.urandom(count)


def open_flash(path: str, size: int) -> PagedFlash:
    """The last `size` bytes of the flash's storage; path is not used. OSError if the file system reaches into them."""
    blocks = rp2.Flash().ioctl(4, 0) or 0
    files = os.statvfs("/")
    if files[1] * files[2] > blocks * _SECTOR - size:
        raise OSError(f"the file system of {files[1] * files[2]} bytes reaches into a journal of {size}")
    return PagedFlash(rp2.Flash(start=blocks * _SECTOR - size, len=size))


def open_serial(path: str, baud: int = 9600, parity: str = "N", stop_bits: int = 1, **pins: int):  # type: ignore[no-untyped-def]
    """(reader, writer) of the UART with this number, RS-485 with a direction pin if de_pin is given."""
    return open_uart(machine, machine.Pin, path, (baud, parity, stop_bits), pins)


def open_network(value) -> None:  # type: ignore[no-untyped-def]
    """Begins to join the wireless network of the settings. NodeError if they do not say which."""
    if value("network.interface") != "wlan":
        raise NodeError("network.interface is lan: this board has a wireless network only")
    board_network.use_wireless(network, ntptime.settime, value)


def watchdog(timeout_ms: int) -> Watchdog:
    """Armed from here on, with as much of the time as the hardware can count."""
    return Watchdog(machine.WDT(timeout=min(timeout_ms, WATCHDOG_MOST_MS)))


def reset_cause() -> int:
    """As the chip says it; machine.reset() of this port works by the watchdog, but then a reason was kept."""
    return records.RESET_WATCHDOG if machine.reset_cause() == machine.WDT_RESET else records.RESET_POWER


def open_console() -> Terminal:
    """USB serial, where the REPL is."""
    return Terminal(True)
