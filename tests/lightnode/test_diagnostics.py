"""The device's own health each quarter-hour, inside the batch of the quarter-hour that it describes."""

import asyncio
from typing import Any

import pytest
from lightnode import diagnostics
from lightnode.diagnostics import Health, version_number
from lightnode.reason import Reason
from lightwire import records

from tests.lightnode.parts import QUARTER_MS, T0, Node

SLOT_MS = 4000
COUNTS = {
    "restarts": 1, "fault": 2, "meter_errors": 3, "sessions": 4, "pending": 5, "fill_permille": 6, "clock_error_ms": 7,
    "alarms": 8,
}  # fmt: skip


class Device:
    """A node with its health, as the application has it."""

    def __init__(self, reason: Reason | None = None, **counts: int) -> None:
        self.node = Node()
        self.reported = 0
        self.health = Health(
            self.node.recorder,
            self.node.clock,
            reason or Reason(records.RESET_POWER),
            lambda: {**COUNTS, **counts},
            lambda: 1024,
            self._report,
        )

    def _report(self) -> None:
        self.reported += 1

    async def slots(self, count: int) -> None:
        for _ in range(count):
            mark = self.node.clock.next_slot()
            self.node.source.now = max(self.node.source.now, mark)
            await self.health.before_slot(mark)
            await self.node.sampler.slot(mark)
            self.health.after_slot()

    def kept(self) -> list[Any]:
        return self.node.kept(records.DIAGNOSTICS)


def test_rule_1_it_is_the_last_record_of_its_quarter_hour_and_in_its_statement() -> None:
    device = Device()
    device.node.trust(T0 + QUARTER_MS - 3 * SLOT_MS)
    asyncio.run(device.slots(3 + 225 + 1))
    records_kept = device.node.kept()
    assert [r.time_ms for r in device.kept()] == [T0 + QUARTER_MS, T0 + 2 * QUARTER_MS]
    statements = [r for r in records_kept if isinstance(r, records.BatchStatement)]
    assert [(s.count, s.last_seq) for s in statements] == [(4, 4), (226, 231)]
    assert [r.seq for r in device.kept()] == [s.last_seq for s in statements]


def test_it_has_every_count_of_the_node() -> None:
    device = Device()
    device.node.trust(T0 - SLOT_MS)
    asyncio.run(device.slots(2))
    made = device.kept()[0]
    assert (made.version, made.uptime_s, made.reset_cause, made.flags) == (version_number(), 4, records.RESET_POWER, 0)
    assert tuple(made)[9:] == (2, 1, 0, 1024, 3, 4, 5, 6, 7, 8)
    assert version_number("1.2.3") == 1 << 16 | 2 << 8 | 3


def test_rule_1_without_trusted_time_it_has_monotonic_time_and_says_so() -> None:
    device = Device()
    asyncio.run(device.slots(226))
    made = device.kept()
    assert [(r.time_ms, r.flags) for r in made] == [(QUARTER_MS, records.UNTRUSTED_CLOCK)]


def test_rule_1_a_silent_meter_does_not_silence_it() -> None:
    device = Device()
    device.node.meter.silent = True
    device.node.trust(T0)
    asyncio.run(device.slots(2 * 225 + 1))
    assert [r.time_ms for r in device.kept()] == [T0 + QUARTER_MS, T0 + 2 * QUARTER_MS]


@pytest.mark.parametrize(
    ("reason", "urgent"),
    [
        (Reason(records.RESET_POWER), False),
        (Reason(records.RESET_UNKNOWN), False),
        (Reason(records.RESET_WATCHDOG, records.TASK_SAMPLER), True),
        (Reason(records.RESET_FAILURE, records.TASK_UPLINK, "why", "", True), True),
        (Reason(records.RESET_COMMAND, records.TASK_CONSOLE, "", "", True), True),
    ],
)
def test_rule_2_a_start_with_a_reason_says_so_with_its_first_slot_and_forgets_it_then(
    reason: Reason, urgent: bool
) -> None:
    device = Device(reason)
    asyncio.run(device.slots(3))
    assert [r.reset_cause for r in device.kept()] == [reason.cause] * urgent
    assert device.reported == urgent
    assert device.node.kept()[0].KIND == (records.DIAGNOSTICS if urgent else records.READING)


def test_rule_3_counts_stop_at_the_greatest_number_of_their_field() -> None:
    many = dict.fromkeys(("restarts", "meter_errors", "sessions", "pending", "clock_error_ms", "alarms"), 1 << 40)
    device = Device(Reason(records.RESET_WATCHDOG), **many)
    asyncio.run(device.slots(1))
    made = device.kept()[0]
    assert made.restarts == made.meter_errors == made.sessions == made.alarms == 0xFFFF
    assert made.pending == made.clock_error_ms == 0xFFFF_FFFF


def test_rule_3_free_heap_is_the_lowest_of_the_quarter_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([70_000] * 100 + [50_000] + [60_000] * 1000)
    monkeypatch.setattr(diagnostics, "free_bytes", lambda: next(free))
    device = Device()
    device.node.trust(T0)
    asyncio.run(device.slots(2 * 225 + 1))
    assert [r.heap_free_bytes for r in device.kept()] == [50_000, 60_000]
