"""FieldPort over TCP: devices connect and send lines; each line gets one line back.

1. At most 64 devices at a time; a line longer than a message may be ends its connection; a silent device is let go after ten
   minutes.
2. The transport is not trusted and need not be: messages carry their own authentication. Bind it to the network of the field
   devices.
"""

import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from backend.errors import Unavailable
from backend.grid.field import MAX_BYTES

MOST_DEVICES = 64
SILENT_S = 600.0


@dataclass(slots=True)
class _Peer:
    link: socket.socket
    heard_s: float
    rest: bytearray = field(default_factory=bytearray)


class FieldListener:
    """A context manager; `address` is (host, port) once open."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._listener = socket.create_server((host, port))
        except OSError as error:
            raise Unavailable("field port", f"{host}:{port}: {error.strerror}") from error
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, 0)
        self._peers: dict[int, _Peer] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._next = 1

    @property
    def address(self) -> tuple[str, int]:
        """Where devices connect."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def __enter__(self) -> "FieldListener":
        return self

    def __exit__(self, *_error: object) -> None:
        for whom in list(self._peers):
            self._drop(whom)
        self._selector.close()
        self._listener.close()

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """The next line, waiting at most `timeout_s` for one."""
        end = time.monotonic() + timeout_s
        while not self._waiting:
            left = end - time.monotonic()
            ready = self._selector.select(max(0.0, left))
            for key, _ in ready:
                self._accept() if key.data == 0 else self._read(key.data)
            if not ready and left <= 0:
                return None
        return self._waiting.popleft()

    def answer(self, whom: int, line: bytes) -> None:
        """One line back."""
        peer = self._peers.get(whom)
        if peer is not None:
            with suppress(OSError):
                peer.link.send(line + b"\n")

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:  # it hung up before it was let in
            return
        now = time.monotonic()
        for whom in [w for w, peer in self._peers.items() if now - peer.heard_s > SILENT_S]:
            self._drop(whom)
        if len(self._peers) >= MOST_DEVICES:
            link.close()
            return
        link.setblocking(False)
        self._peers[self._next] = _Peer(link, now)
        self._selector.register(link, selectors.EVENT_READ, self._next)
        self._next += 1

    def _read(self, whom: int) -> None:
        peer = self._peers[whom]
        try:
            data = peer.link.recv(4 * MAX_BYTES)
        except OSError:
            data = b""
        peer.rest += data
        peer.heard_s = time.monotonic()
        *lines, rest = bytes(peer.rest).split(b"\n")
        self._waiting += [(whom, line) for line in lines]
        peer.rest = bytearray(rest)
        if not data or len(rest) > MAX_BYTES:
            self._drop(whom)

    def _drop(self, whom: int) -> None:
        peer = self._peers.pop(whom)
        self._selector.unregister(peer.link)
        peer.link.close()
