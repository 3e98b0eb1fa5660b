"""One MQTT connection against a broker's bytes: what it sends, what it takes, what ends it."""

import asyncio

import pytest
from lightnode.mqtt import PACKET_MAX, MqttError, Session


class Wire:
    """The broker's side in memory."""

    def __init__(self, *packets: bytes) -> None:
        self.sent = b""
        self.taken: list[tuple[str, bytes]] = []
        self.acknowledged = 0
        self.reader = asyncio.StreamReader()
        for packet in packets:
            self.reader.feed_data(packet)
        self.reader.feed_eof()
        self.session = Session(self.reader, self, self._take, self._count)

    async def _take(self, topic: str, payload: bytes) -> None:
        self.taken.append((topic, payload))

    def _count(self) -> None:
        self.acknowledged += 1

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        return None


def listen(*packets: bytes) -> Wire:
    """Listens until the connection ends, which MqttError tells."""

    async def run() -> Wire:
        wire = Wire(*packets)
        with pytest.raises(MqttError):
            await wire.session.listen()
        return wire

    return asyncio.run(run())


def says(*packets: bytes) -> str:
    async def run() -> str:
        wire = Wire(*packets)
        with pytest.raises(MqttError) as raised:
            await wire.session.listen()
        return str(raised.value)

    return asyncio.run(run())


def test_connect_is_a_persistent_session_of_mqtt_3_1_1() -> None:
    async def run() -> tuple[bool, bytes]:
        wire = Wire(b"\x20\x02\x01\x00")
        return await wire.session.connect("3/ab", 60, False, ("t", b"gone")), wire.sent

    there, sent = asyncio.run(run())
    assert there and sent == b"\x10\x19\x00\x04MQTT\x04\x0c\x00\x3c\x00\x043/ab\x00\x01t\x00\x04gone"


def test_a_clean_session_says_so() -> None:
    async def run() -> bytes:
        wire = Wire(b"\x20\x02\x00\x00")
        assert await wire.session.connect("c", 60, True) is False
        return wire.sent

    assert asyncio.run(run()) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x05", b"\x30\x02\x00\x00", b""])
def test_a_refused_connection_is_named(answer: bytes) -> None:
    async def run() -> None:
        await Wire(answer).session.connect("c", 60)

    with pytest.raises(MqttError):
        asyncio.run(run())


def test_a_publication_is_in_flight_until_it_is_acknowledged() -> None:
    async def run() -> Wire:
        wire = Wire(b"\x40\x02\x00\x01")
        await wire.session.publish("t", b"payload")
        assert wire.session.in_flight == {1: 0}
        with pytest.raises(MqttError, match="closed the connection"):
            await wire.session.listen()
        return wire

    wire = asyncio.run(run())
    assert wire.sent == b"\x32\x0c\x00\x01t\x00\x01payload"
    assert (wire.session.in_flight, wire.acknowledged) == ({}, 1)


def test_what_is_sent_again_has_its_packet_id_and_dup_and_nothing_else_takes_that_id() -> None:
    async def run() -> bytes:
        wire = Wire()
        session = Session(wire.reader, wire, wire._take, wire._count, {2: 17})
        await session.publish("t", b"new")
        await session.publish("t", b"old", 17, 2)
        await session.publish("t", b"newer", 18)
        assert session.in_flight == {1: 0, 2: 17, 3: 18}
        return wire.sent

    assert asyncio.run(run()) == (
        b"\x32\x08\x00\x01t\x00\x01new" + b"\x3a\x08\x00\x01t\x00\x02old" + b"\x32\x0a\x00\x01t\x00\x03newer"
    )


def test_packet_ids_begin_again_after_the_highest_and_pass_over_what_is_in_flight() -> None:
    async def run() -> list[int]:
        wire = Wire()
        wire.session.in_flight[1] = 0
        wire.session._id = 0xFFFE
        for _ in range(2):
            await wire.session.publish("t", b"")
        return list(wire.session.in_flight)

    assert asyncio.run(run()) == [1, 0xFFFF, 2]


def test_what_is_published_to_us_is_taken_and_then_acknowledged() -> None:
    wire = listen(b"\x32\x08\x00\x01t\x00\x07abc", b"\x30\x04\x00\x01tx")
    assert wire.taken == [("t", b"abc"), ("t", b"x")] and wire.sent == b"\x40\x02\x00\x07"


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ((b"\x34\x05\x00\x01t\x00\x07",), "quality 2"),
        ((b"\x32\x02\x00\x09",), "a publication of 2 bytes"),
        ((b"\x32\xff\xff\xff\xff\x01",), "more than four bytes"),
        ((b"\x30\xff\xff\xff\x7f",), f"a packet of {2**28 - 1} bytes"),
        ((b"\x90\x03\x00\x01\x80",), "refused a subscription"),
        ((b"\xf0\x00",), "unexpected packet 15"),
        ((b"\x40\x01\x00",), "unexpected packet 4 of 1 bytes"),
    ],
)
def test_what_breaks_the_protocol_or_the_memory_ends_the_connection(packets: tuple[bytes, ...], reason: str) -> None:
    assert reason in says(*packets)
    assert PACKET_MAX < 2**17
