"""Every 4 s: reads the meter and keeps a signed reading; what could not be read becomes a named gap.

1. A slot gives one reading or none; none is never a value. Trust that comes while the meter answers counts from the next.
2. Slots without a reading are collected and named by one Gap when the meter answers again or the quarter-hour ends;
   slots that passed while nobody looked, or over which the clock was put right, are named as lost by the clock, before
   anything that came later. A slot that was done with trusted time keeps its place in UTC, also when the clock is put right.
3. The first trusted instant of a boot is written as ClockLink if records were made before it. Before it everything that
   has no reading until then is named: the time since the last reading of an earlier boot as loss of power, the slots whose
   meter did not answer, and what a full journal has dropped before its time was known.
4. A reading that needed a repetition says RETRIED; one that cannot be right, or whose meter is in doubt, says SUSPECT
   (plausible.py); the first answer after an energy register fell says REGISTER_RESET.
"""

from lightwire import records

from . import meter, meters, plausible
from .clock import SLOT_MS
from .errors import MeterError

LATE_MS = 100
_QUARTER_MS = 900_000
_DAY_MS = 86_400_000
_LOOKS_BACK = 8  # records; the last of a boot are a reading, a statement and what arrived meanwhile
_UNTIMED_MAX = 64


class Sampler:
    """`produced`: readings kept since the start; `missed`: slots named in gaps since the start."""

    def __init__(self, recorder, clock, master, settings, journal, trace) -> None:  # type: ignore[no-untyped-def]
        """trace(reading) is called with each reading that was kept, before anything else can see it."""
        self._recorder = recorder
        self._clock = clock
        ct_ratio, vt_ratio = settings.value("meter.ct_ratio"), settings.value("meter.vt_ratio")
        layout = meters.layout(settings.value("meter.map"))
        self._master = master
        self._meter = meter.Meter(master, layout, settings.value("meter.unit"), ct_ratio, vt_ratio)
        self._vt_ratio = vt_ratio
        most_w = max(settings.value("limits.max_withdrawal_w"), settings.value("limits.max_injection_w"))
        self._watch = plausible.Watch(ct_ratio * vt_ratio, most_w)
        self._earlier = _last_reading(journal)
        self._trace = trace
        self._journal = journal
        self._down_since_ms = journal.last_reading_ms + SLOT_MS if journal.last_reading_ms else 0
        self._first_seq = 0
        self._first_mark: int | None = None
        self._now = 0, -1  # this slot: its monotonic mark, and its place in UTC if time is trusted, else -1
        self._last: tuple[int, int] | None = None
        self._judged_ms = -1
        self._linked = False
        self._open: tuple[int, tuple[int, int]] | None = None  # (cause, its first slot) of the gap that is going on
        self._untimed: list[tuple[int, int, int]] = []  # (cause, from, to) of gaps that ended before trust
        self.paused_ms = 0  # no slot before this monotonic instant; they are named as skipped ones afterwards
        self.produced = 0
        self.missed = 0
        self.meter_errors = 0
        self.answer: object = None  # of the last slot: the meter's quantities, or why there are none
        self.in_doubt = True  # whether the last reading is SUSPECT

    async def slot(self, mark: int) -> None:
        """Does one slot; mark in monotonic ms."""
        if mark < self.paused_ms:
            self._clock.begin_slot(mark)
            return
        if self._first_mark is None:
            await self._recorder.ready()
            self._first_mark = mark
            self._first_seq = self._journal.seq + 1
        slot_ms, trusted = self._clock.begin_slot(mark), self._clock.trusted
        self._now = mark, slot_ms if trusted else -1
        self._notice_skipped()
        if trusted:
            await self._link(mark)
            if self._open is not None and self._utc(self._open[1]) // _QUARTER_MS < slot_ms // _QUARTER_MS:
                await self._name()
            await self._recorder.close_if_over(slot_ms)
        try:
            found = await self._meter.read()
            plausible.check(found, self._vt_ratio)
        except MeterError as error:
            self.answer = str(error)
            self.meter_errors += 1
            if self._open is not None and self._open[0] == records.CAUSE_CLOCK:
                await self._name()
            self._begin_gap(records.CAUSE_METER, self._now)
            return
        self.answer = found
        await self._name()
        await self._keep(mark, slot_ms, (0 if trusted else records.UNTRUSTED_CLOCK) | self._judged(mark, found), found)

    def _judged(self, mark: int, found) -> int:  # type: ignore[no-untyped-def]
        """Rule 4."""
        if self._earlier is not None:
            last, self._earlier = self._earlier, None
            since = min(last.time_ms - self._clock.utc_of(0), mark) if self._clock.trusted else mark - _DAY_MS
            self._watch.remember(plausible.Point(since, last.import_wh, last.export_wh))
        self._judged_ms = max(mark, self._judged_ms + 1)  # a clock that is put forward brings a mark before the last
        self.in_doubt = self._watch.is_suspect(self._judged_ms, found)
        flags = records.SUSPECT if self.in_doubt else 0
        if self._watch.was_reset:
            flags |= records.REGISTER_RESET
        return flags | records.RETRIED if self._master.retried else flags

    async def _keep(self, mark: int, slot_ms: int, flags: int, found) -> None:  # type: ignore[no-untyped-def]
        if self._clock.monotonic_ms() - mark > LATE_MS:
            flags |= records.LATE
        if not self.produced:
            flags |= records.FIRST_OF_BOOT
        if self._clock.in_holdover:
            flags |= records.HOLDOVER
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

    def _notice_skipped(self) -> None:
        last, self._last = self._last, self._now
        if last is None:
            return
        since_ms = self._now[0] - last[0] if self._now[1] < 0 else self._now[1] - self._utc(last)
        if since_ms >= 2 * SLOT_MS:
            self._begin_gap(records.CAUSE_CLOCK, (last[0] + SLOT_MS, last[1] if last[1] < 0 else last[1] + SLOT_MS))

    def _begin_gap(self, cause: int, slot: tuple[int, int]) -> None:
        if self._open is None:
            self._open = cause, slot

    async def _name(self) -> None:
        """Names the gap that is going on, up to this slot; without trusted time it waits. Beyond a bound the last one grows."""
        if self._open is None:
            return
        cause, since = self._open
        self._open = None
        if self._clock.trusted:
            await self._gap_utc(cause, self._utc(since), self._utc(self._now))
        elif len(self._untimed) < _UNTIMED_MAX:
            self._untimed.append((cause, since[0], self._now[0]))
        else:
            self._untimed[-1] = self._untimed[-1][:2] + (self._now[0],)

    async def _link(self, mark: int) -> None:
        """Rule 3."""
        if self._linked:
            return
        self._linked = True
        if self._down_since_ms:
            await self._gap_utc(records.CAUSE_POWER, self._down_since_ms, self._slot_utc(self._first_mark or 0))
        for untimed in self._untimed:
            await self._gap(*untimed)
        self._untimed = []
        if self._journal.seq < self._first_seq:
            return
        await self._name_dropped()
        utc_ms, error_ms = self._clock.utc_of(mark), self._clock.error_ms
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.ClockLink(
                device, generation, boot, seq, mark, utc_ms, error_ms
            )
        )

    async def _name_dropped(self) -> None:
        first, last = self._journal.named
        if last < self._first_seq:
            return
        for record in self._journal.after(last):
            if isinstance(record, records.Reading):
                await self._gap(records.CAUSE_OVERRUN, self._first_mark or 0, record.time_ms, first, last)
                return

    def _utc(self, slot: tuple[int, int]) -> int:
        """Its place, or where its mark is now."""
        return slot[1] if slot[1] >= 0 else self._slot_utc(slot[0])

    def _slot_utc(self, mark: int) -> int:
        return int((self._clock.utc_of(mark) + SLOT_MS // 2) // SLOT_MS * SLOT_MS)

    async def _gap(self, cause: int, since: int, until: int, first_seq: int = 0, last_seq: int = 0) -> None:
        """Between two marks of this boot."""
        await self._gap_utc(cause, self._slot_utc(since), self._slot_utc(until), first_seq, last_seq)

    async def _gap_utc(self, cause: int, start_ms: int, end_ms: int, first_seq: int = 0, last_seq: int = 0) -> None:
        slots = (end_ms - start_ms) // SLOT_MS
        if slots < 1:
            return
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.Gap(
                device, generation, boot, seq, cause, start_ms, end_ms, slots, first_seq, last_seq
            )
        )
        self.missed += slots


def _last_reading(journal) -> records.Reading | None:  # type: ignore[no-untyped-def]
    """The last reading of the boot before if its registers were beyond doubt, and its time is known."""
    last = None
    for record in journal.after(max(0, journal.seq - _LOOKS_BACK)):
        if record.KIND == records.READING:
            last = record
    if last is None or last.flags & (records.SUSPECT | records.REGISTER_RESET | records.UNTRUSTED_CLOCK):
        return None
    return last
