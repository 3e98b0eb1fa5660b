"""lightnode-flash console: the device's console at this terminal; Ctrl-] leaves.

1. What goes out is printable ASCII, the line's end and its correction: no interrupt reaches the device, so MicroPython's
   prompt, which could show anything on its flash, stays closed.
2. What comes is shown without control characters: a device cannot take over the terminal.
3. It ends at Ctrl-], at the end of what is piped in, when the port goes, or after --minutes. Of what is piped in a line
   goes out when the one before was answered.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from lightflash.errors import FlashError
from lightflash.link import METER_S, Link

EXAMPLE = """\
example: ./run flash console --port /dev/ttyACM0
         echo meter | ./run flash console --port /dev/ttyACM0"""
_LEAVE = b"\x1d"
_CONTROLS = b"\r\n\x08\x7f"
_SETTLED_S = 0.4
_MOST_MINUTES = 1440.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is, and how long."""
    parser.add_argument("--port", required=True, help="the device's port: a serial port, or socket://HOST:PORT")
    parser.add_argument("--minutes", type=float, default=60.0, help="leave after so long (default 60, at most 1440)")
    parser.add_argument("--json", action="store_true", help="begin with who it is, in one line of JSON")


def run(options: argparse.Namespace) -> int:
    """0 when it was left."""
    if not 0 < options.minutes <= _MOST_MINUTES:
        raise FlashError(
            "console", f"--minutes is {options.minutes}", f"give more than 0 and at most {_MOST_MINUTES:g}"
        )
    with Link(options.port) as link:
        who = link.ask("key")  # rule 1: not in front of MicroPython's prompt
        end = time.monotonic() + 60 * options.minutes
        if options.json:
            print(json.dumps(who), flush=True)
        if sys.stdin.isatty():
            with _keys_one_by_one():
                print(f"{link.device} on {options.port}; help lists what it knows, Ctrl-] leaves", file=sys.stderr)
                _converse(link, end)
        else:
            _pipe(link, end)
    return 0


def sent(typed: bytes) -> bytes:
    """What of it goes to the device (rule 1)."""
    return bytes(c for c in typed if 32 <= c < 127 or c in _CONTROLS).replace(b"\n", b"\r")


def shown(came: bytes) -> str:
    """What of it is shown (rule 2)."""
    return bytes(c for c in came if 32 <= c < 127 or c in b"\r\n\x08").decode()


def _converse(link: Link, end: float) -> None:
    typed = _typed()
    while time.monotonic() < end:
        _show(link.read())
        keys = _taken(typed)
        if keys is None or _LEAVE in keys:
            return
        if keys:
            link.write(sent(keys))


def _pipe(link: Link, end: float) -> None:
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        line = sent(line.strip()[:200])
        link.write(line + b"\r")
        until, heard = min(end, time.monotonic() + METER_S), b""
        while time.monotonic() < until:
            came = link.read()
            _show(came)
            heard += came
            if came and any(
                said.strip() not in (b"", line) for said in heard.split(b"\n")[:-1]
            ):  # an echo is no answer
                until = time.monotonic() + _SETTLED_S
        if time.monotonic() >= end:
            return


def _show(came: bytes) -> None:
    if came:
        sys.stdout.write(shown(came))
        sys.stdout.flush()


def _typed() -> SimpleQueue[bytes]:
    """Keys as they come; b"" at the end."""
    keys: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        key = b"-"
        while key:
            key = os.read(sys.stdin.fileno(), 64)
            keys.put(key)

    threading.Thread(target=read, daemon=True).start()
    return keys


def _taken(keys: SimpleQueue[bytes]) -> bytes | None:
    """What was typed since, None at the end."""
    taken = b""
    try:
        while key := keys.get_nowait():
            taken += key
    except Empty:
        return taken
    return None


@contextmanager
def _keys_one_by_one() -> Iterator[None]:
    """The terminal hands over each key, and is as before afterwards."""
    try:
        import termios
        import tty
    except ImportError:  # a system whose terminals are line by line
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSANOW)  # what was typed already counts
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
