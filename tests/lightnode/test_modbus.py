"""The master believes nothing that is not exactly the answer, and never asks more than three times a cycle."""

import asyncio
from collections.abc import Callable

import pytest
from lightnode.errors import MeterError
from lightnode.modbus import RtuMaster, crc16

ANSWER = bytes((1, 4, 4)) + bytes.fromhex("43663334")
GOOD = ANSWER + crc16(ANSWER)


class Line:
    """A serial line in memory: each request is answered by the next of the given bytes, None is silence."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.opened = 0

    def open(self) -> tuple[asyncio.StreamReader, "Line"]:
        self.opened += 1
        self.reader = asyncio.StreamReader()
        return self.reader, self

    def write(self, frame: bytes) -> None:
        self.asked.append(frame)
        answer = self.answers.pop(0) if self.answers else None
        if answer == b"gone":
            self.reader.feed_eof()
        elif answer is not None:
            self.reader.feed_data(answer)

    async def drain(self) -> None:
        return None


def read(line: Line, count: int = 2) -> list[bytes]:
    async def once() -> list[bytes]:
        return await RtuMaster(line.open, 40).read_inputs(1, [(0, count)])

    return asyncio.run(once())


def test_the_crc_of_the_standards_example() -> None:
    """Modbus over Serial Line V1.02, 6.2.2: 02 07 has the CRC 41 12."""
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")


def test_a_request_is_as_the_document_says() -> None:
    line = Line(GOOD)
    assert read(line) == [bytes.fromhex("43663334")]
    assert line.asked == [bytes.fromhex("010400000002 71cb")]


BROKEN: dict[str, Callable[[], bytes]] = {
    "another unit": lambda: b"\x02" + ANSWER[1:] + crc16(b"\x02" + ANSWER[1:]),
    "another function": lambda: b"\x01\x03" + ANSWER[2:] + crc16(b"\x01\x03" + ANSWER[2:]),
    "another length": lambda: bytes((1, 4, 2, 0, 0)) + crc16(bytes((1, 4, 2, 0, 0))),
    "a broken bit": lambda: GOOD[:4] + bytes([GOOD[4] ^ 4]) + GOOD[5:],
    "noise before it": lambda: b"\x00\x55" + GOOD,
    "half of it": lambda: GOOD[:5],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_exactly_the_answer_is_asked_for_again(name: str) -> None:
    line = Line(BROKEN[name](), GOOD)
    assert read(line) == [bytes.fromhex("43663334")]
    assert len(line.asked) == 2


def test_an_exception_of_the_meter_is_no_value() -> None:
    refusal = bytes((1, 0x84, 2)) + crc16(bytes((1, 0x84, 2)))
    with pytest.raises(MeterError, match="exception 2"):
        read(Line(refusal, refusal, refusal))


def test_a_silent_meter_is_asked_three_times_and_no_more() -> None:
    line = Line()
    with pytest.raises(MeterError, match="unit 1, register 0: no answer"):
        read(line)
    assert len(line.asked) == 3


def test_a_meter_that_answers_is_given_more_time_than_one_that_does_not() -> None:
    async def cycles() -> list[float]:
        master, loop = RtuMaster(Line().open, 10, patience=5), asyncio.get_running_loop()
        took = []
        for _ in range(2):
            began = loop.time()
            with pytest.raises(MeterError):
                await master.read_inputs(1, [(0, 2)])
            took.append(loop.time() - began)
        return took

    first, second = asyncio.run(cycles())
    assert first > second + 2 * 0.04


def test_a_late_answer_is_thrown_away_before_the_question_is_put_again() -> None:
    other = bytes((1, 4, 4)) + bytes.fromhex("00000000")

    async def once() -> list[bytes]:
        line = Line(None, GOOD)
        master = RtuMaster(line.open, 40)
        asyncio.get_running_loop().call_later(0.07, lambda: line.reader.feed_data(other + crc16(other)))
        return await master.read_inputs(1, [(0, 2)])

    assert asyncio.run(once()) == [bytes.fromhex("43663334")]


def test_a_line_that_is_gone_is_opened_again() -> None:
    line = Line(b"gone", GOOD)
    assert read(line) == [bytes.fromhex("43663334")] and line.opened == 2
