"""Virtual time: everyone acts in every tick, in the order of the phases, whatever the speed."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from hil.conductor import Conductor

START_MS = 1_800_000_000_000


@pytest.fixture
def conductor() -> Iterator[Conductor]:
    made = Conductor(START_MS, silence_s=2.0)
    yield made
    made.close()


class Part(threading.Thread):
    """A part that notes its ticks and leaves after `last`, answering nothing more."""

    def __init__(self, address: str, name: str, phase: int, act: Callable[[str, int], None], last: int = 10**9) -> None:
        super().__init__(daemon=True)
        host, port = address.split(":")
        self.sock = socket.create_connection((host, int(port)))
        self.sock.sendall(json.dumps({"part": name, "phase": phase}).encode() + b"\n")
        self.part, self.act, self.last = name, act, last
        self.start()

    def run(self) -> None:
        for line in self.sock.makefile():
            message = json.loads(line)
            if message.get("end"):
                break
            if message["tick"] > self.last:
                break
            self.act(self.part, message["utc_ms"])
            self.sock.sendall(json.dumps({"done": message["tick"], "who": self.part}).encode() + b"\n")
        self.sock.shutdown(socket.SHUT_RDWR)


def test_parts_act_in_the_order_of_their_phases_in_every_tick(conductor: Conductor) -> None:
    acted: list[tuple[str, int]] = []
    for name, phase in (("node/1", 2), ("site", 1), ("agent/1", 0)):
        Part(conductor.address, name, phase, lambda n, t: acted.append((n, t)))
    assert not conductor.wait_for(["node/1", "site", "agent/1"], 5)
    for _ in range(3):
        conductor.tick(lambda t: acted.append(("backend", t)) or {})
    order = ["agent/1", "site", "node/1", "backend"]
    assert acted == [(name, START_MS + 4000 * n) for n in range(3) for name in order]


def test_a_lost_part_is_named_once_and_not_waited_for(conductor: Conductor) -> None:
    Part(conductor.address, "node/1", 2, lambda n, t: None)
    Part(conductor.address, "node/2", 2, lambda n, t: None, last=1)
    conductor.wait_for(["node/1", "node/2"], 5)
    lost = [conductor.tick().lost for _ in range(4)]
    assert lost[0] == () and sum(lost, ()) == ("node/2",)
    assert conductor.parts == {"node/1"}


def test_a_silent_part_is_given_up_after_the_wall_time_limit() -> None:
    conductor = Conductor(START_MS, silence_s=0.2)
    silent = socket.create_connection(("127.0.0.1", int(conductor.address.split(":")[1])))
    silent.sendall(b'{"part": "node/9", "phase": 2}\n')
    conductor.wait_for(["node/9"], 5)
    assert conductor.tick().lost == ("node/9",)
    silent.close()
    conductor.close()


def test_the_same_ticks_are_given_at_any_speed() -> None:
    marks = []
    for speed in (None, 2000.0):
        conductor = Conductor(START_MS, speed=speed)
        marks.append([conductor.tick().utc_ms for _ in range(5)])
        conductor.close()
    assert marks[0] == marks[1]


def test_rubbish_instead_of_a_name_is_not_let_in(conductor: Conductor) -> None:
    stranger = socket.create_connection(("127.0.0.1", int(conductor.address.split(":")[1])))
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert conductor.wait_for(["node/1"], 0.2) == {"node/1"}
    assert conductor.parts == frozenset()
    stranger.close()
