"""The master on a serial line believes nothing that is not exactly the answer; the numbers are those of the modules' rules."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.errors import MeterError, Refused
from lightnode.modbus import Master
from lightnode.modbus_rtu import OWED_CYCLES, RtuLink, crc16, gap_ms
from pymodbus.framer import FramerRTU

VALUE = bytes.fromhex("43663334")
ZERO = bytes(4)
TWO = (0, 2, 0, 0)


def frame(*body: int, data: bytes = b"") -> bytes:
    content = bytes(body) + data
    return content + crc16(content)


GOOD = frame(1, 4, 4, data=VALUE)


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


def master(line: Line, timeout_ms: int = 20, step: int = 1, **more: Any) -> Master:
    return Master(RtuLink(line.open, 115_200, step), timeout_ms, **more)


async def cycle(made: Master, *requests: tuple[int, int, int, int]) -> list[bytes]:
    made.begin()
    return await made.read(1, 4, requests or (TWO,))


def read(line: Line) -> list[bytes]:
    return asyncio.run(cycle(master(line)))


def test_the_crc_of_the_standards_example() -> None:
    """Modbus over Serial Line V1.02, 6.2.2: 02 07 has the CRC 41 12."""
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")


@given(st.binary(max_size=60))
def test_the_crc_is_that_of_a_master_that_is_not_ours(data: bytes) -> None:
    assert crc16(data) == FramerRTU.compute_CRC(data).to_bytes(2, "big")


def test_a_request_is_as_the_document_says() -> None:
    line = Line(GOOD)
    assert read(line) == [VALUE]
    assert line.asked == [bytes.fromhex("010400000002 71cb")]


@pytest.mark.parametrize(("baud", "ms"), [(1200, 33), (2400, 17), (9600, 5), (19_200, 3), (115_200, 2)])
def test_1_the_gap_is_three_and_a_half_characters_and_at_least_1_75_ms(baud: int, ms: int) -> None:
    assert gap_ms(baud) == ms


BROKEN: dict[str, Callable[[], bytes]] = {
    "another unit": lambda: frame(2, 4, 4, data=VALUE),
    "another function": lambda: frame(1, 3, 4, data=VALUE),
    "another length": lambda: frame(1, 4, 2, data=b"\0\0"),
    "a broken bit": lambda: GOOD[:4] + bytes([GOOD[4] ^ 4]) + GOOD[5:],
    "a broken check": lambda: GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
    "noise before it": lambda: b"\x00\x55" + GOOD,
    "half of it": lambda: GOOD[:5],
}


@pytest.mark.parametrize("name", BROKEN)
def test_1_what_is_not_exactly_the_answer_is_asked_for_again(name: str) -> None:
    async def once() -> tuple[list[bytes], bool, int]:
        made = master(Line(BROKEN[name](), frame(1, 4, 6, data=VALUE + b"\0\0"), GOOD))
        return await cycle(made, (0, 2, 0, 9)), made.retried, made.errors

    assert asyncio.run(once()) == ([VALUE], True, 1)


def test_1_noise_behind_an_answer_does_not_reach_the_next_one() -> None:
    async def twice() -> tuple[list[bytes], bool]:
        made = master(Line(GOOD + b"\x01\x04\x04", GOOD))
        await cycle(made)
        return await cycle(made), made.retried

    assert asyncio.run(twice()) == ([VALUE], False)


def test_a_meter_that_is_busy_is_asked_again() -> None:
    line = Line(frame(1, 0x84, 6), GOOD)
    assert read(line) == [VALUE] and len(line.asked) == 2


@pytest.mark.parametrize("code", [1, 2, 3])
def test_4_a_request_that_the_meter_calls_wrong_is_not_repeated(code: int) -> None:
    line = Line(frame(1, 0x84, code))
    with pytest.raises(Refused, match=f"exception {code}"):
        read(line)
    assert len(line.asked) == 1


def test_2_a_silent_meter_is_asked_three_times_then_once_a_cycle() -> None:
    async def cycles() -> list[int]:
        line = Line()
        made, counts = master(line), []
        for _ in range(3):
            with pytest.raises(MeterError, match="unit 1, register 0: no answer"):
                await cycle(made, (0, 2, 0, 20))
            counts.append(len(line.asked))
        return counts

    assert asyncio.run(cycles()) == [3, 4, 5]


def test_2_all_requests_of_a_cycle_share_the_three() -> None:
    line = Line(GOOD, None, None, GOOD)
    with pytest.raises(MeterError, match="register 2"):
        asyncio.run(cycle(master(line), TWO, (2, 2, 0, 9)))
    assert len(line.asked) == 3


def test_a_meter_that_answers_is_given_more_time_than_one_that_does_not() -> None:
    async def cycles() -> list[float]:
        made, loop = master(Line(), 10, patience=20), asyncio.get_running_loop()
        took = []
        for _ in range(2):
            began = loop.time()
            with pytest.raises(MeterError):
                await cycle(made, (0, 2, 0, 9))
            took.append(loop.time() - began)
        return took

    first, second = asyncio.run(cycles())
    assert first > second + 0.4


def test_a_slow_line_is_given_the_time_that_request_and_answer_take() -> None:
    """At 2400 baud 2 registers take 17 characters of 11 bits and the gap, 94 ms; 22 registers 57, 278 ms."""

    async def times() -> list[int]:
        link = RtuLink(Line().open, 2400)
        first = await link.ready((0, 2, 0, 20))
        link._owed = [[n, 9] for n in range(2, 22)]
        return [first, await link.ready((0, 2, 0, 20))]

    assert asyncio.run(times()) == [77 + 17, 261 + 17]


def later(line: Line, after_ms: int, data: bytes) -> None:
    asyncio.get_running_loop().call_later(after_ms / 1000, lambda: line.reader.feed_data(data))


def test_2_a_repetition_has_another_length_so_a_late_answer_is_known_and_the_true_one_awaited() -> None:
    """The answer to the first request comes while the second is being answered: same unit, function and CRC."""

    async def once() -> tuple[list[bytes], list[bytes], list[bytes]]:
        late, true = frame(1, 4, 4, data=ZERO), frame(1, 4, 6, data=VALUE + b"\0\0")
        line = Line(None, late + true, GOOD)
        made = master(line)
        first = await cycle(made, (0, 2, 0, 1))
        return first, await cycle(made, (0, 2, 0, 1)), line.asked

    first, second, asked = asyncio.run(once())
    assert first == second == [VALUE]
    assert [a[5] for a in asked] == [2, 3, 2]  # the debt is settled: the shortest is free again


def test_2_an_answer_that_is_a_whole_cycle_late_is_not_this_cycles() -> None:
    async def cycles() -> list[bytes]:
        line = Line(None, None, None, frame(1, 4, 4, data=ZERO) + frame(1, 4, 10, data=VALUE + bytes(6)))
        made = master(line)
        with pytest.raises(MeterError):
            await cycle(made, (0, 2, 0, 9))
        return await cycle(made, (0, 2, 0, 9))

    assert asyncio.run(cycles()) == [VALUE]


def test_2_registers_before_are_read_too_and_cut_off() -> None:
    line = Line(None, frame(1, 4, 8, data=b"\0\0\0\0" + VALUE))
    assert asyncio.run(cycle(master(line, step=2), (8, 2, 4, 0))) == [VALUE]
    assert [(a[3], a[5]) for a in line.asked] == [(8, 2), (6, 4)]


def test_3_a_request_whose_every_length_is_owed_is_not_sent_until_a_debt_is_old() -> None:
    async def cycles() -> tuple[int, int, list[bytes]]:
        line = Line()
        made = master(line)
        with pytest.raises(MeterError, match="answers to earlier requests may still come"):
            await cycle(made, (0, 2, 0, 0))
        held = len(line.asked)
        for _ in range(OWED_CYCLES - 1):
            with pytest.raises(MeterError):
                await cycle(made, (0, 2, 0, 0))
        still = len(line.asked)
        line.answers = [GOOD]
        return held, still, await cycle(made, (0, 2, 0, 0))

    assert asyncio.run(cycles()) == (1, 1, [VALUE])


def test_a_line_that_is_gone_is_opened_again() -> None:
    line = Line(b"gone", frame(1, 4, 6, data=VALUE + b"\0\0"))
    assert asyncio.run(cycle(master(line), (0, 2, 0, 1))) == [VALUE] and line.opened == 2


def test_1_a_line_that_is_never_silent_is_an_error_within_the_time() -> None:
    async def once() -> None:
        line = Line()
        made = master(line, 100)

        async def babble() -> None:
            while True:
                if line.opened:
                    line.reader.feed_data(b"\x55")
                await asyncio.sleep(0)

        noise = asyncio.create_task(babble())
        with pytest.raises(MeterError):
            await cycle(made)
        noise.cancel()
        assert not line.asked

    asyncio.run(once())
