"""ESP32-S3 and ESP32-C3: WLAN or a W5500 on SPI, a UART, the partition `journal`, NVS, the task watchdog.

The journal has a partition of its own, found by its label, which journal.path names. The reason of a reset lies in NVS. No
board of this kind was at hand when this was written: types are checked against the port's stubs, logic on stand-ins.
"""

import os

import esp32
import machine
import network
import ntptime
from lightwire import records

from . import board_network
from .board_chip import Watchdog, open_uart
from .board_network import connect as connect
from .board_network import link as link
from .board_network import open_tcp as open_tcp
from .board_port import Terminal
from .board_port import check_files as check_files
from .errors import NodeError
from .system_clock import SystemClock as SystemClock

_NVS = "lightnode"
_REASON = "reason"
_REASON_MOST = 1024
_SECTOR = 4096


def random(count: int) -> bytes:
    """Random bytes of the hardware generator; true ones while the radio is on, so it is on when keys are made."""
    if not board_network.is_used():
        network.WLAN(network.WLAN.IF_STA).active(True)
    return os.urandom(count)


def open_flash(path: str, size: int) -> esp32.Partition:
    """The partition with the label `path`; OSError if there is none or it is smaller than size."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=path)
    if not found:
        raise OSError("no partition " + path)
    blocks = found[0].ioctl(4, 0)
    if blocks is None or blocks < size // _SECTOR:
        raise OSError(f"the partition {path} has {blocks} sectors, {size // _SECTOR} are wanted")
    return found[0]  # type: ignore[no-any-return]


def open_serial(path: str, baud: int = 9600, parity: str = "N", stop_bits: int = 1, **pins: int):  # type: ignore[no-untyped-def]
    """(reader, writer) of the UART with this number, RS-485 with a direction pin if de_pin is given."""
    return open_uart(machine, int, path, (baud, parity, stop_bits), pins)


def open_network(value) -> None:  # type: ignore[no-untyped-def]
    """Begins to join the network of the settings. NodeError if they do not say which."""
    if value("network.interface") != "lan":
        board_network.use_wireless(network, ntptime.settime, value)
        return
    pins = value("network.lan_pins")
    if pins is None:
        raise NodeError("network.lan_pins is missing: the pins sck, mosi, miso, cs and int of the W5500")
    network.hostname(value("network.hostname"))
    sck, mosi, miso, cs, interrupt = [machine.Pin(pin) for pin in pins]
    bus = machine.SPI(1, sck=sck, mosi=mosi, miso=miso)
    lan = network.LAN(0, phy_type=network.PHY_W5500, phy_addr=0, spi=bus, cs=cs, int=interrupt)  # type: ignore[call-arg]
    board_network.use(lan, lambda: None, ntptime.settime, value)


def watchdog(timeout_ms: int) -> Watchdog:
    """Armed from here on."""
    return Watchdog(machine.WDT(timeout=timeout_ms))


def reset_cause() -> int:
    """As the chip says it."""
    cause = machine.reset_cause()
    if cause == machine.WDT_RESET:
        return records.RESET_WATCHDOG
    return records.RESET_POWER if cause in (machine.PWRON_RESET, machine.HARD_RESET) else records.RESET_UNKNOWN


def keep_reason(folder: str, data: bytes) -> None:
    """In NVS, which a broken file system does not touch and a cut leaves old or new; b"" forgets it."""
    try:
        store = esp32.NVS(_NVS)
        store.set_blob(_REASON, data)
        store.commit()
    except OSError:
        return  # a reset must not wait for it


def last_reason(folder: str) -> bytes:
    """What was kept, b"" if nothing is."""
    buffer = bytearray(_REASON_MOST)
    try:
        return bytes(buffer[: esp32.NVS(_NVS).get_blob(_REASON, buffer)])
    except OSError:
        return b""


def open_console() -> Terminal:
    """USB serial, where the REPL is."""
    return Terminal(True)


def largest_block_bytes() -> int:
    """Of the system's heap, where TLS has its buffers: probing Python's would make it grow into that."""
    return max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])
