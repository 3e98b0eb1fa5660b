"""From a fact to a signed record that is kept: numbers it, journals it, seals it, puts it into the open batch.

1. The journal has a record before its signature exists. A deterministic signature is made again when needed, with the key
   of the generation that the record was made under; of another key the first one is kept before anybody sees it.
2. A batch is closed by its statement before a record that does not belong to it is made.
3. After a reboot the open batch is rebuilt from the journal and, being of another boot, closed before anything else.
4. Records are made one at a time, whoever asks: in order of seq each is numbered and journalled without a pause, then
   signed in slices, then added to the batch. Whoever is cancelled between leaves that to the next who asks.
"""

import asyncio

from lightwire import envelope, merkle, records

from .batch import SLOT_MS, Batch
from .compat import sleep_ms
from .slices import sliced, tidy

_FRESH = 24  # sealed records kept for the uplink: what a minute makes, until the next Delivery


class Recorder:
    """The one place that gives out seq numbers."""

    def __init__(self, key, journal, deployment: bytes) -> None:  # type: ignore[no-untyped-def]
        self._key = key
        self._journal = journal
        self._deployment = deployment
        self._batch = Batch(journal.closed_ms)
        self._lock = asyncio.Lock()
        self._rebuilt = False
        self._unsealed = None  # the record that is journalled and not in the batch yet
        self._dropped: list[tuple[int, int, int, int]] = []
        self._fresh = [
            (0, b"")
        ] * _FRESH  # at seq % _FRESH; no dictionary: one that grows gives back memory (lightwire.merkle)
        self._leaves: dict[int, bytes] = {}
        self._drain = None
        self._drained = -1
        self._making = 0  # seq of the record whose first signature is being made
        self.wake = lambda: None

    def identity(self) -> tuple[bytes, int, int, int]:
        """(device, generation, boot, seq) of the next record."""
        return self._key.device, self._key.generation, self._journal.boot, self._journal.seq + 1

    async def ready(self, alive=lambda: None) -> None:  # type: ignore[no-untyped-def]
        """The batch of the boot before is closed (rule 3). Cost: up to 225 signatures; alive() is called before each."""
        async with self._lock:
            if not self._rebuilt:
                await self._rebuild(alive)
        self.wake()

    async def keep(self, make) -> object:  # type: ignore[no-untyped-def]
        """Makes the record `make(device, generation, boot, seq)`, keeps it, and returns it."""
        async with self._lock:
            record = await self._keep(make)
            await self._name_dropped()
        self.wake()
        return record

    async def close_if_over(self, utc_ms: int) -> None:
        """Closes the batch whose quarter-hour has ended."""
        if self._batch.ends_before(utc_ms):
            async with self._lock:
                await self._settle()
                if self._batch.ends_before(utc_ms):
                    await self._close(True)
            self.wake()

    async def close_batch(self) -> None:
        """Makes the statement of the open batch; none for an empty one."""
        async with self._lock:
            await self._settle()
            await self._close(False)
        self.wake()

    async def following(self, seq: int) -> tuple[int, bytes]:
        """(seq, sealed bytes) of the next kept record after seq; (seq, b"") if none is sealed. Cheap when asked in order."""
        fresh = self._fresh_of(seq + 1)
        if fresh:
            return seq + 1, fresh
        if seq + 1 == self._making:
            return seq, b""
        if self._drain is None or self._drained != seq:
            self._drain = self._journal.after(seq)
        for record in self._drain:  # type: ignore[attr-defined]
            self._drained = record.seq
            return record.seq, await self._seal(record)
        self._drain = None
        return seq, b""

    async def sealed(self, seq: int) -> bytes:
        """The sealed bytes of a kept record; b"" if the journal no longer holds it. Cost: a scan of one sector."""
        fresh = self._fresh_of(seq)
        if fresh:
            return fresh
        record = self._journal.find(seq)
        return b"" if record is None else await self._seal(record)

    def digest(self, seq: int) -> bytes:
        """Digest of the payload of a kept record; b"" if it is gone."""
        fresh = self._fresh_of(seq)
        if fresh:
            return envelope.payload_digest(envelope.split(fresh)[0])
        record = self._journal.find(seq)
        return b"" if record is None else envelope.payload_digest(records.encode(record))

    async def leaf(self, seq: int) -> bytes:
        """Leaf hash of a statement that waits for its receipt; b"" if the journal no longer holds it."""
        if seq not in self._leaves:
            message = await self.sealed(seq)
            if message and seq not in self._leaves:
                self._leaves[seq] = merkle.leaf_hash(message)
        return self._leaves.get(seq, b"")

    def proven(self, seq: int) -> None:
        """The receipt of this statement was checked."""
        self._journal.prove(seq)
        self._leaves.pop(seq, None)

    async def _keep(self, make):  # type: ignore[no-untyped-def]
        await self._settle()
        record = await self._fitting(make)
        await self._add(record)
        return record

    async def _add(self, record) -> None:  # type: ignore[no-untyped-def]
        self._journal.append(record)
        self._unsealed = record
        await self._settle()

    async def _fitting(self, make):  # type: ignore[no-untyped-def]
        """The next record, after the batch that it does not belong to is closed (rule 2)."""
        record = make(*self.identity())
        if not self._batch.belongs(record):
            await self._close(False)
            record = make(*self.identity())
        return record

    async def _name_dropped(self) -> None:
        self._dropped += self._journal.take_dropped()
        while self._dropped:
            record = await self._fitting(_overrun(*self._dropped[0]))
            del self._dropped[0]
            await self._add(record)

    async def _close(self, over: bool) -> None:
        if not self._batch.count:
            return
        await sleep_ms(0)
        statement = self._batch.statement(self.identity(), self._journal.head, over)
        self._journal.append(statement)
        await self._seal_first(statement)
        for seq in [seq for seq in self._leaves if seq not in self._journal.unproven]:
            del self._leaves[seq]

    async def _settle(self) -> None:
        """Everything that is journalled is in its batch: also what a reboot (rule 3) or a cancelled task (rule 4) left."""
        if not self._rebuilt:
            await self._rebuild()
        record = self._unsealed
        if record is None:
            return
        sealed = await self._seal_first(record)
        self._unsealed = None
        self._batch.add(record, sealed)
        if self._batch.is_complete:
            await self._close(False)

    async def _rebuild(self, alive=lambda: None) -> None:  # type: ignore[no-untyped-def]
        """Rule 3."""
        self._batch = Batch(self._journal.closed_ms)
        for record in self._journal.after(self._journal.closed_seq):
            if isinstance(record, records.BatchStatement):
                continue
            if not self._batch.belongs(record):
                await self._close(False)
            alive()
            self._batch.add(record, await self._seal(record))
        self._rebuilt = True
        await self._close(False)
        await self._name_dropped()

    async def _seal(self, record) -> bytes:  # type: ignore[no-untyped-def]
        await tidy()
        payload = records.encode(record)
        key = self._key if record.generation == self._key.generation else self._key.of(record.generation)
        signature = await self._signature(record.seq, key, envelope.digest(payload, self._deployment, key.algorithm))
        sealed = envelope.wrap(payload, signature, key.algorithm)
        if isinstance(record, records.BatchStatement):
            self._leaves[record.seq] = merkle.leaf_hash(sealed)
        return sealed

    async def _signature(self, seq: int, key, digest: bytes) -> bytes:  # type: ignore[no-untyped-def]
        """Rule 1."""
        kept: bytes = b"" if key.is_deterministic else self._journal.signature(seq)
        if kept:
            return kept
        made = await sliced(key.signing(digest))
        if key.is_deterministic:
            return made  # type: ignore[no-any-return]
        kept = self._journal.signature(seq)  # of who asked for the same meanwhile
        if not kept:
            self._journal.sign(seq, made)
        return kept or made

    async def _seal_first(self, record) -> bytes:  # type: ignore[no-untyped-def]
        self._making = record.seq
        sealed = await self._seal(record)
        self._fresh[record.seq % _FRESH] = record.seq, sealed
        return sealed

    def _fresh_of(self, seq: int) -> bytes:
        """The sealed bytes of one of the last records; b"" if it is none of them."""
        kept, sealed = self._fresh[seq % _FRESH]
        return sealed if kept == seq else b""


def _overrun(first: int, last: int, start_ms: int, end_ms: int):  # type: ignore[no-untyped-def]
    slots = (end_ms - start_ms) // SLOT_MS
    return lambda device, generation, boot, seq: records.Gap(
        device, generation, boot, seq, records.CAUSE_OVERRUN, start_ms, end_ms, slots, first, last
    )
