"""The quarter-hours whose orders are being served, in the shared customer database: one row each, its text as it stands."""

from backend.adapters.sqlite import SqliteStore


class DispatchStore:
    """Rows of `dispatch` in the store's file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def keep(self, frame: int, text: str) -> None:
        """Keeps how a quarter-hour stands."""
        sql = "insert into dispatch values (?, ?) on conflict (frame) do update set body = excluded.body"
        self._store.change(sql, frame, text)

    def forget(self, before_frame: int) -> None:
        """Removes the quarter-hours before one."""
        self._store.change("delete from dispatch where frame < ?", before_frame)

    def all(self) -> dict[int, str]:
        """Every text that is kept, by quarter-hour."""
        return dict(self._store.rows("select frame, body from dispatch order by frame"))
