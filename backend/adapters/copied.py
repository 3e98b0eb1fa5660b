"""A database file as an audit reads it: read only, as one picture, whatever stands in its cells.

1. Text that is no text comes as it is: nothing that a hostile hand wrote stops the reading.
2. A column or a table that is not there is no database of ours.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.adapters.schema import check_readable
from backend.errors import Unavailable
from backend.evidence.audit.copy import Message, Row
from backend.evidence.audit.registry import operator_of
from backend.evidence.notes import NOTES, key_of

_COLUMNS = {
    "message": "device, seq, boot, kind, time_ms, power_w, import_wh, export_wh, sealed",
    "node": "tree, position, hash",
    "leaf": "tree, position, sealed",
    "checkpoint": "epoch, tree, payload",
    "epoch": "epoch, root, count, state, block",
    "statement": "device, seq, position, receipt",
    "setpoint": "id, device, sealed, pod, decision, execution",
    "document": "kind, id, version, body, evidence, tree, position",
    "party": "id, generation, role, pod, algorithm, public, valid_from, valid_to, entry, enrolment",
    "revocation": "id, generation, time_ms, entry",
    "conflict": "device, seq, time_ms, sealed",
    "delivered": "device, sealed",
    "fact": "name, value",
    "kept": "device, seq",
    "noted": "name, key, digest",
    "seal": "name, total, sealed",
}


class SqliteCopy:
    """Rows of a file; Unavailable from any of its methods if it is no database of ours."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def rows(self, kind: type[Row], table: str) -> Iterator[Row]:
        """All rows of a table, in order of its primary key."""
        make: Any = kind
        for row in self._database.execute(f"select {_COLUMNS[table]} from {table}"):
            yield make(*row)

    def devices(self) -> list[bytes]:
        """Of which devices there are messages, in order; a device that is no bytes comes under the name b""."""
        found = self._database.execute("select distinct device from message")
        return sorted({row[0] if isinstance(row[0], bytes) else b"" for row in found})

    def messages(self, device: bytes) -> Iterator[Message]:
        """The messages of a device in order of seq."""
        which = "device = ?" if device else "typeof(device) != 'blob' or device = ?"
        sql = f"select {_COLUMNS['message']} from message where {which} order by seq"
        for row in self._database.execute(sql, (device,)):
            yield Message(*row)

    def message(self, device: bytes, seq: int) -> bytes | None:
        """The sealed bytes of one message."""
        sql = "select sealed from message where device = ? and seq = ?"
        rows = self._database.execute(sql, (device, seq)).fetchall()
        return rows[0][0] if rows and isinstance(rows[0][0], bytes) else None

    def notes(self, table: str) -> Iterator[tuple[str, tuple[object, ...]]]:
        """(key, all cells) of the rows of a table of notes."""
        columns = NOTES[table]
        for row in self._database.execute(f"select {', '.join(columns)}, * from {table}"):
            yield key_of(row[: len(columns)]), tuple(row[len(columns) :])

    def epochs(self) -> list[int]:
        """The numbers of the epochs that have a row."""
        found = (row[0] for row in self._database.execute("select epoch from epoch"))
        return [epoch for epoch in found if isinstance(epoch, int) and 0 <= epoch < 1 << 32]

    def operator(self) -> bytes:
        """The id of the operator whose log key the file names (8 bytes)."""
        rows = self._database.execute("select value from fact where name = 'log_key'").fetchall()
        return operator_of(rows[0][0] if rows and isinstance(rows[0][0], bytes) else b"")


@contextmanager
def copied(path: Path) -> Iterator[SqliteCopy]:
    """The rows of a file for the time of the block; Unavailable if it is not there or no database of ours."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            database.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
            database.execute("begin")
            check_readable(database, path)
            yield SqliteCopy(database)
        finally:
            database.close()
    except sqlite3.Error as error:
        raise Unavailable("database", f"{path}: {error}") from error
