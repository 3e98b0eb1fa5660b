"""The unix port as a board: a tty for the meter, a file for the journal's flash, sockets, os.urandom.

Two clocks: the system's, or a conductor's, whose ticks are the only time that signing, slots and set-points see.
"""

import asyncio
import json
import os
import time

SECTOR = 4096


def random(count: int) -> bytes:
    """Random bytes of the system."""
    return os.urandom(count)


class FileFlash:
    """A file with the block-device protocol; erased bytes are 0xFF; every write reaches the system before it returns."""

    def __init__(self, path: str, size: int) -> None:
        self._blocks = size // SECTOR
        try:
            self._file = open(path, "r+b")
        except OSError:
            with open(path, "wb") as new:
                for _ in range(self._blocks):
                    new.write(b"\xff" * SECTOR)
            self._file = open(path, "r+b")

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer."""
        self._file.seek(block * SECTOR + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs bytes."""
        self._file.seek(block * SECTOR + offset)
        self._file.write(data)
        self._file.flush()

    def ioctl(self, operation: int, argument: int) -> int:
        """4: number of blocks; 6: erase a block."""
        if operation == 4:
            return self._blocks
        if operation == 6:
            self.writeblocks(argument, b"\xff" * SECTOR)
        return 0


def open_serial(path: str):  # type: ignore[no-untyped-def]
    """(reader, writer) streams of a tty in raw mode."""
    import termios

    port = open(path, "r+b", 0)
    termios.setraw(port.fileno())
    return asyncio.StreamReader(port), asyncio.StreamWriter(port, {})


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(reader, writer) of a TLS connection with a client certificate; files in DER. OSError or ValueError if it fails."""
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    with open(ca, "rb") as file:
        context.load_verify_locations(file.read())
    with open(cert, "rb") as file:
        certificate = file.read()
    with open(key, "rb") as file:
        context.load_cert_chain(certificate, file.read())
    return await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost")


class SystemClock:
    """Monotonic time of the machine; slots come when they are due."""

    def __init__(self) -> None:
        self._next = 0

    def monotonic_ms(self) -> int:
        """Milliseconds since some start, never back."""
        return time.time_ns() // 1_000_000

    async def next_slot(self) -> int | None:
        """Waits for the next slot mark, in monotonic ms: absolute, without drift."""
        now = self.monotonic_ms()
        self._next = max(self._next + 4000, now // 4000 * 4000)
        wait = self._next - now
        if wait > 0:
            await asyncio.sleep_ms(wait)  # type: ignore[attr-defined]
        return self._next

    async def done(self, facts) -> None:  # type: ignore[no-untyped-def]
        """Nothing to tell."""


class ConductedClock:
    """Ticks of a conductor; monotonic time is theirs, so it passes only from tick to tick."""

    def __init__(self, address: str) -> None:
        self._host, port = address.split(":")
        self._port = int(port)
        self._mark = 0
        self._tick = 0
        self._start = 0
        self._reader = None
        self._writer = None

    async def join(self, name: str) -> None:
        """Connects and says who it is."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        await self._say({"part": name, "phase": 2})

    def monotonic_ms(self) -> int:
        """The mark of the present tick; before the first one 0."""
        return self._mark

    async def next_slot(self) -> int | None:
        """The next tick's mark; None when the conductor ends the day or goes away."""
        line = await self._reader.readline()  # type: ignore[attr-defined]
        message = json.loads(line) if line else {"end": True}
        if message.get("end"):
            return None
        self._tick, self._mark = message["tick"], message["utc_ms"]
        return self._mark

    async def done(self, facts) -> None:  # type: ignore[no-untyped-def]
        """Closes the tick with what the conductor should know."""
        facts["done"] = self._tick
        await self._say(facts)

    async def _say(self, message) -> None:  # type: ignore[no-untyped-def]
        self._writer.write(json.dumps(message).encode() + b"\n")  # type: ignore[attr-defined]
        await self._writer.drain()  # type: ignore[attr-defined]
