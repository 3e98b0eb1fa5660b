"""A source of time for rigs: a conductor's ticks, over TCP, are the only time that slots, batches and set-points see.

One JSON line each way: {"tick": n, "utc_ms": t} starts a 4 s slot, {"done": n, ...} ends it, {"end": true} ends the day.
"""

import asyncio
import json

from .errors import NodeError

_PHASE = 2


class ConductedClock:
    """Time passes only from tick to tick; monotonic time counts from the first tick."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._first_ms = 0
        self._mark_ms = 0
        self._tick = 0
        self._reader = None
        self._writer = None

    async def join(self, name: str) -> None:
        """Connects and says who it is; NodeError if there is no conductor."""
        try:
            self._reader, self._writer = await asyncio.open_connection(*self._address)  # type: ignore[assignment]
            await self._say({"part": name, "phase": _PHASE})
        except OSError:
            raise NodeError("no conductor at {}:{}".format(*self._address))

    def monotonic_ms(self) -> int:
        """Since the first tick."""
        return self._mark_ms - self._first_ms

    def agrees(self, utc_ms: int) -> bool:
        """Whether an answer belongs to this tick: one that crossed a tick on its way measures nothing."""
        return utc_ms == self._mark_ms

    async def next_slot(self, due) -> int | None:  # type: ignore[no-untyped-def]
        """The next tick's mark, monotonic; None when the conductor ends the day or goes away."""
        try:
            line = await self._reader.readline()  # type: ignore[attr-defined]
        except OSError:
            return None
        message = json.loads(line) if line else {"end": True}
        if message.get("end"):
            return None
        self._tick, self._mark_ms = message["tick"], message["utc_ms"]
        self._first_ms = self._first_ms or self._mark_ms
        return self.monotonic_ms()

    async def done(self, facts) -> None:  # type: ignore[no-untyped-def]
        """Closes the tick with what the conductor should know."""
        facts["done"] = self._tick
        try:
            await self._say(facts)
        except OSError:
            return

    async def _say(self, message) -> None:  # type: ignore[no-untyped-def]
        self._writer.write(json.dumps(message).encode() + b"\n")  # type: ignore[attr-defined]
        await self._writer.drain()  # type: ignore[attr-defined]
