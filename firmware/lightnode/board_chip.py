"""What the boards that are sold do alike. Hardware comes in as objects: this module imports none.

1. The link is brought up again by whoever wants to connect; between attempts nothing waits for it.
2. NTP is a hint that only makes the dates in certificates checkable: it is asked before a connection when the one before
   failed, its answer is never the node's time.
3. RS-485 with a direction pin: the pin is high from before the first bit until after the last. Sending blocks that long,
   9 ms for a request at 9600 baud: a meter answers after 3.5 characters, which no other task may overrun.
"""

import asyncio

from .compat import sleep_ms
from .errors import NodeError

PAGE = 256
SECTOR = 4096
_LINK_MS = 20_000
_POLL_MS = 250


class Link:
    """A network interface. join(): begins to join its network; ask_time(): NTP, once."""

    def __init__(self, interface, join, ask_time, address) -> None:  # type: ignore[no-untyped-def]
        """interface: as of MicroPython's network; address: (address, mask, gateway, name server), None for DHCP."""
        self._interface = interface
        self._join = join
        self._ask_time = ask_time
        self._well = False
        interface.active(True)
        if address is not None:
            interface.ifconfig(address)
        self._try_join()

    async def up(self) -> None:
        """The link is up; OSError if it does not come up within 20 s."""
        if not self._interface.isconnected():
            self._try_join()
        for _ in range(_LINK_MS // _POLL_MS):
            if self._interface.isconnected():
                break
            await sleep_ms(_POLL_MS)
        else:
            raise OSError("no link")
        if not self._well:
            try:
                self._ask_time()
            except (OSError, ValueError, IndexError, OverflowError):
                pass  # rule 2: without a hint the certificate's dates decide

    async def connected(self, connection):  # type: ignore[no-untyped-def]
        """What the coroutine `connection` gives, over a link that is up."""
        try:
            await self.up()
        except OSError:
            connection.close()
            raise
        self._well = False
        found = await connection
        self._well = True
        return found

    def text(self) -> str:
        """For the installer."""
        return ("up, " if self._interface.isconnected() else "down, ") + self._interface.ifconfig()[0]

    def _try_join(self) -> None:
        try:
            self._join()
        except OSError:
            return  # it is joining already


def password_of(path: str | None) -> str:
    """The first line of the file that holds a network's password, "" for an open network. NodeError without the content."""
    if path is None:
        return ""
    try:
        with open(path) as file:
            return file.readline().strip()
    except (OSError, UnicodeError):
        raise NodeError("network.password_file " + path + " cannot be read")


class HalfDuplex:
    """The writing side of an RS-485 line with a direction pin (rule 3): write(data), then drain()."""

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
