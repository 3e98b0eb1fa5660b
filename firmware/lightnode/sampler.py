"""Every 4 s: reads the meter and keeps a signed reading; what could not be read becomes a named gap.

1. A slot gives one reading or none; none is never a value. Trust that comes while the meter answers counts from the next.
2. Slots without a reading are collected and named by one Gap when the meter answers again or the quarter-hour ends;
   slots that passed while nobody looked are named as lost by the clock.
3. The first trusted instant of a boot is written as ClockLink if records were made before it, and the time since the last
   reading of an earlier boot is named as a Gap for loss of power.
"""

from lightwire import records

from . import meter
from .clock import SLOT_MS
from .errors import MeterError

LATE_MS = 100
_QUARTER_MS = 900_000


class Sampler:
    """`produced`: readings kept since the start; `missed`: slots named in gaps since the start."""

    def __init__(self, recorder, clock, master, settings, journal, trace) -> None:  # type: ignore[no-untyped-def]
        """trace(reading) is called with each reading that was kept, before anything else can see it."""
        self._recorder = recorder
        self._clock = clock
        self._master = master
        self._map = settings.value("meter.map")
        self._unit = settings.value("meter.unit")
        self._ratios = settings.value("meter.ct_ratio"), settings.value("meter.vt_ratio")
        self._trace = trace
        self._journal = journal
        self._down_since_ms = journal.last_reading_ms + SLOT_MS if journal.last_reading_ms else 0
        self._first_seq = 0
        self._first_mark: int | None = None
        self._last_mark: int | None = None
        self._linked = False
        self._open: tuple[int, int] | None = None  # (cause, monotonic mark) of the gap that is going on
        self._registers = (0, 0)
        self.produced = 0
        self.missed = 0
        self.meter_errors = 0
        self.answer: object = None  # of the last slot: the meter's quantities, or why there are none

    async def slot(self, mark: int) -> None:
        """Does one slot; mark in monotonic ms."""
        if self._first_mark is None:
            await self._recorder.ready()
            self._first_mark = mark
            self._first_seq = self._journal.seq + 1
        self._notice_skipped(mark)
        if self._clock.trusted:
            await self._link(mark)
        slot_ms, trusted = self._clock.begin_slot(mark), self._clock.trusted
        if trusted:
            if self._open is not None and self._slot_utc(self._open[1]) // _QUARTER_MS < slot_ms // _QUARTER_MS:
                await self._name(mark)
            await self._recorder.close_if_over(slot_ms)
        try:
            found = await meter.read(self._master, self._map, self._unit, *self._ratios)
        except MeterError as error:
            self.answer = str(error)
            self.meter_errors += 1
            self._begin_gap(records.CAUSE_METER, mark)
            return
        self.answer = found
        if trusted:
            await self._name(mark)
        await self._keep(mark, slot_ms, 0 if trusted else records.UNTRUSTED_CLOCK, found)

    async def _keep(self, mark: int, slot_ms: int, flags: int, found) -> None:  # type: ignore[no-untyped-def]
        if self._clock.monotonic_ms() - mark > LATE_MS:
            flags |= records.LATE
        if not self.produced:
            flags |= records.FIRST_OF_BOOT
        if self._clock.in_holdover:
            flags |= records.HOLDOVER
        if found.import_wh < self._registers[0] or found.export_wh < self._registers[1]:
            flags |= records.REGISTER_RESET
        self._registers = found.import_wh, found.export_wh
        record = await self._recorder.keep(
            lambda device, generation, boot, seq: records.Reading(
                device,
                generation,
                boot,
                seq,
                slot_ms,
                flags,
                found.power_w,
                found.reactive_var,
                found.import_wh,
                found.export_wh,
                found.voltage_mv,
                found.frequency_mhz,
            )
        )
        self.produced += 1
        self._trace(record)

    def _notice_skipped(self, mark: int) -> None:
        last, self._last_mark = self._last_mark, mark
        if last is not None and mark - last >= 2 * SLOT_MS:
            self._begin_gap(records.CAUSE_CLOCK, last + SLOT_MS)

    def _begin_gap(self, cause: int, mark: int) -> None:
        if self._open is None:
            self._open = cause, mark

    async def _name(self, mark: int) -> None:
        """Names the gap that is going on, up to this mark; without trusted time it stays open."""
        if self._open is None or not self._clock.trusted:
            return
        cause, since = self._open
        self._open = None
        await self._gap(cause, self._slot_utc(since), self._slot_utc(mark))

    async def _link(self, mark: int) -> None:
        if self._linked:
            return
        self._linked = True
        if self._journal.seq >= self._first_seq:
            utc_ms, error_ms = self._clock.utc_of(mark), self._clock.error_ms
            await self._recorder.keep(
                lambda device, generation, boot, seq: records.ClockLink(
                    device, generation, boot, seq, mark, utc_ms, error_ms
                )
            )
        started_ms = self._slot_utc(self._first_mark or 0)
        if self._down_since_ms:
            await self._gap(records.CAUSE_POWER, self._down_since_ms, started_ms)

    def _slot_utc(self, mark: int) -> int:
        return int((self._clock.utc_of(mark) + SLOT_MS // 2) // SLOT_MS * SLOT_MS)

    async def _gap(self, cause: int, start_ms: int, end_ms: int) -> None:
        slots = (end_ms - start_ms) // SLOT_MS
        if slots < 1:
            return
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.Gap(
                device, generation, boot, seq, cause, start_ms, end_ms, slots, 0, 0
            )
        )
        self.missed += slots
