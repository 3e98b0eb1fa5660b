"""A large bundle made small: readings that follow each other go into columns, each message kept to the last bit.

1. A run holds readings of one boot, key and set of flags, seq by seq and slot by slot; anything else stands in full.
2. Of each column the first number stands as it is, then the difference to the one before; signatures are one text.
"""

import base64
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lightwire import envelope, records

from backend.adapters.sqlite import Kept

SLOT_MS = 4000


def packed(members: Iterable[Kept], generation: int) -> list[object]:
    """The records of a batch whose statement is of this generation: in full as hexadecimal text, runs as objects."""
    found: list[object] = []
    for is_reading, group in itertools.groupby(members, lambda kept: kept.kind == records.READING):
        if not is_reading:
            found += [kept.sealed.hex() for kept in group]
            continue
        for run in _runs((kept.sealed, envelope.peek(kept.sealed)) for kept in group):
            found += [_columns(run)] if run[0][1].generation == generation else [sealed.hex() for sealed, _ in run]
    return found


def _runs(readings: Iterable[tuple[bytes, Any]]) -> Iterator[list[tuple[bytes, Any]]]:
    """Rule 1."""
    run: list[tuple[bytes, Any]] = []
    for sealed, reading in readings:
        if run and not _follows(run[-1][1], reading):
            yield run
            run = []
        run.append((sealed, reading))
    if run:
        yield run


def _follows(one: Any, other: Any) -> bool:
    same = (one.boot, one.generation, one.flags, one.seq + 1, one.time_ms + SLOT_MS)
    return same == (other.boot, other.generation, other.flags, other.seq, other.time_ms)


def _columns(run: Sequence[tuple[bytes, Any]]) -> dict[str, object]:
    """Rule 2."""
    readings = [reading for _, reading in run]
    names = ("power_w", "reactive_var", "import_wh", "export_wh", "frequency_mhz")
    columns = {name: [getattr(one, name) for one in readings] for name in names}
    columns |= {f"voltage_l{k}_mv": [one.voltage_mv[k - 1] for one in readings] for k in (1, 2, 3)}
    return {
        "boot": readings[0].boot,
        "flags": readings[0].flags,
        "time_ms": readings[0].time_ms,
        **{name: _differences(column) for name, column in columns.items()},
        "signatures": base64.b64encode(b"".join(envelope.split(sealed)[1] for sealed, _ in run)).decode(),
    }


def _differences(column: Sequence[int]) -> list[int]:
    return [column[0], *(after - before for before, after in itertools.pairwise(column))]
