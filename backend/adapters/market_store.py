"""What the market keeps in the shared customer database: the events of each session, in order, only added."""

from contextlib import AbstractContextManager

from backend.adapters.sqlite import SqliteStore
from backend.ports import MarketEvent


class MarketStore:
    """A SessionStore in the store's file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def writing(self) -> AbstractContextManager[None]:
        """One commit at the end, nothing of it on an error."""
        return self._store.writing()

    def add_event(self, event: MarketEvent) -> None:
        """Adds an event at the end of its session."""
        self._store.change(
            "insert into market_event values (?, (select count(*) from market_event where session = ?), ?, ?, ?, ?)",
            event.session, event.session, event.time_ms, event.party, event.what, event.body,
        )  # fmt: skip

    def events(self, session: str) -> list[MarketEvent]:
        """All events of a session, in order."""
        sql = "select session, time_ms, party, what, body from market_event where session = ? order by position"
        return [MarketEvent(*row) for row in self._store.rows(sql, session)]

    def sessions(self) -> list[str]:
        """Every session that was announced, by id."""
        return [row[0] for row in self._store.rows("select distinct session from market_event order by session")]
