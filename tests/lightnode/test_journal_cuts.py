"""The journal under cuts: power may fail at any byte of any write or erase, and again while it recovers.

One life of a journal on NOR cells, over several laps of its ring; at each operation the flash is forked as a cut would have
left it, and every fork must mount, hold all that was kept, and live on through two more cuts. CI takes a bounded sample,
dense where sectors change; `--every-cut` takes every byte: 33,000 forks a seed, seven minutes of a core.
"""

import copy
import random

import pytest
from lightnode.journal import Journal
from lightnode.ring import SLOT

from hil.flash import CutRecorder, NorFlash, PowerCut
from tests.lightnode.test_journal import (
    INCARNATION,
    START_MS,
    decision,
    diagnostics,
    opened,
    reading,
    set_point,
    statement,
)

SECTORS = 4
STEPS = 700
END_MS = START_MS + 10**9


class Model:
    """What must be true of a journal, whatever happened to it."""

    def __init__(self) -> None:
        self.kept: dict[int, object] = {}
        self.torn: dict[int, list[object]] = {}
        self.acked = self.maybe_acked = 0
        self.command = self.maybe_command = 0
        self.boot = 0

    def copy(self) -> "Model":
        other = copy.copy(self)
        other.kept = dict(self.kept)
        other.torn = {seq: list(found) for seq, found in self.torn.items() if seq > self.acked}
        return other

    def check(self, journal: Journal) -> None:
        assert journal.boot > self.boot, f"boot {journal.boot} used twice"
        self.boot = journal.boot
        assert journal.acked in (self.acked, self.maybe_acked), f"acknowledged up to {journal.acked}"
        self.acked = self.maybe_acked = journal.acked
        assert journal.command in (self.command, self.maybe_command), f"command number {journal.command}"
        self.command = self.maybe_command = journal.command
        found = {r.seq: r for r in journal.after(journal.acked)}
        for seq, record in self.kept.items():
            if seq > journal.acked:
                assert found.get(seq) == record, f"record {seq} is lost or changed"
        for seq in found.keys() - self.kept.keys():
            assert found[seq] in self.torn.get(seq, []), f"record {seq} was never made"
            self.kept[seq] = found[seq]
        assert journal.seq >= max(found, default=0)

    def live(self, journal: Journal, source: random.Random, slot: int, steps: int) -> int:
        """Steps of an ordinary life; what was not finished before a cut may be there or not."""
        for _ in range(steps):
            slot += 1
            make = source.choice((statement, diagnostics, decision)) if source.random() < 0.06 else reading
            record = make(journal, slot)
            self.torn.setdefault(record.seq, []).append(record)
            journal.append(record)
            self.kept[record.seq] = record
            if source.random() < 0.08:
                self.maybe_acked = record.seq
                journal.acknowledge(record.seq, INCARNATION)
                self.acked = record.seq
            if source.random() < 0.03:
                self.maybe_command = self.command + 1
                journal.accept(self.maybe_command, END_MS, set_point(self.maybe_command, END_MS))
                self.command = self.maybe_command
        return slot


class Forks:
    """Every image of a cut, with what the model knew at that moment, is mounted and lives on."""

    def __init__(self, seed: int, model: Model) -> None:
        self.seed, self.model, self.count = seed, model, 0

    def live_on(self, flash: NorFlash, operation: int) -> None:
        self.count += 1
        model, source = self.model.copy(), random.Random(self.seed * 1_000_003 + self.count)
        slot = 100_000
        for left in (source.randrange(500), source.randrange(500), None):
            flash.left = left
            try:
                journal = opened(flash)
                model.check(journal)
                slot = model.live(journal, source, slot, 4)
            except PowerCut:
                slot += 1
            except AssertionError as problem:
                raise AssertionError(
                    f"seed {self.seed}, fork {self.count} at operation {operation}: {problem}"
                ) from problem
        flash.left = None
        model.check(opened(flash))


def sample(seed: int, every: bool) -> CutRecorder:
    """A flash that forks at each byte, or: often where an entry ends and where a sector changes, now and then elsewhere."""
    source = random.Random(seed)

    def wanted(operation: int, steps: int) -> list[int]:
        if every:
            return list(range(steps))
        if steps not in (SLOT, SLOT + 1) or operation < 12:
            header = range(2, 12) if steps > 4 * SLOT else ()  # magic, lap
            return sorted({0, *header, source.randrange(steps), steps - 3, steps - 2, steps - 1} & set(range(steps)))
        return (
            [source.choice((steps - 1, steps - 1, steps - 2, source.randrange(steps)))]
            if source.random() < 0.12
            else []
        )

    return CutRecorder(SECTORS, seed, wanted)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3, 4))])
def test_a_cut_at_any_byte_loses_nothing_and_uses_no_identity_twice(seed: int, request: pytest.FixtureRequest) -> None:
    flash = sample(seed, request.config.getoption("--every-cut"))
    model = Model()
    forks = Forks(seed, model)
    flash.on_cut = forks.live_on
    journal = opened(flash)
    model.check(journal)
    model.live(journal, random.Random(seed), 0, STEPS)
    assert forks.count > 500 and min(flash.erases) >= 1
