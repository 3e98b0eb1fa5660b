"""Where ticks come from: a conductor's virtual time, or this machine's clock.

By the clock a tick comes each second and at once when something arrived; its time is the UTC of the start plus what a
monotonic clock has counted since, so that a clock that is set does not move a window.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

Tick = Callable[[int], Mapping[str, object]]
_PERIOD_S = 1.0
_AGENT_PHASE = 0


def by_conductor(address: str, part: str, tick: Tick) -> None:
    """Until the conductor ends the day or leaves. OSError if it cannot be reached."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock, sock.makefile("rb") as lines:
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(json.dumps({"part": part, "phase": _AGENT_PHASE}).encode() + b"\n")
        while not (message := _next(lines)).get("end"):
            facts = tick(message["utc_ms"])
            with contextlib.suppress(ConnectionError):
                sock.sendall(json.dumps({"done": message["tick"], **facts}).encode() + b"\n")


def _next(lines: BinaryIO) -> dict[str, int]:
    """The conductor's next message; a connection that is gone is the end."""
    try:
        line = lines.readline()
    except ConnectionError:
        line = b""
    return json.loads(line) if line else {"end": 1}


def by_clock(tick: Tick, wake: threading.Event) -> None:
    """For ever. `wake` asks for a tick now."""
    ahead_ns = time.time_ns() - time.monotonic_ns()
    while True:
        wake.clear()
        tick((time.monotonic_ns() + ahead_ns) // 1_000_000)
        wake.wait(_PERIOD_S)
