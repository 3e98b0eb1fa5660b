"""Every 4 s: reads the meter and keeps a signed reading; what could not be read becomes a named gap.

1. A slot gives one reading or none; none is never a value.
2. Missed slots are collected and named by one Gap when the meter answers again or the quarter-hour ends.
3. The first trusted instant of a boot is written as ClockLink if readings were made before it, and the time since the
   last reading of an earlier boot is named as a Gap for loss of power.
"""

from lightwire import records

from . import meter
from .errors import MeterError

SLOT_MS = 4000
LATE_MS = 100


class Sampler:
    """`produced`: readings kept since the start; `missed`: slots named in gaps since the start."""

    def __init__(self, recorder, clock, master, settings, journal, trace) -> None:  # type: ignore[no-untyped-def]
        self._recorder = recorder
        self._clock = clock
        self._master = master
        self._map = settings.value("meter.map")
        self._unit = settings.value("meter.unit")
        self._ratios = settings.value("meter.ct_ratio"), settings.value("meter.vt_ratio")
        self._trace = trace
        self._down_since_ms = journal.last_reading_ms + SLOT_MS if journal.last_reading_ms else 0
        self._first_mark = -1
        self._linked = False
        self._missed_from = -1
        self._missed_slots = 0
        self._last_import = 0
        self.produced = 0
        self.missed = 0
        self.meter_errors = 0

    async def slot(self, mark: int) -> None:
        """Does one slot; mark in monotonic ms."""
        if self._first_mark < 0:
            self._first_mark = mark
        if self._clock.trusted:
            self._link(mark)
            utc_ms = self._slot_utc(mark)
            if self._missed_slots and utc_ms % 900_000 == 0:
                self._name_missed(utc_ms)
            self._recorder.close_if_over(utc_ms)
        try:
            found = await meter.read(self._master, self._map, self._unit, *self._ratios)
        except (MeterError, ValueError):
            self.meter_errors += 1
            self._miss(mark)
            return
        self._name_missed(self._slot_utc(mark))
        self._keep(mark, found)

    def _slot_utc(self, mark: int) -> int:
        """The slot mark nearest to this instant in UTC; before trust the monotonic mark itself."""
        if not self._clock.trusted:
            return mark
        return (self._clock.utc_ms(mark) + SLOT_MS // 2) // SLOT_MS * SLOT_MS

    def _keep(self, mark: int, found) -> None:  # type: ignore[no-untyped-def]
        flags = 0 if self._clock.trusted else records.UNTRUSTED_CLOCK
        if self._clock.monotonic_ms() - mark > LATE_MS:
            flags |= records.LATE
        if not self.produced:
            flags |= records.FIRST_OF_BOOT
        if found.import_wh < self._last_import:
            flags |= records.REGISTER_RESET
        self._last_import = found.import_wh
        time_ms = self._slot_utc(mark)
        record = self._recorder.keep(
            lambda device, generation, boot, seq: records.Reading(
                device,
                generation,
                boot,
                seq,
                time_ms,
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

    def _miss(self, mark: int) -> None:
        if not self._missed_slots:
            self._missed_from = self._slot_utc(mark)
        self._missed_slots += 1

    def _name_missed(self, end_ms: int) -> None:
        if self._missed_slots and self._clock.trusted:
            self._gap(records.CAUSE_METER, self._missed_from, end_ms)
            self._missed_slots = 0

    def _link(self, mark: int) -> None:
        if self._linked:
            return
        self._linked = True
        first = self._first_mark
        if self.produced:
            utc_ms, error_ms = self._clock.utc_ms(mark), self._clock.error_ms
            self._recorder.keep(
                lambda device, generation, boot, seq: records.ClockLink(
                    device, generation, boot, seq, mark, utc_ms, error_ms
                )
            )
        started_ms = self._slot_utc(first)
        if self._down_since_ms and self._down_since_ms < started_ms:
            self._gap(records.CAUSE_POWER, self._down_since_ms, started_ms)

    def _gap(self, cause: int, start_ms: int, end_ms: int) -> None:
        slots = (end_ms - start_ms) // SLOT_MS
        if slots < 1:
            return
        self._recorder.keep(
            lambda device, generation, boot, seq: records.Gap(
                device, generation, boot, seq, cause, start_ms, end_ms, slots, 0, 0
            )
        )
        self.missed += slots
