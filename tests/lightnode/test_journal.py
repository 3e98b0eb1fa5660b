"""The journal under cuts: every write and erase may stop at any byte; what was appended is there, nothing is used twice."""

import pytest
from lightnode.errors import JournalError
from lightnode.journal import Journal
from lightnode.ring import SHORT, SHORT_BYTES, SLOT, Ring
from lightwire import records

from hil.flash import NorFlash

DEVICE = b"12345678"
INCARNATION = b"i" * 8
START_MS = 1_796_040_000_000
VT_RATIO = 200
OUTAGES = [(640, 24), (2048, 72)]


def opened(flash: NorFlash) -> Journal:
    return Journal(flash, DEVICE, 1, VT_RATIO)


def reading(journal: Journal, slot: int) -> records.Reading:
    volts = (11_540_000, 11_560_000, 11_520_000)
    return records.Reading(
        DEVICE, 1, journal.boot, journal.seq + 1, START_MS + 4000 * slot, 0, slot % 999 - 500, 7, 10**9 + slot, 5, volts, 49_980
    )  # fmt: skip


def statement(journal: Journal, end_slot: int) -> records.BatchStatement:
    return records.BatchStatement(
        DEVICE, 1, journal.boot, journal.seq + 1, journal.head, max(1, journal.seq), max(1, journal.seq), 1, 0, 0,
        START_MS, START_MS + 4000 * end_slot, 0, 0, 0, 0, bytes([end_slot % 256]) * 32,
    )  # fmt: skip


def fill(journal: Journal, slots: int, acknowledge: bool = False) -> list[records.Reading]:
    made = []
    for slot in range(slots):
        made.append(reading(journal, slot))
        journal.append(made[-1])
        if acknowledge:
            journal.acknowledge(journal.seq, INCARNATION)
    return made


def test_what_is_appended_comes_back_identical_after_a_remount() -> None:
    flash = NorFlash(8)
    made = fill(opened(flash), 400)
    assert list(opened(flash).after(0)) == made


def test_a_record_is_found_by_its_seq_and_one_that_is_not_there_is_not_made_up() -> None:
    journal = opened(NorFlash(8))
    made = fill(journal, 300)
    assert [journal.find(seq) for seq in (1, 150, 300)] == [made[0], made[149], made[299]]
    assert journal.find(301) is None


def test_a_full_ring_drops_the_oldest_and_names_them() -> None:
    journal = opened(NorFlash(4))
    fill(journal, 900)
    ((first, last, start_ms, end_ms),) = journal.take_dropped()
    kept = [r.seq for r in journal.after(0)]
    assert (first, kept) == (1, list(range(last + 1, 901)))
    assert (start_ms, end_ms) == (START_MS, START_MS + 4000 * last)
    assert journal.take_dropped() == []


def test_what_was_acknowledged_is_not_named_when_its_sector_goes() -> None:
    journal = opened(NorFlash(4))
    fill(journal, 900, acknowledge=True)
    assert journal.take_dropped() == []


def test_state_outlives_the_sector_it_was_written_in() -> None:
    flash = NorFlash(4)
    journal = opened(flash)
    journal.accept(7, START_MS + 10**8, b"s" * 215)
    journal.append(statement(journal, 3))
    head, closed = journal.head, journal.closed_seq
    fill(journal, 900, acknowledge=True)
    again = opened(flash)
    assert (again.command, again.head, again.closed_seq <= closed) == (7, head, True)
    assert again.setpoints() == [b"s" * 215]
    assert again.floor_ms == START_MS + 4000 * 899
    assert (again.acked, again.incarnation) == (901, INCARNATION)


def test_a_set_point_whose_window_is_over_is_not_carried_on() -> None:
    flash = NorFlash(4)
    journal = opened(flash)
    journal.accept(7, START_MS + 4000, b"s" * 215)
    fill(journal, 10)
    assert opened(flash).setpoints() == []


def test_a_proven_statement_waits_no_more_after_a_remount() -> None:
    flash = NorFlash(4)
    journal = opened(flash)
    for end in (3, 6):
        journal.append(statement(journal, end))
    journal.prove(1)
    assert sorted(opened(flash).unproven) == [2]


