"""The source of time outside a rig: the port's own tick counter."""

import time

from .compat import sleep_ms


class SystemClock:
    """Monotonic time of the board since this start; slots come when they are due."""

    def __init__(self) -> None:
        self._ticks = time.ticks_ms()  # type: ignore[attr-defined]
        self._elapsed = 0

    def monotonic_ms(self) -> int:
        """Milliseconds since the start; called at least every six days, before the port's counter turns over twice."""
        now = time.ticks_ms()  # type: ignore[attr-defined]
        self._elapsed += time.ticks_diff(now, self._ticks)  # type: ignore[attr-defined]
        self._ticks = now
        return self._elapsed

    def agrees(self, utc_ms: int) -> bool:
        """A board's clock has no opinion about UTC."""
        return True

    async def next_slot(self, due) -> int | None:  # type: ignore[no-untyped-def]
        """Waits until the instant that due() gives; asks again while waiting, since trust may move the slots."""
        while True:
            mark = due()
            wait = mark - self.monotonic_ms()
            if wait <= 0:
                return mark  # type: ignore[no-any-return]
            await sleep_ms(min(wait, 500))

    async def done(self, facts) -> None:  # type: ignore[no-untyped-def]
        """Nobody waits."""
