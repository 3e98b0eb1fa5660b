"""When the agent acts: every second of the system's time, or in the ticks of a conductor."""

import json
import socket
import time
from collections.abc import Callable

Step = Callable[[int], dict[str, object]]


def run_on_system_time(step: Step, stop: Callable[[], bool]) -> None:
    """Once a second until stopped."""
    while not stop():
        step(time.time_ns() // 1_000_000)
        time.sleep(1)


def run_conducted(address: str, name: str, step: Step) -> None:
    """In each tick, before the physics (phase 0); ends with the day or the conductor."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(json.dumps({"part": name, "phase": 0}).encode() + b"\n")
        for line in connection.makefile():
            message = json.loads(line)
            if message.get("end"):
                return
            facts = step(message["utc_ms"])
            connection.sendall(json.dumps({"done": message["tick"], **facts}).encode() + b"\n")
