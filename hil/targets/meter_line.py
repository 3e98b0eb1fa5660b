"""Meters on a pseudo terminal that answer by themselves, for as long as a `with` block lasts."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hil.meters.rtu import pty_line
from hil.meters.station import Station


@contextmanager
def on_a_terminal(*stations: Station) -> Iterator[str]:
    """The path of the meters' line: what a job takes as meter."""
    loop = asyncio.new_event_loop()
    line = pty_line(stations, loop)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield line.path
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        line.close()
        loop.close()
