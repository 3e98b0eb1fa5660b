"""A light node of a fleet: the firmware's parts in CPython, many in one process.

1. Journal, recorder, sampler, clock, set-points and uplink are the firmware's modules. What differs is what a board gives:
   flash in memory, a meter in memory, TLS of CPython, and keys that sign and verify in coincurve with the same bytes.
2. Flash outlives the node: `restart` is loss of power. Everything else is made anew from the journal, under a new boot.
3. What a reading was is told before anything can send it.
"""

import asyncio
import hashlib
import os
import ssl
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from lightnode.clock import Clock
from lightnode.journal import Journal
from lightnode.recorder import Recorder
from lightnode.sampler import Sampler
from lightnode.setpoint import SetPoints
from lightnode.settings import Settings
from lightnode.uplink import Uplink
from lightwire import records

from backend.adapters.keys import SigningKey, verifier
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.profile import slot_power_w

SECTOR = 4096
JOURNAL_BYTES = 16 * SECTOR
_PHASE_MV = 230_400
_RESTART_S = 1.0
Tell = Callable[[records.Reading], None]


class RamFlash:
    """MicroPython's block-device protocol over bytes; whole operations only (see hil.flash for cuts)."""

    def __init__(self, size: int) -> None:
        self._cells = bytearray(b"\xff" * size)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fills the buffer."""
        start = block * SECTOR + offset
        buffer[:] = self._cells[start : start + len(buffer)]

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Programs bytes."""
        start = block * SECTOR + offset
        self._cells[start : start + len(data)] = data

    def ioctl(self, operation: int, argument: int) -> int:
        """4: number of blocks; 5: their size; 6: erases a block."""
        if operation == 4:
            return len(self._cells) // SECTOR
        if operation == 5:
            return SECTOR
        if operation == 6:
            self.writeblocks(argument, b"\xff" * SECTOR)
        return 0


