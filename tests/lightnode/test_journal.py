"""The journal under cuts: every write and erase may stop at any byte; what was appended is there, nothing is used twice."""

import copy

import pytest
from lightnode.errors import JournalError
from lightnode.journal import Journal
from lightnode.ring import SHORT, SHORT_BYTES, SLOT, SLOTS, Ring
from lightwire import envelope, records

from hil.flash import SECTOR, CutRecorder, NorFlash, PowerCut

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


def set_point(command: int, not_after_ms: int = START_MS) -> bytes:
    """Sealed; nobody checks the signature here."""
    zero = {
        "device": DEVICE,
        "command": command,
        "id": bytes(16),
        "order": bytes(16),
        "nonce": bytes(16),
        "salt": bytes(16),
        "not_after_ms": not_after_ms,
    }
    names = [name for name, _ in records.fields(records.SET_POINT)]
    point = records.SetPoint(*[zero.get(name, bytes(8) if name == "issuer" else 1) for name in names])
    sealed: bytes = envelope.wrap(records.encode(point), b"s" * 64)
    return sealed


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


def test_what_goes_without_a_known_time_is_named_with_the_slot_before_the_first_that_has_one() -> None:
    """Readings of a start that never knew the time, and decisions: an interval without a slot is no gap."""
    flash = NorFlash(4)
    journal = opened(flash)
    for slot in range(400):
        journal.append(reading(journal, slot)._replace(time_ms=4000 * slot, flags=records.UNTRUSTED_CLOCK))
    journal = opened(flash)
    named = []
    for slot in range(1000):
        journal.append(decision(journal, slot) if slot % 300 > 200 else reading(journal, slot))
        named += [(first, last, start, end) for first, last, start, end in journal.take_dropped()]
    assert named and all(start_ms < end_ms for _, _, start_ms, end_ms in named)
    assert named[0][2:] == (START_MS - 4000, START_MS) and named[0][1] < 400


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


def alone(flash: NorFlash, number: int) -> Journal:
    """What one sector says, all others blank."""
    other = NorFlash(len(flash.erases))
    other.cells[number * SECTOR : (number + 1) * SECTOR] = flash.cells[number * SECTOR : (number + 1) * SECTOR]
    return opened(other)


def live_sectors(flash: NorFlash) -> list[int]:
    return [sector.number for sector in opened(copy.deepcopy(flash))._ring.sectors]


def test_5_each_sector_alone_carries_command_number_set_point_in_force_statement_head_and_time_floor() -> None:
    flash = NorFlash(6)
    journal = opened(flash)
    journal.append(statement(journal, 3))
    journal.accept(7, START_MS + 10**9, b"in force".ljust(215))
    journal.accept(8, START_MS + 2 * 10**9, b"follows".ljust(215))
    journal.in_force, head = 7, journal.head
    fill(journal, 3000, acknowledge=True)
    assert len(live_sectors(flash)) == 6
    for number in live_sectors(flash):
        found = alone(flash, number)
        assert (found.command, found.head) == (8, head)
        assert b"in force".ljust(215) in found.setpoints()
        assert found.floor_ms > START_MS + 4000 * 2000


def test_5_before_its_owner_says_which_set_point_rules_the_one_that_ends_first_is_in_each_sector() -> None:
    flash = NorFlash(4)
    journal = opened(flash)
    for command, end in ((7, 9), (8, 8), (9, 10)):
        journal.accept(command, START_MS + end * 10**8, bytes([command]) * 215)
    fill(journal, 1500)
    assert all(bytes([8]) * 215 in alone(flash, number).setpoints() for number in live_sectors(flash))


def test_5_a_set_point_takes_seven_slots_of_a_sector() -> None:
    journal = opened(NorFlash(4))
    before = journal._ring._slot
    journal.accept(7, START_MS, set_point(7))
    assert journal._ring._slot - before == 7


def changed(**values: object) -> bytes:
    """The sealed set-point 7 with other values."""
    message = set_point(7)
    return envelope.wrap(records.encode(envelope.peek(message)._replace(**values)), message[-64:])


