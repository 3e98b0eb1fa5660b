"""Brokers that behave badly: the pauses between tries, a broker that is silent, one that floods."""

import asyncio
from typing import Any

import pytest
from lightnode import uplink as module
from lightnode.mqtt import PACKET_MAX, MqttError, Session
from lightnode.uplink import Uplink

from tests.lightnode.parts import DEVICE, T0, Node
from tests.lightnode.test_uplink import SETTINGS, Board, SetPoints


class Refusing(Board):
    """A broker that cannot be reached; dice that fall as told."""

    dice = 0

    @classmethod
    def random(cls, count: int) -> bytes:
        return bytes([cls.dice]) * count

    @staticmethod
    async def connect(*_access: Any) -> Any:
        raise OSError("refused")


@pytest.mark.parametrize(("dice", "first", "longest"), [(0, 100, 30_000), (255, 149, 44_941)])
def test_pauses_double_from_a_tenth_of_a_second_to_half_a_minute_and_vary_by_half(
    monkeypatch: pytest.MonkeyPatch, dice: int, first: int, longest: int
) -> None:
    pauses: list[int] = []

    async def noted(pause_ms: int) -> None:
        pauses.append(pause_ms)
        if len(pauses) == 14:
            raise asyncio.CancelledError

    monkeypatch.setattr(module, "sleep_ms", noted)
    monkeypatch.setattr(Refusing, "dice", dice)
    node = Node()
    made = Uplink(Refusing, SETTINGS, node.recorder, node.journal, node.clock, SetPoints(), DEVICE)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(made.run())
    assert pauses[0] == first and pauses[-1] == longest and pauses == sorted(pauses)


class Wire:
    def write(self, _data: bytes) -> None:
        return None

    async def drain(self) -> None:
        return None


def test_a_flood_of_publications_is_taken_one_by_one_and_a_too_large_one_ends_the_connection() -> None:
    async def run() -> int:
        reader, taken = asyncio.StreamReader(limit=2**20), []

        async def take(_topic: str, payload: bytes) -> None:
            taken.append(len(payload))

        session = Session(reader, Wire(), take, lambda: None)
        for _ in range(2000):
            reader.feed_data(b"\x30\x67\x00\x01t" + bytes(100))
        reader.feed_data(b"\x30\xff\xff\xff\x7f")
        with pytest.raises(MqttError, match="a packet of"):
            await session.listen()
        return len(taken)

    assert asyncio.run(run()) == 2000 and PACKET_MAX < 2**17


def test_never_more_than_the_window_is_unanswered_and_unanswered_records_go_again_in_the_next_session() -> None:
    node = Node()
    node.trust(T0)
    asyncio.run(node.slots(100))
    made = Uplink(Board, SETTINGS, node.recorder, node.journal, node.clock, SetPoints(), DEVICE)

    class Silent:
        def __init__(self) -> None:
            self.in_flight: set[int] = set()

        async def publish(self, _topic: str, _payload: bytes) -> None:
            self.in_flight.add(len(self.in_flight))

    async def fill() -> int:
        session = Silent()
        while await made._send_some(session):
            pass
        return len(session.in_flight)

    assert asyncio.run(fill()) == module.WINDOW
    made._sent = node.journal.acked
    assert asyncio.run(fill()) == module.WINDOW and made._sent == module.WINDOW
