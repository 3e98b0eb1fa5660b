"""Offers the set-point in force to an energy manager (EMS) that is the client, and keeps what it says as signed records.

1. What is offered is what the rules of lightwire.decision say at the instant of the request: a window ends on the
   monotonic timer whatever the link does, and after a restart only what is still valid is offered.
2. The node's heartbeat counts seconds and stands still when no slot was begun for STUCK_MS.
3. An EMS whose heartbeat does not change for `ems.silent_s` is an alarm and reported as failed, unreachable; so is each
   set-point that begins while it is silent. What it says when it is back is reported again.
4. A change of set-point, state or reason in what the EMS says is reported at once; its measures once a minute while a
   set-point is in force.
5. At most REPORTS_MAX reports in a quarter-hour. While more than HELD_MANY records wait for their acknowledgement there
   are at most REPORTS_HELD, and measures come once a quarter-hour: an outage is for readings.
6. Emergency stop and local switch hold as last said, also while the EMS is silent.
"""

import asyncio

from lightwire import decision, records

from . import ems_map
from .compat import sleep_ms
from .ems_server import Registers, RtuServer, TcpServer
from .ems_topic import LocalTopic
from .meter_line import open_ems_line

STUCK_MS = 12_000
SILENT_MS = 60_000  # what `run` may go without a sign of life: a report waits for its signature
REPORTS_MAX = 32
REPORTS_HELD = 4
HELD_MANY = 450
MEASURES_EVERY_MS = 60_000
_QUARTER_MS = 900_000
_LOOK_MS = 200
_AGAIN_MS = 1000
_NAMES_KEPT = 16
_UNREACHABLE = (records.FAILED, decision.EMS_UNREACHABLE)
_CHANGES = ("state", "id", "command", "control", "value", "ramp_w_per_s", "fallback", "fallback_value", "target_w",
            "max_withdrawal_w", "max_injection_w", "clock", "silent")  # fmt: skip