MESSAGES = {
    "plain": set_point(7),
    "ES256": envelope.wrap(envelope.split(set_point(7))[0], bytes(range(64)), records.ES256),
    "negative": changed(value=-(2**31), fallback_value=-1, salt=bytes(range(16)), order=b"o" * 16, nonce=b"n" * 16),
    "of another device": changed(device=b"87654321"),
    "of another number": set_point(8),
    "of another end": set_point(7, START_MS + 1),
    "no message": bytes(215),
    "of another kind": envelope.wrap(b"\x83\x18\x63\x01\x00", bytes(64)),
    "cut": set_point(7)[:-1],
    "begun": b"\xd2\x84",
    "empty": b"",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
def test_a_set_point_comes_back_identical(message: bytes) -> None:
    flash = NorFlash(4)
    opened(flash).accept(7, START_MS, message)
    again = opened(flash)
    assert (again.setpoints(), again.command) == ([message], 7)


def test_5_many_set_points_to_come_take_one_place_in_each_sector() -> None:
    flash = NorFlash(6)
    journal = opened(flash)
    for command in range(1, 13):
        journal.accept(command, START_MS + 10**8 + command, bytes([command]) * 215)
    fill(journal, 2000)
    again = opened(flash)
    assert [point[0] for point in again.setpoints()] == list(range(1, 13))
    assert sum(len(alone(flash, number).setpoints()) for number in live_sectors(flash)) <= 12 + 6


def test_5_after_a_cut_while_a_sector_opens_each_live_sector_is_whole() -> None:
    flash = CutRecorder(4, 1, lambda operation, steps: list(range(operation % 5, steps, 5)) if steps != SLOT else [])
    journal = opened(flash)
    journal.append(statement(journal, 3))
    journal.accept(7, START_MS + 10**9, b"in force".ljust(215))
    fill(journal, 800, acknowledge=True)
    forks: list[NorFlash] = []
    flash.on_cut = lambda image, _operation: forks.append(image)
    for slot in range(800, 1100):
        journal.append(reading(journal, slot))
    assert len(forks) > 100
    for image in forks:
        for sector in opened(image)._ring.sectors:
            found = alone(image, sector.number)
            assert (found.command, found.head, found.setpoints()) == (7, journal.head, [b"in force".ljust(215)])
            assert found.floor_ms > START_MS


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


@pytest.mark.parametrize(
    ("kib", "hours", "ruling"),
    [
        pytest.param(kib, hours, ruling, marks=pytest.mark.long if ruling and kib > 640 else ())
        for kib, hours in OUTAGES
        for ruling in (False, True)
    ],
)
def test_an_outage_of_a_day_fits_in_640_kib_and_three_in_2_mib(kib: int, hours: int, ruling: bool) -> None:
    """With a statement and diagnostics each quarter-hour, and a set-point with its decision each second hour."""
    flash = NorFlash(kib // 4)
    journal = opened(flash)
    if ruling:
        end_ms = START_MS + 3_600_000 * (hours + 1)
        journal.accept(1, end_ms, set_point(1, end_ms))
        journal.in_force = 1
    for slot in range(hours * 900):
        journal.append(reading(journal, slot))
        if slot % 225 == 224:
            journal.append(statement(journal, slot))
            journal.append(diagnostics(journal, slot))
        if slot % 1800 == 1000:
            end_ms = START_MS + 4000 * (slot + 225)
            journal.accept(slot, end_ms, set_point(slot, end_ms))
            journal.append(decision(journal, slot))
    assert journal.take_dropped() == []
    kinds = [record.KIND for record in opened(flash).after(0)]
    assert len(kinds) == journal.seq
    assert [kinds.count(k) for k in (records.READING, records.STATEMENT, records.DIAGNOSTICS, records.DECISION)] == [
        hours * 900, hours * 4, hours * 4, hours // 2,
    ]  # fmt: skip


def test_4_the_first_reading_of_a_device_takes_one_slot_whatever_its_registers_and_time_say() -> None:
    journal = opened(NorFlash(8))
    made = fill(journal, 40)
    sector = journal._ring.sectors[-1]
    assert [kind for _, kind, _ in journal._ring.entries(sector)] == [SHORT] * 40
    assert list(journal.after(0)) == made


def test_4_so_does_the_first_after_an_outage_that_its_sector_s_base_does_not_reach() -> None:
    flash = NorFlash(8)
    before = fill(opened(flash), 40)
    journal = opened(flash)
    after = [reading(journal, 40 + 5000)]
    journal.append(after[0])
    assert [kind for _, kind, _ in journal._ring.entries(journal._ring.sectors[-1])] == [SHORT]
    assert list(opened(flash).after(0))[-41:] == before + after


def test_4_a_meter_that_answers_now_this_now_that_opens_no_sector_for_each_answer() -> None:
    flash = NorFlash(8)
    journal = opened(flash)
    made = []
    for slot in range(60):
        far = reading(journal, slot)
        made.append(records.Reading(*far[:8], far.import_wh + slot % 2 * 10**8, *far[9:]))
        journal.append(made[-1])
    assert len(journal._ring.sectors) <= 4
    assert list(journal.after(0)) == made


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


@pytest.mark.parametrize("written", range(4, 14))
def test_3_the_lap_of_a_header_that_was_cut_does_not_count(written: int) -> None:
    flash = NorFlash(8)
    made = fill(opened(flash), 100)
    number = (live_sectors(flash)[-1] + 1) % 8
    flash.writeblocks(number, (b"LNJ3" + bytes((0, 0, 0, 3, 0, 96)) + bytes(96))[:written])
    journal = opened(flash)
    made += fill(journal, 300)
    assert list(opened(flash).after(0)) == made


class Chance:
    """How weak cells read: as they were meant (0) or otherwise (255)."""

    def __init__(self) -> None:
        self.bits = 0

    def getrandbits(self, _count: int) -> int:
        return self.bits

    def random(self) -> float:
        return 0.5


def test_3_a_record_in_weak_cells_is_written_again_though_power_fails_behind_a_carried_set_point() -> None:
    flash, chance = NorFlash(8), Chance()
    flash._random = chance  # type: ignore[assignment]
    journal = opened(flash)
    journal.accept(7, START_MS + 10**9, set_point(7, START_MS + 10**9))
    slot = 0
    while journal._ring._slot != SLOTS or slot < 100:
        journal.append(reading(journal, slot))
        slot += 1
    last, at = reading(journal, slot - 1)._replace(seq=journal.seq), journal._ring.sectors[-1].number
    flash._weak[at * SECTOR + SLOTS * SLOT - 1] = 1
    flash.left = 8 + 16 + 110 + 181 + 5  # header and set-point of the next sector, then something
    with pytest.raises(PowerCut):
        opened(flash)
    flash.left = None
    assert opened(flash).find(last.seq) == last
    chance.bits = 255
    assert opened(flash).find(last.seq) == last


def test_4_no_two_mounts_begin_to_write_at_the_same_slot() -> None:
    """The first byte that one of them wrote may be half written, and read as blank by the next."""
    flash = NorFlash(8)
    fill(opened(flash), 40)
    begun = []
    for _ in range(4):
        ring = Ring(flash, lambda: b"opening", lambda sector: None)
        assert list(ring.mount())
        begun.append(ring._slot)
    assert begun == sorted(set(begun))


@pytest.mark.parametrize("length", [b"\xff\xff", b"\x00\xff", b"\x7f\x00"])
def test_4_a_torn_length_claims_no_more_than_the_longest_entry(length: bytes) -> None:
    flash = NorFlash(8)
    journal = opened(flash)
    fill(journal, 40)
    head, slot = journal._ring.sectors[-1].number, journal._ring._slot
    flash.writeblocks(head, b"\x02crc?" + length, slot * SLOT)
    again = opened(flash)._ring
    assert again.sectors[-1].number == head and again._slot < slot + 16 + 10


def test_5_a_flash_with_the_journal_of_an_earlier_format_is_refused_and_left_as_it_is() -> None:
    flash = NorFlash(4)
    flash.writeblocks(2, b"LNJ2" + bytes((0, 0, 0, 3)))
    before = bytes(flash.cells)
    with pytest.raises(JournalError, match="block 2 holds the journal of an earlier firmware"):
        opened(flash)
    assert bytes(flash.cells) == before and flash.erases == [0] * 4


def test_2_an_entry_of_more_than_16_slots_is_refused() -> None:
    ring = Ring(NorFlash(4), lambda: b"opening", lambda sector: None)
    assert list(ring.mount()) == []
    ring.append(2, bytes(16 * SLOT - 7))
    with pytest.raises(JournalError, match="an entry of 410 bytes"):
        ring.append(2, bytes(16 * SLOT - 6))


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
