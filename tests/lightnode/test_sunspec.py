"""Where a SunSpec meter keeps its model: every base, longer chains, loss, hostile chains. Numbers are the module's rules."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.errors import MeterError, Refused
from lightnode.sunspec import BASES, HOPS_MAX, Place


class Device:
    """A master over registers in memory: 3 requests a cycle; what is not there is refused."""

    def __init__(self, base: int = 40_000, *models: tuple[int, int], content: bytes | None = None) -> None:
        self.base = base
        chain = b"".join(bytes.fromhex(f"{i:04x}{n:04x}") + bytes(2 * n) for i, n in models)
        self.content = content if content is not None else b"SunS" + chain + b"\xff\xff\0\0"
        self.left = 3
        self.silent = False
        self.sent = 0

    async def read(self, unit: int, function: int, requests: list[tuple[int, int, int, int]]) -> list[bytes]:
        blocks = []
        for first, count, _, _ in requests:
            assert self.left and 0 <= first and first + count <= 65_536
            self.left -= 1
            self.sent += 1
            if self.silent:
                raise MeterError("no answer")
            at = 2 * (first - self.base)
            if at < 0 or at + 2 * count > len(self.content):
                raise Refused(2)
            blocks.append(self.content[at : at + 2 * count])
        return blocks


def cycles(place: Place, device: Device, most: int) -> tuple[int, int]:
    """(register of the model, cycles it took); AssertionError if it took more than `most`."""
    for k in range(1, most + 1):
        device.left = 3
        try:
            return asyncio.run(place.find(device, 1, 3)), k
        except MeterError:
            continue
    raise AssertionError("not found")


@pytest.mark.parametrize("base", BASES)
def test_the_marker_is_found_at_every_base(base: int) -> None:
    device = Device(base, (1, 66), (203, 105))
    at, took = cycles(Place(203, 105), device, 3)
    assert at == base + 2 + 68 and took <= 2


def test_1_a_first_reading_at_40000_leaves_one_request_for_the_values() -> None:
    device = Device(40_000, (1, 66), (203, 105))
    assert cycles(Place(203, 105), device, 1) == (40_070, 1) and device.left == 1


def test_1_a_long_chain_is_walked_over_cycles_and_the_place_kept() -> None:
    device, place = Device(50_000, (1, 65), *[(120 + k, 10) for k in range(7)], (213, 124)), Place(213, 124)
    at, took = cycles(place, device, 5)
    assert at == 50_000 + 2 + 67 + 7 * 12 and took == 4
    sent = device.sent
    assert cycles(place, device, 1) == (at, 1) and device.sent == sent


def test_3_another_model_or_a_shorter_one_is_not_it() -> None:
    for model in ((201, 105), (203, 104)):
        with pytest.raises(AssertionError, match="not found"):
            cycles(Place(203, 105), Device(40_000, (1, 66), model), 20)


def test_4_a_place_is_forgotten_after_two_misses_and_found_again_elsewhere() -> None:
    device, place = Device(40_000, (1, 66), (203, 105)), Place(203, 105)
    cycles(place, device, 1)
    good = bytes.fromhex("00cb0069")
    with pytest.raises(MeterError, match="not where it was"):
        place.confirm(bytes(4))
    assert cycles(place, device, 1)[0] == 40_070 and device.left == 3
    place.confirm(good)
    place.missed()
    place.missed()
    assert cycles(place, Device(50_000, (1, 66), (203, 105)), 3)[0] == 50_070


def test_a_silent_device_is_looked_for_until_it_speaks() -> None:
    device, place = Device(0, (1, 66), (211, 124)), Place(211, 124)
    device.silent = True
    for _ in range(4):
        device.left = 3
        with pytest.raises(MeterError):
            asyncio.run(place.find(device, 1, 3))
    device.silent = False
    assert cycles(place, device, 4)[0] == 70


def test_2_a_chain_that_bites_its_tail_or_never_ends_is_left() -> None:
    endless = b"SunS" + bytes.fromhex("00050000") * (4 * HOPS_MAX)
    with pytest.raises(AssertionError, match="not found"):
        cycles(Place(203, 105), Device(0, content=endless), 2 * HOPS_MAX)


@given(st.binary(max_size=400), st.sampled_from(BASES), st.integers(0, 2**32))
def test_any_registers_are_a_place_or_an_error_within_three_requests_a_cycle(data: bytes, base: int, seed: int) -> None:
    content = b"SunS" + data if Random(seed).randrange(4) else data
    device, place = Device(base, content=content), Place(203, 105)
    for _ in range(20):
        device.left = 3
        try:
            at = asyncio.run(place.find(device, 1, 3))
        except MeterError:
            continue
        header = device.content[2 * (at - base) :][:4]
        assert header[:2] == b"\x00\xcb" and int.from_bytes(header[2:], "big") >= 105
