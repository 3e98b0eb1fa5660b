"""The firmware reads a meter of every model over a real line, wherever it runs; in the VM through faults, RTU and TCP."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hil.meters.catalogue import meter_map, models
from hil.meters.faults import fault
from hil.meters.meter import Meter, Terminals
from hil.meters.rtu import pty_line
from hil.meters.station import Station
from hil.meters.tcp import TcpServer
from hil.targets.meter_line import on_a_terminal
from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(1200)
CT = 20

READ_ALL = """
import asyncio, gc
from lightnode import board, meter, meter_line, meters
from lightnode.errors import MeterError

async def read(name, unit):
    values = {"meter.port": METER, "meter.map": name}
    master = meter_line.open_master(board.load(), lambda key: values.get(key), 3000)
    found = meter.Meter(master, meters.layout(name), unit, CT, 1)
    for _ in range(3):
        try:
            return await found.read()
        except MeterError as error:
            print("#", error)

async def main():
    for unit, name in enumerate(NAMES):
        q = await read(name, unit + 1)
        print(name, q.power_w, q.reactive_var, q.import_wh, q.export_wh, q.voltage_mv, q.frequency_mhz, q.energy_step_wh)
        gc.collect()
asyncio.run(main())
"""


@pytest.mark.needs("uart", "asyncio")
def test_every_model_is_read_over_a_line(target: Target) -> None:
    stations = []
    for unit, name in enumerate(models()):
        stations.append(Station(Meter(name, meter_map(name), CT, 1, 9_000_000 * 3600, 40_000 * 3600), unit=unit + 1))
        stations[-1].offer(0, Terminals.spread(meter_map(name).phases, -60_000, 8_000, 230_000))
    script = READ_ALL.replace("NAMES", repr(models())).replace("CT", str(CT))
    with on_a_terminal(*stations) as path:
        printed = target.run(Job(script, meter=path, timeout_s=300)).splitlines()
    found = {line.split()[0]: line.split(" ", 1)[1] for line in printed if not line.startswith("#")}
    assert sorted(found) == models(), printed
    for name, line in found.items():
        phases = "(230000, 230000, 230000)" if meter_map(name).phases == 3 else "(230000, 0, 0)"
        assert line == f"-60000 8000 9000000 40000 {phases} 50000 {2000 if name == 'em340' else CT}", name
        assert stations[models().index(name)].requests <= 3


CYCLES = """
import asyncio, json, time
from lightnode import board, meter, meter_line, meters
from lightnode.errors import MeterError

async def main():
    values = {"meter.port": PORT, "meter.map": NAME}
    master = meter_line.open_master(board.load(), lambda key: values.get(key))
    found = meter.Meter(master, meters.layout(NAME), 1, 20, 1)
    for _ in range(24):
        began, power_w = time.time_ns(), None
        try:
            power_w = (await found.read()).power_w
        except MeterError:
            pass
        print(json.dumps([began // 1000000, time.time_ns() // 1000000, power_w, master.retried, 3 - master.left]))
        await asyncio.sleep_ms(150)
asyncio.run(main())
"""


class Moving:
    """A station whose power is another one every 50 ms; `offered` says since when each was."""

    def __init__(self, model: str, over_tcp: bool, text: str) -> None:
        found = meter_map(model)
        self.phases = found.phases
        self.station = Station(Meter("P1", found, CT), faults=(fault(text),), clock_ms=lambda: time.time_ns() // 10**6)
        self.offered: list[tuple[int, int]] = []
        self.over_tcp = over_tcp

    async def move(self) -> None:
        """Never ends."""
        while True:
            now_ms, power_w = time.time_ns() // 10**6, 6_000 * (1 + len(self.offered) % 40)
            self.station.offer(now_ms, Terminals.spread(self.phases, power_w, 0, 230_000))
            self.offered.append((now_ms, power_w))
            await asyncio.sleep(0.05)

    @contextmanager
    def port(self) -> Iterator[str]:
        """What meter.port says of it."""
        loop = asyncio.new_event_loop()
        server = TcpServer(self.station)
        line = None if self.over_tcp else pty_line([self.station], loop)
        number = loop.run_until_complete(server.listen()) if line is None else 0
        loop.create_task(self.move())
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield f"tcp:127.0.0.1:{number}" if line is None else line.path
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            if line is not None:
                line.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.05))
            loop.close()

    def true_between(self, began_ms: int, ended_ms: int) -> set[int]:
        """All powers that were offered in the interval, and the one before it began; stamps are whole ms."""
        earlier = [p for at, p in self.offered if at <= began_ms - 2][-1:]
        return {*earlier, *(p for at, p in self.offered if began_ms - 2 < at <= ended_ms + 2)}


@pytest.mark.long
@pytest.mark.needs("network", "asyncio", "uart")
@pytest.mark.parametrize("over_tcp", [False, True], ids=["rtu", "tcp"])
@pytest.mark.parametrize(
    ("model", "text"), [("sdm630", "late:600~50"), ("sunspec203", "late:1700~40"), ("em340", "noise~40")]
)
def test_what_is_read_through_faults_was_true_while_it_was_asked_for(
    target: Target, model: str, text: str, over_tcp: bool
) -> None:
    moving = Moving(model, over_tcp, text)
    with moving.port() as port:
        script = CYCLES.replace("PORT", repr(port)).replace("NAME", repr(model))
        rows = [json.loads(line) for line in target.run(Job(script, timeout_s=120)).splitlines()]
    read = [row for row in rows if row[2] is not None]
    assert len(rows) == 24 and len(read) >= 4 and all(row[4] <= 3 for row in rows)
    step = float(meter_map(model).quantity("power_total").resolution) * CT
    for began, ended, power_w, _, _ in read:
        assert any(abs(power_w - p) <= step for p in moving.true_between(began, ended)), (began, ended, power_w)
    assert any(row[3] for row in rows)
