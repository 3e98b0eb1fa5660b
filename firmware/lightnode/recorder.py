"""From a fact to a signed record that is kept: numbers it, journals it, seals it, puts it into the open batch.

1. The journal has a record before its signature exists: signatures are deterministic and made again when needed.
2. A batch is closed by its statement before a record that does not belong to it is made.
3. After a reboot the open batch is rebuilt from the journal and, being of another boot, closed at once.
"""

from lightwire import envelope, records

from .batch import SLOT_MS, Batch

_FRESH = 64
_STATEMENTS = 400


class Recorder:
    """The one place that gives out seq numbers."""

    def __init__(self, key, journal, deployment: bytes) -> None:  # type: ignore[no-untyped-def]
        self._key = key
        self._journal = journal
        self._deployment = deployment
        self._batch = Batch(journal.closed_ms)
        self._fresh: dict[int, bytes] = {}
        self._statements: dict[int, bytes] = {}
        self._drain = None
        self._drained = -1
        self.wake = lambda: None
        self._rebuild()

    def identity(self) -> tuple[bytes, int, int, int]:
        """(device, generation, boot, seq) of the next record."""
        return self._key.device, self._key.generation, self._journal.boot, self._journal.seq + 1

    def keep(self, make) -> object:  # type: ignore[no-untyped-def]
        """Makes the record `make(device, generation, boot, seq)`, keeps it, and returns it."""
        record = self._keep(make)
        for dropped in self._journal.take_dropped():
            self._keep(_overrun(*dropped))
        self.wake()
        return record

    def close_if_over(self, utc_ms: int) -> None:
        """Closes the batch whose quarter-hour has ended."""
        if self._batch.ends_before(utc_ms):
            self.close_batch(True)

    def close_batch(self, over: bool = False) -> None:
        """Makes the statement of the open batch; none for an empty one. over: its quarter-hour has ended."""
        if not self._batch.count:
            return
        statement = self._batch.statement(self.identity(), self._journal.head, over)
        self._journal.append(statement)
        self._statements[statement.seq] = self._remember(statement)
        if len(self._statements) > _STATEMENTS:
            del self._statements[min(self._statements)]
        self.wake()

    def following(self, seq: int) -> tuple[int, bytes]:
        """(seq, sealed bytes) of the next kept record after seq; (seq, b"") if there is none. Cheap when asked in order."""
        if seq + 1 in self._fresh:
            return seq + 1, self._fresh[seq + 1]
        if self._drain is None or self._drained != seq:
            self._drain = self._journal.after(seq)
        for record in self._drain:  # type: ignore[attr-defined]
            self._drained = record.seq
            return record.seq, self._seal(record)
        self._drain = None
        return seq, b""

    def sealed(self, seq: int) -> bytes:
        """The sealed bytes of a kept record; b"" if the journal no longer holds it. Cost: a scan of one sector."""
        if seq in self._fresh:
            return self._fresh[seq]
        record = self._journal.find(seq)
        return b"" if record is None else self._seal(record)

    def digest(self, seq: int) -> bytes:
        """Digest of the payload of a kept record; b"" if it is gone."""
        if seq in self._fresh:
            return envelope.payload_digest(envelope.split(self._fresh[seq])[0])
        record = self._journal.find(seq)
        return b"" if record is None else envelope.payload_digest(records.encode(record))

    def waiting(self):  # type: ignore[no-untyped-def]
        """(seq, sealed) of each statement whose receipt has not come, oldest first."""
        for seq in sorted(self._journal.unproven):
            if seq not in self._statements:
                record = self._journal.find(seq)
                if record is None:
                    continue
                self._statements[seq] = self._seal(record)
            yield seq, self._statements[seq]

    def proven(self, seq: int) -> None:
        """The receipt of this statement was checked."""
        self._journal.prove(seq)
        self._statements.pop(seq, None)

    def _keep(self, make):  # type: ignore[no-untyped-def]
        record = make(*self.identity())
        if not self._batch.belongs(record):
            self.close_batch()
            record = make(*self.identity())
        self._journal.append(record)
        self._batch.add(record, self._remember(record))
        if self._batch.is_complete:
            self.close_batch()
        return record

    def _seal(self, record) -> bytes:  # type: ignore[no-untyped-def]
        return envelope.seal(record, self._deployment, self._key.sign)  # type: ignore[no-any-return]

    def _remember(self, record) -> bytes:  # type: ignore[no-untyped-def]
        sealed = self._seal(record)
        self._fresh.pop(record.seq - _FRESH, None)
        self._fresh[record.seq] = sealed
        return sealed

    def _rebuild(self) -> None:
        """Rule 3."""
        for record in self._journal.after(self._journal.closed_seq):
            if isinstance(record, records.BatchStatement):
                continue
            if not self._batch.belongs(record):
                self.close_batch()
            self._batch.add(record, self._seal(record))
        self.close_batch()
        for dropped in self._journal.take_dropped():
            self._keep(_overrun(*dropped))


def _overrun(first: int, last: int, start_ms: int, end_ms: int):  # type: ignore[no-untyped-def]
    slots = (end_ms - start_ms) // SLOT_MS
    return lambda device, generation, boot, seq: records.Gap(
        device, generation, boot, seq, records.CAUSE_OVERRUN, start_ms, end_ms, slots, first, last
    )
