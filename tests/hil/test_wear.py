"""Wear of a journal that was really run: a day and more on NOR cells, acknowledged each minute."""

from hil.flash import NorFlash
from hil.wear import Wear
from tests.lightnode.test_journal import INCARNATION, diagnostics, opened, reading, statement

SECTORS = 160


def test_the_worked_example() -> None:
    wear = Wear(readings=1000, erases=8, programmed_bytes=32_000, sectors=160)
    assert (wear.erases_per_reading, wear.bytes_per_reading) == (0.008, 32.0)
    assert round(wear.cycles(15)) == 5917 and round(wear.years()) == 254


def test_a_journal_of_640_kib_lives_far_longer_than_fifteen_years() -> None:
    flash = NorFlash(SECTORS)
    journal = opened(flash)
    for slot in range(2 * SECTORS * 130):
        journal.append(reading(journal, slot))
        if slot % 15 == 14:
            journal.acknowledge(journal.seq, INCARNATION)
        if slot % 225 == 224:
            journal.append(statement(journal, slot))
            journal.append(diagnostics(journal, slot))
    wear = Wear(2 * SECTORS * 130, sum(flash.erases), flash.programmed, SECTORS)
    print(wear)
    assert wear.erases_per_reading < 0.0085 and wear.bytes_per_reading < 34
    assert wear.cycles(15) < 6500 and max(flash.erases) - min(flash.erases) <= 1
