"""Closes a batch: one statement over every signed record of a quarter-hour, or of the part under one boot and clock trust.

1. A batch ends at the end of its quarter-hour and when boot, key or clock trust changes; the clock link that ends the
   time without trust is the last record of its batch. An empty batch makes no statement.
2. The intervals of a device's statements tile its time: one begins where the last one ended, or with its quarter-hour.
   One that a reboot cut short ends with its last reading. Without a clock link the interval is monotonic time. A batch
   without reading or gap has none: the first slot of monotonic time stands there. What a full journal dropped moves none.
3. The statement says how many 4 s slots of its interval have no reading, the causes that its gaps name, and the registers
   at its first and last reading.
"""

from lightwire import merkle, records

QUARTER_MS = 900_000
SLOT_MS = 4000


class Batch:
    """The open batch of a device. `closed_ms`: where the last trusted statement ended, 0 if there was none."""

    def __init__(self, closed_ms: int = 0) -> None:
        self.closed_ms = closed_ms
        self._last_registers = (0, 0)
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self._frontier = merkle.Frontier()
        self._whose = (0, 0)
        self._seqs = (0, 0)
        self._quarter = -1
        self._trusted: bool | None = None
        self._shift_ms: int | None = None
        self._first_ms = self._last_ms = -1
        self._readings = 0
        self._causes = 0
        self._registers = (0, 0)

    def belongs(self, record) -> bool:  # type: ignore[no-untyped-def]
        """Whether the record may join the open batch (always true for an empty one)."""
        if not self.count:
            return True
        if self._whose != (record.generation, record.boot) or self.is_complete:
            return False
        if not isinstance(record, records.Reading):
            return True
        trusted = not record.flags & records.UNTRUSTED_CLOCK
        if self._trusted is not None and self._trusted != trusted:
            return False
        return not trusted or self._quarter < 0 or record.time_ms // QUARTER_MS == self._quarter

    @property
    def is_complete(self) -> bool:
        """Whether the clock link that ends it is in it."""
        return self._shift_ms is not None

    def ends_before(self, utc_ms: int) -> bool:
        """Whether the quarter-hour of the open batch is over at this instant."""
        return 0 <= self._quarter < utc_ms // QUARTER_MS

    def add(self, record, sealed: bytes) -> None:  # type: ignore[no-untyped-def]
        """Takes the next record."""
        if not self.count:
            self._whose = record.generation, record.boot
            self._seqs = record.seq, record.seq
        self.count += 1
        self._seqs = self._seqs[0], record.seq
        self._frontier.add(merkle.leaf_hash(sealed))
        if isinstance(record, records.Reading):
            self._take_reading(record)
        elif isinstance(record, records.Gap):
            self._causes |= record.cause
            if self._trusted is not False and record.cause != records.CAUSE_OVERRUN:
                self._span(record.end_ms - SLOT_MS)
        elif isinstance(record, records.ClockLink) and self._trusted is False:
            self._shift_ms = record.utc_ms - record.monotonic_ms

    def _take_reading(self, reading) -> None:  # type: ignore[no-untyped-def]
        registers = reading.import_wh, reading.export_wh
        if not self._readings:
            self._registers = registers
        self._last_registers = registers
        self._readings += 1
        self._trusted = not reading.flags & records.UNTRUSTED_CLOCK
        self._span(reading.time_ms)

    def _span(self, slot_ms: int) -> None:
        if self._first_ms < 0:
            self._first_ms = slot_ms
            if self._trusted is not False:
                self._quarter = slot_ms // QUARTER_MS
        self._last_ms = slot_ms

    def _interval(self, over: bool) -> tuple[int, int]:
        first, last = max(0, self._first_ms), max(0, self._last_ms) + SLOT_MS
        if self._trusted is False:
            if self._shift_ms is None:
                return first, last
            first, last = _mark(first + self._shift_ms), _mark(last + self._shift_ms)
            return self._begin(first, first // QUARTER_MS), last
        if self._quarter < 0:
            return 0, SLOT_MS
        return self._begin(first, self._quarter), (self._quarter + 1) * QUARTER_MS if over else last

    def _begin(self, first: int, quarter: int) -> int:
        """Rule 2: where the last one ended, or with its quarter-hour; of the first statement with its first slot."""
        return min(max(quarter * QUARTER_MS, self.closed_ms), first) if self.closed_ms else first

    def statement(self, identity, previous: bytes, over: bool = False) -> records.BatchStatement:  # type: ignore[no-untyped-def]
        """The statement of the batch under identity = (device, generation, boot, seq); the batch is empty afterwards.

        over: its quarter-hour has ended, so the interval reaches to its end.
        """
        start_ms, end_ms = self._interval(over)
        first = self._registers if self._readings else self._last_registers
        slots = (end_ms - start_ms + SLOT_MS // 2) // SLOT_MS if self._first_ms >= 0 else 0
        missing = max(0, slots - self._readings)
        made = records.BatchStatement(
            *identity,
            previous,
            *self._seqs,
            self.count,
            min(0xFFFF, missing),
            self._causes,
            start_ms,
            end_ms,
            first[0],
            self._last_registers[0],
            first[1],
            self._last_registers[1],
            self._frontier.root(),
        )
        if self._quarter >= 0 or self._shift_ms is not None:
            self.closed_ms = max(self.closed_ms, end_ms)
        self._clear()
        return made


def _mark(instant: int) -> int:
    return int((instant + SLOT_MS // 2) // SLOT_MS * SLOT_MS)