class Ems:
    """`silent`: rule 3; `alarms`: how often it turned so; `reports`: kept since the start; `withheld`: changes, by rule 5."""

    def __init__(self, board, settings, recorder, journal, clock, setpoints, device: bytes) -> None:  # type: ignore[no-untyped-def]
        value = settings.value
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._setpoints = setpoints
        self._device = device
        self._limits = value("limits.max_withdrawal_w"), value("limits.max_injection_w")
        self._silent_ms = value("ems.silent_s") * 1000
        self._listen = value("ems.listen")
        self._serial = value("ems.serial")
        self._open_line = lambda: open_ems_line(board, value)
        self.block = ems_map.EmsBlock()
        registers = Registers(self.node_block, self.block)
        self.tcp = TcpServer(registers, value("ems.unit"))
        self._rtu = RtuServer(registers, value("ems.unit"))
        self._topic = LocalTopic(board, settings, device, self.offer, self.block) if value("ems.broker") else None
        self._slot_ms = self._heard_ms = clock.monotonic_ms()
        self._beats = 0
        self._sequence = 0
        self._shown: object = None
        self._ids: dict[int, bytes] = {}
        self._reported: tuple[bytes, int, int] | None = None
        self._reported_ms = 0
        self._held_back: tuple[bytes, int, int] | None = None
        self._quarter = -1
        self._in_quarter = 0
        self.silent = False
        self.alarms = 0
        self.reports = 0
        self.withheld = 0

    def tick(self) -> None:
        """A slot begins (rule 2)."""
        self._slot_ms = self._clock.monotonic_ms()

    def offer(self) -> dict[str, object]:
        """Every field of the node's block at this instant."""
        now, clock = self._clock.monotonic_ms(), self._clock
        utc_ms = clock.utc_ms() if clock.trusted else None
        self._setpoints.emergency_stop = self.block.values["emergency_stop"] == 1
        self._setpoints.local_switch = self.block.values["local_switch"] == 1
        values = ems_map.offered(self._setpoints.ruling(), self._setpoints.points, utc_ms, self._limits)
        values["magic"], values["version"], values["device"] = ems_map.MAGIC, ems_map.VERSION, self._device
        values["heartbeat"] = min(now, self._slot_ms + STUCK_MS) // 1000 & 0xFFFF
        values["clock"] = ems_map.CLOCK_UNKNOWN
        if clock.trusted:
            values["clock"] = ems_map.CLOCK_HOLDOVER if clock.in_holdover else ems_map.CLOCK_TRUSTED
        values["utc_ms"] = utc_ms
        values["silent"] = int(self.silent)
        shown = [values.get(name) for name in _CHANGES]
        if shown != self._shown:
            self._shown = shown
            self._sequence = self._sequence + 1 & 0xFFFF
        values["sequence"] = values["sequence_again"] = self._sequence
        return values

    def node_block(self) -> bytes:
        """The registers of this instant (rule 1)."""
        return ems_map.encode(ems_map.NODE_FIELDS, self.offer())

    async def run(self, alive=lambda: None) -> None:  # type: ignore[no-untyped-def]
        """Serves and reports until something fails. alive() is called at each look, five times a second."""
        self._heard_ms = self._clock.monotonic_ms()
        tasks = []
        if self._listen:
            tasks.append(asyncio.create_task(self._keep_port()))
        if self._serial:
            tasks.append(asyncio.create_task(self._keep_line()))
        if self._topic:
            tasks.append(asyncio.create_task(self._topic.run()))
        try:
            while True:
                alive()
                await self.look()
                for task in tasks:
                    if task.done():
                        await task
                await sleep_ms(_LOOK_MS)
        finally:
            for task in tasks:
                task.cancel()

    async def _keep_port(self) -> None:
        """Listens until it is cancelled; an address that cannot be had may be there later, and no slot waits for it."""
        while True:
            try:
                server = await self.tcp.listen(self._listen)
                break
            except OSError:
                await sleep_ms(_AGAIN_MS)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    async def _keep_line(self) -> None:
        while True:
            try:
                await self._rtu.serve(*self._open_line())
            except (OSError, EOFError):
                await sleep_ms(_AGAIN_MS)

    async def look(self) -> None:
        """Sees what has come from the EMS, or has not, and keeps the report that is due (rules 3 to 5)."""
        now = self._clock.monotonic_ms()
        if self.block.beats != self._beats:
            self._beats, self._heard_ms, self.silent = self.block.beats, now, False
        elif not self.silent and now - self._heard_ms > self._silent_ms:
            self.silent = True
            self.alarms += 1
        self.offer()  # hands stop and switch to the set-points although nobody reads
        ruling = self._setpoints.ruling()
        for point in self._setpoints.points:
            self._ids[point.command] = point.id
        while len(self._ids) > _NAMES_KEPT:
            del self._ids[min(self._ids)]
        is_open = ruling.mode == decision.RULES_WINDOW
        said = self._said(ruling.point.id if is_open else bytes(16))
        if said is not None and self._is_due(said, is_open, now):
            await self._keep(said)

    def _said(self, in_force: bytes) -> tuple[bytes, int, int] | None:
        """(set-point, state, reason) as a report would say it now; None if the EMS has nothing to say."""
        if self.silent:
            if not any(in_force) and self._reported and self._reported[1:] == _UNREACHABLE:
                return self._reported  # a window that ends makes no news of it
            return (in_force,) + _UNREACHABLE
        statement = self.block.statement
        if not statement["state"]:
            return None
        return self._ids.get(statement["command"], bytes(16)), statement["state"], statement["reason"]  # type: ignore[return-value,call-overload]

    def _is_due(self, said: tuple[bytes, int, int], is_open: bool, now: int) -> bool:
        waits = self._journal.seq - self._journal.acked > HELD_MANY
        if said == self._reported:
            every_ms = _QUARTER_MS if waits else MEASURES_EVERY_MS
            if self.silent or not is_open or now - self._reported_ms < every_ms:
                return False
        if self._quarter != now // _QUARTER_MS:
            self._quarter, self._in_quarter = now // _QUARTER_MS, 0
        if self._in_quarter >= (REPORTS_HELD if waits else REPORTS_MAX):
            self.withheld += said != self._held_back
            self._held_back = said
            return False
        return True

    async def _keep(self, said: tuple[bytes, int, int]) -> None:
        clock = self._clock
        time_ms = clock.utc_ms() if clock.trusted else clock.monotonic_ms()
        flags = 0 if clock.trusted else records.UNTRUSTED_CLOCK
        statement = {} if self.silent else self.block.statement
        powers = [_known(statement.get(name)) for name in ("commanded_w", "measured_w", "measured_var")]
        charge = statement.get("charge_permille")
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.EmsReport(
                device, generation, boot, seq, time_ms, flags, *said, *powers,
                records.CHARGE_UNKNOWN if charge is None else charge,
            )
        )  # fmt: skip
        self._reported, self._reported_ms = said, clock.monotonic_ms()
        self._in_quarter += 1
        self.reports += 1


def _known(power) -> int:  # type: ignore[no-untyped-def]
    return records.POWER_UNKNOWN if power is None else power  # type: ignore[no-any-return]
