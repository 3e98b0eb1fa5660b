"""The emulated SDM630, read by a Modbus client that is not ours over a real pseudo terminal."""

import asyncio
import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusIOException

from hil.meter import Meter, Terminals, read_truth, register_map, write_truth
from hil.modbus import InputRegisters, RtuSlave, crc16


@contextmanager
def served(meter: Meter) -> Iterator[RtuSlave]:
    """The meter on its pseudo terminal, its loop in a thread."""
    loop = asyncio.new_event_loop()
    slave = RtuSlave(meter.registers, loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield slave
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        slave.close()
        loop.close()


@contextmanager
def client(path: str, timeout_s: float = 2.0) -> Iterator[ModbusSerialClient]:
    master = ModbusSerialClient(path, timeout=timeout_s, retries=0)
    assert master.connect()
    try:
        yield master
    finally:
        master.close()


def floats(registers: list[int]) -> list[float]:
    raw = b"".join(r.to_bytes(2, "big") for r in registers)
    return [v for (v,) in struct.iter_unpack(">f", raw)]


def shown(meter: Meter, quantity: str) -> float:
    return float(struct.unpack_from(">f", meter.registers.content, 2 * register_map().addresses[quantity])[0])


def test_a_foreign_client_reads_what_the_data_sheet_says() -> None:
    meter = Meter("P1", unit=7, ct_ratio=20)
    meter.offer(0, Terminals(50_000, 10_000, 231_400))
    with served(meter) as slave, client(slave.path) as master:
        assert floats(master.read_input_registers(0x0000, count=6, device_id=7).registers) == [pytest.approx(231.4)] * 3
        block = floats(master.read_input_registers(0x0034, count=24, device_id=7).registers)
    assert (block[0], block[4], block[9]) == (2_500.0, 500.0, 50.0)


def test_rule_2_a_meter_behind_transformers_says_secondary_values() -> None:
    meter = Meter("P1", 1, ct_ratio=40, vt_ratio=200)
    meter.offer(0, Terminals(-800_000, 0, 11_547_000))
    assert shown(meter, "power_total") == -100.0
    assert shown(meter, "voltage_l1") == pytest.approx(57.735)


def test_rule_3_registers_hold_what_passed_before_the_instant() -> None:
    meter = Meter("P1", 1)
    assert meter.offer(0, Terminals(3_600, 0, 230_000)).import_wh == 0
    assert meter.offer(4_000, Terminals(-7_200, 0, 230_000)).import_wh == 4
    last = meter.offer(8_000, Terminals(0, 0, 230_000))
    assert (last.import_wh, last.export_wh) == (4, 8)
    assert shown(meter, "import") == pytest.approx(0.004)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50))
def test_rule_3_the_sum_of_slots_is_the_difference_of_registers(powers: list[int]) -> None:
    meter = Meter("P1", 1, import_ws=5 * 3600, export_ws=9 * 3600)
    for k, power_w in enumerate([*powers, 0]):
        meter.offer(4_000 * k, Terminals(power_w, 0, 230_000))
    assert meter.import_ws - 5 * 3600 == 4 * sum(p for p in powers if p > 0)
    assert meter.export_ws - 9 * 3600 == -4 * sum(p for p in powers if p < 0)


def test_rule_4_a_register_steps_by_one_secondary_watt_hour() -> None:
    meter = Meter("P1", 1, ct_ratio=60)
    meter.offer(0, Terminals(3_600_000, 0, 230_000))
    assert meter.offer(59, Terminals(0, 0, 230_000)).import_wh == 0
    meter = Meter("P1", 1, ct_ratio=60, import_ws=60 * 3600)
    assert meter.offer(0, Terminals(0, 0, 230_000)).import_wh == 60


def test_rule_4_above_65536_kwh_float32_steps_by_7_8_watt_hours() -> None:
    seen = set()
    for wh in range(65_536_000, 65_536_040):
        meter = Meter("P1", 1, import_ws=wh * 3600)
        meter.offer(0, Terminals(0, 0, 230_000))
        seen.add(shown(meter, "import"))
    assert len(seen) == 6 and max(seen) - min(seen) == pytest.approx(5 * 0.0078125)


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        (b"\x03\x00\x00\x00\x02", b"\x83\x01"),
        (b"\x04\x00\x00\x00\x00", b"\x84\x03"),
        (b"\x04\x00\x00\x00\x51", b"\x84\x03"),
        (b"\x04\x00\x57\x00\x02", b"\x84\x02"),
        (b"\x04\x00\x00", b"\x84\x01"),
    ],
)
def test_what_the_meter_does_not_have_is_an_exception(request_pdu: bytes, answer: bytes) -> None:
    assert Meter("P1", 1).registers.answer(request_pdu) == answer


@given(st.binary(min_size=1, max_size=260))
def test_any_request_gets_an_answer(request_pdu: bytes) -> None:
    assert InputRegisters(1, 88, 80).answer(request_pdu)


def test_noise_another_units_frames_and_silence_get_no_answer() -> None:
    meter = Meter("P1", unit=7)
    with served(meter) as slave, client(slave.path, 0.1) as master:
        with pytest.raises(ModbusIOException):
            master.read_input_registers(0, count=2, device_id=8)
        slave.silent = True
        with pytest.raises(ModbusIOException):
            master.read_input_registers(0, count=2, device_id=7)
        slave.silent = False
        master.socket.write(b"\x00\xff\x07")
        assert not master.read_input_registers(0, count=2, device_id=7).isError()
        assert slave.requests == 1


def test_the_crc_is_that_of_the_standard() -> None:
    assert crc16(b"123456789") == (0x4B37).to_bytes(2, "little")


def test_the_truth_reads_back(tmp_path: Path) -> None:
    meter, out = Meter("P1", 1), io.StringIO()
    offered = [meter.offer(4_000 * k, Terminals(1_000 * k, 0, 230_000)) for k in range(3)]
    for row in offered:
        write_truth(row, out)
    path = tmp_path / "truth.jsonl"
    path.write_text(out.getvalue())
    assert read_truth(path) == offered
