"""The Modbus server answers what is right, refuses what is not, and hostile input costs it one connection at most."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode import ems_server
from lightnode.ems_map import EmsBlock
from lightnode.ems_server import CONNECTIONS_MAX, Registers, RtuServer, TcpServer
from lightnode.modbus_rtu import crc16

NODE = bytes(range(90))


def registers() -> tuple[Registers, EmsBlock]:
    block = EmsBlock()
    return Registers(lambda: NODE, block), block


def asked(request: str) -> str:
    return registers()[0].answer(bytes.fromhex(request)).hex()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("03 0000 0002", "0304" + NODE[:4].hex()),
        ("04 002c 0001", "0402" + NODE[88:].hex()),
        ("03 0000 002d", "035a" + NODE.hex()),
        ("03 0064 0002", "030400000000"),
        ("06 0064 0007", "0600640007"),
        ("10 0064 0001 02 0007", "1000640001"),
        ("10 0067 0002 04 0000 0007", "1000670002"),
        # refused: function, address, count, value
        ("01 0000 0001", "8101"), ("2b 0e0100", "ab01"), ("03 002c 0002", "8302"), ("03 0064 000f", "8302"),
        ("03 0040 0001", "8302"), ("03 ffff 0001", "8302"), ("04 0000 0000", "8403"), ("03 0000 007e", "8303"),
        ("03 0000", "8303"), ("03", "8303"), ("03 0000 0001 00", "8303"), ("06 0000 0001", "8602"),
        ("06 0067 0001", "8603"), ("06 0065 0009", "8603"), ("06 0064", "8603"), ("10 0064 0001 02 00", "9003"),
        ("10 0064 0002 02 0007", "9003"), ("10 0064 0000 00", "9003"), ("10 000a 0001 02 0007", "9002"),
        ("10 0071 0002 04 0000 0000", "9002"), ("10", "9003"), ("83 0000 0001", "8301"),
    ],
)  # fmt: skip
def test_each_request_has_its_answer(request_: str, answer: str) -> None:
    assert asked(request_) == answer


@given(st.binary(min_size=1, max_size=253))
def test_any_request_has_an_answer_that_fits_a_frame(request_: bytes) -> None:
    made, block = registers()
    answer = made.answer(request_)
    assert 2 <= len(answer) <= 253 and answer[0] & 0x7F == request_[0] & 0x7F
    if answer[0] & 0x80:
        assert block.beats == 0 and len(answer) == 2


def frame(request_: str, unit: int = 1, transaction: int = 1) -> bytes:
    body = bytes([unit]) + bytes.fromhex(request_)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


Talk = Callable[[Any, int], Awaitable[None]]


def served(talk: Talk) -> TcpServer:
    """Runs talk(server, port) beside a listening server."""

    async def main() -> TcpServer:
        made = TcpServer(registers()[0], 1)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        server = await made.listen(f"127.0.0.1:{port}")
        try:
            await talk(made, port)
        finally:
            server.close()
        return made

    return asyncio.run(main())


async def ask(port: int, data: bytes, wanted: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.readexactly(wanted), 5)
    finally:
        writer.close()


ANSWER = bytes.fromhex("0001 0000 0005 01 03 02 0001")


def test_a_read_over_tcp_byte_by_byte_too() -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        assert await ask(port, frame("03 0000 0001"), 11) == ANSWER
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in frame("03 0000 0001"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(11) == ANSWER
        writer.close()

    served(talk)


def test_requests_in_one_piece_are_answered_in_order() -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        both = await ask(port, frame("03 0000 0001") + frame("03 0000 0001", 1, 2), 22)
        assert both == ANSWER + b"\0\2" + ANSWER[2:]

    served(talk)


@pytest.mark.parametrize(
    ("unit", "answer"), [(1, "030200"), (0, "030200"), (255, "030200"), (2, "830b"), (247, "830b")]
)
def test_another_unit_is_refused(unit: int, answer: str) -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        said = await ask(port, frame("03 0000 0001", unit), 7 + len(answer) // 2)
        assert said[6] == unit and said[7:].hex() == answer

    served(talk)


HOSTILE = {
    "another protocol": b"\0\1\0\1\0\6\1\3\0\0\0\1",
    "no request": b"\0\1\0\0\0\1\1",
    "too long": b"\0\1\0\0\xff\xff\1" + bytes(300),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_frame_ends_its_connection_and_no_other(name: str) -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        other = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HOSTILE[name])
        try:
            assert await asyncio.wait_for(reader.read(10), 5) == b""
        except ConnectionResetError:
            pass
        other[1].write(frame("03 0000 0001"))
        assert await asyncio.wait_for(other[0].readexactly(11), 5) == ANSWER
        other[1].close()
        writer.close()

    assert served(talk).dropped >= 1


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_over_tcp_leave_it_answering(pieces: list[bytes]) -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
        writer.close()
        assert await ask(port, frame("03 0000 0001"), 11) == ANSWER

    served(talk)


def test_one_connection_more_than_allowed_is_closed_and_the_others_live() -> None:
    async def talk(server: TcpServer, port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
        for reader, writer in held:
            writer.write(frame("03 0000 0001"))
            assert await asyncio.wait_for(reader.readexactly(11), 5) == ANSWER
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(1), 5) == b"" and server.open == CONNECTIONS_MAX
        held[0][1].write(frame("03 0000 0001"))
        assert await asyncio.wait_for(held[0][0].readexactly(11), 5) == ANSWER
        for _, writer in held:
            writer.close()
        while server.open:
            await asyncio.sleep(0)
        assert await ask(port, frame("03 0000 0001"), 11) == ANSWER

    assert served(talk).refused == 1


@pytest.mark.parametrize("sent", [b"", b"\0", frame("03 0000 0001")[:9]])
def test_who_is_slow_loses_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ems_server, "IDLE_S", 0.2)
    monkeypatch.setattr(ems_server, "FRAME_S", 0.1)

    async def talk(_server: TcpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(1), 5) == b""

    assert served(talk).dropped == 1


def test_a_flood_is_answered_at_the_servers_pace_and_waits_at_its_sender() -> None:
    async def talk(_server: TcpServer, port: int) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frame("03 0000 0001") * 40)
        began = loop.time()
        await asyncio.wait_for(reader.readexactly(11 * 21), 5)
        assert loop.time() - began >= 20 * ems_server.PAUSE_MS / 1000
        writer.close()

    served(talk)


class Line:
    """The slave's side of a serial line in memory."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.answers = b""

    def write(self, data: bytes) -> None:
        self.answers += data

    async def drain(self) -> None:
        return None


