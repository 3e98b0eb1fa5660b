"""The emulated DER: physics by hand, then what a SunSpec client sees over Modbus TCP."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient

from hil.der import Der, Fault, Kind, Plate, Storage
from hil.sunspec import SunSpecBlock, layout

SLOT_MS = 4_000
BATTERY = Plate(Kind.BATTERY, -40_000, 40_000, Storage(360_000_000, 180_000_000, 900_000))
CHARGER = Plate(Kind.CHARGING, 0, 22_000)


def command(der: Der, withdrawal_w: int, **points: int) -> None:
    """As a SunSpec client writes it: positive for injection."""
    for name, value in ({"WSetMod": 1, "WSet": -withdrawal_w, "WSetEna": 1} | points).items():
        der.block.set(704, name, value)
    der.block.written()


def test_rule_2_it_follows_its_own_schedule_until_it_is_told() -> None:
    der = Der(CHARGER)
    assert der.step(0, 11_000, 0, SLOT_MS) == 11_000
    command(der, 3_000)
    assert der.step(SLOT_MS, 11_000, 0, SLOT_MS) == 3_000
    command(der, 0, WSetEna=0)
    assert der.step(2 * SLOT_MS, 11_000, 0, SLOT_MS) == 11_000


def test_rule_1_its_registers_are_positive_for_injection() -> None:
    der = Der(BATTERY)
    command(der, -25_000)
    assert der.step(0, 0, 60_000, SLOT_MS) == -25_000
    assert der.block.get(701, "W") * 10 ** der.block.get(701, "W_SF") == 25_000
    assert der.block.get(64900, "PodW") == 35_000, "ours is positive for withdrawal"


def test_rule_2_percent_is_of_wmax() -> None:
    der = Der(BATTERY)
    command(der, 0, WSetMod=0, WSetPct=5_000)
    assert der.step(0, 0, 0, SLOT_MS) == -20_000


def test_rule_2_wmaxlimpct_limits_injection_only() -> None:
    der = Der(BATTERY)
    der.block.set(704, "WMaxLimPctEna", 1)
    der.block.set(704, "WMaxLimPct", 2_500)
    assert der.step(0, -30_000, 0, SLOT_MS) == -10_000
    assert der.step(SLOT_MS, 30_000, 0, SLOT_MS) == 30_000


def test_rule_2_the_local_switch_outranks_and_the_stop_outranks_all() -> None:
    der = Der(CHARGER)
    command(der, 3_000)
    der.local_switch = True
    assert der.step(0, 11_000, 0, SLOT_MS) == 11_000
    der.emergency_stop = True
    assert der.step(SLOT_MS, 11_000, 0, SLOT_MS) == 0


def test_rule_3_it_reverts_alone_when_nobody_comes_again() -> None:
    der = Der(CHARGER)
    command(der, 3_000, WSetRvrtTms=8)
    assert [der.step(t, 11_000, 0, SLOT_MS) for t in (0, 4_000, 8_000)] == [3_000, 3_000, 11_000]


def test_rule_3_it_reverts_to_a_value_if_told_so() -> None:
    der = Der(CHARGER)
    command(der, 3_000, WSetRvrtTms=4, WSetRvrt=-7_000, WSetEnaRvrt=1)
    assert [der.step(t, 11_000, 0, SLOT_MS) for t in (0, 4_000, 400_000)] == [3_000, 7_000, 7_000]


def test_rule_3_a_new_write_starts_the_timer_anew() -> None:
    der = Der(CHARGER)
    command(der, 3_000, WSetRvrtTms=8)
    der.step(0, 11_000, 0, SLOT_MS)
    command(der, 4_000, WSetRvrtTms=8)
    assert [der.step(t, 11_000, 0, SLOT_MS) for t in (4_000, 8_000, 12_000)] == [4_000, 4_000, 11_000]


def test_rule_4_a_battery_loses_in_both_directions() -> None:
    der = Der(BATTERY)
    der.step(0, 9_000, 0, SLOT_MS)
    assert der.stored_ws == 180_000_000 + 9_000 * 4 * 9 // 10
    der = Der(BATTERY)
    der.step(0, -9_000, 0, SLOT_MS)
    assert der.stored_ws == 180_000_000 - 40_000


def test_rule_4_a_full_battery_takes_only_what_fits() -> None:
    der = Der(Plate(Kind.BATTERY, -40_000, 40_000, Storage(360_000, 352_800, 900_000)))
    assert [der.step(k * SLOT_MS, 1_500, 0, SLOT_MS) for k in range(3)] == [1_500, 500, 0]
    assert der.stored_ws == 360_000


@given(st.lists(st.integers(-60_000, 60_000), max_size=60), st.integers(500_000, 1_000_000))
def test_rule_4_storage_stays_within_its_walls_and_makes_no_energy(wishes: list[int], efficiency_ppm: int) -> None:
    storage = Storage(2_000_000, 900_000, efficiency_ppm)
    der = Der(Plate(Kind.BATTERY, -40_000, 40_000, storage))
    powers = []
    for k, wish in enumerate(wishes):
        powers.append(der.step(k * SLOT_MS, wish, 0, SLOT_MS))
        assert -40_000 <= powers[-1] <= 40_000 and 0 <= der.stored_ws <= storage.capacity_ws
    assert der.stored_ws - storage.stored_ws <= 4 * sum(powers) + len(powers)


def test_rule_4_a_plant_of_pv_gives_at_most_what_the_sun_gives() -> None:
    der = Der(Plate(Kind.PV, -30_000, 0))
    command(der, -30_000)
    assert der.step(0, -12_000, 0, SLOT_MS) == -12_000
    command(der, -5_000)
    assert der.step(SLOT_MS, -12_000, 0, SLOT_MS) == -5_000


def test_rule_5_a_fault_delivers_a_part_of_the_change_from_its_instant_on() -> None:
    der = Der(Plate(Kind.CHARGING, 0, 22_000, fault=Fault(SLOT_MS, 400_000)))
    command(der, 1_000)
    assert [der.step(t, 11_000, 0, SLOT_MS) for t in (0, SLOT_MS)] == [1_000, 7_000]
    assert der.commanded_w == 1_000


def test_the_scale_factor_grows_with_the_nameplate() -> None:
    der = Der(Plate(Kind.BATTERY, -900_000, 900_000))
    command(der, 876_543)
    der.step(0, 0, 0, SLOT_MS)
    assert (der.block.get(701, "W"), der.block.get(701, "W_SF")) == (-8_765, 2)
    assert der.block.get(702, "WMax") * 10 ** der.block.get(702, "W_SF") == 900_000


@contextmanager
def served(block: SunSpecBlock) -> Iterator[ModbusTcpClient]:
    loop = asyncio.new_event_loop()
    port = loop.run_until_complete(block.listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=2, retries=0)
    try:
        assert client.connect()
        yield client
    finally:
        client.close()
        asyncio.run_coroutine_threadsafe(block.close(), loop).result(2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_client_walks_the_models_from_register_40000() -> None:
    with served(Der(BATTERY).block) as client:
        assert client.read_holding_registers(40000, count=2).registers == [0x5375, 0x6E53]
        at, found = 40002, []
        while (head := client.read_holding_registers(at, count=2).registers)[0] != 0xFFFF:
            found.append(tuple(head))
            at += 2 + head[1]
    assert found == [(1, 66), (702, 50), (704, 65), (64900, 4), (701, 153)]


def test_a_client_commands_by_one_write_and_reads_it_back() -> None:
    der = Der(BATTERY)
    at = layout().points[704, "WSetEna"].address
    with served(der.block) as client:
        assert not client.write_registers(at, [1, 1, 0, 5_000]).isError()
        assert client.read_holding_registers(at, count=4).registers == [1, 1, 0, 5_000]
    assert der.step(0, 0, 0, SLOT_MS) == -5_000


def test_what_is_read_only_or_not_there_is_refused() -> None:
    points = layout().points
    with served(Der(BATTERY).block) as client:
        assert client.write_registers(points[701, "W"].address, [1]).exception_code == 2
        assert client.write_registers(points[704, "WSetRvrtRem"].address - 1, [1, 1]).exception_code == 2
        assert client.read_holding_registers(points[701, "W_SF"].address + 30, count=20).exception_code == 2


def test_an_energy_manager_that_is_down_answers_with_device_failure() -> None:
    block = Der(BATTERY).block
    block.refuses = True
    with served(block) as client:
        assert client.read_holding_registers(40000, count=2).exception_code == 4


@pytest.mark.parametrize(
    ("model", "name", "offset"),
    [
        (701, "W", 10),
        (701, "W_SF", 116),
        (702, "W_SF", 45),
        (704, "WSetEna", 22),
        (704, "WSet", 24),
        (704, "WSet_SF", 55),
    ],
)
def test_offsets_are_those_of_the_information_models(model: int, name: str, offset: int) -> None:
    starts = {1: 40002, 702: 40070, 704: 40122, 64900: 40189, 701: 40195}
    assert layout().points[model, name].address == starts[model] + offset
