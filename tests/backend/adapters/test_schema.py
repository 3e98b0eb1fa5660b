"""A file of any version before this one starts, and keeps its rows; rules of backend/adapters/schema.py."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from backend.adapters.copied import copied
from backend.adapters.schema import VERSION
from backend.adapters.sqlite import SqliteStore
from backend.cli import main
from backend.errors import Rejected
from backend.wiring import make_identity

FIRST = """
create table party (id blob, generation int, role text, pod text, algorithm int, public blob, valid_from int, valid_to int,
  entry blob, enrolment blob, primary key (id, generation)) without rowid;
create table message (device blob, seq int, boot int, kind int, time_ms int, power_w int, import_wh int, export_wh int,
  sealed blob, primary key (device, seq)) without rowid;
create index message_time on message (device, kind, time_ms);
create table leaf (tree int, position int, sealed blob, primary key (tree, position)) without rowid;
create table checkpoint (epoch int, tree int, payload blob, primary key (epoch, tree)) without rowid;
create table epoch (epoch int primary key, root blob, count int, state text, block int);
create table flight (one int primary key check (one = 1), nonce int, raw blob, bump int);
create table statement (device blob, seq int, position int, receipt blob, primary key (device, seq)) without rowid;
create table setpoint (id blob primary key, device blob, sealed blob, pod text, decision blob, execution blob) without rowid;
create table document (kind text, id text, version int, body text, evidence blob, tree int, position int,
  primary key (kind, id, version)) without rowid;
create table finding (time_ms int, what text);
create table fact (name text primary key, value blob) without rowid;
insert into fact values ('incarnation', x'0102030405060708');
insert into message values (x'aa', 5, 1, 1, 4000, 100, 1, 0, x'01'), (x'aa', 7, 1, 1, 8000, 100, 1, 0, x'02');
insert into leaf values (3, 0, x'beef');
insert into finding values (9, 'second'), (3, 'first in time');
"""
"""The tables of the first release candidate, with a row in some."""


def made(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(script)
    return path


def tables(path: Path) -> dict[str, list[tuple]]:
    """Columns and keys by table."""
    with closing(sqlite3.connect(path)) as database:
        names = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
        return {name: database.execute(f"pragma table_info({name})").fetchall() for name in names}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("pragma user_version").fetchone()[0]


def test_rule_2_the_oldest_file_starts_with_its_rows_and_has_every_table(tmp_path: Path) -> None:
    store, new = SqliteStore(made(tmp_path / "old.sqlite", FIRST)), SqliteStore(tmp_path / "new.sqlite")
    assert store.incarnation == bytes.fromhex("0102030405060708")
    assert [kept.seq for kept in store.messages(b"\xaa", 0, 9)] == [5, 7]
    assert list(store.findings()) == [(9, "second"), (3, "first in time")]
    assert len(store.hashes(3)) == 1, "a leaf's hash is there, also when its data will be erased"
    assert store.rows("select device, seq from kept") == [(b"\xaa", 7)]
    store.add_finding(10, "third")
    store.close()
    new.close()
    assert tables(tmp_path / "old.sqlite") == tables(tmp_path / "new.sqlite")
    assert version(tmp_path / "old.sqlite") == version(tmp_path / "new.sqlite") == VERSION


def test_rule_2_a_transaction_in_flight_in_the_old_form_is_not_lost(tmp_path: Path) -> None:
    path = made(tmp_path / "old.sqlite", FIRST + "insert into flight values (1, 4, x'00', 0);")
    before = tables(path)
    with pytest.raises(Rejected, match="in flight"):
        SqliteStore(path)
    assert tables(path) == before and version(path) == 0


def older(path: Path) -> None:
    """As a file was before dispatches were kept."""
    made(path, "drop table dispatch; delete from seal where name = 'dispatch'; pragma user_version = 0;")


def test_a_sealed_file_without_dispatches_goes_on_and_its_audit_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scd.sqlite"
    identity = make_identity(tmp_path / "keys", bytes(16))
    store = SqliteStore(path)
    store.note_fact("deployment", bytes(16))
    store.note_fact("log_key", identity.log_key.public)
    store.keep_notes_as_before()
    store.add_finding(1, "seen")
    store.close()
    main(["evidence", "audit", "--db", str(path)])
    before = capsys.readouterr()
    older(path)
    assert main(["evidence", "audit", "--db", str(path)]) == 1
    assert "without dispatch" in capsys.readouterr().err
    with closing(SqliteStore(path)) as store:
        store.keep_notes_as_before()
        assert list(store.findings()) == [(1, "seen")] and store.rows("select * from dispatch") == []
    main(["evidence", "audit", "--db", str(path)])
    assert capsys.readouterr() == before


def test_rule_3_a_newer_file_and_one_of_another_program_are_left_alone(tmp_path: Path) -> None:
    newer = made(tmp_path / "newer.sqlite", f"create table party (id); pragma user_version = {VERSION + 1};")
    with pytest.raises(Rejected, match="install a newer one"):
        SqliteStore(newer)
    with pytest.raises(Rejected, match="install a newer one"), copied(newer):
        pass
    songs = made(tmp_path / "songs.sqlite", "create table song (name);")
    before = newer.read_bytes(), songs.read_bytes()
    with pytest.raises(Rejected, match="another program"):
        SqliteStore(songs)
    with pytest.raises(Rejected, match="install a newer one"):
        SqliteStore(newer)
    assert (newer.read_bytes(), songs.read_bytes()) == before, "not a byte of it"


def incarnations(path: Path) -> list[bytes]:
    """What four that open a file at once find in it."""
    found: list[bytes] = []
    gate = threading.Barrier(4)

    def opens() -> None:
        gate.wait()
        with closing(SqliteStore(path)) as store:
            found.append(store.incarnation)

    threads = [threading.Thread(target=opens) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_rule_1_a_new_file_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    for k in range(20):
        found = incarnations(tmp_path / f"{k}.sqlite")
        assert len(found) == 4 and len(set(found)) == 1