def with_crc(body: str, unit: int = 1) -> bytes:
    raw = bytes([unit]) + bytes.fromhex(body)
    return raw + crc16(raw)


def heard(*pieces: bytes, gap_s: float = 0.0, block: EmsBlock | None = None) -> bytes:
    """What the slave answers to the pieces, a gap before each but the first."""

    async def main() -> bytes:
        line = Line()
        made = RtuServer(Registers(lambda: NODE, block or EmsBlock()), 1)
        serving = asyncio.create_task(made.serve(line.reader, line))
        for k, piece in enumerate(pieces):
            if k:
                await asyncio.sleep(gap_s)
            line.reader.feed_data(piece)
        await asyncio.sleep(0.1)
        line.reader.feed_eof()
        with pytest.raises(EOFError):
            await serving
        return line.answers

    return asyncio.run(main())


READ = with_crc("03 0000 0001")
READ_ANSWER = with_crc("03 02 0001")


def test_a_read_on_a_line_in_any_pieces() -> None:
    assert heard(READ) == READ_ANSWER
    assert heard(*[bytes([b]) for b in READ]) == READ_ANSWER
    assert heard(READ[:3], READ[3:], gap_s=0.01) == READ_ANSWER


def test_a_write_on_a_line() -> None:
    block = EmsBlock()
    assert heard(with_crc("10 0064 0002 04 0009 0001"), block=block) == with_crc("10 0064 0002")
    assert block.values["heartbeat"] == 9 and block.values["state"] == 1


@pytest.mark.parametrize(
    "noise", [b"\x55", b"\x00\xff\x13", with_crc("03 0000 0001", 2), with_crc("03 02 0001", 7), READ[:-1] + b"\0"]
)
def test_noise_other_units_and_broken_frames_are_silence_and_the_next_frame_counts(noise: bytes) -> None:
    assert heard(noise) == b""
    assert heard(noise, READ, gap_s=0.08) == READ_ANSWER
    assert heard(noise + READ) == READ_ANSWER


def test_nothing_is_broadcast_to_us() -> None:
    assert heard(with_crc("06 0064 0007", 0)) == b""


@pytest.mark.parametrize("body", ["01 0000 0001", "11", "2b 0e0100", "08 0000 a537 a537"])
def test_an_unknown_function_on_a_line_is_refused_after_the_silence(body: str) -> None:
    code = int(body[:2], 16)
    assert heard(with_crc(body)) == with_crc(f"{code | 0x80:02x} 01")


def test_half_a_frame_and_silence_is_no_frame() -> None:
    assert heard(READ[:5], READ, gap_s=0.08) == READ_ANSWER


@given(st.lists(st.binary(max_size=300), max_size=3))
def test_any_bytes_on_a_line_leave_it_serving(pieces: list[bytes]) -> None:
    async def main() -> bytes:
        line = Line()
        made = RtuServer(Registers(lambda: NODE, EmsBlock()), 1)
        for piece in pieces:
            line.reader.feed_data(piece)
        line.reader.feed_eof()
        with pytest.raises(EOFError):
            await made.serve(line.reader, line)
        return line.answers

    assert len(asyncio.run(main())) <= 900
