"""The light node reads an emulated SDM630 over a real line, keeps the reading and signs it, wherever it runs."""

import pytest
from lightwire import ecdsa, envelope, records

from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.targets.meter_line import on_a_terminal
from hil.targets.target import Job, Target

pytestmark = [pytest.mark.needs("uart", "flash", "asyncio"), pytest.mark.timeout(1200)]
DEPLOYMENT = bytes(range(16))
SECRET = 0x1234567890ABCDEF

READ = """
import asyncio
from lightnode import board, meter, meters, modbus, modbus_rtu
from lightnode.errors import MeterError

def at(unit, timeout_ms):
    master = modbus.Master(modbus_rtu.RtuLink(lambda: board.load().open_serial(METER), 9600, 2), timeout_ms)
    return meter.Meter(master, meters.layout("sdm630"), unit, 20, 1)

async def main():
    found = await at(7, 2000).read()
    print(found.power_w, found.reactive_var, found.import_wh, found.export_wh, found.voltage_mv, found.frequency_mhz)
    try:
        await at(8, 200).read()
    except MeterError as error:
        print(error)
asyncio.run(main())
"""

CYCLE = """
import asyncio
from lightnode import board, clock, journal, keys, modbus, modbus_rtu, recorder, sampler

class Source:
    now = 0
    def monotonic_ms(self):
        return self.now
    def agrees(self, utc_ms):
        return True

class Config:
    values = {"meter.map": "sdm630", "meter.unit": 7, "meter.ct_ratio": 20, "meter.vt_ratio": 1,
        "limits.max_withdrawal_w": 100000, "limits.max_injection_w": 100000}
    def value(self, key):
        return self.values[key]

async def main():
    here, source = board.load(), Source()
    key = keys.DeviceKey(0x1234567890ABCDEF, 1, here.random)
    kept = journal.Journal(here.open_flash("journal", 65536), key.device, 1, 1)
    time = clock.Clock(source, kept.floor_ms, here.random)
    time.answer(time.ask(), 1800000000000)
    keeper = recorder.Recorder(key, kept, bytes(range(16)))
    master = modbus.Master(modbus_rtu.RtuLink(lambda: here.open_serial(METER), 9600, 2), 2000)
    reader = sampler.Sampler(keeper, time, master, Config(), kept, lambda reading: None)
    for slot in range(3):
        source.now = 4000 * slot
        await reader.slot(source.now)
    print(reader.produced, kept.seq, key.public.hex())
    for seq in range(1, kept.seq + 1):
        print((await keeper.sealed(seq)).hex())
    again = journal.Journal(here.open_flash("journal", 65536), key.device, 1, 1)
    print(again.boot, again.seq)
asyncio.run(main())
"""


def test_the_meters_quantities_arrive_and_another_units_silence_is_an_error(target: Target) -> None:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20, import_ws=3_600 * 4_000), unit=7)
    station.offer(0, Terminals.spread(3, 50_000, -10_000, 231_400))
    with on_a_terminal(station) as path:
        printed = target.run(Job(READ, meter=path)).splitlines()
    assert printed == [
        "50000 -10000 4000 0 (231400, 231400, 231400) 50000",
        "unit 8, register 0: no answer",
    ]


def test_a_cycle_from_the_meter_to_a_signed_reading_in_the_journal(target: Target) -> None:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20), unit=7)
    station.offer(0, Terminals.spread(3, -41_000, 700, 229_900))
    with on_a_terminal(station) as path:
        first, *messages, last = target.run(Job(CYCLE, meter=path)).splitlines()
    assert station.requests == 6
    public = bytes.fromhex(first.split()[2])
    assert first.split()[:2] == ["3", "3"] and public == ecdsa.public_key(ecdsa.SECP256K1, SECRET)
    assert last.split() == ["2", "3"]
    for slot, message in enumerate(messages):
        reading = envelope.open_sealed(
            bytes.fromhex(message), DEPLOYMENT, lambda digest, sig: ecdsa.verify(ecdsa.SECP256K1, public, digest, sig)
        )
        assert isinstance(reading, records.Reading)
        assert (reading.seq, reading.power_w, reading.reactive_var) == (slot + 1, -41_000, 700)
        assert reading.time_ms == 1_800_000_000_000 + 4000 * slot
