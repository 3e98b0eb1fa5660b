"""Every slot is a signed reading or lies in a signed gap; the numbers are those of the module's rules."""

import asyncio

from lightwire import records

from hil.flash import NorFlash
from tests.lightnode.parts import DEVICE, QUARTER_MS, T0, Node

START = T0 + 100 * 4000


def node() -> Node:
    made = Node()
    made.trust(START)
    return made


def proven() -> Node:
    """A node whose meter has counted as its power says: five slots, the last of them beyond doubt."""
    made = node()
    made.meter.counts = True
    asyncio.run(made.slots(5))
    assert made.kept(records.READING)[-1].flags == 0
    return made


def test_a_slot_is_one_reading_of_what_the_meter_said_behind_its_transformers() -> None:
    made = node()
    asyncio.run(made.slots(2))
    first, second = made.kept(records.READING)
    assert (first.device, first.boot, first.seq, first.time_ms, second.time_ms) == (DEVICE, 1, 1, START, START + 4000)
    assert (first.power_w, first.reactive_var, first.import_wh, first.export_wh) == (10_000, 2_000, 250_000, 20_000)
    assert (first.voltage_mv, first.frequency_mhz) == ((230_100, 230_200, 230_300), 50_000)
    assert (first.flags, second.flags) == (records.FIRST_OF_BOOT | records.SUSPECT, records.SUSPECT)
    assert made.traced == [first, second]


def test_2_slots_without_an_answer_are_no_reading_and_one_named_gap() -> None:
    made = node()
    asyncio.run(made.slots(1))
    made.meter.silent = True
    asyncio.run(made.slots(3))
    assert made.kept(records.GAP) == []
    made.meter.silent = False
    asyncio.run(made.slots(1))
    (gap,) = made.kept(records.GAP)
    assert (gap.cause, gap.start_ms, gap.end_ms, gap.slots) == (records.CAUSE_METER, START + 4000, START + 16_000, 3)
    assert [r.time_ms for r in made.kept(records.READING)] == [START, START + 16_000]
    assert (made.sampler.produced, made.sampler.missed, made.sampler.meter_errors) == (2, 3, 3)


def test_2_a_gap_is_named_at_the_end_of_its_quarter_hour_and_goes_on_in_the_next() -> None:
    made = Node()
    made.trust(T0 + QUARTER_MS - 8000)
    asyncio.run(made.slots(1))
    made.meter.silent = True
    asyncio.run(made.slots(3))
    made.meter.silent = False
    asyncio.run(made.slots(1))
    gaps = [(g.start_ms - T0 - QUARTER_MS, g.end_ms - T0 - QUARTER_MS) for g in made.kept(records.GAP)]
    assert gaps == [(-4000, 0), (0, 8000)]
    first, *_ = made.kept(records.STATEMENT)
    assert (first.missing, first.causes, first.end_ms) == (1, records.CAUSE_METER, T0 + QUARTER_MS)


def test_2_slots_that_passed_while_nobody_looked_are_named() -> None:
    made = node()
    asyncio.run(made.slots(1))
    made.source.now += 21_000
    asyncio.run(made.slots(1))
    (gap,) = made.kept(records.GAP)
    assert (gap.cause, gap.slots, gap.end_ms) == (records.CAUSE_CLOCK, 4, made.kept(records.READING)[-1].time_ms)
    assert [r.KIND for r in made.kept()][-3:] == [records.READING, records.GAP, records.READING]


def test_2_slots_that_a_long_cycle_took_and_slots_of_a_silent_meter_have_a_gap_each() -> None:
    made = node()
    asyncio.run(made.slots(1))
    made.source.now += 21_000
    made.meter.silent = True
    asyncio.run(made.slots(2))
    made.meter.silent = False
    asyncio.run(made.slots(1))
    gaps = [(g.cause, g.slots) for g in made.kept(records.GAP)]
    assert gaps == [(records.CAUSE_CLOCK, 4), (records.CAUSE_METER, 2)]
    assert [r.KIND for r in made.kept()][-4:] == [records.READING, records.GAP, records.GAP, records.READING]


def tiles(made: Node) -> list[tuple[int, int]]:
    """Spans of what is signed, in order: each reading a slot, each gap its own."""
    spans = [(r.time_ms, r.time_ms + 4000) for r in made.kept(records.READING)]
    return sorted(spans + [(g.start_ms, g.end_ms) for g in made.kept(records.GAP)])


