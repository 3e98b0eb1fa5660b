"""A bad link: a TCP proxy on loopback between anyone and a server on loopback.

1. A connection is cut after its share of bytes, both ways counted together, with a reset: exactly n bytes have passed.
2. A stalled link is open at both ends and carries nothing, as with a pulled cable; new connections wait too. `resume` lets
   what was held pass, in order, `reset` ends everything.
3. Delay and jitter never turn the order of a stream; lost connections are refused by a reset at the start. TCP repairs
   what happens to packets, so loss, duplicates and reordering of packets are hil.faults.netem's.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

_CHUNK = 4096
_START_S = 5.0


class Link:
    """A context manager; `port` is where to connect instead of the server's. Settings may be changed at any time.

    delay_ms, jitter_ms: for each chunk, each way. bytes_per_s: 0 is without limit. lose: share of connections, 0 to 1.
    `connections`: accepted so far; `passed`: bytes of the youngest one.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", seed: int = 0) -> None:
        self.host = host
        self.port = 0
        self.delay_ms = 0
        self.jitter_ms = 0
        self.bytes_per_s = 0
        self.lose = 0.0
        self.connections = 0
        self.passed = 0
        self._server = host, port
        self._random = random.Random(seed)
        self._cuts: deque[int] = deque()
        self._open: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Link":
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise RuntimeError("the link's proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)

    def cut_after(self, *counts: int) -> None:
        """The next connections are cut after these numbers of bytes, one each (rule 1)."""
        self._cuts.extend(counts)

    @property
    def cuts_left(self) -> int:
        """How many of them are still to come."""
        return len(self._cuts)

    @property
    def is_flowing(self) -> bool:
        """Whether it is not stalled."""
        return self._flowing.is_set()

    def stall(self) -> None:
        """Nothing passes any more (rule 2)."""
        self._call(self._flowing.clear)

    def resume(self) -> None:
        """What was held passes."""
        self._call(self._flowing.set)

    def reset(self) -> None:
        """Every connection ends at once; the link itself stays as it is."""
        self._call(self._reset_all)

    def _reset_all(self) -> None:
        for pair in list(self._open):
            pair.reset()

    def _call(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(_START_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        self._reset_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        listener = await asyncio.start_server(self._accepted, self.host, 0)
        self.port = int(listener.sockets[0].getsockname()[1])

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.passed = 0
        pair = _Pair(writer, self._cuts.popleft() if self._cuts else None)
        self._open.add(pair)
        try:
            await self._flowing.wait()
            if self._random.random() < self.lose:
                return
            there, pair.server = await asyncio.open_connection(*self._server)
            await asyncio.gather(self._pump(reader, pair.server, pair), self._pump(there, writer, pair))
            pair.close()
        except OSError:
            return  # one end is gone: so is the other
        finally:
            if not pair.is_closed:
                pair.reset()
            self._open.discard(pair)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: "_Pair") -> None:
        while data := await reader.read(_CHUNK):
            if self.delay_ms or self.jitter_ms:
                await asyncio.sleep((self.delay_ms + self._random.random() * self.jitter_ms) / 1000)
            if self.bytes_per_s:
                await asyncio.sleep(len(data) / self.bytes_per_s)
            await self._flowing.wait()
            data, is_last = pair.take(data)
            self.passed += len(data)
            writer.write(data)
            await writer.drain()
            if is_last:
                pair.reset()
                return
        if not writer.transport.is_closing():
            writer.write_eof()


class _Pair:
    """Both ends of one connection, and how many bytes may still pass (None: all)."""

    def __init__(self, client: asyncio.StreamWriter, left: int | None) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.is_closed = False
        self._left = left

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """What may pass of this, and whether it is the last."""
        if self._left is None:
            return data, False
        data = data[: self._left]
        self._left -= len(data)
        return data, not self._left

    def close(self) -> None:
        """Both ways have ended in good order; what is still on its way arrives."""
        self.is_closed = True
        for writer in (self.client, self.server):
            if writer is not None:
                writer.close()

    def reset(self) -> None:
        """Both ends see the connection reset."""
        for writer in (self.client, self.server):
            if writer is not None and not writer.transport.is_closing():
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
