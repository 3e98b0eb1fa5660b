"""The journal under cuts: every write and erase may stop at any byte; what was appended is there, nothing is used twice."""

import random

import pytest
from lightnode.journal import Journal
from lightwire import records

DEVICE = b"12345678"
START_MS = 1_796_040_000_000


class PowerCut(Exception):
    """The device loses power."""


class NorFlash:
    """NOR cells: programming only clears bits; a cut leaves a part of the write, whose last byte is half programmed."""

    def __init__(self, sectors: int, source: random.Random) -> None:
        self.cells = [bytearray(b"\xff" * 4096) for _ in range(sectors)]
        self.budget = -1
        self._source = source

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        buffer[:] = self.cells[block][offset : offset + len(buffer)]

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        for k, byte in enumerate(data):
            cell = self.cells[block][offset + k]
            if self.budget == 0:
                self.cells[block][offset + k] = cell & (byte | self._source.randrange(256))
                raise PowerCut
            self.budget -= self.budget > 0
            self.cells[block][offset + k] = cell & byte

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == 4:
            return len(self.cells)
        if self.budget == 0:
            start = self._source.randrange(4096)
            self.cells[argument][start:] = b"\xff" * (4096 - start)
            raise PowerCut
        self.budget -= self.budget > 0
        self.cells[argument][:] = b"\xff" * 4096
        return 0


def reading(journal: Journal, slot: int) -> records.Reading:
    volts = (11_540_000, 11_560_000, 11_520_000)
    return records.Reading(
        DEVICE,
        1,
        journal.boot,
        journal.seq + 1,
        START_MS + 4000 * slot,
        0,
        slot % 999 - 500,
        7,
        10**9 + slot,
        5,
        volts,
        49_990,
    )


def test_what_is_appended_comes_back_identical_after_a_remount() -> None:
    flash = NorFlash(8, random.Random(1))
    journal = Journal(flash, DEVICE, 1, 200)
    made = []
    for slot in range(400):
        made.append(reading(journal, slot))
        journal.append(made[-1])
    assert list(Journal(flash, DEVICE, 1, 200).after(0)) == made


def test_a_full_ring_drops_the_oldest_and_names_them() -> None:
    journal = Journal(NorFlash(4, random.Random(1)), DEVICE, 1, 200)
    for slot in range(900):
        journal.append(reading(journal, slot))
    dropped = journal.take_dropped()
    kept = [r.seq for r in journal.after(0)]
    assert dropped[0][0] == 1 and kept[-1] == 900
    assert sorted([s for a, b in dropped for s in range(a, b + 1)] + [k for k in kept if k > dropped[-1][1]]) == list(
        range(1, 901)
    )


def test_state_outlives_the_sector_it_was_written_in() -> None:
    flash = NorFlash(4, random.Random(1))
    journal = Journal(flash, DEVICE, 1, 200)
    journal.save(7, b"h" * 32, START_MS, b"s" * 215)
    for slot in range(900):
        journal.append(reading(journal, slot))
        journal.acknowledge(journal.seq)
    again = Journal(flash, DEVICE, 1, 200)
    assert (again.command, again.head, again.floor_ms, again.setpoint) == (7, b"h" * 32, START_MS, b"s" * 215)


@pytest.mark.parametrize("seed", range(60))
def test_cuts_lose_nothing_that_was_appended_and_use_no_identity_twice(seed: int) -> None:
    source = random.Random(seed)
    flash = NorFlash(5, source)
    kept: dict[int, records.Reading] = {}
    torn: dict[int, list[records.Reading]] = {}
    slot, acked, last_boot = 0, 0, 0
    for _ in range(12):
        flash.budget = source.randrange(1, 6000)
        try:
            journal = Journal(flash, DEVICE, 1, 200)
            assert journal.boot > last_boot, f"seed {seed}: boot {journal.boot} used twice"
            last_boot = journal.boot
            found = {r.seq: r for r in journal.after(acked)}
            for seq, record in kept.items():
                if seq > acked:
                    assert found.get(seq) == record, f"seed {seed}: record {seq} is lost or changed"
            for seq in found.keys() - kept.keys():
                assert found[seq] in torn.get(seq, []), f"seed {seed}: record {seq} was never made"
                kept[seq] = found[seq]
            for _ in range(source.randrange(5, 120)):
                slot += 1
                record = reading(journal, slot)
                torn.setdefault(record.seq, []).append(record)
                journal.append(record)
                kept[record.seq] = record
                if source.random() < 0.05:
                    upto = record.seq
                    journal.acknowledge(upto)
                    acked = upto
        except PowerCut:
            last_boot = max(last_boot, 0)
