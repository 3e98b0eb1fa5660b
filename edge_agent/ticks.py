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

from edge_agent.errors import ConductorUnreachable

Tick = Callable[[int], Mapping[str, object]]
_PERIOD_S = 1.0
_AGENT_PHASE = 0
_PATIENCE_S = 10
_MOST_BYTES = 4096


def by_conductor(address: str, part: str, tick: Tick) -> None:
    """Until the conductor ends the day or leaves. ConductorUnreachable if there is none at the address (host:port)."""
    with _connected(address) as sock, sock.makefile("rb") as lines:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(json.dumps({"part": part, "phase": _AGENT_PHASE}).encode() + b"\n")
        while not (message := _next(lines, address)).get("end"):
            facts = tick(message["utc_ms"])
            with contextlib.suppress(ConnectionError):
                sock.sendall(json.dumps({"done": message["tick"], **facts}).encode() + b"\n")


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        sock = socket.create_connection((host, int(port)), timeout=_PATIENCE_S)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConductorUnreachable(
            f"no connection to {address} ({reason}): start the rig first, or remove the key conductor to use the clock"
        ) from error
    sock.settimeout(None)
    return sock


def _next(lines: BinaryIO, address: str) -> dict[str, int]:
    """The conductor's next message; a connection that is gone is the end."""
    try:
        line = lines.readline(_MOST_BYTES)
    except ConnectionError:
        line = b""
    try:
        message = json.loads(line) if line else {"end": 1}
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict) and ("end" in message or all(type(message.get(k)) is int for k in ("tick", "utc_ms"))):
        return message
    raise ConductorUnreachable(f"what answers at {address} is no conductor: correct the key conductor")


def by_clock(tick: Tick, wake: threading.Event) -> None:
    """For ever. `wake` asks for a tick now."""
    ahead_ns = time.time_ns() - time.monotonic_ns()
    while True:
        wake.clear()
        tick((time.monotonic_ns() + ahead_ns) // 1_000_000)
        wake.wait(_PERIOD_S)
