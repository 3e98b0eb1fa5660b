"""The tables of the store's file and their version, which only rises.

1. A file says its version (`pragma user_version`). A new one gets every table of schema.sql in one commit, however many
   processes open it at once.
2. An older one is brought forward in one commit and keeps its rows; a file from before versions is told by its tables.
   What an added table says of rows that are older than it is made from them.
3. A newer one is left as it is, and so is one that is no file of ours: refused in one line with the cure.
4. Changes are written ahead to a log. SQLite waits for nobody where a file gets its log, whatever the timeout: here it does.
"""

import os
import sqlite3
import time
from pathlib import Path

from lightwire import merkle

from backend.errors import Rejected

VERSION = 1
_SCHEMA = Path(__file__).with_name("schema.sql")
_OURS = {"party", "message", "fact"}
_REMADE = {
    "finding": ("id", "insert into finding (time_ms, what) select time_ms, what from before order by rowid"),
    "flight": ("max_fee_wei", ""),
}
"""Tables that had other columns once: one that tells the new form, and how rows are taken over (none: there may be none)."""


def bring_forward(database: sqlite3.Connection, path: Path) -> None:
    """Makes or completes the tables of a file (rules 1 to 3); Rejected for one that is not to be opened."""
    if _version(database) == VERSION:
        return
    database.execute("begin immediate")
    try:
        _complete(database, path)
        database.execute(f"pragma user_version = {VERSION}")
        database.execute("commit")
    except BaseException:
        database.execute("rollback")
        raise


def write_ahead(database: sqlite3.Connection, wait_s: float) -> None:
    """Sets a file to WAL (rule 4); sqlite3.OperationalError if it stays locked for so long."""
    until = time.monotonic() + wait_s
    while True:
        try:
            database.execute("pragma journal_mode=wal")
            database.execute("pragma user_version")  # makes the log: there is room for it now
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def check_readable(database: sqlite3.Connection, path: Path) -> None:
    """Rejected for a file that who only reads it would not understand."""
    _refuse_newer(database, path)
    missing = {statement.split()[2] for statement in _statements()} - _names(database)
    if missing and _names(database) >= _OURS:
        raise Rejected(
            f"{path}: was made by an older program, without {sorted(missing)[0]}: the back end, or a `lightnode market`"
            " command on its folder, brings it forward"
        )


def _refuse_newer(database: sqlite3.Connection, path: Path) -> None:
    version = _version(database)
    if version > VERSION:
        raise Rejected(
            f"{path}: its tables are of version {version}, this program knows {VERSION}: install a newer one"
        )


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("pragma user_version").fetchone()[0])


def _complete(database: sqlite3.Connection, path: Path) -> None:
    there = _names(database)
    _refuse_newer(database, path)
    if there and not there >= _OURS:
        raise Rejected(f"{path}: is a database of another program: name another folder")
    for table, (column, taken_over) in _REMADE.items():
        if table in there and column not in _columns(database, table):
            _remake(database, path, table, taken_over)
    for statement in _statements():
        if statement.split()[2] not in _names(database):
            database.execute(statement)
    if "node" not in there:
        for tree, position, sealed in database.execute("select tree, position, sealed from leaf").fetchall():
            database.execute("insert into node values (?,?,?)", (tree, position, merkle.leaf_hash(sealed)))
    if "kept" not in there:
        database.execute("insert into kept select device, max(seq) from message group by device")
    database.execute("insert into fact values ('incarnation', ?) on conflict do nothing", (os.urandom(8),))


def _remake(database: sqlite3.Connection, path: Path, table: str, taken_over: str) -> None:
    """A table in its new form, with its rows."""
    if not taken_over and database.execute(f"select 1 from {table}").fetchone():
        raise Rejected(
            f"{path}: a transaction is in flight in its old table: let the program that made it finish it first"
        )
    database.execute(f"alter table {table} rename to before")
    for statement in _statements():
        if statement.split()[1:3] == ["table", table]:
            database.execute(statement)
    if taken_over:
        database.execute(taken_over)
    database.execute("drop table before")


def _names(database: sqlite3.Connection) -> set[str]:
    return {row[0] for row in database.execute("select name from sqlite_master")}


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"pragma table_info({table})")}


def _statements() -> list[str]:
    """Of schema.sql, each `create table NAME` or `create index NAME`."""
    return [one.strip() for one in _SCHEMA.read_text().split(";") if one.strip()]