def test_a_restored_store_brings_back_what_is_still_held() -> None:
    flash = NorFlash(8)
    journal = opened(flash)
    made = fill(journal, 40)
    journal.acknowledge(40, INCARNATION)
    journal.acknowledge(10, b"restored")
    again = opened(flash)
    assert (again.acked, again.incarnation) == (10, b"restored")
    assert list(again.after(again.acked)) == made[10:]


def test_a_record_out_of_order_is_refused() -> None:
    journal = opened(NorFlash(4))
    record = reading(journal, 0)
    journal.append(record)
    with pytest.raises(JournalError, match="does not follow"):
        journal.append(record)


def test_a_flash_that_is_too_small_is_refused() -> None:
    with pytest.raises(JournalError, match="at least 4 of 4096"):
        opened(NorFlash(3))


def diagnostics(journal: Journal, slot: int) -> records.Diagnostics:
    return records.Diagnostics(
        DEVICE, 1, journal.boot, journal.seq + 1, START_MS + 4000 * slot, 0, 1 << 16, 4 * slot, records.RESET_POWER, 0, 0, 90_000,
        40_000, slot % 65_536, 3, journal.seq - journal.acked, 999, 40, 2,
    )  # fmt: skip


def decision(journal: Journal, slot: int) -> records.Decision:
    return records.Decision(
        DEVICE, 1, journal.boot, journal.seq + 1, bytes([slot % 256]) * 16, bytes([slot % 251]) * 32, slot, records.ACCEPTED, 0,
        START_MS + 4000 * slot,
    )  # fmt: skip


@pytest.mark.parametrize(("kib", "hours"), OUTAGES)
def test_an_outage_of_a_day_fits_in_640_kib_and_three_in_2_mib(kib: int, hours: int) -> None:
    """With a statement and diagnostics each quarter-hour, and a set-point with its decision each second hour."""
    flash = NorFlash(kib // 4)
    journal = opened(flash)
    for slot in range(hours * 900):
        journal.append(reading(journal, slot))
        if slot % 225 == 224:
            journal.append(statement(journal, slot))
            journal.append(diagnostics(journal, slot))
        if slot % 1800 == 1000:
            journal.accept(slot, START_MS + 4000 * (slot + 225), bytes(215))
            journal.append(decision(journal, slot))
    assert journal.take_dropped() == []
    kinds = [record.KIND for record in opened(flash).after(0)]
    assert len(kinds) == journal.seq
    assert [kinds.count(k) for k in (records.READING, records.STATEMENT, records.DIAGNOSTICS, records.DECISION)] == [
        hours * 900, hours * 4, hours * 4, hours // 2,
    ]  # fmt: skip


def test_4_a_record_of_another_generation_than_its_sector_s_is_kept_whole_and_comes_back() -> None:
    flash = NorFlash(4)
    journal = opened(flash)
    fill(journal, 3)
    other = diagnostics(journal, 4)._replace(generation=2)
    journal.append(other)
    assert journal.find(other.seq) == other
    assert opened(flash).find(other.seq) == other


def test_4_squeezed_records_that_open_a_sector_are_differences_to_its_own_base() -> None:
    flash = NorFlash(6)
    journal = opened(flash)
    made: list[object] = []
    for slot in range(400):
        for make in (reading, statement, diagnostics, decision)[: 1 + slot % 4]:
            made.append(make(journal, slot))
            journal.append(made[-1])
    kept = list(opened(flash).after(0))
    assert kept == made[-len(kept) :] and len(kept) > 200


def test_4_what_a_cut_left_half_written_is_struck_out_on_the_flash() -> None:
    flash = NorFlash(8)
    ring = Ring(flash, lambda: b"opening", lambda sector: None)
    assert list(ring.mount()) == []
    sector, slot = ring.append(SHORT, bytes(SHORT_BYTES))
    flash.writeblocks(sector.number, b"\x01\x02\x03", (slot + 1) * SLOT)
    found = [entry[1] for entry in Ring(flash, lambda: b"opening", lambda sector: None).mount()]
    kind = bytearray(1)
    flash.readblocks(sector.number, kind, (slot + 1) * SLOT)
    assert found == [0, slot] and kind == b"\0"
