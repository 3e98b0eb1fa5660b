"""The kits that were given out, and which device answered which nonce: in the same database, seen by every process of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.adapters.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class KitRow:
    """A kit. id: 8 bytes; authority: certificate, DER; closed: nothing is taken from it any more."""

    id: bytes
    authority: bytes
    from_ms: int
    to_ms: int
    closed: bool


@dataclass(frozen=True, slots=True)
class NonceRow:
    """A nonce (16 bytes) of a kit, for one POD; device: who answered it, b"" while nobody has."""

    nonce: bytes
    kit: bytes
    pod: str
    device: bytes


class KitStore:
    """Kits and nonces in a back end's database."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def add(self, kit: KitRow, nonces: Sequence[NonceRow]) -> None:
        """A kit that is going to be given out, in one commit."""
        with self._store.writing():
            self._store.change("insert into kit values (?,?,?,?,0)", kit.id, kit.authority, kit.from_ms, kit.to_ms)
            for row in nonces:
                self._store.change("insert into nonce values (?,?,?,x'')", row.nonce, row.kit, row.pod)

    def kits(self) -> list[KitRow]:
        """All, the newest last."""
        rows = self._store.rows("select id, authority, from_ms, to_ms, closed from kit order by from_ms, id")
        return [KitRow(i, a, f, t, bool(c)) for i, a, f, t, c in rows]

    def kit(self, id: bytes) -> KitRow | None:
        """One, None if it is not ours."""
        return next((kit for kit in self.kits() if kit.id == id), None)

    def nonce(self, nonce: bytes) -> NonceRow | None:
        """One, None if we never drew it."""
        rows = self._store.rows("select nonce, kit, pod, device from nonce where nonce = ?", nonce)
        return NonceRow(*rows[0]) if rows else None

    def count(self, id: bytes) -> tuple[int, int]:
        """(nonces, of them answered) of a kit."""
        sql = "select count(*), coalesce(sum(length(device) > 0), 0) from nonce where kit = ?"
        total, used = self._store.rows(sql, id)[0]
        return int(total), int(used)

    def answered(self, nonce: bytes, device: bytes) -> None:
        """The nonce is this device's."""
        self._store.change("update nonce set device = ? where nonce = ?", device, nonce)

    def close(self, id: bytes) -> bool:
        """Nothing is taken from the kit any more; False if it is not ours."""
        return self._store.change("update kit set closed = 1 where id = ?", id) > 0
