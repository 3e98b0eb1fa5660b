"""A meter on a pseudo terminal that answers by itself, for as long as a `with` block lasts."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hil.meter import Meter
from hil.modbus import RtuSlave


@contextmanager
def on_a_terminal(meter: Meter) -> Iterator[RtuSlave]:
    """The meter's line; its `path` is what a target takes as meter."""
    loop = asyncio.new_event_loop()
    slave = RtuSlave(meter.registers, loop)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield slave
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        slave.close()
        loop.close()
