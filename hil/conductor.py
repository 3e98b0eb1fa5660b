"""Virtual time in lockstep: ticks and a barrier; speed only paces it.

1. A part (light node, edge agent, site) connects over loopback TCP and names itself and its phase:
   `{"part": "node/49...", "phase": 2}`, one JSON line.
2. A tick is one 4 s slot. Phase by phase every part of the phase gets `{"tick": n, "utc_ms": t}` and acts; the phase is
   over when each has answered `{"done": n, ...}`. So nobody sees a state that another part has not yet reached.
3. A part that joins late takes part from the next tick. A part that leaves, or is silent for `silence_s` of wall time,
   is named in the tick's result and no longer waited for; what to do about it is the caller's decision.
4. Pacing waits before a tick until its wall time has come; it never skips one, so results do not depend on speed.
"""

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

SLOT_MS = 4000
PHASE_AGENT, PHASE_SITE, PHASE_NODE, PHASE_BACKEND = range(4)
Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick brought: its number, its slot mark, the answer of every part, and the parts that were lost; took_s: wall
    time until the last light node had answered."""

    number: int
    utc_ms: int
    facts: Mapping[str, Facts]
    lost: tuple[str, ...]
    took_s: float = 0.0


@dataclass(slots=True)
class _Part:
    sock: socket.socket
    name: str = ""
    phase: int = -1
    buffer: bytes = b""
    answers: list[Facts] = field(default_factory=list)

    def lines(self, chunk: bytes) -> list[bytes]:
        *whole, self.buffer = (self.buffer + chunk).split(b"\n")
        return whole


class Conductor:
    """Gives the ticks. Not thread-safe: one thread calls `tick`, `wait_for` and `close`."""

    def __init__(self, start_ms: int, speed: float | None = None, silence_s: float = 30.0) -> None:
        """start_ms: slot mark of the first tick, a multiple of 4000. speed: virtual seconds per wall second, None = free."""
        if start_ms % SLOT_MS:
            raise ValueError(f"start_ms {start_ms} is not a slot mark (a multiple of {SLOT_MS})")
        self.now_ms = start_ms - SLOT_MS
        self._speed = speed
        self._silence_s = silence_s
        self._number = 0
        self._wall: float | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._parts: dict[str, _Part] = {}
        self._left: list[str] = []

    @property
    def address(self) -> str:
        """`host:port` where parts join."""
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    @property
    def parts(self) -> frozenset[str]:
        """Names of all parts that have joined and not left."""
        return frozenset(self._parts)

    def wait_for(
        self, names: Iterable[str], timeout_s: float, alive: Callable[[], None] = lambda: None
    ) -> frozenset[str]:
        """Waits until all have joined; returns those that have not. `alive` is called now and then and may raise."""
        wanted = frozenset(names)
        end = time.monotonic() + timeout_s
        while wanted - self.parts and time.monotonic() < end:
            alive()
            self._receive(0.05)
        return wanted - self.parts

    def tick(self, backend: Callable[[int], Facts] | None = None) -> Tick:
        """One slot: agents, site, nodes, then `backend(utc_ms)` in this process."""
        self._pace()
        self._receive(0)
        self._number += 1
        self.now_ms += SLOT_MS
        began_s = time.monotonic()
        facts: dict[str, Facts] = {}
        for phase in (PHASE_AGENT, PHASE_SITE, PHASE_NODE):
            facts.update(self._phase(phase))
        took_s = time.monotonic() - began_s
        if backend is not None:
            facts["backend"] = backend(self.now_ms)
        lost, self._left = tuple(self._left), []
        return Tick(self._number, self.now_ms, facts, lost, took_s)

    def leap(self, slots: int) -> None:
        """So many slots pass without a tick: time that no part sees go by."""
        self.now_ms += slots * SLOT_MS

    def repeat(self, phase: int) -> Mapping[str, Facts]:
        """One phase once more for the present instant: for parts whose acting twice changes nothing."""
        return self._phase(phase)

    def hurry(self) -> None:
        """From now on ticks come as fast as the parts answer."""
        self._speed = None

    def dismiss(self, name: str) -> None:
        """Forgets a part on purpose, before it is stopped: it will not be reported as lost."""
        if name in self._parts:
            self._drop(self._parts[name])
            self._left.remove(name)

    def close(self) -> None:
        """Tells every part that the day is over and closes the connections."""
        for part in list(self._parts.values()):
            self._send(part, {"end": True})
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _pace(self) -> None:
        if self._speed is None:
            return
        if self._wall is None:
            self._wall = time.monotonic()
        due = self._wall + self._number * SLOT_MS / 1000 / self._speed
        while (left := due - time.monotonic()) > 0:
            self._receive(left)

    def _phase(self, phase: int) -> dict[str, Facts]:
        asked = {part.name for part in list(self._parts.values()) if part.phase == phase}
        for name in sorted(asked):
            if name in self._parts:
                self._parts[name].answers.clear()
                self._send(self._parts[name], {"tick": self._number, "utc_ms": self.now_ms})
        answered: dict[str, Facts] = {}
        end = time.monotonic() + self._silence_s
        while waiting := [n for n in asked if n in self._parts and n not in answered]:
            if time.monotonic() > end:
                for name in waiting:
                    self._drop(self._parts[name])
                break
            self._receive(0.5)
            for name in waiting:
                if name in self._parts and (facts := self._answer(self._parts[name])) is not None:
                    answered[name] = facts
        return answered

    def _answer(self, part: _Part) -> Facts | None:
        for facts in part.answers:
            if facts.get("done") == self._number:
                return facts
        return None

    def _receive(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._listener:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ, _Part(sock))
            else:
                self._read(key.data)

    def _read(self, part: _Part) -> None:
        try:
            chunk = part.sock.recv(65536)
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(part)
            return
        for line in part.lines(chunk):
            self._take(part, line)

    def _take(self, part: _Part, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self._drop(part)
            return
        if part.name:
            part.answers.append(message)
        elif isinstance(message, dict) and message.get("phase") in (PHASE_AGENT, PHASE_SITE, PHASE_NODE):
            part.name, part.phase = str(message.get("part")), message["phase"]
            if part.name in self._parts:
                self._drop(self._parts[part.name])
                self._left.remove(part.name)
            self._parts[part.name] = part
        else:
            self._drop(part)

    def _send(self, part: _Part, message: Facts) -> None:
        try:
            part.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(part)

    def _drop(self, part: _Part) -> None:
        if part.sock.fileno() >= 0:
            self._selector.unregister(part.sock)
            part.sock.close()
        if self._parts.get(part.name) is part:
            del self._parts[part.name]
            self._left.append(part.name)
