"""The shared customer database on SQLite: one file, full synchronisation, one writer.

What is acknowledged is committed with synchronous=FULL, so it survives loss of power (WAL with NORMAL would not).
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightwire import records

from backend.errors import Unavailable

_SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass(frozen=True, slots=True)
class Party:
    """A registered key: node, agent or issuer; role "node", "agent", "issuer"."""

    id: bytes
    generation: int
    role: str
    pod: str
    algorithm: int
    public: bytes
    valid_from_ms: int
    valid_to_ms: int
    entry: bytes
    enrolment: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """One stored message of a device."""

    device: bytes
    seq: int
    boot: int
    kind: int
    time_ms: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SetPointRow:
    """A set-point and what came back: sealed bytes, empty while there is nothing."""

    id: bytes
    device: bytes
    pod: str
    sealed: bytes
    decision: bytes
    execution: bytes


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A market document with its evidence and its leaf."""

    kind: str
    id: str
    version: int
    body: str
    evidence: bytes
    tree: int
    position: int


class SqliteStore:
    """Everything the back end keeps. Calls may come from any thread; `writing` groups them into one commit."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            if not self._db.execute("select count(*) from sqlite_master").fetchone()[0]:
                self._db.executescript(_SCHEMA.read_text())
                self._db.execute("insert into fact values ('incarnation', ?)", (os.urandom(8),))
        except sqlite3.Error as error:
            raise Unavailable("database", f"{path}: {error}") from error
        self._lock = threading.RLock()
        self._depth = 0

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One commit at the end; nothing of it on an error. Nested use joins the outer commit."""
        with self._lock:
            if not self._depth:
                self._db.execute("begin immediate")
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._db.execute("commit")
            except BaseException:
                if self._depth == 1 and self._db.in_transaction:
                    self._db.execute("rollback")
                raise
            finally:
                self._depth -= 1

    def _rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _do(self, sql: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(sql, values).rowcount

    @property
    def incarnation(self) -> bytes:
        """8 bytes, new with each new database."""
        value = self._rows("select value from fact where name = 'incarnation'")[0][0]
        assert isinstance(value, bytes)
        return value

    # registry

    def register(self, party: Party) -> None:
        """Adds a key; a generation of an id is registered once."""
        self._do(
            "insert into party values (?,?,?,?,?,?,?,?,?,?)",
            party.id, party.generation, party.role, party.pod, party.algorithm, party.public,
            party.valid_from_ms, party.valid_to_ms, party.entry, party.enrolment,
        )  # fmt: skip

    def parties(self) -> list[Party]:
        """All registered keys."""
        return [Party(*row) for row in self._rows("select * from party order by role, pod, id, generation")]  # type: ignore[arg-type]

    # messages

    def keep_message(self, record: records.Reading, sealed: bytes, time_ms: int) -> bytes | None:
        """Stores a message; None if it was new, else the bytes already there under this identity."""
        new = self._do(
            "insert into message values (?,?,?,?,?,?,?,?,?) on conflict do nothing",
            record.device, record.seq, record.boot, record.KIND, time_ms, getattr(record, "power_w", None),
            getattr(record, "import_wh", None), getattr(record, "export_wh", None), sealed,
        )  # fmt: skip
        if new:
            return None
        there = self._rows("select sealed from message where device = ? and seq = ?", record.device, record.seq)[0][0]
        assert isinstance(there, bytes)
        return there

    def messages(self, device: bytes, first: int, last: int) -> list[Kept]:
        """Messages of a device with first <= seq <= last, in order."""
        sql = "select device, seq, boot, kind, time_ms, sealed from message where device = ? and seq between ? and ? order by seq"
        return [Kept(*row) for row in self._rows(sql, device, first, last)]  # type: ignore[arg-type]

    def of_kind(self, device: bytes, kind: int) -> list[Kept]:
        """All messages of a kind, in order of seq."""
        sql = "select device, seq, boot, kind, time_ms, sealed from message where device = ? and kind = ? order by seq"
        return [Kept(*row) for row in self._rows(sql, device, kind)]  # type: ignore[arg-type]

    def links(self, device: bytes, boot: int) -> list[bytes]:
        """Sealed clock links of a boot. Cost: the clock links of the device, found by their index."""
        sql = "select sealed from message indexed by message_time where device = ? and kind = ? and boot = ?"
        return [row[0] for row in self._rows(sql, device, records.CLOCK_LINK, boot)]  # type: ignore[misc]

    def place(self, device: bytes, boot: int, shift_ms: int) -> None:
        """Moves readings of a boot made on monotonic time (kept as -1 - ms) to their slot in UTC; shift: UTC - monotonic."""
        self._do(
            "update message set time_ms = (? - 1 - time_ms + 2000) / 4000 * 4000"
            " where device = ? and boot = ? and kind = 1 and time_ms < 0",
            shift_ms, device, boot,
        )  # fmt: skip

    def readings(self, device: bytes, start_ms: int, end_ms: int) -> list[tuple[int, int, int, int]]:
        """(slot mark, W, import Wh, export Wh) of a device in [start, end), in order of time."""
        sql = (
            "select time_ms, power_w, import_wh, export_wh from message"
            " where device = ? and kind = 1 and time_ms >= ? and time_ms < ? order by time_ms"
        )
        return self._rows(sql, device, start_ms, end_ms)  # type: ignore[return-value]

    def count_readings(self, device: bytes) -> int:
        """How many readings of a device are kept."""
        return int(str(self._rows("select count(*) from message where device = ? and kind = 1", device)[0][0]))

    def numbers(self, device: bytes) -> list[tuple[int, int, bytes]]:
        """(kind, seq, sealed) of everything kept of a device, in order of seq."""
        return self._rows("select kind, seq, sealed from message where device = ? order by seq", device)  # type: ignore[return-value]

    # evidence

    def add_leaf(self, tree: int, position: int, sealed: bytes) -> None:
        """Keeps a leaf's data."""
        self._do("insert into leaf values (?,?,?)", tree, position, sealed)

    def leaves(self, tree: int) -> list[bytes]:
        """Leaf data of a tree, in order."""
        return [row[0] for row in self._rows("select sealed from leaf where tree = ? order by position", tree)]  # type: ignore[misc]

    def position(self, tree: int, sealed: bytes) -> int:
        """Where a leaf stands; LookupError if it is not in the tree."""
        return int(str(self._rows("select position from leaf where tree = ? and sealed = ?", tree, sealed)[0][0]))

    def add_statement(self, device: bytes, seq: int, position: int) -> None:
        """A statement that holds and stands in the tree of readings."""
        self._do("insert into statement values (?,?,?,null)", device, seq, position)

    def unreceipted(self, size: int) -> list[tuple[bytes, int, int]]:
        """(device, seq, position) of statements inside a tree of this size that have no receipt yet."""
        return self._rows("select device, seq, position from statement where receipt is null and position < ?", size)  # type: ignore[return-value]

    def set_receipt(self, device: bytes, seq: int, receipt: bytes) -> None:
        """Keeps a statement's receipt."""
        self._do("update statement set receipt = ? where device = ? and seq = ?", receipt, device, seq)

    def receipts(self, device: bytes) -> dict[int, bytes]:
        """Receipts by seq of the statement."""
        rows = self._rows("select seq, receipt from statement where device = ? and receipt is not null", device)
        return {int(str(seq)): receipt for seq, receipt in rows}  # type: ignore[misc]

    def save_epoch(self, epoch: int, root: bytes, count: int, checkpoints: Sequence[tuple[int, bytes]]) -> None:
        """A commitment that should stand on chain, with its checkpoints (tree, payload)."""
        with self.writing():
            self._do("insert into epoch values (?,?,?,'pending',0)", epoch, root, count)
            for tree, payload in checkpoints:
                self._do("insert into checkpoint values (?,?,?)", epoch, tree, payload)

    def checkpoints(self, epoch: int) -> list[tuple[int, bytes]]:
        """(tree, payload) of an epoch, by tree number."""
        return self._rows("select tree, payload from checkpoint where epoch = ? order by tree", epoch)  # type: ignore[return-value]

    def epochs(self) -> list[tuple[int, bytes, int, str, int]]:
        """(epoch, root, count, state, block) of all commitments."""
        return self._rows("select epoch, root, count, state, block from epoch order by epoch")  # type: ignore[return-value]

    def desired(self, watched: int) -> list[tuple[int, bytes, int]]:
        """Commitments that are not final, and of the last `watched` epochs those that are."""
        sql = (
            "select epoch, root, count from epoch"
            " where state != 'final' or epoch > (select max(epoch) from epoch) - ? order by epoch"
        )
        return self._rows(sql, watched)  # type: ignore[return-value]

    def anchor_states(self) -> dict[int, str]:
        """The state of each epoch as last noted."""
        return dict(self._rows("select epoch, state from epoch"))  # type: ignore[arg-type]

    def set_state(self, epoch: int, state: str, block: int) -> None:
        """As last seen on chain."""
        self._do("update epoch set state = ?, block = ? where epoch = ?", state, block, epoch)

    def in_flight(self) -> tuple[int, bytes, int] | None:
        """(nonce, raw, bump) of the transaction in flight."""
        rows = self._rows("select nonce, raw, bump from flight")
        return rows[0] if rows else None  # type: ignore[return-value]

    def save_in_flight(self, nonce: int, raw: bytes, bump: int) -> None:
        """Before it is broadcast."""
        self._do("insert or replace into flight values (1,?,?,?)", nonce, raw, bump)

    # set-points and documents

    def add_setpoint(self, id: bytes, device: bytes, pod: str, sealed: bytes) -> None:
        """A set-point that is going to be sent."""
        self._do("insert into setpoint values (?,?,?,?,null,null)", id, device, sealed, pod)

    def answer_setpoint(self, id: bytes, column: str, sealed: bytes) -> bool:
        """Its decision or execution; False if there is one already or the set-point is not ours."""
        assert column in ("decision", "execution")
        return self._do(f"update setpoint set {column} = ? where id = ? and {column} is null", sealed, id) > 0

    def setpoints(self) -> list[SetPointRow]:
        """All set-points."""
        rows = self._rows(
            "select id, device, pod, sealed, coalesce(decision, x''), coalesce(execution, x'') from setpoint order by id"
        )
        return [SetPointRow(*row) for row in rows]  # type: ignore[arg-type]

    def add_document(self, row: DocumentRow) -> None:
        """A version of a document; versions are only added."""
        self._do(
            "insert into document values (?,?,?,?,?,?,?)",
            row.kind, row.id, row.version, row.body, row.evidence, row.tree, row.position,
        )  # fmt: skip

    def documents(self, kind: str) -> list[DocumentRow]:
        """All versions of a kind."""
        rows = self._rows("select * from document where kind = ? order by id, version", kind)
        return [DocumentRow(*row) for row in rows]  # type: ignore[arg-type]

    def add_finding(self, time_ms: int, what: str) -> None:
        """Something an operator must see."""
        self._do("insert into finding values (?,?)", time_ms, what)

    def findings(self) -> Iterable[tuple[int, str]]:
        """All findings, in order."""
        return self._rows("select time_ms, what from finding order by rowid")  # type: ignore[return-value]
