"""Modbus TCP as a link of the master. Modbus Messaging on TCP/IP Implementation Guide V1.0b.

1. An answer counts with the transaction of its request only; others are late and thrown away, listening goes on.
2. What is not Modbus (protocol, length) ends the connection, as does a cycle without an answer: the next request opens it.
"""

from .compat import close
from .errors import MeterError
from .modbus import content

_LONGEST = 254


class TcpLink:
    """`heard`: whether anything came since the master's cycle began."""

    def __init__(self, open_line) -> None:  # type: ignore[no-untyped-def]
        """open_line() is awaited and gives (reader, writer) streams; called again after the connection was lost."""
        self._open_line = open_line
        self._reader = None
        self._writer = None
        self._transaction = 0
        self.heard = False

    def begin(self, answered: bool) -> None:
        """A cycle begins."""
        if not answered:
            self.lost()

    async def ready(self, request) -> int:  # type: ignore[no-untyped-def]
        """0 ms: the line takes no time beside the meter's own."""
        return 0

    def failed(self) -> None:
        """Late answers say whose they are."""

    def lost(self) -> None:
        """The next request opens a new connection."""
        if self._writer is not None:
            close(self._writer)
        self._reader = self._writer = None

    async def ask(self, unit: int, function: int, request) -> bytes:  # type: ignore[no-untyped-def]
        """The registers of a request; MeterError for what is no answer to it."""
        first, count = request[0], request[1]
        if self._reader is None:
            self._reader, self._writer = await self._open_line()
        self._transaction = self._transaction % 0xFFFF + 1
        number = self._transaction.to_bytes(2, "big")
        body = bytes((unit, function)) + first.to_bytes(2, "big") + count.to_bytes(2, "big")
        self._writer.write(number + b"\0\0\0\x06" + body)  # type: ignore[attr-defined]
        await self._writer.drain()  # type: ignore[attr-defined]
        while True:
            head = await self._reader.readexactly(7)  # type: ignore[attr-defined]
            self.heard = True
            length = head[4] << 8 | head[5]
            if head[2:4] != b"\0\0" or not 3 <= length <= _LONGEST:
                self.lost()
                raise MeterError("no Modbus on the connection")
            answer = await self._reader.readexactly(length - 1)  # type: ignore[attr-defined]
            if head[:2] != number:
                continue
            if head[6] != unit:
                raise MeterError("an answer of another unit")
            return content(function, 2 * count, answer)
