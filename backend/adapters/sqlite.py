"""The shared customer database on SQLite: one file, full synchronisation, one writer at a time.

1. What is acknowledged is committed with synchronous=FULL, so it survives loss of power (WAL with NORMAL would not).
2. Several processes may have the file open, a back end and a command: whoever writes waits for the other, and `changes` tells
   that another one has written.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightwire import merkle, records

from backend.adapters.notes import Notes, log_key_beside
from backend.adapters.rows import DocumentRow as DocumentRow
from backend.adapters.rows import Kept as Kept
from backend.adapters.rows import Party as Party
from backend.adapters.rows import SetPointRow as SetPointRow
from backend.adapters.schema import bring_forward, write_ahead
from backend.errors import Unavailable

_WAIT_S = 600.0
"""How long a writer waits for another process: erasing a customer writes the whole file again."""

_READINGS = "from message where device = ? and kind = 1 and time_ms >= ? and time_ms < ? order by time_ms"


class SqliteStore:
    """Everything the back end keeps. Calls may come from any thread; `writing` groups them into one commit."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, _WAIT_S, check_same_thread=False, isolation_level=None)
            self._db.execute("pragma synchronous=full")
            bring_forward(self._db, path)
            write_ahead(self._db, _WAIT_S)
        except sqlite3.Error as error:
            raise Unavailable("database", f"{path}: {error}") from error
        self._path = path
        self._lock = threading.RLock()
        self._depth = self._rollbacks = 0
        self._notes: Notes | None = None
        self._kept: dict[bytes, int] = {}

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
                    self._note()
                    self._db.execute("commit")
            except BaseException:
                if self._depth == 1 and self._db.in_transaction:
                    self._kept.clear()
                    self._rollbacks += 1
                    self._db.execute("rollback")
                raise
            finally:
                self._depth -= 1

    def _note(self) -> None:
        """What goes into a commit beside what was asked for: the highest seq kept of each device, digests and seals."""
        if self._notes is None:
            return
        for device, seq in self._kept.items():
            sql = "insert into kept values (?,?) on conflict do update set seq = max(seq, excluded.seq)"
            self._db.execute(sql, (device, seq))
        self._kept.clear()
        self._notes.settle()

    def keep_notes(self, sign: Callable[[bytes], bytes], identity: tuple[bytes, bytes]) -> None:
        """From now on the notes are sealed with the log key; identity: (deployment 16 bytes, operator 8 bytes)."""
        with self.writing():
            if self._notes is None:
                self._notes = Notes(self._db, sign, identity)

    def keep_notes_as_before(self) -> None:
        """As `keep_notes`, with the log key beside the file; nothing if no back end has written to it. Rejected without it."""
        if public := self.fact("log_key"):
            sign, operator = log_key_beside(self._path, public)
            self.keep_notes(sign, (self.fact("deployment"), operator))

    @property
    def changes(self) -> tuple[int, int]:
        """Another value after another process has written, and after a commit of this one that did not come about."""
        return int(str(self._rows("pragma data_version")[0][0])), self._rollbacks

    def _rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _do(self, sql: str, *values: object) -> int:
        with self.writing():
            return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """For the tables of other adapters: what a query gives."""
        return self._rows(sql, *values)

    def change(self, sql: str, *values: object) -> int:
        """For the tables of other adapters: how many rows a statement changed."""
        return self._do(sql, *values)

    @property
    def incarnation(self) -> bytes:
        """8 bytes, new with each new database."""
        value = self._rows("select value from fact where name = 'incarnation'")[0][0]
        assert isinstance(value, bytes)
        return value

    def note_fact(self, name: str, value: bytes) -> None:
        """Something that holds for the whole store: the deployment, the log key."""
        self._do("insert or replace into fact values (?,?)", name, value)

    def fact(self, name: str) -> bytes:
        """What was noted; empty if nothing was."""
        rows = self._rows("select value from fact where name = ?", name)
        return rows[0][0] if rows else b""  # type: ignore[return-value]

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

    def revoke(self, id: bytes, generation: int, time_ms: int, entry: bytes) -> bool:
        """Ends a key at an instant; False if it has been ended before."""
        new = self._do("insert into revocation values (?,?,?,?) on conflict do nothing", id, generation, time_ms, entry)
        if new:
            sql = "update party set valid_to = min(valid_to, ?) where id = ? and generation = ?"
            self._do(sql, time_ms, id, generation)
        return new > 0

    def revocations(self) -> dict[tuple[bytes, int], tuple[int, bytes]]:
        """(UTC ms, sealed entry) by id and generation of the keys that were revoked."""
        rows = self._rows("select id, generation, time_ms, entry from revocation")
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}  # type: ignore[misc]

    # messages

    def keep_message(self, record: Any, sealed: bytes, time_ms: int) -> bytes | None:
        """Stores a message; None if it was new, else the bytes already there under this identity."""
        new = self._do(
            "insert into message values (?,?,?,?,?,?,?,?,?) on conflict do nothing",
            record.device, record.seq, record.boot, record.KIND, time_ms, getattr(record, "power_w", None),
            getattr(record, "import_wh", None), getattr(record, "export_wh", None), sealed,
        )  # fmt: skip
        if new:
            self._kept[record.device] = max(record.seq, self._kept.get(record.device, 0))
            return None
        there = self._rows("select sealed from message where device = ? and seq = ?", record.device, record.seq)[0][0]
        assert isinstance(there, bytes)
        return there

    def keep_conflict(self, device: bytes, seq: int, time_ms: int, sealed: bytes) -> None:
        """The first message that says otherwise than the one kept under its identity: evidence of equivocation."""
        self._do("insert into conflict values (?,?,?,?) on conflict do nothing", device, seq, time_ms, sealed)

    def note_delivered(self, device: bytes, sealed: bytes) -> None:
        """The last Delivery that was sent to a device; and that there is one for each from now on."""
        self._do("insert or replace into delivered values (?,?)", device, sealed)
        self._do("insert into fact values ('delivers', x'01') on conflict do nothing")

    def messages(self, device: bytes, first: int, last: int) -> list[Kept]:
        """Messages of a device with first <= seq <= last, in order."""
        sql = "select device, seq, boot, kind, time_ms, sealed from message where device = ? and seq between ? and ? order by seq"
        return [Kept(*row) for row in self._rows(sql, device, first, last)]  # type: ignore[arg-type]

    def of_kind(self, device: bytes, kind: int) -> list[Kept]:
        """All messages of a kind, in order of seq."""
        sql = "select device, seq, boot, kind, time_ms, sealed from message where device = ? and kind = ? order by seq"
        return [Kept(*row) for row in self._rows(sql, device, kind)]  # type: ignore[arg-type]

    def last_of_kind(self, device: bytes, kind: int, count: int) -> list[Kept]:
        """The last so many messages of a kind, newest first."""
        sql = (
            "select device, seq, boot, kind, time_ms, sealed from message where device = ? and kind = ?"
            " order by time_ms desc limit ?"
        )
        return [Kept(*row) for row in self._rows(sql, device, kind, count)]  # type: ignore[arg-type]

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
        sql = f"select time_ms, power_w, import_wh, export_wh {_READINGS}"
        return self._rows(sql, device, start_ms, end_ms)  # type: ignore[return-value]

    def sealed_readings(self, device: bytes, start_ms: int, end_ms: int) -> list[tuple[int, bytes]]:
        """(slot mark, sealed Reading) of a device in [start, end), in order of time."""
        return self._rows(f"select time_ms, sealed {_READINGS}", device, start_ms, end_ms)  # type: ignore[return-value]

    def count_readings(self, device: bytes) -> int:
        """How many readings of a device are kept."""
        return int(str(self._rows("select count(*) from message where device = ? and kind = 1", device)[0][0]))

    def numbers(self, device: bytes) -> list[tuple[int, int, bytes]]:
        """(kind, seq, sealed) of everything kept of a device, in order of seq."""
        return self._rows("select kind, seq, sealed from message where device = ? order by seq", device)  # type: ignore[return-value]

    # evidence

    def add_leaf(self, tree: int, position: int, sealed: bytes) -> None:
        """Keeps a leaf's data, and its hash, which stays when the data is erased."""
        self._do("insert into leaf values (?,?,?)", tree, position, sealed)
        self._do("insert into node values (?,?,?)", tree, position, merkle.leaf_hash(sealed))

    def hashes(self, tree: int, first: int = 0) -> list[bytes]:
        """Leaf hashes of a tree from a position on, in order, also of what was erased."""
        sql = "select hash from node where tree = ? and position >= ? order by position"
        return [row[0] for row in self._rows(sql, tree, first)]  # type: ignore[misc]

    def leaves(self, tree: int) -> list[bytes]:
        """Leaf data of a tree, in order, without what was erased."""
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

    def set_state(self, epoch: int, state: str, block: int) -> None:
        """As last seen on chain."""
        self._do("update epoch set state = ?, block = ? where epoch = ?", state, block, epoch)

    # set-points and documents

    def add_setpoint(self, id: bytes, device: bytes, pod: str, sealed: bytes) -> None:
        """A set-point that is going to be sent."""
        self._do("insert into setpoint values (?,?,?,?,null,null)", id, device, sealed, pod)

    def answer_setpoint(self, id: bytes, device: bytes, column: str, sealed: bytes) -> bool:
        """Its decision or execution; False if there is one already, or the set-point is not ours or another device's."""
        assert column in ("decision", "execution")
        sql = f"update setpoint set {column} = ? where id = ? and device = ? and {column} is null"
        return self._do(sql, sealed, id, device) > 0

    def setpoints(self) -> list[SetPointRow]:
        """All set-points."""
        rows = self._rows(
            "select id, device, pod, sealed, coalesce(decision, x''), coalesce(execution, x'') from setpoint order by id"
        )
        return [SetPointRow(*row) for row in rows]  # type: ignore[arg-type]

    def answers(self, id: bytes) -> tuple[bytes, bytes]:
        """(decision, execution) of a set-point, sealed; empty while there is none."""
        sql = "select coalesce(decision, x''), coalesce(execution, x'') from setpoint where id = ?"
        rows = self._rows(sql, id)
        return rows[0] if rows else (b"", b"")  # type: ignore[return-value]

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

    def latest(self, kind: str, id: str) -> DocumentRow | None:
        """The highest version of a document; None while there is none."""
        sql = "select * from document where kind = ? and id = ? order by version desc limit 1"
        rows = [DocumentRow(*row) for row in self._rows(sql, kind, id)]  # type: ignore[arg-type]
        return rows[0] if rows else None

    def all_documents(self) -> list[DocumentRow]:
        """All versions of all kinds."""
        rows = self._rows("select * from document order by kind, id, version")
        return [DocumentRow(*row) for row in rows]  # type: ignore[arg-type]

    # erasure

    def placed_leaves(self, tree: int) -> list[tuple[int, bytes]]:
        """(position, data) of a tree, in order, without what was erased."""
        return self._rows("select position, sealed from leaf where tree = ? order by position", tree)  # type: ignore[return-value]

    def erase_leaf(self, tree: int, position: int) -> None:
        """Removes a leaf's data; its hash stays."""
        self._do("delete from leaf where tree = ? and position = ?", tree, position)

    def erase(self, pod: str, devices: Iterable[bytes]) -> None:
        """Removes every row of a POD and of its devices; of documents every version that names the POD."""
        for device in devices:
            for table in ("message", "statement", "conflict", "delivered", "setpoint", "kept"):
                self._do(f"delete from {table} where device = ?", device)
            self._do("delete from party where id = ?", device)
            self._do("delete from revocation where id = ?", device)
            self._do("delete from document where id like ? || '/%'", device.hex())
            self._do("delete from finding where instr(what, ?)", device.hex())
        self._do("delete from document where id = ? or instr(body, ?)", pod, pod)
        self._do("delete from nonce where pod = ?", pod)
        self._do("delete from finding where instr(what, ?)", pod)
        named = (f'"{pod}"', f'"erased-{os.urandom(8).hex()}"')
        self._do("update dispatch set body = replace(body, ?, ?) where instr(body, ?)", *named, named[0])
        self._do("update market_event set what = 'erased', party = '', body = '' where instr(body, ?)", pod)

    def shred(self) -> None:
        """Writes the file again, so that nothing of what was erased is left in its pages or in its log; Unavailable if somebody
        reads an old state of it all the while."""
        with self._lock:
            self._db.execute("vacuum")
            if self._rows("pragma wal_checkpoint(truncate)")[0][0]:
                raise Unavailable(
                    "database", "it is read by another process: what was erased is in its log; erase again"
                )

    def add_finding(self, time_ms: int, what: str) -> None:
        """Something an operator must see."""
        self._do("insert into finding values (null,?,?)", time_ms, what)

    def findings(self) -> Iterable[tuple[int, str]]:
        """All findings, in order."""
        return self._rows("select time_ms, what from finding order by id")  # type: ignore[return-value]
