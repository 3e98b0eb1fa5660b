"""Edits of a database copy as a hostile hand makes them: one cell, one row gone, one row too many, two rows exchanged."""

import random
import sqlite3
from dataclasses import dataclass
from typing import Any

KEYS = {
    "message": ("device", "seq"), "leaf": ("tree", "position"), "node": ("tree", "position"), "epoch": ("epoch",),
    "checkpoint": ("epoch", "tree"), "statement": ("device", "seq"), "setpoint": ("id",), "document": ("kind", "id", "version"),
    "party": ("id", "generation"), "revocation": ("id", "generation"), "delivered": ("device",),
    "conflict": ("device", "seq"), "fact": ("name",), "finding": ("id",), "flight": ("nonce",), "kept": ("device",),
    "chain_event": ("block", "position"), "chain_cursor": ("block",), "chain_look": ("one",), "kit": ("id",), "nonce": ("nonce",),
    "noted": ("name", "key"), "seal": ("name",), "kit_revoked": ("kit",), "rotation": ("nonce",), "field_sensor": ("id",),
    "field_reading": ("sensor", "seq"), "market_event": ("session", "position"), "dispatch": ("frame",),
}  # fmt: skip
"""Every table of a database, with its primary key."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What was done, and the rows (table, key) of which at least one must be named."""

    what: str
    rows: tuple[tuple[str, str], ...]


def key_text(values: tuple[Any, ...]) -> str:
    return "/".join(v.hex() if isinstance(v, bytes) else str(v) for v in values)


class Editor:
    """Edits a database, and takes each edit back."""

    def __init__(self, path: str, source: random.Random) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma ignore_check_constraints = on")
        self._source = source
        self.columns = {t: [row[1] for row in self._db.execute(f"pragma table_info({t})")] for t in KEYS}

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self._db.execute(f"select * from {table}").fetchall()

    def make(self, table: str = "", how: str = "") -> Edit:
        """One edit of a random table with rows, in a transaction that is open until `undo`."""
        tables = [t for t in KEYS if self.rows(t)]
        table = table or self._source.choice(tables)
        how = how or self._source.choice(["cell", "cell", "cell", "delete", "insert", "swap", "type"])
        self._db.execute("begin")
        edit: Edit = getattr(self, "_" + how)(table, self._source.choice(self.rows(table)))
        self._db.execute("commit")
        return edit

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def restore(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Everything as it was."""
        self._db.execute("begin")
        for table, held in rows.items():
            self._db.execute(f"delete from {table}")
            marks = ",".join("?" * len(self.columns[table]))
            self._db.executemany(f"insert into {table} values ({marks})", held)
        self._db.execute("commit")

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        return {table: self.rows(table) for table in KEYS}

    def _key(self, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[self.columns[table].index(name)] for name in KEYS[table])

    def _where(self, table: str) -> str:
        return " and ".join(f"{name} = ?" for name in KEYS[table])

    def _cell(self, table: str, row: tuple[Any, ...]) -> Edit:
        column = self._source.choice(self.columns[table])
        old = row[self.columns[table].index(column)]
        return self._set(table, row, column, self._other(old))

    def _type(self, table: str, row: tuple[Any, ...]) -> Edit:
        columns = [c for c in self.columns[table] if c not in KEYS[table] and (table, c) not in _NULLABLE]
        if not columns:
            return self._delete(table, row)
        old = row[self.columns[table].index(column := self._source.choice(columns))]
        new: Any = self._source.choice([v for v in (None, 7, b"7", "seven", 1.5) if type(v) is not type(old)])
        # a column of type int or text turns what it can into its own type
        return self._set(table, row, column, None if column in _CONVERTS else new)

    def _set(self, table: str, row: tuple[Any, ...], column: str, new: Any) -> Edit:
        changed = tuple(new if name == column else v for name, v in zip(self.columns[table], row, strict=True))
        old_key, new_key = self._key(table, row), self._key(table, changed)
        there = self._db.execute(f"select 1 from {table} where {self._where(table)}", new_key).fetchone()
        if new_key != old_key and there:
            return self._delete(table, row)
        self._db.execute(f"update {table} set {column} = ? where {self._where(table)}", (new, *old_key))
        what = f"{table} {key_text(old_key)}: {column} {row[self.columns[table].index(column)]!r} -> {new!r}"
        return Edit(what, ((table, key_text(old_key)), (table, key_text(new_key))))

    def _other(self, old: Any) -> Any:
        if isinstance(old, int):
            return old + self._source.choice([1, -1, 1000, 1 << 20])
        if isinstance(old, bytes) and old:
            at = self._source.randrange(len(old))
            return old[:at] + bytes([old[at] ^ 1 << self._source.randrange(8)]) + old[at + 1 :]
        if isinstance(old, str) and old:
            at = self._source.randrange(len(old))
            return old[:at] + self._source.choice([c for c in "aZ09 " if c != old[at]]) + old[at + 1 :]
        return self._source.randbytes(40) if old in (b"", None) else "x"

    def _delete(self, table: str, row: tuple[Any, ...]) -> Edit:
        key = self._key(table, row)
        self._db.execute(f"delete from {table} where {self._where(table)}", key)
        return Edit(f"{table} {key_text(key)} deleted", ((table, key_text(key)),))

    def _insert(self, table: str, row: tuple[Any, ...]) -> Edit:
        name = KEYS[table][-1]
        changed = tuple(
            self._beyond(table, name, v) if c == name else v for c, v in zip(self.columns[table], row, strict=True)
        )
        marks = ",".join("?" * len(row))
        self._db.execute(f"insert into {table} values ({marks})", changed)
        key = key_text(self._key(table, changed))
        return Edit(f"{table} {key} put in", ((table, key),))

    def _beyond(self, table: str, name: str, old: Any) -> Any:
        if isinstance(old, int):
            return self._db.execute(f"select max({name}) from {table}").fetchone()[0] + self._source.choice([1, 2, 50])
        return self._source.randbytes(len(old)) if isinstance(old, bytes) else old + "x"

    def _swap(self, table: str, row: tuple[Any, ...]) -> Edit:
        others = [one for one in self.rows(table) if self._key(table, one) != self._key(table, row)]
        columns = [c for c in self.columns[table] if c not in KEYS[table]]
        if not others or not columns:
            return self._delete(table, row)
        other = self._source.choice(others)
        pick = [self.columns[table].index(c) for c in columns]
        if [row[k] for k in pick] == [other[k] for k in pick]:
            return self._delete(table, row)
        sql = f"update {table} set {', '.join(c + ' = ?' for c in columns)} where {self._where(table)}"
        self._db.execute(sql, (*(other[k] for k in pick), *self._key(table, row)))
        self._db.execute(sql, (*(row[k] for k in pick), *self._key(table, other)))
        keys = tuple((table, key_text(self._key(table, one))) for one in (row, other))
        return Edit(f"{table} {keys[0][1]} and {keys[1][1]} exchanged", keys)


_NULLABLE = {
    ("message", "power_w"), ("message", "import_wh"), ("message", "export_wh"), ("statement", "receipt"),
    ("setpoint", "decision"), ("setpoint", "execution"),
}  # fmt: skip
_CONVERTS = {
    "boot", "kind", "time_ms", "position", "tree", "count", "block", "version", "algorithm", "valid_from", "valid_to", "pod",
    "role", "body", "state", "id",
}  # fmt: skip
