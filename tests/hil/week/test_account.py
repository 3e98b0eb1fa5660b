"""The account of a week sees each thing that must not be; the numbers are those of the module's rules."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records

from backend.adapters.sqlite import SqliteStore
from hil.meters.truth import Offered, TruthLog
from hil.week.account import Evidence, account
from hil.week.run import POD, Story
from tests.lightnode.parts import DEVICE, KEY, QUARTER_MS, T0, Node, sealed

SLOTS = 10
OFFERED = {"power_total": 10_000, "reactive_total": 2_000, "import": 250_000, "export": 20_000, "frequency": 50_000,
           "voltage_l1": 230_100, "voltage_l2": 230_200, "voltage_l3": 230_300}  # fmt: skip


def keep(path: Path, record: Any) -> None:
    store = SqliteStore(path)
    store.keep_message(record, sealed(record, KEY), getattr(record, "time_ms", 0) or getattr(record, "start_ms", 0))
    store.close()


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Ten slots of a quiet life; the meter is silent in the fifth."""
    node, begin = Node(), T0 + QUARTER_MS - 4000 * SLOTS
    node.trust(begin)
    for slot in range(SLOTS + 1):
        node.meter.silent = slot == 4
        asyncio.run(node.slots(1))
    for record in node.kept()[:-1]:
        keep(tmp_path / "scd.sqlite", record)
    store = SqliteStore(tmp_path / "scd.sqlite")
    for one in node.kept(records.STATEMENT):
        store.add_statement(DEVICE, one.seq, 0)
        store.set_receipt(DEVICE, one.seq, b"receipt")
    store.close()
    with (tmp_path / "truth.jsonl").open("w") as out:
        for slot in range(SLOTS):
            TruthLog(out).write(Offered(POD, begin + 4000 * slot, OFFERED))
    story = Story(begin, T0 + QUARTER_MS, meter={begin + 16_000})
    produced = [{"boot": r.boot, "seq": r.seq, "power_w": r.power_w} for r in node.traced[:-1]]
    return Evidence(
        DEVICE, produced, tmp_path / "scd.sqlite", [], tmp_path / "truth.jsonl", {"ct_ratio": 20, "vt_ratio": 1}, story,
        frozenset(), frozenset(),
    )  # fmt: skip


def wrong(evidence: Evidence) -> list[str]:
    """What does not hold, in words."""
    return [f"{claim.name}: {claim.reason}" for claim in account(evidence) if not claim.holds]


def execute(evidence: Evidence, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(evidence.store)) as there:
        there.execute(sql, values)
        there.commit()


def readings(evidence: Evidence) -> list[bytes]:
    with closing(sqlite3.connect(evidence.store)) as there:
        return [row[0] for row in there.execute("select sealed from message where kind = 1")]


def changed(evidence: Evidence, kind: int, **fields: Any) -> None:
    """One record of a kind, the last, is stored with other contents."""
    with closing(sqlite3.connect(evidence.store)) as there:
        sql = "select sealed from message where kind = ? order by seq desc limit 1"
        record = envelope.peek(there.execute(sql, (kind,)).fetchone()[0])
    made = record._replace(**fields)
    execute(evidence, "update message set sealed = ? where seq = ?", sealed(made, KEY), record.seq)


def test_a_quiet_life_holds(evidence: Evidence) -> None:
    assert wrong(evidence) == []
    assert [claim.looked_at for claim in account(evidence)][:2] == [9, 11]


def test_1_a_reading_that_is_not_stored_is_found(evidence: Evidence) -> None:
    execute(evidence, "delete from message where seq = 3")
    assert any("boot 1 seq 3 is not stored" in line for line in wrong(evidence))


def test_1_a_reading_that_was_stored_otherwise_is_found(evidence: Evidence) -> None:
    changed(evidence, records.READING, power_w=10_001, flags=0)
    found = wrong(evidence)
    assert any("otherwise than it was produced" in line for line in found)
    assert any("power_total is 10001, 10000 was offered" in line for line in found)


def test_2_another_payload_under_an_identity_is_found_in_a_store_that_was_lost(
    evidence: Evidence, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(evidence.store)) as there:
        record = envelope.peek(there.execute("select sealed from message where seq = 2").fetchone()[0])
    keep(tmp_path / "abandoned.sqlite", record._replace(power_w=7))
    assert wrong(replace(evidence, abandoned=[tmp_path / "abandoned.sqlite"])) == [
        "no identity has two payloads: boot 1 seq 2 has two payloads"
    ]


