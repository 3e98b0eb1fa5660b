"""What the application asks of hardware, by the name of the board it runs on.

A board module has: `random(count)`, `open_flash(path, size)`, `open_serial(path, baud, parity, stop_bits)` with parity N, E
or O and 8 data bits, `open_tcp(host, port)`, `connect(host, port, ca, cert, key)`, `check_files(paths)` and `SystemClock()`
with `monotonic_ms()`, `agrees(utc_ms)`, `next_slot(due)` and `done(facts)`.
"""

import sys


def load():  # type: ignore[no-untyped-def]
    """The board module for this machine; one file per port, the only ones that import its hardware."""
    if sys.platform in ("linux", "darwin", "freebsd"):
        from . import board_unix

        return board_unix
    if sys.platform == "mps2":
        from . import board_mps2

        return board_mps2
    raise ImportError("no board file for " + sys.platform)
