"""Closes a batch: one statement over every signed record of a quarter-hour, or of the part under one boot and clock trust.

1. A batch ends at the end of its quarter-hour and when boot or clock trust changes; an empty one makes no statement.
2. After a reboot the open batch is rebuilt from the journal by adding its records again.
3. The statement names the slots without a reading, with the causes of the gaps, and the registers at both ends.
"""

from lightwire import merkle, records

QUARTER_MS = 900_000
SLOT_MS = 4000


class Batch:
    """The open batch of a device."""

    def __init__(self) -> None:
        self.boot = 0
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.first_seq = 0
        self.last_seq = 0
        self._frontier = merkle.Frontier()
        self._causes = 0
        self._missing = 0
        self._start_ms = 0
        self._end_ms = 0
        self._registers = (0, 0, 0, 0)
        self._has_reading = False
        self._untrusted = False

    def belongs(self, record) -> bool:  # type: ignore[no-untyped-def]
        """Whether the record may join the open batch (always true for an empty one)."""
        if not self.count:
            return True
        if record.boot != self.boot:
            return False
        if isinstance(record, records.Reading):
            if self._has_reading and bool(record.flags & records.UNTRUSTED_CLOCK) != self._untrusted:
                return False
            return record.time_ms // QUARTER_MS == self._start_ms // QUARTER_MS or self._untrusted
        return True

    def ends_before(self, utc_ms: int) -> bool:
        """Whether the quarter-hour of the open batch is over at this instant."""
        return bool(self.count) and not self._untrusted and self._start_ms // QUARTER_MS < utc_ms // QUARTER_MS

    def add(self, record, sealed: bytes) -> None:  # type: ignore[no-untyped-def]
        """Takes the next record."""
        if not self.count:
            self.first_seq = record.seq
            self.boot = record.boot
        self.count += 1
        self.last_seq = record.seq
        self._frontier.add(merkle.leaf_hash(sealed))
        if isinstance(record, records.Reading):
            self._take_reading(record)
        else:
            self._take_other(record)

    def _take_reading(self, reading) -> None:  # type: ignore[no-untyped-def]
        if not self._has_reading:
            self._has_reading = True
            self._untrusted = bool(reading.flags & records.UNTRUSTED_CLOCK)
            self._start_ms = reading.time_ms
            self._registers = (reading.import_wh, reading.import_wh, reading.export_wh, reading.export_wh)
        else:
            self._missing += max(0, (reading.time_ms - self._end_ms) // SLOT_MS)
        first_import, _, first_export, _ = self._registers
        self._registers = (first_import, reading.import_wh, first_export, reading.export_wh)
        self._end_ms = reading.time_ms + SLOT_MS

    def _take_other(self, record) -> None:  # type: ignore[no-untyped-def]
        if isinstance(record, records.Gap):
            self._causes |= record.cause
        if not self._has_reading and not self._end_ms:
            self._start_ms = (
                getattr(record, "time_ms", 0) or getattr(record, "start_ms", 0) or getattr(record, "utc_ms", 0)
            )

    def statement(self, device: bytes, generation: int, boot: int, seq: int, previous: bytes) -> records.BatchStatement:
        """The statement of the batch; the batch is empty afterwards."""
        made = records.BatchStatement(
            device,
            generation,
            boot,
            seq,
            previous,
            self.first_seq,
            self.last_seq,
            self.count,
            min(0xFFFF, self._missing),
            self._causes,
            self._start_ms,
            max(self._end_ms, self._start_ms + 1),
            *self._registers,
            self._frontier.root(),
        )
        self._clear()
        return made
