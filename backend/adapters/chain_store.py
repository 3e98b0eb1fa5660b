"""What anchoring keeps in the shared customer database: states, transactions in flight, events, cursors, the last look."""

import json
from collections.abc import Sequence

from backend.adapters.sqlite import SqliteStore
from backend.evidence.anchoring import Fees, Flight
from backend.ports import Block, ChainEvent


class ChainStore:
    """An AnchorStore in the store's file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def desired(self, watched: int) -> list[tuple[int, bytes, int]]:
        """Commitments that are not final, of the last `watched` epochs those that are, and those whose event is not where
        it was."""
        sql = (
            "select epoch, root, count from epoch where state != 'final' or epoch > (select max(epoch) from epoch) - ?"
            " or block is not (select block from chain_event where chain_event.epoch = epoch.epoch) order by epoch"
        )
        return self._store.rows(sql, watched)

    def anchor_states(self) -> dict[int, tuple[str, int]]:
        """(state, block) of each epoch as last noted."""
        rows = self._store.rows("select epoch, state, block from epoch")
        return {epoch: (state, block) for epoch, state, block in rows}

    def set_state(self, epoch: int, state: str, block: int) -> None:
        """As last seen on chain."""
        self._store.set_state(epoch, state, block)

    def flight(self, nonce: int) -> Flight | None:
        """The newest transaction that was made for this nonce."""
        rows = self._store.rows("select * from flight where nonce = ?", nonce)
        return _flight(*rows[0]) if rows else None

    def flights(self) -> list[Flight]:
        """Every transaction that may still matter, by nonce."""
        return [_flight(*row) for row in self._store.rows("select * from flight order by nonce")]

    def save_flight(self, flight: Flight) -> None:
        """Keeps a transaction before it is broadcast."""
        fees = str(flight.fees.max_fee_wei), str(flight.fees.tip_wei)  # beyond 64 bits in a test of somebody's chain
        self._store.change(
            "insert or replace into flight values (?,?,?,?,?,?,?)",
            flight.nonce, flight.raw, *fees, flight.first, flight.last, flight.block,
        )  # fmt: skip

    def forget_flights(self, below: int) -> None:
        """Nonces that were used so deep that no reorganisation brings them back."""
        self._store.change("delete from flight where nonce < ?", below)

    def note_look(self, block: Block, seen_ms: int) -> None:
        """The head that the states were last compared with, and when."""
        self._store.change(
            "insert or replace into chain_look values (1,?,?,?,?)", block.number, block.hash, block.time_s, seen_ms
        )

    def last_look(self) -> tuple[int, bytes, int, int] | None:
        """(block, hash, its time in UTC seconds, when in UTC ms); None before the first."""
        rows = self._store.rows("select block, hash, block_time_s, seen_ms from chain_look")
        return rows[0] if rows else None

    def cursors(self) -> list[tuple[int, bytes]]:
        """(block, hash) up to which events were read, newest first."""
        return self._store.rows("select block, hash from chain_cursor order by block desc")

    def save_events(self, last: Block, events: Sequence[ChainEvent], keep: int) -> None:
        """Events up to `last`, and `last` as the newest of at most `keep` cursors, in one commit."""
        with self._store.writing():
            for one in events:
                epoch = one.facts.get("epoch") if one.name == "Committed" else None
                self._store.change(
                    "insert or replace into chain_event values (?,?,?,?,?,?,?)",
                    one.block, one.position, one.block_hash, one.transaction, one.name, epoch, json.dumps(dict(one.facts)),
                )  # fmt: skip
            self._store.change("insert or replace into chain_cursor values (?,?)", last.number, last.hash)
            self._store.change(
                "delete from chain_cursor where block not in (select block from chain_cursor order by block desc limit ?)",
                keep,
            )

    def forget_events(self, above: int) -> None:
        """Events and cursors of higher blocks are no longer on the chain."""
        with self._store.writing():
            self._store.change("delete from chain_event where block > ?", above)
            self._store.change("delete from chain_cursor where block > ?", above)

    def committed_in(self, epoch: int) -> int:
        """The block whose event says that the epoch was committed; 0 if none does."""
        rows = self._store.rows("select block from chain_event where epoch = ?", epoch)
        return int(str(rows[0][0])) if rows else 0

    def certification(self) -> list[ChainEvent]:
        """Every event of the contract that concerns the log, in order of the chain."""
        rows = self._store.rows("select * from chain_event order by block, position")
        return [
            ChainEvent(block, position, block_hash, transaction, name, json.loads(facts))
            for block, position, block_hash, transaction, name, _, facts in rows
        ]


def _flight(*row: object) -> Flight:
    nonce, raw, max_fee, tip, first, last, block = row
    assert isinstance(raw, bytes)
    fees = Fees(int(str(max_fee)), int(str(tip)))
    return Flight(int(str(nonce)), raw, fees, int(str(first)), int(str(last)), int(str(block)))