def test_2_a_clock_that_is_put_right_leaves_no_slot_out_and_none_twice() -> None:
    for wrong_ms in (-21_500, -8600, -4300, -1900, 1900, 4300, 8600, 12_900):
        for silent in (False, True):
            made = node()
            asyncio.run(made.slots(2))
            made.source.now += 72 * 3_600_000  # without an answer: the bound is 13 s
            asyncio.run(made.slots(2))
            made.meter.silent = silent
            asyncio.run(made.slots(2))
            made.trust(made.clock.utc_of(made.source.now) + wrong_ms)
            asyncio.run(made.slots(2))
            made.meter.silent = False
            asyncio.run(made.slots(3))
            spans = tiles(made)
            assert all(a[1] == b[0] for a, b in zip(spans, spans[1:], strict=False)), (wrong_ms, silent, spans)


def test_3_a_slot_between_the_last_without_trust_and_the_first_with_it_is_named() -> None:
    for early_ms in range(0, 4000, 100):
        made = Node()
        made.source.now = 500
        asyncio.run(made.slots(2))
        made.source.now += 3900
        made.trust(START + early_ms)
        asyncio.run(made.slots(2))
        (link,) = made.kept(records.CLOCK_LINK)
        shift_ms = link.utc_ms - link.monotonic_ms
        slots = [
            (r.time_ms + shift_ms + 2000) // 4000 * 4000 if r.flags & records.UNTRUSTED_CLOCK else r.time_ms
            for r in made.kept(records.READING)
        ]
        named = [slot for g in made.kept(records.GAP) for slot in range(g.start_ms, g.end_ms, 4000)]
        assert sorted(slots + named) == list(range(slots[0], slots[-1] + 1, 4000)), (early_ms, slots, named)


def test_3_before_trust_readings_say_so_and_a_link_maps_their_boot() -> None:
    made = Node()
    made.source.now = 500
    asyncio.run(made.slots(2))
    early = made.kept(records.READING)
    assert [(r.time_ms, r.flags & records.UNTRUSTED_CLOCK) for r in early] == [(4000, 1), (8000, 1)]
    made.trust(START + 1000)
    asyncio.run(made.slots(1))
    (link,) = made.kept(records.CLOCK_LINK)
    assert link.utc_ms - link.monotonic_ms == START + 1000 - 8000
    last = made.kept(records.READING)[-1]
    assert last.time_ms == START + 4000 and not last.flags & records.UNTRUSTED_CLOCK


def test_1_trust_that_comes_while_the_meter_answers_does_not_change_the_slot() -> None:
    made = Node()
    made.meter.before_answer = lambda: made.trust(START)
    asyncio.run(made.slots(1))
    made.meter.before_answer = lambda: None
    asyncio.run(made.slots(1))
    first, second = made.kept(records.READING)
    assert (first.time_ms, first.flags & records.UNTRUSTED_CLOCK) == (0, records.UNTRUSTED_CLOCK)
    assert (second.time_ms, second.flags & records.UNTRUSTED_CLOCK) == (START + 4000, 0)


def test_3_the_time_without_power_is_a_named_gap() -> None:
    made = proven()
    made.restart()
    made.trust(START + 30_000)
    asyncio.run(made.slots(1))
    (gap,) = made.kept(records.GAP)
    assert (gap.cause, gap.start_ms, gap.end_ms) == (records.CAUSE_POWER, START + 20_000, START + 32_000)
    last = made.kept(records.READING)[-1]
    assert (last.boot, last.time_ms, last.flags) == (2, START + 32_000, records.FIRST_OF_BOOT)


def test_a_reading_says_that_it_is_late_retried_and_that_the_clock_runs_by_itself() -> None:
    made = proven()
    made.meter.takes_ms = 101
    asyncio.run(made.slots(1))
    made.meter.takes_ms, made.meter.retried = 0, True
    asyncio.run(made.slots(1))
    made.meter.retried = False
    made.source.now += 12 * 3_600_000
    asyncio.run(made.slots(1))
    flags = [r.flags for r in made.kept(records.READING)][5:]
    assert flags == [records.LATE, records.RETRIED, records.HOLDOVER]


def test_4_registers_that_fell_are_a_reset_once_then_suspect_until_they_have_counted() -> None:
    made = proven()
    made.meter.imported = 0.5
    asyncio.run(made.slots(6))
    flags = [r.flags for r in made.kept(records.READING)][5:]
    assert flags[0] == records.REGISTER_RESET | records.SUSPECT
    assert flags[1] == records.SUSPECT and set(flags[1:]) == {records.SUSPECT, 0} and flags[-1] == 0


