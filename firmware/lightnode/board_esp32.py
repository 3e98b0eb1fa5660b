"""ESP32-S3 and ESP32-C3: WLAN or a W5500 on SPI, a UART, the partition `journal`, NVS, the task watchdog.

The journal has a partition of its own, found by its label, which journal.path names. The reason of a reset lies in NVS. No
board of this kind was at hand when this was written: types are checked against the port's stubs, logic on stand-ins.
"""

import asyncio
import os

import esp32
import machine
import network
import ntptime
from lightwire import records

from . import board_port
from .board_chip import Link, Watchdog, password_of, streams
from .board_port import Terminal
from .board_port import check_files as check_files
from .errors import NodeError
from .system_clock import SystemClock as SystemClock

_NVS = "lightnode"
_REASON = "reason"
_REASON_MOST = 1024
_SECTOR = 4096
_RX_BYTES = 512
_PARITIES = {"N": None, "E": 0, "O": 1}
_link: Link | None = None


def random(count: int) -> bytes:
    """Random bytes of the hardware generator; true ones while the radio is on, so it is on when keys are made."""
    if _link is None:
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


def open_serial(
    path: str,
    baud: int = 9600,
    parity: str = "N",
    stop_bits: int = 1,
    tx_pin: int | None = None,
    rx_pin: int | None = None,
    de_pin: int | None = None,
):  # type: ignore[no-untyped-def]
    """(reader, writer) of the UART with this number, RS-485 with a direction pin if de_pin is given."""
    port = machine.UART(int(path), baudrate=baud, bits=8, parity=_PARITIES[parity], stop=stop_bits, rxbuf=_RX_BYTES)
    if tx_pin is not None and rx_pin is not None:
        port.init(tx=tx_pin, rx=rx_pin)
    direction = None if de_pin is None else machine.Pin(de_pin, machine.Pin.OUT)
    return streams(port, direction)


def open_network(value) -> None:  # type: ignore[no-untyped-def]
    """Begins to join the network of the settings. NodeError if they do not say which."""
    global _link
    network.hostname(value("network.hostname"))
    if value("network.interface") == "lan":
        pins = value("network.lan_pins")
        if pins is None:
            raise NodeError("network.lan_pins is missing: the pins sck, mosi, miso, cs and int of the W5500")
        sck, mosi, miso, cs, interrupt = [machine.Pin(pin) for pin in pins]
        bus = machine.SPI(1, sck=sck, mosi=mosi, miso=miso)
        lan = network.LAN(0, phy_type=network.PHY_W5500, phy_addr=0, spi=bus, cs=cs, int=interrupt)  # type: ignore[call-arg]
        _link = Link(lan, lambda: None, ntptime.settime, value("network.address"))
        return
    ssid, path = value("network.ssid"), value("network.password_file")
    if ssid is None:
        raise NodeError("network.ssid is missing: the name of the wireless network")
    wlan = network.WLAN(network.WLAN.IF_STA)
    _link = Link(wlan, lambda: wlan.connect(ssid, password_of(path)), ntptime.settime, value("network.address"))


def link() -> str:
    """Whether the link is up, and its address."""
    return _link.text() if _link is not None else "none"


async def open_tcp(host: str, port: int):  # type: ignore[no-untyped-def]
    """(reader, writer) of a plain TCP connection, for a meter; OSError if it fails."""
    if _link is None:
        raise OSError("no network")
    return await _link.connected(asyncio.open_connection(host, port))


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(reader, writer) of a TLS connection with a client certificate. OSError or ValueError if it fails."""
    if _link is None:
        raise OSError("no network")
    return await _link.connected(board_port.connect(host, port, ca, cert, key))


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
