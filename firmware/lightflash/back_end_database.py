"""The back end's database as a commissioning asks it: a file that is only read, on the back end's computer or a copy.

1. A register entry counts only with the signature of the log key that the device's settings name.
2. No set-point can be sent from a file.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightwire import envelope, records
from lightwire.errors import WireError

from lightflash.back_end import Answers, Registered
from lightflash.errors import FlashError, PartMissing
from lightflash.key import is_signed

_READINGS_MOST = 64


class Database:
    """lightflash.back_end.BackEnd over the SQLite file of a back end. PartMissing if it cannot be read."""

    def __init__(self, path: Path, deployment: bytes, log_key: bytes) -> None:
        self._path = path
        self._log_key = log_key
        self.deployment = deployment
        self._rows("select 1 from party limit 1")

    def registered(self, device: bytes) -> Registered | None:
        """The newest generation, its entry verified. FlashError if the entry is not the log key's."""
        rows = self._rows(
            "select entry, pod from party where id = ? and role = 'node' order by generation desc limit 1", device
        )
        if not rows:
            return None
        entry = self._entry(bytes(rows[0][0]))
        agents = self._rows("select entry from party where pod = ? and role = 'agent' order by generation", rows[0][1])
        keys = tuple(self._entry(bytes(row[0])).public_key for row in agents)
        return Registered(entry.public_key, entry.generation, entry.tls_fingerprint, keys)

    def readings(self, device: bytes, after_seq: int) -> Sequence[bytes]:
        """The first ones behind after_seq."""
        sql = "select sealed from message where device = ? and kind = ? and seq > ? order by seq limit ?"
        return [bytes(row[0]) for row in self._rows(sql, device, records.READING, after_seq, _READINGS_MOST)]

    def send_test(self, device: bytes, command: int) -> bytes | None:
        """Rule 2."""
        return None

    def answers(self, device: bytes, setpoint: bytes) -> Answers:
        """As stored."""
        sql = "select coalesce(decision, x''), coalesce(execution, x'') from setpoint where id = ? and device = ?"
        rows = self._rows(sql, setpoint, device)
        return Answers(bytes(rows[0][0]), bytes(rows[0][1])) if rows else Answers(b"", b"")

    def _entry(self, sealed: bytes) -> records.RegistryEntry:
        """Rule 1."""
        try:
            found = envelope.open_sealed(sealed, self.deployment, lambda d, s: is_signed(self._log_key, d, s))
        except WireError as error:
            cure = "are deployment and log_key in the settings those of this back end?"
            raise FlashError(
                "register", f"{self._path}: an entry is not signed by the log key ({error})", cure
            ) from error
        return found  # type: ignore[no-any-return]

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            database = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
            try:
                return database.execute(sql, values).fetchall()
            finally:
                database.close()
        except sqlite3.Error as error:
            raise PartMissing("register", f"{self._path}: {error}", "name the back end's database file") from error
