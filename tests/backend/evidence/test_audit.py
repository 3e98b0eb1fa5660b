"""An audit finds nothing where nothing was changed, and names each row that was."""

import json
import random
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records, topics

from backend.adapters.chain_store import ChainStore
from backend.adapters.copied import copied
from backend.adapters.field_store import FieldSensor, FieldStore
from backend.adapters.keys import verifier
from backend.adapters.kits import KitRow, KitStore, NonceRow
from backend.adapters.market_store import MarketStore
from backend.adapters.mqtt import Incoming
from backend.adapters.rotations import WAITING, Rotation, RotationStore
from backend.cli import main
from backend.evidence.anchoring import Fees, Flight
from backend.evidence.audit.alarm import Alarm
from backend.evidence.audit.commitment import Chain
from backend.evidence.audit.whole import Audit, Outside
from backend.grid.field import FieldReading
from backend.ports import Block, ChainEvent, MarketEvent
from tests.backend.evidence.edits import KEYS, Editor
from tests.backend.evidence.made import CHAIN, CONTRACT, DEPLOYMENT, FRAME_MS, OTHER, PERIOD, POD, Made
from tests.backend.test_cli import anchors_document

SAMPLE, WHOLE = 40, 1000


@lru_cache(200_000)
def _holds(public: bytes, digest: bytes, signature: bytes) -> bool:
    return verifier(public)(digest, signature)


def remembered(public: bytes) -> Callable[[bytes, bytes], bool]:
    """The verifier of a key, each signature checked once."""
    verifier(public)
    return lambda digest, signature: _holds(public, digest, signature)


