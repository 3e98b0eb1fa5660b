"""Rotations of keys that were asked for, and what came of them: in the same database, seen by every process of it."""

from dataclasses import dataclass

from backend.adapters.sqlite import SqliteStore

ASKED, WAITING, REGISTERED, REFUSED = "asked", "waiting", "registered", "refused"
_COLUMNS = "nonce, device, drawn_ms, statement, state, reason"


@dataclass(frozen=True, slots=True)
class Rotation:
    """nonce: 16 bytes, drawn at drawn_ms for a device (8 bytes); statement: its sealed answer, b"" while there is none; state:
    ASKED, WAITING for the back end that runs, REGISTERED, or REFUSED for a reason."""

    nonce: bytes
    device: bytes
    drawn_ms: int
    statement: bytes = b""
    state: str = ASKED
    reason: str = ""


class RotationStore:
    """Rotations in a back end's database."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def save(self, rotation: Rotation) -> None:
        """As it is now, in one commit."""
        with self._store.writing():
            self._store.change(
                "insert or replace into rotation values (?,?,?,?,?,?)", rotation.nonce, rotation.device, rotation.drawn_ms,
                rotation.statement, rotation.state, rotation.reason,
            )  # fmt: skip

    def rotation(self, nonce: bytes) -> Rotation | None:
        """One, None if we never drew its nonce."""
        rows = self._store.rows(f"select {_COLUMNS} from rotation where nonce = ?", nonce)
        return Rotation(*rows[0]) if rows else None

    def waiting(self) -> list[Rotation]:
        """Those that the back end has not looked at yet, the oldest first."""
        sql = f"select {_COLUMNS} from rotation where state = ? order by drawn_ms, nonce"
        return [Rotation(*row) for row in self._store.rows(sql, WAITING)]
