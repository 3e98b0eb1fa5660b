"""What the application asks of hardware, by the name of the board it runs on.

A board module has:

- `random(count)`, `SystemClock()` with `monotonic_ms()`, `agrees(utc_ms)`, `next_slot(due)` and `done(facts)`;
- `open_flash(path, size)`, `check_files(paths)`: the first that cannot be read;
- `open_serial(path, baud, parity, stop_bits, **pins)`: parity N, E or O, 8 data bits; a board takes the pins it knows;
- `open_tcp(host, port)`: a plain connection to a meter;
- `open_network(value)` once at the start, `connect(host, port, ca, cert, key)`, `link()`: a text for the installer;
- `watchdog(timeout_ms)`: an object with `feed()` and, for the end of a program that is no failure, `release()`;
- `reset_cause()`: records.RESET_*; `keep_reason(folder, bytes)` and `last_reason(folder)`, which survive loss of power;
- `open_console()`: a stream of bytes, see `board_port.Terminal`; `largest_block_bytes()`.
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
    if sys.platform == "esp32":
        from . import board_esp32

        return board_esp32
    if sys.platform == "rp2":
        from . import board_rp2

        return board_rp2
    raise ImportError("no board file for " + sys.platform)
