"""Keeps the digests and seals of a database's notes with every commit (see evidence/notes.py).

1. Triggers that only this connection has write down which rows a commit touches; before it is made their digests and the
   sums of their tables are brought up to date, and each sum that changed is signed.
2. Whoever changes the notes of a back end's database needs the log key. It lies beside the database, in keys/log.key.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from lightwire import envelope

from backend.adapters.keys import read_key
from backend.errors import BackendError, Rejected
from backend.evidence.audit.registry import operator_of
from backend.evidence.notes import NOTES, add, key_of, row_digest, seal_of, term

Sign = Callable[[bytes], bytes]


class Notes:
    """The notes of one connection."""

    def __init__(self, database: sqlite3.Connection, sign: Sign, identity: tuple[bytes, bytes]) -> None:
        """identity: (deployment 16 bytes, operator 8 bytes). To be made inside a commit: what is there is noted first."""
        self._db = database
        self._sign = sign
        self._deployment, self._operator = identity
        database.execute("create temp table touched (name, a, b, c)")
        for table in NOTES:
            if not database.execute("select 1 from seal where name = ?", (table,)).fetchone():
                database.execute(f"insert into touched select '{table}', {_values(table, table)} from {table}")
                self._seal(table, add(b"", 0))
            for event, rows in (("insert", ("new",)), ("update", ("old", "new")), ("delete", ("old",))):
                notes = " ".join(f"insert into touched values ('{table}', {_values(table, row)});" for row in rows)
                database.execute(f"create temp trigger {table}_{event} after {event} on main.{table} begin {notes} end")
        self.settle()

    def settle(self) -> None:
        """Notes what the open commit has touched (rule 1)."""
        touched = self._db.execute("select distinct name, a, b, c from touched").fetchall()
        if not touched:
            return
        self._db.execute("delete from touched")
        changes: dict[str, int] = {}
        for table, *values in touched:
            changes[table] = changes.get(table, 0) + self._noted(table, tuple(values[: len(NOTES[table])]))
        for table, change in changes.items():
            (total,) = self._db.execute("select total from seal where name = ?", (table,)).fetchone()
            self._seal(table, add(total, change))

    def _noted(self, table: str, key: tuple[object, ...]) -> int:
        """Brings the digest of one row up to date; by how much the sum changes."""
        where = " and ".join(f"{column} = ?" for column in NOTES[table])
        row = self._db.execute(f"select * from {table} where {where}", key).fetchone()
        name, change = key_of(key), 0
        before = self._db.execute("select digest from noted where name = ? and key = ?", (table, name)).fetchone()
        if before is not None:
            change -= term(table, name, before[0])
        if row is None:
            self._db.execute("delete from noted where name = ? and key = ?", (table, name))
        else:
            digest = row_digest(row)
            self._db.execute("insert or replace into noted values (?,?,?)", (table, name, digest))
            change += term(table, name, digest)
        return change

    def _seal(self, table: str, total: bytes) -> None:
        sealed = envelope.seal(seal_of(self._operator, table, total), self._deployment, self._sign)
        self._db.execute("insert or replace into seal values (?,?,?)", (table, total, sealed))


def _values(table: str, row: str) -> str:
    """The primary key of a row as the columns of `touched` behind the name."""
    names = [f"{row}.{column}" for column in NOTES[table]]
    return ", ".join([*names, "''", "''"][:3])


def log_key_beside(database: Path, public: bytes) -> tuple[Sign, bytes]:
    """How the log key of a back end's database signs, and its operator (rule 2). Rejected if it is not there, or another."""
    path = database.parent / "keys" / "log.key"
    try:
        key = read_key(path)
    except BackendError as error:
        raise Rejected(f"{error}: the log key seals every change of {database.name}") from error
    if key.public != public:
        raise Rejected(f"{path}: is not the log key of {database.name}")
    return key.sign, operator_of(public)
