"""Ticks by a conductor and by the clock."""

import socket
import threading
import time

import pytest

from edge_agent.errors import ConductorUnreachable
from edge_agent.ticks import by_clock, by_conductor
from hil.conductor import Conductor

START_MS = 1_796_400_000_000


def test_a_conductor_gives_the_time_and_gets_the_facts() -> None:
    conductor = Conductor(START_MS)
    thread = threading.Thread(target=by_conductor, args=(conductor.address, "agent/x", lambda now_ms: {"now": now_ms}))
    thread.start()
    assert not conductor.wait_for(["agent/x"], 5)
    facts = [conductor.tick().facts["agent/x"] for _ in range(3)]
    assert facts == [{"done": k + 1, "now": START_MS + 4_000 * k} for k in range(3)]
    conductor.close()
    thread.join(5)
    assert not thread.is_alive()


def test_no_conductor_is_named_with_its_address_and_the_cure() -> None:
    with pytest.raises(ConductorUnreachable, match=r"127.0.0.1:1 \(Connection refused\): start the rig"):
        by_conductor("127.0.0.1:1", "agent/x", lambda now_ms: {})


@pytest.mark.parametrize("line", [b"HTTP/1.1 400 Bad Request\r\n", b"[" * 4096, b"\xff\n", b"7\n", b'{"tick": 1}\n'])
def test_something_else_at_the_address_is_named(line: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            with server.accept()[0] as peer:
                peer.sendall(line)
                peer.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ConductorUnreachable, match=f"what answers at {address} is no conductor"):
            by_conductor(address, "agent/x", lambda now_ms: {})
        thread.join()


class Enough(Exception):
    """Ends the endless loop."""


def test_by_the_clock_a_tick_comes_at_once_when_something_arrives() -> None:
    wake, seen = threading.Event(), []

    def tick(now_ms: int) -> dict[str, object]:
        seen.append(now_ms)
        if len(seen) == 50:
            raise Enough
        wake.set()
        return {}

    begun_ms = time.time_ns() // 1_000_000
    with pytest.raises(Enough):
        by_clock(tick, wake)
    assert seen == sorted(seen) and abs(seen[0] - begun_ms) < 5_000
    assert seen[-1] - seen[0] < 25_000, "fifty ticks, none waited for its second"


def test_by_the_clock_a_tick_comes_without_a_reason_too() -> None:
    seen = []

    def tick(now_ms: int) -> dict[str, object]:
        seen.append(now_ms)
        if len(seen) == 2:
            raise Enough
        return {}

    with pytest.raises(Enough):
        by_clock(tick, threading.Event())
    assert seen[1] - seen[0] >= 900
