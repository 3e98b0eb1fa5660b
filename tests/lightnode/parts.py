"""What the tests of the light node are made of: a key, time that a test moves, a meter in memory, a journal on NOR cells."""

import asyncio
import hashlib
import math
import struct
from collections.abc import Callable
from typing import Any

from lightnode.clock import Clock
from lightnode.errors import MeterError
from lightnode.journal import Journal
from lightnode.keys import DeviceKey
from lightnode.recorder import Recorder
from lightnode.sampler import Sampler
from lightwire import envelope, records

from hil.flash import NorFlash

DEPLOYMENT = bytes(range(16))
QUARTER_MS = 900_000
T0 = 1_996_000 * QUARTER_MS
KEY = DeviceKey(int.from_bytes(hashlib.sha256(b"node").digest(), "big"), 1, lambda count: b"\x07" * count)
DEVICE = KEY.device


class Settings:
    """Checked settings, only those that a test asks for."""

    def __init__(self, **values: Any) -> None:
        self._values = {name.replace("__", "."): value for name, value in values.items()}

    def value(self, key: str) -> Any:
        return self._values[key]


class Source:
    """Monotonic time that stands until a test moves it."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def monotonic_ms(self) -> int:
        return self.now

    def agrees(self, utc_ms: int) -> bool:
        return True


class Meter:
    """An SDM630 behind CT 20, a master of its own: answers with what it is told to show, secondary W and kWh.

    With `counts` its registers move with its power, in whole Wh; without they stand still, which makes readings SUSPECT.
    """

    def __init__(self) -> None:
        self.power, self.reactive, self.imported, self.exported = 500.0, 100.0, 12.5, 1.0
        self.silent = False
        self.retried = False
        self.takes_ms = 0
        self.before_answer: Callable[[], None] = lambda: None
        self.source: Source | None = None
        self.counts = False
        self.answer_zero = False
        self._counted_ms = 0

    def begin(self) -> None:
        return None

    def count(self) -> None:
        """Registers move with the power since they were last read."""
        now = self.source.now if self.source is not None and self.counts else 0
        energy_kwh = self.power * max(0, now - self._counted_ms) / 3_600_000_000
        self._counted_ms = now
        self.imported += max(0.0, energy_kwh)
        self.exported += max(0.0, -energy_kwh)

    async def read(self, unit: int, function: int, requests: Any) -> list[bytes]:
        if self.source is not None:
            self.source.now += self.takes_ms
        self.before_answer()
        if self.silent:
            raise MeterError("no answer")
        self.count()
        imported, exported = int(self.imported * 1000) / 1000, int(self.exported * 1000) / 1000
        values = {0x34: self.power, 0x3C: self.reactive, 0x46: 50.0, 0x48: imported, 0x4A: exported}
        values |= {0: 230.1, 2: 230.2, 4: 230.3, 0x30: math.hypot(self.power, self.reactive) / 230.0}
        if self.answer_zero:
            values = {}
        return [
            b"".join(struct.pack(">f", values.get(address, 0.0)) for address in range(start, start + count, 2))
            for start, count, *_ in requests
        ]


class Node:
    """Sampler, recorder and clock over one flash; `restart` is a loss of power."""

    def __init__(self, flash: NorFlash | None = None, open_key: Callable[[], DeviceKey] = lambda: KEY) -> None:
        self.flash = flash or NorFlash(16)
        self.open_key = open_key
        self.meter = Meter()
        self.restart()

    def restart(self) -> None:
        self.source = Source()
        self.meter.source = self.source
        self.key = self.open_key()
        self.journal = Journal(self.flash, self.key.device, self.key.generation, 1)
        self.clock = Clock(self.source, self.journal.floor_ms, lambda count: b"n" * count)
        self.recorder = Recorder(self.key, self.journal, DEPLOYMENT)
        asyncio.run(self.recorder.ready())
        self.traced: list[records.Reading] = []
        self.sampler = Sampler(self.recorder, self.clock, self.meter, METER, self.journal, self.traced.append)

    def trust(self, utc_ms: int) -> None:
        assert self.clock.answer(self.clock.ask(), utc_ms)

    async def slots(self, count: int) -> None:
        """So many slots, each at its mark."""
        for _ in range(count):
            mark = self.clock.next_slot()
            self.source.now = max(self.source.now, mark)
            await self.sampler.slot(mark)

    def sealed(self, seq: int) -> bytes:
        return asyncio.run(self.recorder.sealed(seq))

    def kept(self, kind: int = 0) -> list[Any]:
        return [r for r in self.journal.after(0) if not kind or r.KIND == kind]


METER = Settings(
    meter__map="sdm630", meter__unit=1, meter__ct_ratio=20, meter__vt_ratio=1,
    limits__max_withdrawal_w=2_000_000, limits__max_injection_w=2_000_000,
)  # fmt: skip


def sealed(record: Any, key: DeviceKey, deployment: bytes = DEPLOYMENT) -> bytes:
    return envelope.seal(record, deployment, key.sign)  # type: ignore[no-any-return]


def key_of(name: bytes) -> DeviceKey:
    return DeviceKey(int.from_bytes(hashlib.sha256(name).digest(), "big"), 1, lambda count: b"\x09" * count)