class Lived(Made):
    """The customers' period, acknowledged, final on chain, with a key that was revoked behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, every=75)
        self.collect.deliver_all(self.now_ms)
        self.register.revoke(self.devices[OTHER].id, 1, PERIOD[1] + FRAME_MS)
        self.close(self.epoch + 1)
        for epoch, *_ in self.store.epochs():
            self.store.set_state(epoch, "final", 7)
        self._take_notes()
        self.add_tail()

    def _take_notes(self) -> None:
        """Something in every table of notes."""
        for k in range(3):
            self.store.add_finding(k, f"finding {k}")
        chain, kits = ChainStore(self.store), KitStore(self.store)
        for nonce in (4, 5):
            chain.save_flight(Flight(nonce, bytes([nonce]) * 90, Fees(10**9, 10**8), 1, 2, 6))
        events = [
            ChainEvent(7, k, bytes(32), bytes([k]) * 32, "Granted", {"account": f"0x{k:040x}", "allowed": True})
            for k in range(3)
        ]
        for number in (6, 7):
            chain.save_events(Block(number, bytes([number]) * 32, 0, None), events if number == 7 else [], 8)
        chain.note_look(Block(7, bytes(32), 0, None), 1)
        kit = KitRow(b"kit id 1", b"authority", 1, 2, False)
        kits.add(kit, [NonceRow(bytes([k]) * 16, kit.id, POD, b"") for k in range(3)])
        kits.answered(bytes(16), self.devices[POD].id)
        for id in (kit.id, b"kit id 2"):
            self.store.change("insert into kit_revoked values (?,?)", id, 9)
        self._take_later_notes()

    def _take_later_notes(self) -> None:
        rotations, fields, market = RotationStore(self.store), FieldStore(self.store), MarketStore(self.store)
        for k in range(3):
            rotations.save(Rotation(bytes([k]) * 16, self.devices[POD].id, 5 + k, bytes([k]) * 40, WAITING))
            fields.register(FieldSensor(f"sensor {k}", f"busbar {k}", bytes([k]) * 32))
            fields.keep(FieldReading(f"sensor {k}", 1 + k, 7, 230_000 + k, None, 100, 10, "closed"))
            market.add_event(MarketEvent("session 1", 8 + k, "DSO", "request", f'{{"watts":{k}}}'))

    def add_tail(self) -> None:
        """Records of a quarter-hour that has not ended: no statement names them, nothing acknowledges them."""
        device = self.devices[POD]
        for k in range(4):
            device.reading(PERIOD[1] + FRAME_MS + k * 4000, 1)
        self._send(POD, "record", device.out[-4:])

    def outside(self) -> Outside:
        words = self.anchors().words
        return Outside(self.operator, Chain(words, dict.fromkeys(words, 7)), (CHAIN, CONTRACT))


def audited(path: Path, outside: Outside) -> list[Alarm]:
    with copied(path) as copy:
        return list(Audit(copy, outside, remembered).run())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(tmp_path_factory.mktemp("audit"))


@pytest.fixture
def path(lived: Lived, tmp_path: Path) -> Path:
    """A copy of the database, to be edited."""
    source = sqlite3.connect(next(iter(_file(lived).parent.glob("scd.sqlite"))))
    target = sqlite3.connect(tmp_path / "copy.sqlite")
    source.backup(target)
    source.close()
    target.close()
    return tmp_path / "copy.sqlite"


def _file(lived: Lived) -> Path:
    return Path(lived.store._rows("pragma database_list")[0][2])  # type: ignore[arg-type]


def execute(path: Path, sql: str, *values: Any) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    assert database.execute(sql, values).rowcount == 1
    database.close()


def test_nothing_is_said_of_what_was_not_changed(lived: Lived, path: Path) -> None:
    assert audited(path, lived.outside()) == []


def test_a_changed_power_a_deleted_reading_and_a_moved_statement_are_named(lived: Lived, path: Path) -> None:
    device = lived.devices[POD].id
    execute(path, "update message set power_w = power_w + 1 where device = ? and seq = 6", device)
    execute(path, "delete from message where device = ? and seq = 2", device)
    execute(path, "update document set body = replace(body, 'DSO', 'TSO') where kind = 'statement' and id = ?", POD)
    found = audited(path, lived.outside())
    power = envelope.peek(lived.store.messages(device, 6, 6)[0].sealed).power_w
    assert {(one.table, one.key): one.what for one in found} == {
        ("message", f"{device.hex()}/6"): f"power_w is {power + 1}, its record says {power}",
        ("message", f"{device.hex()}/2"): "is missing: statement 5 names it",
        ("document", f"statement/{POD}/1"): "body is not the one whose digest was signed",
    }


def test_every_edit_of_a_copy_is_named(lived: Lived, path: Path, request: pytest.FixtureRequest) -> None:
    seed, outside = 1, lived.outside()
    editor = Editor(str(path), random.Random(seed))
    tables = {row[0] for row in editor.execute("select name from sqlite_master where type = 'table'")}
    before = editor.everything()
    assert tables == set(KEYS), "every table is known"
    assert {table for table, rows in before.items() if not rows} == {"conflict"}, (
        "every table is edited; that one is an alarm"
    )
    for k in range(WHOLE if request.config.getoption("--long") else SAMPLE):
        edit = editor.make()
        found = {(one.table, one.key) for one in audited(path, outside)}
        assert found & set(edit.rows), f"seed {seed}, edit {k}: {edit.what} is not named, but {sorted(found)[:5]}"
        others = found - set(edit.rows)
        assert len(others) <= 1, f"seed {seed}, edit {k}: {edit.what} also accuses {sorted(others)[:5]}"
        editor.restore(before)


@pytest.mark.parametrize("table", [
    "finding", "flight", "chain_event", "kept", "nonce", "noted", "seal", "kit_revoked", "rotation", "field_sensor",
    "field_reading", "market_event",
])  # fmt: skip
def test_a_note_is_named_whatever_was_done_to_it(table: str, lived: Lived, path: Path) -> None:
    editor, outside = Editor(str(path), random.Random(7)), lived.outside()
    before = editor.everything()
    for how in ("cell", "delete", "insert", "swap"):
        edit = editor.make(table, how)
        found = {(one.table, one.key) for one in audited(path, outside)}
        assert found and found <= set(edit.rows), edit.what
        editor.restore(before)


def test_of_what_no_statement_names_yet_nothing_can_be_taken_away(lived: Lived, path: Path) -> None:
    device = lived.devices[POD]
    execute(path, "delete from message where device = ? and seq = ?", device.id, device.seq)
    (found,) = audited(path, lived.outside())
    assert (found.table, found.key) == ("message", f"{device.id.hex()}/{device.seq}")
    assert found.what == "is missing: it was noted as kept"


def test_two_leaves_exchanged_with_their_hashes_are_named(lived: Lived, path: Path) -> None:
    for table in ("leaf", "node"):
        for a, b in ((2, -1), (3, 2), (-1, 3)):
            execute(path, f"update {table} set position = {b} where tree = 2 and position = {a}")
    found = {(one.table, one.key): one.what for one in audited(path, lived.outside())}
    assert found["leaf", "2/2"] == "was exchanged: it belongs to position 3"
    assert set(found) == {(table, key) for table in ("leaf", "node") for key in ("2/2", "2/3")}


def test_another_commitment_on_chain_is_a_second_one(lived: Lived, path: Path) -> None:
    outside = lived.outside()
    assert outside.chain is not None
    epoch = max(outside.chain.words)
    words = {**outside.chain.words, epoch: bytes(31) + b"\1"}
    (found,) = audited(path, Outside(lived.operator, Chain(words, {}), None))
    assert (found.table, found.key) == ("epoch", str(epoch)) and "there are two for one epoch" in found.what


def test_a_commitment_that_the_database_forgot_is_named(lived: Lived, path: Path) -> None:
    epoch = lived.epoch + 1
    execute(path, "delete from epoch where epoch = ?", epoch)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("delete from checkpoint where epoch = ?", (epoch,))
    database.close()
    assert [(one.table, one.key) for one in audited(path, lived.outside())] == [("epoch", str(epoch))]


def test_equivocation_is_an_alarm_with_both_messages_kept(tmp_path: Path) -> None:
    made = Made(tmp_path, every=75)
    device = made.devices[POD]
    first = made.store.messages(device.id, 6, 6)[0].sealed
    other = envelope.seal(envelope.peek(first)._replace(power_w=1), DEPLOYMENT, device.key.sign)
    made.collect.process([Incoming(topics.topic(device.id, "record"), other, 0, 1)])
    assert made.collect.refused == 1 and "equivocation" in list(made.store.findings())[-1][1]
    (found,) = audited(tmp_path / "scd.sqlite", Outside(made.operator, None, None))
    assert (found.table, found.key) == ("conflict", f"{device.id.hex()}/6")
    assert "two payloads" in found.what and found.evidence == (other,)


def test_two_statements_over_one_range_are_refused_and_an_alarm(tmp_path: Path) -> None:
    made = Made(tmp_path, every=75)
    device = made.devices[POD]
    last = [envelope.peek(m) for m in device.out if envelope.peek(m).KIND == records.STATEMENT][-1]
    again = envelope.seal(last._replace(seq=device.seq + 1), DEPLOYMENT, device.key.sign)
    made.collect.process([Incoming(topics.topic(device.id, "record"), again, 0, 1)])
    assert made.collect.refused == 1 and "an earlier one covers" in list(made.store.findings())[-1][1]
    (found,) = audited(tmp_path / "scd.sqlite", Outside(made.operator, None, None))
    assert (found.table, found.key) == ("message", f"{device.id.hex()}/{device.seq + 1}")
    assert f"overlaps that of statement {last.seq}" in found.what


def test_what_is_anchored_after_the_revocation_of_its_key_is_an_alarm(tmp_path: Path) -> None:
    made = Made(tmp_path, every=75)
    device = made.devices[POD]
    made.register.revoke(device.id, 1, PERIOD[1] + 10 * FRAME_MS)
    made.close(made.epoch + 1)
    device.reading(PERIOD[1] + FRAME_MS, 1)
    device.close()
    made.collect.process([Incoming(topics.topic(device.id, "record"), m, 0, 1) for m in device.out[-2:]])
    assert made.collect.refused == 2 and "is revoked" in list(made.store.findings())[-1][1]
    for sealed in device.out[-2:]:
        record = envelope.peek(sealed)
        made.store.keep_message(record, sealed, getattr(record, "time_ms", 0) or record.start_ms)
    made.store.add_statement(device.id, device.seq, made.trees.append(records.TREE_READINGS, device.out[-1]))
    made.close(made.epoch + 2)
    (found,) = audited(tmp_path / "scd.sqlite", Outside(made.operator, None, None))
    assert found.table == "leaf" and "in which its key was revoked" in found.what
    assert found.evidence == (device.out[-1],)


def test_a_key_used_outside_its_validity_is_an_alarm(tmp_path: Path) -> None:
    made = Made(tmp_path, every=75)
    device = made.devices[POD]
    made.register.revoke(device.id, 1, PERIOD[0])
    found = audited(tmp_path / "scd.sqlite", Outside(made.operator, None, None))
    assert found and all(one.table == "message" and "its key is valid from" in one.what for one in found)
    assert envelope.peek(found[0].evidence[0]).device == device.id


def test_the_command_names_each_row_in_a_line_and_ends_with_1(
    lived: Lived, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps(anchors_document(lived)))
    words = ["evidence", "audit", "--db", str(path)]
    assert main([*words, "--anchors", str(anchors)]) == 0
    assert main(words) == 4
    assert "the database's own commitments only" in capsys.readouterr().err
    execute(path, "update leaf set sealed = x'00' where tree = 3 and position = 0")
    assert main([*words, "--anchors", str(anchors)]) == 1
    assert capsys.readouterr().out == "leaf 3/0: was changed: it is not what was anchored\n"
    assert main([*words, "--anchors", str(anchors), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["sound"], [one["key"] for one in said["alarms"]]) == (False, ["3/0"])


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_what_is_no_database_of_ours_is_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main(["evidence", "audit", "--db", str(tmp_path / "file")]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
