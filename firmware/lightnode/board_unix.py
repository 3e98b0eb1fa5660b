"""The unix port as a board: a tty for the meter, a file for the journal's flash, sockets, os.urandom."""

import asyncio
import os
import sys

from lightwire import records

from .board_port import Terminal, secured
from .board_port import check_files as check_files
from .board_port import keep_reason as keep_reason
from .board_port import last_reason as last_reason
from .compat import close
from .heap import largest_block_bytes as largest_block_bytes
from .system_clock import SystemClock as SystemClock

SECTOR = 4096
_F_SETFL = 4
_O_NONBLOCK = 0o4000  # of Linux; 4 on the others
# Linux, asm-generic/termbits.h: MicroPython's termios does not name them
_SPEEDS = {300: 7, 600: 8, 1200: 9, 2400: 11, 4800: 12, 9600: 13, 19200: 14, 38400: 15, 57600: 4097, 115200: 4098}
_CS8, _CSTOPB, _CREAD, _CLOCAL = 0o60, 0o100, 0o200, 0o4000
_PARITIES = {"N": 0, "E": 0o400, "O": 0o1400}
_CFLAGS = 0o10017 | _CS8 | _CSTOPB | 0o1400  # speed, size, stop bits, parity


def random(count: int) -> bytes:
    """Random bytes of the system."""
    return os.urandom(count)


class FileFlash:
    """A file with the block-device protocol; erased bytes are 0xFF; every write reaches the disk before it returns."""

    def __init__(self, path: str, size: int) -> None:
        self._blocks = size // SECTOR
        self._file = _open_whole(path, self._blocks)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer."""
        self._file.seek(block * SECTOR + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs bytes; flush is fsync in this port."""
        self._file.seek(block * SECTOR + offset)
        self._file.write(data)
        self._file.flush()

    def ioctl(self, operation: int, argument: int) -> int:
        """4: number of blocks; 5: their size; 6: erase a block."""
        if operation == 4:
            return self._blocks
        if operation == 5:
            return SECTOR
        if operation == 6:
            self.writeblocks(argument, b"\xff" * SECTOR)
        return 0


def open_flash(path: str, size: int) -> FileFlash:
    """The journal's device."""
    return FileFlash(path, size)


def _open_whole(path: str, blocks: int):  # type: ignore[no-untyped-def]
    """The file with at least this many blocks; what is missing (a first start, or one that was cut) is appended blank."""
    try:
        file = open(path, "r+b")
    except OSError:
        open(path, "wb").close()
        file = open(path, "r+b")
    size = file.seek(0, 2)
    if size % SECTOR:
        file.write(b"\xff" * (SECTOR - size % SECTOR))
    for _ in range((size + SECTOR - 1) // SECTOR, blocks):
        file.write(b"\xff" * SECTOR)
    file.flush()
    return file


def open_serial(path: str, baud: int = 9600, parity: str = "N", stop_bits: int = 1, **pins: object):  # type: ignore[no-untyped-def]
    """(reader, writer) streams of a tty in raw mode; OSError if it is not there or has no such speed."""
    import termios

    if baud not in _SPEEDS:
        raise OSError(f"{path} has no {baud} baud")
    port = open(path, "r+b", 0)
    termios.setraw(port.fileno())
    attributes = termios.tcgetattr(port.fileno())
    if sys.platform == "linux":
        flags = _CS8 | _CREAD | _CLOCAL | _PARITIES[parity] | (_CSTOPB if stop_bits == 2 else 0)
        attributes[2] = attributes[2] & ~_CFLAGS | _SPEEDS[baud] | flags
        attributes[4] = attributes[5] = _SPEEDS[baud]
    # VMIN and VTIME are the numbers among the bytes: at 0 a read gives what is there and never waits for more
    attributes[6] = [0 if isinstance(entry, int) else entry for entry in attributes[6]]
    termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
    return asyncio.StreamReader(port), asyncio.StreamWriter(port, {})


def open_network(value) -> None:  # type: ignore[no-untyped-def]
    """The system has its own network."""


def link() -> str:
    """The system's network."""
    return "of the system"


async def open_tcp(host: str, port: int):  # type: ignore[no-untyped-def]
    """(reader, writer) of a plain TCP connection, for a meter; OSError if it fails."""
    return await _connection(host, port, lambda port: port)


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(reader, writer) of a TLS connection with a client certificate. OSError or ValueError if it fails."""
    context, name = secured(host, ca, cert, key)

    def wrapped(port):  # type: ignore[no-untyped-def]
        return context.wrap_socket(port, server_hostname=name, do_handshake_on_connect=False)

    return await _connection(host, port, wrapped)


async def _connection(host: str, port: int, wrapped):  # type: ignore[no-untyped-def]
    """wrapped(socket): what it is spoken through. asyncio.open_connection would leave its socket open when it fails or is
    cancelled, and this port's collector closes none."""
    import errno
    import socket

    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    made = socket.socket(found[0], found[1], found[2])
    stream = asyncio.StreamReader(made, {"port": made})  # type: ignore[arg-type, call-arg]
    is_open = False
    try:
        made.setblocking(False)
        try:
            made.connect(found[-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        stream.s = wrapped(made)  # type: ignore[attr-defined]
        stream.s.setblocking(False)  # type: ignore[attr-defined]
        await _writable(stream.s)  # type: ignore[attr-defined]
        is_open = True
    finally:
        if not is_open:
            close(stream)
    return stream, stream


def _writable(port):  # type: ignore[no-untyped-def]
    yield asyncio.core._io_queue.queue_write(port)  # type: ignore[attr-defined]


class Watchdog:
    """alarm(2): unfed, the kernel ends the process, whatever it is stuck in."""

    def __init__(self, timeout_ms: int) -> None:
        import ffi

        self._alarm = ffi.open(None).func("I", "alarm", "I")
        self._seconds = (timeout_ms + 999) // 1000
        self.feed()

    def feed(self) -> None:
        """Begins anew."""
        self._alarm(self._seconds)

    def release(self) -> None:
        """The process ends by itself."""
        self._alarm(0)


def watchdog(timeout_ms: int) -> Watchdog:
    """The kernel's alarm clock."""
    return Watchdog(timeout_ms)


def reset_cause() -> int:
    """What is not kept was a loss of power: nobody tells a process how the one before it ended."""
    return records.RESET_POWER


def open_console() -> Terminal:
    """The process's terminal, which echoes by itself."""
    return Terminal(False, _unblocked_output())


def _unblocked_output():  # type: ignore[no-untyped-def]
    """Standard output opened once more, not blocking: a terminal with room for one byte is ready, and then takes no more.

    None where it cannot be opened: a socket.
    """
    import ffi

    try:
        output = open("/dev/stdout", "ab", 0)
    except OSError:
        return None
    ffi.open(None).func("i", "fcntl", "iii")(output.fileno(), _F_SETFL, _O_NONBLOCK if sys.platform == "linux" else 4)
    return output
