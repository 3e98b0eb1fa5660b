"""The device's own health, as a signed record each quarter-hour.

1. It is the last record of the quarter-hour that it describes: kept in the first slot after it, before its statement, so
   that the statement covers it. Without trusted time each quarter-hour of monotonic time has one.
2. A start for which the node itself or its watchdog is the reason says so with its first slot already: a device that
   never lives for a quarter-hour is heard too. What the board kept of the reason goes once the record is in the journal.
3. A count that does not fit its field stops at the greatest number. Free heap is what a collection leaves at the end of a
   slot, the lowest of the quarter-hour; the largest block is looked for once in it.
"""

from lightwire import records

from . import FIRMWARE_VERSION
from .clock import SLOT_MS
from .heap import free_bytes

_QUARTER_MS = 900_000
_MOST_U16 = 0xFFFF
_MOST_U32 = 0xFFFF_FFFF


def version_number(text: str = FIRMWARE_VERSION) -> int:
    """major << 16 | minor << 8 | patch."""
    major, minor, patch = text.split(".")
    return int(major) << 16 | int(minor) << 8 | int(patch)


class Health:
    """Watches the heap and keeps the records. `lowest_free_bytes`: of this quarter-hour so far."""

    def __init__(self, recorder, clock, reason, facts, largest_block, reported) -> None:  # type: ignore[no-untyped-def]
        """reason: of this start; facts(): the counts of the node; largest_block(): bytes; reported(): the reason of this
        start is in the journal."""
        self._recorder = recorder
        self._clock = clock
        self._reason = reason
        self._facts = facts
        self._largest_block = largest_block
        self._reported = reported
        self._quarter: tuple[bool, int] | None = None
        self._urgent = reason.kept or reason.cause == records.RESET_WATCHDOG
        self.lowest_free_bytes = _MOST_U32
        self.block_bytes = 0

    async def before_slot(self, mark: int) -> None:
        """Keeps the record if a quarter-hour has ended before this slot; mark in monotonic ms."""
        trusted = self._clock.trusted
        instant = self._clock.utc_of(mark) if trusted else mark
        time_ms = (instant + SLOT_MS // 2) // SLOT_MS * SLOT_MS
        quarter = trusted, time_ms // _QUARTER_MS
        before, self._quarter = self._quarter, quarter
        ended = before is not None and before[0] == trusted and before != quarter
        if ended or self._urgent:
            await self._keep(time_ms, trusted)

    def after_slot(self) -> None:
        """Looks at the heap; cost: one collection."""
        self.lowest_free_bytes = min(self.lowest_free_bytes, free_bytes())

    async def _keep(self, time_ms: int, trusted: bool) -> None:
        facts = self._facts()
        self.block_bytes = self._largest_block()
        self.after_slot()
        lowest, self.lowest_free_bytes = self.lowest_free_bytes, _MOST_U32
        counts = (
            version_number(),
            min(self._clock.monotonic_ms() // 1000, _MOST_U32),
            self._reason.cause,
            facts["fault"],
            min(facts["restarts"], _MOST_U16),
            min(lowest, _MOST_U32),
            min(self.block_bytes, _MOST_U32),
            min(facts["meter_errors"], _MOST_U16),
            min(facts["sessions"], _MOST_U16),
            min(facts["pending"], _MOST_U32),
            facts["fill_permille"],
            min(facts["clock_error_ms"], _MOST_U32),
            min(facts["alarms"], _MOST_U16),
        )
        flags = 0 if trusted else records.UNTRUSTED_CLOCK
        await self._recorder.keep(
            lambda device, generation, boot, seq: records.Diagnostics(
                device, generation, boot, seq, time_ms, flags, *counts
            )
        )
        if self._urgent:
            self._urgent = False
            self._reported()