def test_4_after_a_restart_the_registers_are_held_against_the_last_reading() -> None:
    for imported, wanted in ((None, 0), (0.5, records.REGISTER_RESET | records.SUSPECT), (900_000.0, records.SUSPECT)):
        made = proven()
        made.restart()
        made.trust(START + 30_000)
        made.meter.imported = imported or made.meter.imported
        asyncio.run(made.slots(1))
        assert made.kept(records.READING)[-1].flags == records.FIRST_OF_BOOT | wanted


def test_4_a_restart_before_trust_does_not_put_a_meter_in_doubt() -> None:
    made = proven()
    made.restart()
    asyncio.run(made.slots(1))
    assert made.kept(records.READING)[-1].flags == records.FIRST_OF_BOOT | records.UNTRUSTED_CLOCK


def test_4_what_cannot_be_a_measurement_is_a_gap() -> None:
    made = proven()
    made.meter.answer_zero = True
    asyncio.run(made.slots(1))
    made.meter.answer_zero = False
    asyncio.run(made.slots(1))
    (gap,) = made.kept(records.GAP)
    assert (gap.cause, gap.slots) == (records.CAUSE_METER, 1)


def test_3_slots_without_an_answer_before_trust_are_named_alone_and_no_reading_between_them() -> None:
    made = Node()
    for silent in (False, True, False, True, False):
        made.meter.silent = silent
        asyncio.run(made.slots(2))
    made.trust(START)
    asyncio.run(made.slots(1))
    gaps = [(g.cause, (g.start_ms - START) // 4000, (g.end_ms - START) // 4000) for g in made.kept(records.GAP)]
    assert gaps == [(records.CAUSE_METER, -7, -5), (records.CAUSE_METER, -3, -1)]


def test_3_before_trust_a_meter_that_comes_and_goes_for_long_costs_bounded_memory() -> None:
    made = Node()
    for _ in range(100):
        for silent in (False, True):
            made.meter.silent = silent
            asyncio.run(made.slots(1))
    made.meter.silent = False
    asyncio.run(made.slots(1))
    made.trust(START)
    asyncio.run(made.slots(1))
    gaps = made.kept(records.GAP)
    assert len(gaps) == 64 and sum(g.slots for g in gaps) >= 100


def test_3_what_a_full_journal_dropped_before_its_time_was_known_is_named_with_its_slots() -> None:
    made = Node(NorFlash(4))
    made.trust(START)
    asyncio.run(made.slots(3))
    made.restart()
    asyncio.run(made.slots(700))
    made.trust(START + 800 * 4000)
    asyncio.run(made.slots(1))
    held = [r for r in made.kept(records.READING) if r.flags & records.UNTRUSTED_CLOCK]
    (link,) = made.kept(records.CLOCK_LINK)
    shift = link.utc_ms - link.monotonic_ms
    named = {slot for gap in made.kept(records.GAP) for slot in range(gap.start_ms, gap.end_ms, 4000)}
    read = {r.time_ms + shift for r in held} | {made.kept(records.READING)[-1].time_ms}
    assert len(held) < 600
    assert set(range(START, START + 801 * 4000, 4000)) <= named | read


def test_3_a_reboot_after_an_outage_longer_than_the_ring_still_names_the_time_without_power() -> None:
    made = Node(NorFlash(4))
    made.trust(START)
    asyncio.run(made.slots(3))
    made.restart()
    asyncio.run(made.slots(700))
    made.restart()
    made.trust(START + 900 * 4000)
    asyncio.run(made.slots(1))
    gaps = [g for g in made.kept(records.GAP) if g.cause == records.CAUSE_POWER]
    assert [(g.start_ms, g.end_ms) for g in gaps] == [(START + 3 * 4000, START + 900 * 4000)]


def test_4_the_installer_sees_whether_the_meter_is_still_in_doubt() -> None:
    made = Node()
    made.trust(START)
    made.meter.counts = True
    asyncio.run(made.slots(1))
    assert made.sampler.in_doubt
    asyncio.run(made.slots(30))
    assert not made.sampler.in_doubt
    made.meter.power, made.meter.reactive = -made.meter.power, -made.meter.reactive
    asyncio.run(made.slots(1))
    assert made.sampler.in_doubt
