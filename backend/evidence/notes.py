"""Notes of the back end: rows that no device has signed and that are no leaves. Each table stands under one signature.

1. Of every row there is a digest of all its cells, in table `noted`; of every table the sum of its rows' terms, signed with
   the log key, in table `seal`. Rows in any order give the same sum; a row changes it by its own term.
2. A term is 256 bytes long: nobody finds other rows with the same sum.
3. `kept` names the highest seq that is kept of a device: of what no statement names yet nothing can be taken away.
"""

import hashlib
from collections.abc import Iterable, Mapping

from lightwire import records

NOTES: Mapping[str, tuple[str, ...]] = {
    "chain_cursor": ("block",),
    "chain_event": ("block", "position"),
    "chain_look": ("one",),
    "conflict": ("device", "seq"),
    "dispatch": ("frame",),
    "document": ("kind", "id", "version"),
    "epoch": ("epoch",),
    "fact": ("name",),
    "field_reading": ("sensor", "seq"),
    "field_sensor": ("id",),
    "finding": ("id",),
    "flight": ("nonce",),
    "kept": ("device",),
    "kit": ("id",),
    "kit_revoked": ("kit",),
    "market_event": ("session", "position"),
    "nonce": ("nonce",),
    "rotation": ("nonce",),
    "statement": ("device", "seq"),
}
"""Tables that are notes, with the columns of their primary key."""

_BYTES = 256
_MODULUS = 1 << 8 * _BYTES


def key_of(values: Iterable[object]) -> str:
    """The key of a row as `noted` has it: parts joined with a slash, bytes in hexadecimal."""
    return "/".join(value.hex() if isinstance(value, bytes) else str(value) for value in values)


def row_digest(row: tuple[object, ...]) -> bytes:
    """32 bytes over all cells, each with its type."""
    return hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest()


def term(table: str, key: str, digest: bytes) -> int:
    """What a row adds to the sum of its table."""
    text = f"{table}/{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.shake_256(hashlib.sha256(text).digest() + digest).digest(_BYTES), "big")


def add(total: bytes, change: int) -> bytes:
    """A sum (256 bytes, or empty for nothing) and a change of it, which may be negative."""
    return ((int.from_bytes(total, "big") + change) % _MODULUS).to_bytes(_BYTES, "big")


def sum_of(table: str, digests: Mapping[str, bytes]) -> bytes:
    """The sum of a whole table, digests by key."""
    return add(b"", sum(term(table, key, digest) for key, digest in digests.items()))


def seal_of(operator: bytes, table: str, total: bytes) -> records.Evidence:
    """What the log key signs over the sum of a table: no leaf, and no document's evidence."""
    subject = hashlib.sha256(f"notes/{table}".encode()).digest()[:16]
    digest = hashlib.sha256(table.encode() + b"/" + total).digest()
    return records.Evidence(operator, bytes(16), records.TREE_KEYS, subject, 1, digest, 0)
