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
            self.in_flight: dict[int, int] = {}

        async def publish(self, _topic: str, _payload: bytes, *_again: int) -> None:
            self.in_flight[len(self.in_flight)] = 0

    async def fill() -> int:
        session = Silent()
        while await made._send_some(session):
            pass
        return len(session.in_flight)

    assert asyncio.run(fill()) == module.WINDOW
    made._sent = node.journal.acked
    assert asyncio.run(fill()) == module.WINDOW and made._sent == module.WINDOW


class MemoryBroker:
    """The broker's side of one connection after another: `acknowledged` says which records, by number of arrival
    over all of them, it acknowledges; after `enough` in one the connection ends. `records`: (first byte, packet id, payload)."""

    def __init__(self, acknowledged: set[int], enough: int, session_there: bool = True) -> None:
        self._acknowledged, self._enough, self._there = acknowledged, enough, session_there
        self.records: list[tuple[int, int, bytes]] = []
        self.connections = 0

    async def connect(self, *_access: Any) -> Any:
        self.connections += 1
        self._reader, self._buffer, self._left = asyncio.StreamReader(), b"", self._enough
        return self._reader, self

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > 2:
            length, at = self._buffer[1] & 127, 2
            if self._buffer[1] & 128:
                length, at = length | self._buffer[2] << 7, 3
            packet, self._buffer = self._buffer[: at + length], self._buffer[at + length :]
            self._take(packet[0], packet[at:])

    def _take(self, first: int, body: bytes) -> None:
        if first == 0x10:
            self._reader.feed_data(bytes((0x20, 2, self._there, 0)))
        elif first == 0x82:
            self._reader.feed_data(b"\x90\x03" + body[:2] + b"\x01")
        elif first >> 4 == 3:
            end = 2 + int.from_bytes(body[:2], "big")
            self._published(first, body[2:end], int.from_bytes(body[end : end + 2], "big"), body[end + 2 :])

    def _published(self, first: int, topic: bytes, packet: int, payload: bytes) -> None:
        if topic.endswith(b"record"):
            self.records.append((first, packet, payload))
            self._left -= 1
            if len(self.records) not in self._acknowledged:
                packet = 0
        if packet:
            self._reader.feed_data(b"\x40\x02" + packet.to_bytes(2, "big"))
        if not self._left:
            self._reader.feed_eof()

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        if not self._reader.at_eof():
            self._reader.feed_eof()


def lives_with(broker: MemoryBroker, node: Node, connections: int) -> None:
    """Until the broker has ended so many connections."""
    board = type("Memory", (Board,), {"connect": staticmethod(broker.connect)})
    made = Uplink(board, SETTINGS, node.recorder, node.journal, node.clock, SetPoints(), DEVICE)

    async def scene() -> None:
        running = asyncio.create_task(made.run())
        while broker.connections <= connections:
            made._work.set()
            await asyncio.sleep(0.001)
        running.cancel()

    asyncio.run(scene())


@pytest.fixture
def six() -> Node:
    node = Node()
    node.trust(T0)
    asyncio.run(node.slots(6))
    return node


def test_3_what_the_broker_did_not_acknowledge_goes_again_with_its_packet_id_and_dup(six: Node) -> None:
    broker = MemoryBroker({1, 2, 4}, 6)
    lives_with(broker, six, 2)
    first, second = broker.records[:6], broker.records[6:12]
    assert [record[2] for record in first] == [record[2] for record in second]
    assert {record[0] for record in first} == {0x32}
    assert [record[0] for record in second] == [0x32, 0x32, 0x3A, 0x32, 0x3A, 0x3A]
    again = [(new[1], old[1]) for old, new in zip(first, second, strict=True) if new[0] == 0x3A]
    assert all(new == old for new, old in again)
    assert len({record[1] for record in second}) == 6


def test_3_a_broker_that_has_forgotten_the_session_gets_everything_as_new(six: Node) -> None:
    broker = MemoryBroker(set(), 6, session_there=False)
    lives_with(broker, six, 2)
    assert {record[0] for record in broker.records[:12]} == {0x32}


def test_3_a_broker_that_acknowledges_nothing_is_given_up(six: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNANSWERED_S", 2)
    broker = MemoryBroker(set(), 1000)
    board = type("Memory", (Board,), {"connect": staticmethod(broker.connect)})
    made = Uplink(board, SETTINGS, six.recorder, six.journal, six.clock, SetPoints(), DEVICE)

    async def scene() -> str:
        reader, writer = await broker.connect()
        session = Session(reader, writer, lambda: None, made._work.set)
        listening = asyncio.create_task(session.listen())
        with pytest.raises(MqttError) as raised:
            await made._send(session, listening)
        listening.cancel()
        return str(raised.value)

    assert asyncio.run(scene()) == "the broker acknowledges nothing"
