"""A customer's month in one file: 648,000 readings in 2,880 batches, each quarter-hour anchored in an epoch of its own.

1. Numbers move as those of a house do, the worst that compresses: every reading differs in power, voltages and frequency.
2. The signatures of the readings are random bytes: in a file of this size none of them is checked (see FORMAT.md), and what
   stands in for them costs the same. Statements, receipts and documents are signed by their keys.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

from lightnode.batch import Batch
from lightwire import envelope, records

from backend.adapters.keys import SigningKey
from backend.adapters.sqlite import SqliteStore
from backend.flows.ledgers import EvidenceTrees

FRAME_MS, SLOT_MS, SLOTS = 900_000, 4000, 225


def live(
    store: SqliteStore, trees: EvidenceTrees, node: tuple[bytes, SigningKey], deployment: bytes, frames: range
) -> None:
    """A light node's quarter-hours into a store, as collect would have put them there, and an epoch for each."""
    device, key = node
    seq, previous = 0, bytes(32)
    numbers = _numbers()
    for frame in frames:
        batch = Batch()
        with store.writing():
            for slot in range(SLOTS):
                seq += 1
                time_ms = frame * FRAME_MS + slot * SLOT_MS
                reading = records.Reading(device, 1, 1, seq, time_ms, 0, *next(numbers))
                sealed = envelope.wrap(records.encode(reading), os.urandom(64))
                batch.add(reading, sealed)
                store.keep_message(reading, sealed, time_ms)
            seq += 1
            statement = batch.statement((device, 1, 1, seq), previous, True)
            previous = envelope.payload_digest(records.encode(statement))
            signed = envelope.seal(statement, deployment, key.sign)
            store.keep_message(statement, signed, statement.start_ms)
            store.add_statement(device, seq, trees.append(records.TREE_READINGS, signed))
        trees.close_epoch(frame + 1)


def _numbers() -> Iterator[tuple[Any, ...]]:
    """(W, var, import Wh, export Wh, mV of three phases, mHz) of a house, one slot after the other."""
    source = random.Random(1)
    energy_ws = 0
    while True:
        power_w = source.randrange(200, 9000)
        energy_ws += power_w * SLOT_MS // 1000
        volts = tuple(230_000 + source.randrange(-4000, 4000) for _ in range(3))
        yield power_w, source.randrange(-400, 400), energy_ws // 3600, 0, volts, 50_000 + source.randrange(-40, 40)