def test_2_two_readings_of_a_slot_are_found(evidence: Evidence) -> None:
    execute(evidence, "update message set time_ms = time_ms - 4000 where seq = 3")
    assert any("has 2 readings" in line for line in wrong(evidence))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"voltage_mv": (230_200, 230_200, 230_300)}, "voltage_l1"),
        ({"import_wh": 250_020}, "import"),
        ({"frequency_mhz": 50_020}, "frequency"),
        ({"reactive_var": -2_000}, "reactive"),
    ],
)
def test_3_every_quantity_is_compared(evidence: Evidence, fields: dict[str, Any], found: str) -> None:
    changed(evidence, records.READING, flags=0, **fields)
    assert any(f"{found}" in line and "was offered" in line for line in wrong(evidence))


def test_3_what_is_not_flagged_is_counted(evidence: Evidence) -> None:
    there = {claim.name: claim.looked_at for claim in account(evidence)}
    flagged = sum(bool(envelope.peek(sealed).flags & records.SUSPECT) for sealed in readings(evidence))
    assert there["every value that is not flagged is what the meter offered"] == 9 - flagged


def test_3_a_reading_that_says_it_is_suspect_is_not_held_against_the_meter(evidence: Evidence) -> None:
    changed(evidence, records.READING, reactive_var=-2_000, flags=records.SUSPECT)
    assert not any("was offered" in line for line in wrong(evidence))


def test_4_what_was_dropped_is_told_when_the_link_is_back_and_was_lost_while_it_was_away(evidence: Evidence) -> None:
    first = min((envelope.peek(sealed) for sealed in readings(evidence)), key=lambda reading: reading.seq)
    changed(evidence, records.GAP, cause=records.CAUSE_OVERRUN, first_seq=first.seq + 1, last_seq=first.seq + 1)
    assert any("the link was there" in line for line in wrong(evidence))
    evidence.story.cut_off.add(first.time_ms)
    assert not any("the link was there" in line for line in wrong(evidence))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda e: execute(e, "delete from message where kind = 3"), "has neither reading nor gap"),
        (lambda e: changed(e, records.GAP, cause=records.CAUSE_POWER), "for power, which was not so"),
        (lambda e: changed(e, records.GAP, cause=records.CAUSE_OVERRUN), "for overrun, the link was there"),
        (lambda e: changed(e, records.GAP, end_ms=T0 + QUARTER_MS), "which has a reading"),
    ],
)
def test_4_a_slot_without_a_word_and_a_gap_that_is_not_true_are_found(
    evidence: Evidence, spoil: Callable[[Evidence], None], found: str
) -> None:
    spoil(evidence)
    assert any(found in line for line in wrong(evidence))


def test_4_a_loss_of_power_takes_with_it_what_the_node_had_no_time_to_name(evidence: Evidence) -> None:
    """The silent slot is followed by one without power: the next start knows of one gap only."""
    silent_ms = min(evidence.story.meter)
    changed(evidence, records.GAP, cause=records.CAUSE_POWER, end_ms=silent_ms + 8000, slots=2)
    execute(evidence, "delete from message where kind = 1 and time_ms = ?", silent_ms + 4000)
    evidence.story.down.add(silent_ms + 4000)
    assert not any("which was not so" in line for line in wrong(evidence))
    evidence.story.down.clear()
    assert any("for power, which was not so" in line for line in wrong(evidence))


@pytest.mark.parametrize(
    ("fields", "found"), [({"missing": 3}, "misses 3 slots, 1 are missing"), ({"end_ms": T0}, "misses 1 slots")]
)
def test_5_a_statement_that_counts_wrongly_is_found(evidence: Evidence, fields: dict[str, Any], found: str) -> None:
    changed(evidence, records.STATEMENT, **fields | ({"start_ms": T0 - 4000} if "end_ms" in fields else {}))
    assert any(found in line for line in wrong(evidence))


def test_5_a_statement_without_a_receipt_is_found_unless_the_node_said_so(evidence: Evidence) -> None:
    execute(evidence, "update statement set receipt = null")
    late = replace(evidence.story, end_ms=evidence.story.end_ms + 2 * 3_600_000)
    late.down.update(range(T0 + QUARTER_MS, late.end_ms, 4000))
    assert any("has no receipt and no alarm" in line for line in wrong(replace(evidence, story=late)))
    assert not any("receipt" in line for line in wrong(replace(evidence, story=replace(late, alarms=1))))


def test_6_an_accepted_set_point_that_nobody_sent_is_found(evidence: Evidence) -> None:
    decision = records.Decision(DEVICE, 1, 1, 99, bytes(16), bytes(32), 1, records.ACCEPTED, 0, T0)
    keep(evidence.store, decision)
    assert any("accepts what its issuer did not send" in line for line in wrong(evidence))
    assert wrong(replace(evidence, accepted=frozenset({bytes(32)}))) == []
