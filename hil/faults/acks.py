"""A broker whose acknowledgements get lost: a proxy in front of it that ends TLS on both sides.

1. `eat(count)`: so many PUBACKs do not reach the client; with the last of them the connection ends, as that of a broker that
   dies between taking a publication and acknowledging it. Everything else passes unchanged.
2. `eaten`: PUBACKs that were kept back; `again`: publications of the client that came with DUP.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from hil.pki import Identity

_CHUNK = 16_384
_START_S = 5.0
_PUBLISH, _PUBACK, _DUP = 3, 4, 8


class Acks:
    """A context manager; `port` is where the client connects instead of the broker's. client: its identity at the broker."""

    def __init__(self, port: int, ca: Path, server: Identity, client: Identity) -> None:
        self.port = 0
        self.eaten = 0
        self.again = 0
        self._left = 0
        self._broker = port
        self._ends: set[asyncio.StreamWriter] = set()
        self._inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inside.load_cert_chain(server.cert_pem, server.key_pem)
        self._outside = ssl.create_default_context(cafile=str(ca))
        self._outside.load_cert_chain(client.cert_pem, client.key_pem)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Acks":
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    def eat(self, count: int) -> None:
        """Rule 1, from the next PUBACK on."""
        self._left = count

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        for end in self._ends:
            end.transport.abort()
        if tasks := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=_START_S))
        self._loop.close()

    async def _listen(self) -> None:
        listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self._inside)
        self.port = int(listener.sockets[0].getsockname()[1])

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection(
            "127.0.0.1", self._broker, ssl=self._outside, server_hostname="localhost"
        )
        self._ends |= {writer, out}
        both = [asyncio.create_task(self._up(reader, out)), asyncio.create_task(self._down(there, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        for end in (writer, out):
            end.transport.abort()
            self._ends.discard(end)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packets = _Packets()
        while data := await reader.read(_CHUNK):
            for packet in packets.whole(data):
                self.again += packet[0] >> 4 == _PUBLISH and bool(packet[0] & _DUP)
                writer.write(packet)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packets = _Packets()
        while data := await reader.read(_CHUNK):
            for packet in packets.whole(data):
                if packet[0] >> 4 == _PUBACK and self._left:
                    self._left -= 1
                    self.eaten += 1
                    if not self._left:
                        return
                else:
                    writer.write(packet)
            await writer.drain()


class _Packets:
    """MQTT control packets out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = b""

    def whole(self, data: bytes) -> Iterator[bytes]:
        """Each packet that is whole now, with its header."""
        self._buffer += data
        while (end := self._end()) is not None:
            packet, self._buffer = self._buffer[:end], self._buffer[end:]
            yield packet

    def _end(self) -> int | None:
        length = 0
        for at, digit in enumerate(self._buffer[1:5]):
            length |= (digit & 127) << 7 * at
            if not digit & 128:
                end = 2 + at + length
                return end if end <= len(self._buffer) else None
        return None
