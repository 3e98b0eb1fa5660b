"""The master over TCP: an answer counts with its transaction only; the numbers are those of the modules' rules."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from lightnode.errors import MeterError, Refused
from lightnode.modbus import Master
from lightnode.modbus_tcp import TcpLink

VALUE = bytes.fromhex("43663334")
Answer = Callable[[bytes], bytes | None]


def wrap(number: bytes, unit: int, body: bytes, protocol: bytes = b"\0\0") -> bytes:
    return number + protocol + (len(body) + 1).to_bytes(2, "big") + bytes((unit,)) + body


def true(request: bytes) -> bytes:
    return wrap(request[:2], 1, b"\x03\x04" + VALUE)


def another(request: bytes) -> bytes:
    number = (int.from_bytes(request[:2], "big") - 1) % 65_536
    return wrap(number.to_bytes(2, "big"), 1, b"\x03\x04\0\0\0\0")


class Server:
    """A real server on 127.0.0.1 whose n-th request gets the n-th answer; `asked` are the requests, by connection."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[list[bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: list[bytes] = []
        self.asked.append(seen)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                seen.append(await reader.readexactly(12))
                answer = (self.answers.pop(0) if self.answers else true)(seen[-1])
                if answer is not None:
                    writer.write(answer)
        writer.close()

    def run(self, work: Callable[[Master], Awaitable[Any]]) -> Any:
        async def both() -> Any:
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            link = TcpLink(lambda: asyncio.open_connection("127.0.0.1", port))
            made = Master(link, 60)
            made.begin()
            try:
                return await work(made)
            finally:
                link.lost()
                server.close()

        return asyncio.run(both())

    def read(self) -> Any:
        return self.run(lambda master: master.read(1, 3, ((0x34, 2, 0, 0),)))


def test_a_request_is_as_the_guide_says() -> None:
    server = Server()
    assert server.read() == [VALUE]
    assert server.asked == [[bytes.fromhex("0001 0000 0006 01 03 0034 0002")]]


def test_1_late_answers_are_thrown_away_and_the_true_one_awaited() -> None:
    server = Server(lambda r: another(r) + another(r) + true(r))
    assert server.read() == [VALUE] and len(server.asked[0]) == 1


def test_1_an_answer_with_another_transaction_only_is_none() -> None:
    server = Server(another)
    assert server.read() == [VALUE] and len(server.asked[0]) == 2


BROKEN: dict[str, Answer] = {
    "noise before it": lambda r: b"\x55\xaa\x55" + true(r),
    "another protocol": lambda r: wrap(r[:2], 1, b"\x03\x04" + VALUE, b"\0\1"),
    "no length": lambda r: r[:2] + b"\0\0\0\0" + true(r),
    "a length without end": lambda r: r[:2] + b"\0\0\xff\xff" + bytes(300),
}


@pytest.mark.parametrize("name", BROKEN)
def test_2_what_is_no_modbus_ends_the_connection_and_is_asked_for_on_a_new_one(name: str) -> None:
    server = Server(BROKEN[name])
    assert server.read() == [VALUE] and [len(c) for c in server.asked] == [1, 1]


def test_2_noise_behind_an_answer_costs_the_next_one_a_repetition() -> None:
    async def twice(master: Master) -> tuple[list[bytes], bool]:
        await master.read(1, 3, ((0, 2, 0, 0),))
        master.begin()
        return await master.read(1, 3, ((0, 2, 0, 0),)), master.retried

    assert Server(lambda r: true(r) + b"\x55\xaa\x55\xaa\x55\xaa\x55").run(twice) == ([VALUE], True)


WRONG: dict[str, Answer] = {
    "another unit": lambda r: wrap(r[:2], 2, b"\x03\x04" + VALUE),
    "another function": lambda r: wrap(r[:2], 1, b"\x04\x04" + VALUE),
    "another length": lambda r: wrap(r[:2], 1, b"\x03\x02\0\0"),
    "a count that is not its length": lambda r: wrap(r[:2], 1, b"\x03\x08" + VALUE),
    "too short": lambda r: wrap(r[:2], 1, b"\x03\x04" + VALUE[:3]),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_to_something_else_is_asked_for_again(name: str) -> None:
    server = Server(WRONG[name])
    assert server.read() == [VALUE] and [len(c) for c in server.asked] == [2]


def test_an_exception_is_no_value() -> None:
    with pytest.raises(Refused, match="exception 2"):
        Server(lambda r: wrap(r[:2], 1, b"\x83\x02")).read()


def test_2_after_a_cycle_without_an_answer_the_connection_is_a_new_one() -> None:
    async def twice(master: Master) -> Any:
        with pytest.raises(MeterError, match="no answer"):
            await master.read(1, 3, ((0, 2, 0, 0),))
        master.begin()
        return await master.read(1, 3, ((0, 2, 0, 0),))

    server = Server(lambda r: None, lambda r: None, lambda r: None)
    assert server.run(twice) == [VALUE] and [len(c) for c in server.asked] == [3, 1]


def test_a_meter_that_cannot_be_reached_is_an_error_and_never_a_value() -> None:
    async def refused() -> Any:
        raise ConnectionRefusedError

    async def once() -> None:
        master = Master(TcpLink(refused), 20)
        master.begin()
        with pytest.raises(MeterError, match="the line is gone"):
            await master.read(1, 3, ((0, 2, 0, 0),))

    asyncio.run(once())
