"""The SunSpec client against the emulated DER over TCP."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge_agent.ems import Bounds, Command, Measured
from edge_agent.ems_modbus import ModbusEms
from edge_agent.errors import EmsRefused, EmsUnreachable
from edge_agent.settings import EmsSettings
from hil.der import Der, Kind, Plate, Storage

BATTERY = Plate(Kind.BATTERY, -40_000, 30_000, Storage(360_000_000, 180_000_000))


@contextmanager
def served(der: Der, nameplate_w: int = 50_000) -> Iterator[ModbusEms]:
    loop = asyncio.new_event_loop()
    port = loop.run_until_complete(der.block.listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    ems = ModbusEms(EmsSettings("127.0.0.1", port, 1, nameplate_w))
    try:
        yield ems
    finally:
        ems.close()
        asyncio.run_coroutine_threadsafe(der.block.close(), loop).result(2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_rule_1_the_bounds_are_the_smaller_of_nameplate_and_ratings() -> None:
    with served(Der(BATTERY)) as ems:
        assert ems.bounds() == Bounds(injection_w=40_000, withdrawal_w=30_000)
    with served(Der(BATTERY), nameplate_w=25_000) as ems:
        assert ems.bounds() == Bounds(25_000, 25_000)


def test_rule_2_a_withdrawal_is_a_withdrawal_on_both_sides() -> None:
    der = Der(BATTERY)
    with served(der) as ems:
        ems.command(Command(12_340))
        assert der.step(0, 0, 20_000, 4_000) == 12_340
        assert ems.measure() == Measured(32_340, 12_340, 12_340, False, False)
        ems.command(Command(-12_340))
        assert der.step(4_000, 0, -5_000, 4_000) == -12_340
        assert ems.measure() == Measured(-17_340, -12_340, -12_340, False, False)


def test_rule_3_the_reversion_is_set_with_the_command() -> None:
    der = Der(BATTERY)
    with served(der) as ems:
        ems.command(Command(10_000, reverts_after_s=8, reverts_to_w=-3_000))
        assert [der.step(t, 0, 0, 4_000) for t in (0, 4_000, 8_000)] == [10_000, 10_000, -3_000]
        ems.command(Command(10_000, reverts_after_s=70_000))
        assert der.block.get(704, "WSetRvrtTms") == 70_000
        assert [der.step(t, 500, 0, 4_000) for t in (12_000, 70_012_000)] == [10_000, 500]


def test_release_lets_the_device_go_its_own_way() -> None:
    der = Der(BATTERY)
    with served(der) as ems:
        ems.command(Command(10_000))
        ems.release()
        assert ems.measure().commanded_w is None
    assert der.step(0, 777, 0, 4_000) == 777


def test_the_switches_at_the_device_are_seen() -> None:
    der = Der(BATTERY, local_switch=True, emergency_stop=True)
    with served(der) as ems:
        assert ems.measure() == Measured(0, 0, None, True, True)


def test_a_large_device_has_a_coarser_measure() -> None:
    der = Der(Plate(Kind.BATTERY, -900_000, 900_000))
    with served(der, 900_000) as ems:
        ems.command(Command(123_456))
        der.step(0, 0, 0, 4_000)
        assert (ems.measure().der_w, ems.measure().commanded_w) == (123_500, 123_456)


def test_rule_4_the_measure_is_one_request() -> None:
    der = Der(BATTERY)
    with served(der) as ems:
        ems.bounds()
        requests = 0
        original = ems._client.read_holding_registers

        def counted(*arguments: int, **named: int) -> object:
            nonlocal requests
            requests += 1
            return original(*arguments, **named)

        ems._client.read_holding_registers = counted  # type: ignore[method-assign, assignment]
        ems.measure()
        assert requests == 1


def test_a_device_that_is_down_or_away_is_unreachable_and_used_again_when_it_is_back() -> None:
    der = Der(BATTERY)
    with served(der) as ems:
        ems.measure()
        der.block.refuses = True
        with pytest.raises(EmsUnreachable, match="exception 4"):
            ems.measure()
        der.block.refuses = False
        ems.measure()
    with pytest.raises(EmsUnreachable):
        ems.measure()


def test_something_else_at_the_address_is_refused() -> None:
    der = Der(BATTERY)
    der.block._registers[0] = 0
    with served(der) as ems, pytest.raises(EmsRefused, match="no SunSpec device at register 40000"):
        ems.measure()


def test_a_device_without_the_needed_model_is_refused() -> None:
    der = Der(BATTERY)
    der.block._registers[189] = 64901
    with served(der) as ems, pytest.raises(EmsRefused, match="no SunSpec model 64900"):
        ems.measure()


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EmsUnreachable, match="no connection"):
        ModbusEms(EmsSettings("127.0.0.1", port, 1, 1)).bounds()
