"""A light node at an emulated meter of any model, RTU or TCP, its line in memory: what was kept beside what was true.

Time is virtual: it jumps to the next instant at which something is due, so that hours of silence cost nothing.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from lightnode import meters
from lightnode.clock import Clock
from lightnode.journal import Journal
from lightnode.modbus import Master
from lightnode.modbus_rtu import RtuLink
from lightnode.modbus_tcp import TcpLink
from lightnode.recorder import Recorder
from lightnode.sampler import Sampler
from lightwire import records

from hil.flash import NorFlash
from hil.meters.catalogue import MeterMap, meter_map
from hil.meters.faults import fault
from hil.meters.meter import Meter, Terminals
from hil.meters.rtu import RtuFraming
from hil.meters.station import Station
from hil.meters.tcp import TcpFraming
from tests.lightnode.parts import DEPLOYMENT, DEVICE, KEY, T0, Settings, Source

CT = 20
TOLD = records.SUSPECT | records.REGISTER_RESET


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: time moves on instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.now_s += timeout
        assert ready or timeout is not None, "nothing will ever happen"
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def virtually(work: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine gives, in virtual time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(work)


class MemoryLine:
    """What is written is a request to the station; its answer comes to the reader after its delay."""

    def __init__(self, station: Station, over_tcp: bool) -> None:
        self._station = station
        self._over_tcp = over_tcp
        self.reader = asyncio.StreamReader()
        self._open = True

    def write(self, request: bytes) -> None:
        if self._over_tcp:
            sent = self._station.answer(request[6], request[7:], TcpFraming(request[:2]))
        else:
            sent = self._station.answer(request[0], request[1:-2], RtuFraming())
        for sending in sent:
            if sending.delay_ms:
                asyncio.get_running_loop().call_later(sending.delay_ms / 1000, self._arrive, sending.data)
            else:
                self._arrive(sending.data)

    def _arrive(self, data: bytes) -> None:
        if self._open:
            self.reader.feed_data(data)

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        self._open = False


@dataclass(frozen=True, slots=True)
class Slot:
    """What the meter offered in a slot by quantity, and the reading that was kept, if any."""

    truth: dict[str, int]
    reading: records.Reading | None


class MeteredNode:
    """One light node and one meter; `slots` are those done."""

    def __init__(self, model: MeterMap | str, over_tcp: bool, seed: str = "s") -> None:
        self.model = meter_map(model) if isinstance(model, str) else model
        self.station = Station(
            Meter("P1", self.model, ct_ratio=CT, import_ws=9_000_123 * 3600, export_ws=70_017 * 3600), seed=seed
        )
        self.slots: list[Slot] = []
        self.asked: list[int] = []
        self._over_tcp = over_tcp
        self.source = Source()
        self._flash = NorFlash(64)
        self.start()

    def start(self) -> None:
        """Power on."""
        journal = Journal(self._flash, DEVICE, 1, 1)
        clock = Clock(self.source, journal.floor_ms, lambda count: b"n" * count)
        assert clock.answer(clock.ask(), T0 + self.source.now)
        self.journal, self.clock = journal, clock
        found = meters.layout(self.model.name)

        async def open_tcp() -> tuple[asyncio.StreamReader, MemoryLine]:
            return self.open()

        link = TcpLink(open_tcp) if self._over_tcp else RtuLink(self.open, found.SERIAL[0], found.STEP)
        settings = Settings(
            meter__map=self.model.name, meter__unit=1, meter__ct_ratio=CT, meter__vt_ratio=1,
            limits__max_withdrawal_w=1_000_000, limits__max_injection_w=1_000_000,
        )  # fmt: skip
        self.kept: list[records.Reading] = []
        recorder = Recorder(KEY, journal, DEPLOYMENT)
        self.sampler = Sampler(recorder, clock, Master(link), settings, journal, self.kept.append)

    def open(self) -> tuple[asyncio.StreamReader, MemoryLine]:
        line = MemoryLine(self.station, self._over_tcp)
        return line.reader, line

    async def run(self, powers_w: Sequence[int], *faults: str, reactive_var: int = 60_000) -> list[Slot]:
        """A slot for each power, with these faults; the slots."""
        for text in faults:
            self.station.switch(fault(text), on=True)
        begun = len(self.slots)
        for power_w in powers_w:
            mark = self.clock.next_slot()
            await asyncio.sleep(mark / 1000 - asyncio.get_running_loop().time())
            self.source.now = mark
            now = Terminals.spread(self.model.phases, power_w, reactive_var, 230_000)
            truth = dict(self.station.offer(mark, now).values)
            before, asked = len(self.kept), self.station.requests
            await self.sampler.slot(mark)
            self.asked.append(self.station.requests - asked)
            self.slots.append(Slot(truth, self.kept[-1] if len(self.kept) > before else None))
        for text in faults:
            self.station.switch(fault(text), on=False)
        return self.slots[begun:]

    def wrong(self, slot: Slot) -> str:
        """What a reading says that is not true within its register's resolution; "" if all is."""
        reading = slot.reading
        if reading is None:
            return ""
        said = {
            "power_total": reading.power_w, "reactive_total": reading.reactive_var, "import": reading.import_wh,
            "export": reading.export_wh, "frequency": reading.frequency_mhz,
        }  # fmt: skip
        said |= {f"voltage_l{k + 1}": mv for k, mv in enumerate(reading.voltage_mv[: self.model.phases])}
        wrong = [
            f"{name} {value}, true {slot.truth[name]}"
            for name, value in said.items()
            if abs(value - slot.truth[name]) > self._tolerance(name, slot.truth[name])
        ]
        return "; ".join(wrong)

    def _tolerance(self, name: str, value: int) -> int:
        """Half a step of the register, what float32 can say, and the wire's own rounding (100 mV, 10 mHz, 1 W)."""
        quantity = self.model.quantity(name)
        ratio = {"voltage": 1, "frequency": 1}.get(quantity.kind, CT)
        rounding = {"voltage": 51, "frequency": 6, "energy": 0}.get(quantity.kind, 1)
        half = 0 if quantity.kind == "energy" else quantity.resolution * quantity.factor * ratio / 2
        return int(half) + abs(value) // (1 << 22) + rounding

    def account(self) -> Any:
        """(readings, slots in named gaps) of the journal."""
        kept = list(self.journal.after(0))
        gaps = sum(r.slots for r in kept if r.KIND == records.GAP)
        return sum(1 for r in kept if r.KIND == records.READING), gaps
