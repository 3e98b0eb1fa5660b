"""The journal on the flash that a target has: a raw partition, or a file that plays one."""

import pytest

from hil.targets.target import Job, Target

pytestmark = [pytest.mark.needs("flash"), pytest.mark.timeout(1200)]

LIFE = """
from lightnode import board, journal
from lightwire import records

DEVICE, START = b"12345678", 1796040000000

def opened():
    return journal.Journal(board.load().open_flash("journal", 4 * 4096), DEVICE, 1, 200)

def reading(kept, slot):
    volts = (11540000, 11560000, 11520000)
    return records.Reading(
        DEVICE, 1, kept.boot, kept.seq + 1, START + 4000 * slot, 0, slot % 999 - 500, 7, 10**9 + slot, 5, volts, 49990
    )

kept = opened()
kept.accept(7, START + 10**9, b"s" * 215)
made = {}
for slot in range(700):
    record = reading(kept, slot)
    kept.append(record)
    made[record.seq] = record.power_w
    if slot == 650:
        kept.acknowledge(600, b"i" * 8)
again = opened()
print(again.boot, again.seq, again.acked, again.command, again.setpoints() == [b"s" * 215])
found = [(r.seq, r.power_w) for r in again.after(again.acked)]
print(len(found), found == [(seq, made[seq]) for seq in range(601, 701)])
"""

CUTS = """
from lightnode import board, journal
from lightwire import records

class PowerCut(Exception):
    pass

class Cut:
    # a flash that loses power after so many bytes; an erase counts as sixteen
    def __init__(self, flash, left):
        self.flash, self.left = flash, left

    def readblocks(self, block, buffer, offset=0):
        self.flash.readblocks(block, buffer, offset)

    def writeblocks(self, block, data, offset=0):
        done = data if self.left >= len(data) else data[: self.left]
        if done:
            self.flash.writeblocks(block, done, offset)
        self.left -= len(data)
        if self.left < 0:
            raise PowerCut

    def ioctl(self, operation, argument):
        if operation == 6:
            self.left -= 16
            if self.left < 0:
                raise PowerCut
        return self.flash.ioctl(operation, argument)

DEVICE, START = b"12345678", 1796040000000
flash = board.load().open_flash("journal", 4 * 4096)
boots = checked = 0
for cut in range(CUTS_FROM, 5000, 331):
    for block in range(4):
        flash.ioctl(6, block)
    kept, sure, boot = None, 0, 0
    for left in (cut, 40, 1 << 30):
        try:
            kept = journal.Journal(Cut(flash, left), DEVICE, 1, 1)
            assert kept.boot > boot, ("boot used twice", cut)
            boot = kept.boot
            found = [r.seq for r in kept.after(0)]
            assert found == sorted(set(found)) and kept.seq >= sure, (cut, sure, found)
            assert not found or set(range(found[0], sure + 1)) <= set(found), (cut, sure, found)
            sure = kept.seq
            for slot in range(140 if left == cut else 3):
                volts = (230000, 230100, 229900)
                kept.append(records.Reading(
                    DEVICE, 1, kept.boot, kept.seq + 1, START + 4000 * kept.seq, 0, slot, 7, slot, 5, volts, 49990
                ))
                sure = kept.seq
        except PowerCut:
            boots += 1
    checked += 1
print(checked, boots)
"""


def test_what_is_kept_comes_back_identical_after_a_restart(target: Target) -> None:
    assert target.run(Job(LIFE)).splitlines() == ["2 700 600 7 True", "100 True"]


def test_a_cut_at_a_sampled_byte_loses_nothing_and_uses_no_boot_twice(target: Target) -> None:
    checked, cuts = (int(word) for word in target.run(Job(CUTS.replace("CUTS_FROM", "5"))).split())
    assert checked == 16 and cuts > checked
