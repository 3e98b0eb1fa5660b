"""A commit that fails leaves nothing of itself, neither in the file nor to be seen."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.adapters.sqlite import SqliteStore
from hil.faults.disk import SmallDisk, file_size_limit


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "scd.sqlite")


def test_a_commit_that_is_cut_by_a_limit_is_rolled_back(store: SqliteStore, tmp_path: Path) -> None:
    size = (tmp_path / "scd.sqlite-wal").stat().st_size
    with file_size_limit(size + 8192), pytest.raises(sqlite3.OperationalError), store.writing():
        for k in range(100):
            store.add_finding(k, "x" * 1000)
    assert list(store.findings()) == []


def test_a_commit_on_a_full_disk_is_rolled_back_and_the_store_goes_on(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(4 << 20)
    store = SqliteStore(disk.folder / "scd.sqlite")
    disk.fill()
    with pytest.raises(sqlite3.OperationalError, match="full"), store.writing():
        for k in range(100):
            store.add_finding(k, "x" * 1000)
    assert list(store.findings()) == [], "what is not committed is not to be seen"
    disk.free()
    with store.writing():
        store.add_finding(1, "there is room again")
    assert list(store.findings()) == [(1, "there is room again")]
    store.close()


def test_after_a_beginning_that_failed_an_error_still_undoes_everything(store: SqliteStore, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "scd.sqlite", isolation_level=None)
    other.execute("begin immediate")
    store._db.execute("pragma busy_timeout=0")
    with pytest.raises(sqlite3.OperationalError, match="locked"), store.writing():
        pass
    other.execute("rollback")
    with pytest.raises(KeyError), store.writing():
        store.add_finding(1, "half a batch")
        raise KeyError
    assert list(store.findings()) == []
    other.close()


def test_an_error_inside_undoes_the_outer_commit_too(store: SqliteStore) -> None:
    with pytest.raises(KeyError), store.writing():
        store.add_finding(1, "outer")
        with store.writing():
            store.add_finding(2, "inner")
            raise KeyError
    assert list(store.findings()) == []


def test_the_clock_links_of_a_boot_are_found_without_looking_at_the_readings(store: SqliteStore) -> None:
    """Each reading before trust asks for them: a scan of all the device's messages held ingest up for minutes."""
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    assert store.links(b"device-1", 3) == []
    store._db.set_trace_callback(None)
    (plan,) = store._db.execute(f"explain query plan {asked[0]}").fetchall()
    assert "INDEX message_time (device=? AND kind=?)" in plan[3]
