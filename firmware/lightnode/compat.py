"""What MicroPython has and CPython has not: the only module that asks which Python runs it."""

import asyncio

try:
    from asyncio import sleep_ms  # type: ignore[attr-defined]
    from gc import collect
except ImportError:

    async def sleep_ms(duration: int) -> None:
        """Sleeps for milliseconds."""
        await asyncio.sleep(duration / 1000)

    def collect() -> None:
        """Collects garbage where memory is scarce: nothing to do here."""
