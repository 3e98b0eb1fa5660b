"""What the boards that are sold do alike with lines, flash and watchdog. Hardware comes in as objects: it imports none.

RS-485 with a direction pin: the pin is high from before the first bit until after the last. Sending blocks that long, 9 ms
for a request at 9600 baud: a meter answers after 3.5 characters, which no other task may overrun.
"""

import asyncio

from .compat import sleep_ms

PAGE = 256
_RX_BYTES = 512
_PARITIES = {"N": None, "E": 0, "O": 1}


def open_uart(machine, as_pin, path: str, line, pins: dict[str, int]):  # type: ignore[no-untyped-def]
    """(reader, writer) of the UART with this number.

    machine: the port's module; as_pin(number): what its UART takes for a pin; line: (baud, parity N, E or O, stop bits);
    pins: tx_pin and rx_pin, else the UART's own, and de_pin if an RS-485 driver wants its direction."""
    baud, parity, stop_bits = line
    port = machine.UART(int(path), baudrate=baud, bits=8, parity=_PARITIES[parity], stop=stop_bits, rxbuf=_RX_BYTES)
    if "tx_pin" in pins and "rx_pin" in pins:
        port.init(tx=as_pin(pins["tx_pin"]), rx=as_pin(pins["rx_pin"]))
    return streams(port, machine.Pin(pins["de_pin"], machine.Pin.OUT) if "de_pin" in pins else None)


class HalfDuplex:
    """The writing side of an RS-485 line with a direction pin: write(data), then drain()."""

    def __init__(self, port, direction) -> None:  # type: ignore[no-untyped-def]
        """port: a UART; direction(level) sets the pin."""
        self._port = port
        self._direction = direction
        self._waiting = b""
        direction(0)

    def write(self, data: bytes) -> None:
        """Goes out with the next drain."""
        self._waiting += data

    async def drain(self) -> None:
        """Sends; the line listens again afterwards, also after an error."""
        data, self._waiting = self._waiting, b""
        self._direction(1)
        try:
            self._port.write(data)
            self._port.flush()
        finally:
            self._direction(0)
        await sleep_ms(0)


def streams(port, direction):  # type: ignore[no-untyped-def]
    """(reader, writer) of a UART; direction: sets the RS-485 pin, None if the transceiver turns by itself."""
    writer = asyncio.StreamWriter(port, {}) if direction is None else HalfDuplex(port, direction)
    return asyncio.StreamReader(port), writer


class PagedFlash:
    """A flash that programs whole pages of 256 bytes, as one that programs any bytes: what is not written is 0xFF, which
    changes nothing on NOR cells. Erase is of sectors of 4096 bytes."""

    def __init__(self, flash) -> None:  # type: ignore[no-untyped-def]
        self._flash = flash
        self._page = bytearray(PAGE)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer."""
        self._flash.readblocks(block, buffer, offset)

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs the pages that the bytes touch, in order, each once."""
        at = 0
        while at < len(data):
            begin = (offset + at) % PAGE
            count = min(PAGE - begin, len(data) - at)
            for k in range(PAGE):
                self._page[k] = 0xFF
            self._page[begin : begin + count] = data[at : at + count]
            self._flash.writeblocks(block, self._page, offset + at - begin)
            at += count

    def ioctl(self, operation: int, argument: int):  # type: ignore[no-untyped-def]
        """As of the flash."""
        return self._flash.ioctl(operation, argument)


class Watchdog:
    """A hardware watchdog with feed(). It cannot be stopped."""

    def __init__(self, timer) -> None:  # type: ignore[no-untyped-def]
        self._timer = timer

    def feed(self) -> None:
        """Begins anew."""
        self._timer.feed()

    def release(self) -> None:
        """It goes on."""
