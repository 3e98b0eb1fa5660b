"""What MicroPython has and CPython has not: the only module that asks which Python runs it."""

import asyncio
import gc
import io
import sys

try:
    from asyncio import sleep_ms as sleep_ms  # type: ignore[attr-defined]
except ImportError:

    async def sleep_ms(duration: int) -> None:  # type: ignore[no-redef]
        """Sleeps for milliseconds."""
        await asyncio.sleep(duration / 1000)


SCARCE = hasattr(gc, "mem_free")  # memory is: garbage is collected where that costs least


def collect() -> None:
    """Collects garbage where memory is scarce."""
    if SCARCE:
        gc.collect()


def pack_heap(on: bool, every_bytes: int = 1024) -> None:
    """While a node is made: collects often, so that what stays lies together and leaves no holes.

    Every number that is computed later looks for its place behind them: a signature costs a seventh less without holes.
    every_bytes: more where much is looked at and little stays, as when a full journal is mounted.
    """
    if SCARCE:
        gc.collect()
        gc.threshold(every_bytes if on else -1)  # type: ignore[attr-defined, unused-ignore]


def place_of(error: Exception) -> str:
    """File, line and function where it was raised, "?" if that is not known."""
    if not hasattr(sys, "print_exception"):
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    text = io.StringIO()
    sys.print_exception(error, text)  # type: ignore[arg-type]
    found = "?"
    for line in text.getvalue().split("\n"):  # type: ignore[attr-defined]
        if line.startswith('  File "'):
            name, _, rest = line[8:].partition('", line ')
            found = name.split("/")[-1] + ":" + rest.split(",")[0]
    return found
