"""The network of a board that has its own, WLAN or wired. Hardware comes in as objects: this module imports none.

1. The link is brought up again by whoever wants to connect; between attempts nothing waits for it.
2. NTP is a hint that only makes the dates in certificates checkable: it is asked before a connection when the one before
   failed, its answer is never the node's time.
3. A board has one link. Before it is used there is no connection.
"""

import asyncio

from . import board_port
from .compat import sleep_ms
from .errors import NodeError

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


_used: list[Link] = []


def use(interface, join, ask_time, value) -> None:  # type: ignore[no-untyped-def]
    """From here on this is the board's link; arguments as of Link, value(key): a setting."""
    _used[:] = [Link(interface, join, ask_time, value("network.address"))]


def use_wireless(network, ask_time, value) -> None:  # type: ignore[no-untyped-def]
    """The WLAN of the settings; network: the port's module. NodeError if they do not say which."""
    ssid, path = value("network.ssid"), value("network.password_file")
    if ssid is None:
        raise NodeError("network.ssid is missing: the name of the wireless network")
    network.hostname(value("network.hostname"))
    wlan = network.WLAN(network.WLAN.IF_STA)
    use(wlan, lambda: wlan.connect(ssid, password_of(path)), ask_time, value)


def is_used() -> bool:
    """Whether there is a link, up or down."""
    return bool(_used)


def link() -> str:
    """Whether the link is up, and its address."""
    return _used[0].text() if _used else "none"


async def open_tcp(host: str, port: int):  # type: ignore[no-untyped-def]
    """(reader, writer) of a plain TCP connection, for a meter; OSError if it fails."""
    return await _link().connected(asyncio.open_connection(host, port))


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(reader, writer) of a TLS connection with a client certificate. OSError or ValueError if it fails."""
    return await _link().connected(board_port.connect(host, port, ca, cert, key))


def _link() -> Link:
    if not _used:
        raise OSError("no network")
    return _used[0]
