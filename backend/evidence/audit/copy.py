"""The rows of a database as an audit reads them: whoever changed it may have put anything into any cell.

1. A cell of another type than its column makes its row bad: named, and not read on.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

from backend.evidence.audit.alarm import Alarms, name


class Message(NamedTuple):
    """A signed record of a device, with the columns that were made from it."""

    device: bytes
    seq: int
    boot: int
    kind: int
    time_ms: int
    power_w: int | None
    import_wh: int | None
    export_wh: int | None
    sealed: bytes


class Leaf(NamedTuple):
    """Data of a leaf, or in table node its hash."""

    tree: int
    position: int
    octets: bytes


class Point(NamedTuple):
    """A checkpoint's payload."""

    epoch: int
    tree: int
    payload: bytes


class Epoch(NamedTuple):
    """A commitment."""

    epoch: int
    root: bytes
    trees: int
    state: str
    block: int


class Statement(NamedTuple):
    """Where a device's statement stands in the tree of readings, and its receipt."""

    device: bytes
    seq: int
    position: int
    receipt: bytes | None


class SetPoint(NamedTuple):
    """A set-point and its answers."""

    id: bytes
    device: bytes
    sealed: bytes
    pod: str
    decision: bytes | None
    execution: bytes | None


class Document(NamedTuple):
    """A market document, its evidence and its leaf."""

    kind: str
    id: str
    version: int
    body: str
    evidence: bytes
    tree: int
    position: int


class Key(NamedTuple):
    """A registered key."""

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


class Revocation(NamedTuple):
    """The end of a key."""

    id: bytes
    generation: int
    time_ms: int
    entry: bytes


class Conflict(NamedTuple):
    """A second message under an identity."""

    device: bytes
    seq: int
    time_ms: int
    sealed: bytes


class Delivered(NamedTuple):
    """The last Delivery that a device was sent."""

    device: bytes
    sealed: bytes


class Kept(NamedTuple):
    """The highest seq that is kept of a device."""

    device: bytes
    seq: int


class Noted(NamedTuple):
    """The digest of a row of notes."""

    name: str
    key: str
    digest: bytes


class Seal(NamedTuple):
    """The sum of a table of notes, and what the log key signed over it."""

    name: str
    total: bytes
    sealed: bytes


class Fact(NamedTuple):
    """What holds for the whole database."""

    name: str
    value: bytes


Row = TypeVar("Row", bound=tuple[Any, ...])

TABLES: dict[type[Any], tuple[str, int]] = {
    Message: ("message", 2),
    Epoch: ("epoch", 1),
    Statement: ("statement", 2),
    SetPoint: ("setpoint", 1),
    Document: ("document", 3),
    Key: ("party", 2),
    Revocation: ("revocation", 2),
    Conflict: ("conflict", 2),
    Delivered: ("delivered", 1),
    Fact: ("fact", 1),
    Kept: ("kept", 1),
    Noted: ("noted", 2),
    Seal: ("seal", 1),
    Point: ("checkpoint", 2),
}
"""Table and number of columns in its primary key; leaves stand in two tables."""


class Copy(Protocol):
    """Reads a database in order of its primary keys. Rows have the columns of their class, of any type."""

    def rows(self, kind: type[Row], table: str) -> Iterable[Row]:
        """All rows of a table."""
        ...

    def devices(self) -> list[bytes]:
        """Of which devices there are messages."""
        ...

    def messages(self, device: bytes) -> Iterable[Message]:
        """The messages of a device in order of seq."""
        ...

    def message(self, device: bytes, seq: int) -> bytes | None:
        """The sealed bytes of one message; None if they are not there, or no bytes."""
        ...

    def notes(self, table: str) -> Iterable[tuple[str, tuple[object, ...]]]:
        """(key, all cells) of the rows of a table of notes."""
        ...


def key_of(row: tuple[Any, ...], size: int) -> str:
    """The primary key of a row as an alarm has it."""
    return name(*row[:size])


def sound(kind: type[Row], rows: Iterable[Row], alarms: Alarms, table: str = "") -> Iterator[Row]:
    """The rows whose cells have the types of their columns (rule 1)."""
    known, size = TABLES.get(kind, (table, 2))
    types = [_type_of(annotation) for annotation in kind.__annotations__.values()]
    columns = list(kind.__annotations__)
    for row in rows:
        wrong = [columns[k] for k, value in enumerate(row) if type(value) not in types[k]]
        if wrong:
            alarms.add(table or known, key_of(row, size), f"{wrong[0]} is of another type than its column")
        else:
            yield row


def _type_of(annotation: Any) -> tuple[type, ...]:
    """int | None -> (int, NoneType)."""
    return getattr(annotation, "__args__", None) or (annotation,)