class FleetKey:
    """The device key, drawn from a seed so that a run can be repeated: never one for use."""

    def __init__(self, seed: str, number: int) -> None:
        self._key = SigningKey(hashlib.sha256(f"fleet/{seed}/{number}".encode()).digest())
        self.algorithm = records.ES256K
        self.is_deterministic = True
        self.generation = 1
        self.public = self._key.public
        self.device = hashlib.sha256(self.public).digest()[:8]

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes), RFC 6979, low s."""
        return self._key.sign(digest)

    def signing(self, digest: bytes) -> Generator[None, None, bytes]:
        """The same, as the firmware asks for it: others may run before."""
        yield
        return self.sign(digest)


class VirtualSource:
    """Virtual time of one process: the mark of the present tick."""

    def __init__(self) -> None:
        self.mark_ms = 0


class _Since:
    """Monotonic time of one boot (the firmware's source of time)."""

    def __init__(self, source: VirtualSource) -> None:
        self._source = source
        self._first_ms = source.mark_ms

    def monotonic_ms(self) -> int:
        """Since the first tick of this boot."""
        return self._source.mark_ms - self._first_ms

    def agrees(self, utc_ms: int) -> bool:
        """Whether an answer belongs to this tick."""
        return utc_ms == self._source.mark_ms


class _MemoryMeter:
    """An emulated SDM630 that is read without a line: a master of the firmware's meter."""

    retried = False

    def __init__(self, number: int, seed: str) -> None:
        self._meter = Meter(f"fleet {number}", meter_map("sdm630"), ct_ratio=20)
        self._seed = f"{seed}/{number % 64}"
        self._mean_w = 20_000 + 317 * (number % 64)

    def move_to(self, utc_ms: int) -> None:
        """What is at the terminals in this slot."""
        self._meter.offer(utc_ms, Terminals.spread(3, slot_power_w(self._seed, utc_ms, self._mean_w), 0, _PHASE_MV))

    def begin(self) -> None:
        """A cycle begins."""

    async def read(self, _unit: int, _function: int, requests: Sequence[tuple[int, int, int, int]]) -> list[bytes]:
        """The registers of each request (first, count, ...)."""
        content = self._meter.content
        return [bytes(content[2 * first : 2 * (first + count)]) for first, count, *_ in requests]


class _Board:
    """What the uplink asks of a board; remembers its connection so that it can be dropped."""

    random = staticmethod(os.urandom)

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    async def connect(
        self, host: str, port: int, ca: str, cert: str, key: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection with a client certificate (PEM)."""
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(cert, key)
        name = "localhost" if host.startswith("127.") else host
        reader, self._writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        return reader, self._writer

    def drop(self) -> None:
        """The connection is gone, nothing is said to the broker."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


class _FastUplink(Uplink):
    """The firmware's uplink; the log key's signatures are checked in coincurve."""

    async def _log_signed(self, digest: bytes, signature: bytes) -> bool:
        return verifier(self._log_key)(digest, signature)


class FleetNode:
    """One light node. `boots`: how often it was started."""

    def __init__(self, number: int, seed: str, settings: Settings, source: VirtualSource, tell: Tell) -> None:
        self.key = FleetKey(seed, number)
        self._settings = settings
        self._source = source
        self._tell = tell
        self._meter = _MemoryMeter(number, seed)
        self._flash = RamFlash(JOURNAL_BYTES)
        self._task: asyncio.Task[None] | None = None
        self.receipts = 0
        self.alarms = 0
        self.restarts = 0
        self.sessions = 0

    def start(self) -> None:
        """Power on, in the present tick."""
        settings, device = self._settings, self.key.device
        self._board = _Board()
        self._journal = Journal(self._flash, device, self.key.generation, settings.value("meter.vt_ratio"))
        self._clock = Clock(_Since(self._source), self._journal.floor_ms, os.urandom)
        self._recorder = Recorder(self.key, self._journal, settings.value("deployment"))
        self._points = SetPoints(self._recorder, self._journal, self._clock, settings, device)
        self._uplink = _FastUplink(
            self._board, settings, self._recorder, self._journal, self._clock, self._points, device
        )  # fmt: skip
        self._sampler = Sampler(self._recorder, self._clock, self._meter, settings, self._journal, self._tell)
        self._task = asyncio.create_task(self._keep_up())

    def restart(self) -> None:
        """Loss of power, and power again: what the journal does not hold is gone (rule 2)."""
        if self._task is not None:
            self._task.cancel()
        self.drop()
        self._count()
        self.start()

    def drop(self) -> None:
        """The session breaks off."""
        self._board.drop()

    async def slot(self) -> None:
        """One 4 s slot."""
        self._meter.move_to(self._source.mark_ms)
        await self._sampler.slot(self._clock.monotonic_ms())
        await self._points.ready()
        self._uplink.tick()

    async def idle(self) -> None:
        """A slot after the end of the load: nothing is read, what was kept is still sent."""
        if self._clock.trusted:
            await self._recorder.close_if_over(self._clock.utc_ms())
        if self._journal.acked < self._journal.seq or self._clock.wants_answer:
            self._uplink.tick()

    def facts(self) -> tuple[int, ...]:
        """In the order of FACTS."""
        uplink, journal = self._uplink, self._journal
        return (
            journal.seq, journal.seq - journal.acked, int(self._clock.trusted), int(uplink.connected),
            self.sessions + uplink.sessions, self.receipts + uplink.receipts, len(journal.unproven),
            self.alarms + uplink.alarms, self.restarts,
        )  # fmt: skip

    def _count(self) -> None:
        self.sessions += self._uplink.sessions
        self.receipts += self._uplink.receipts
        self.alarms += self._uplink.alarms

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._uplink.run()
            except Exception:
                self.restarts += 1
                await asyncio.sleep(_RESTART_S)


FACTS = ("made", "pending", "trusted", "connected", "sessions", "receipts", "awaiting", "alarms", "restarts")


def settings_of(number: int, common: dict[str, Any], cert: Path, key: Path) -> Settings:
    """The firmware's settings of a node, from what all have in common: deployment, operator, log_key, issuers, broker."""
    return Settings(
        {
            "state_dir": f"fleet {number}",
            "deployment": common["deployment"],
            "operator": common["operator"],
            "log_key": common["log_key"],
            "issuers": common["issuers"],
            "broker": {**common["broker"], "cert": str(cert), "key": str(key)},
            "meter": {"port": "memory", "unit": 1, "map": "sdm630", "ct_ratio": 20, "vt_ratio": 1},
            "limits": {"max_withdrawal_w": 2_000_000, "max_injection_w": 2_000_000},
            "journal": {"path": "memory", "bytes": JOURNAL_BYTES},
            "conductor": None,
            "trace": True,
        }
    )
