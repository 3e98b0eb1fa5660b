"""From a fact to a signed record that is kept: numbers it, journals it, seals it, puts it into the open batch.

1. The journal has a record before its signature exists: signatures are deterministic and made again when needed.
2. A batch is closed by its statement before a record that does not belong to it is made.
3. After a reboot the open batch is rebuilt from the journal and, being of another boot, closed at once.
"""

from lightwire import envelope, records

from .batch import Batch

_CACHE = 64


class Recorder:
    """The one place that gives out seq numbers. `statements`: sealed statements whose receipt has not come yet, by seq."""

    def __init__(self, key, journal, deployment: bytes) -> None:  # type: ignore[no-untyped-def]
        self._key = key
        self._journal = journal
        self._deployment = deployment
        self._batch = Batch()
        self._sealed: dict[int, bytes] = {}
        self.statements: dict[int, bytes] = {}
        self.wake = lambda: None
        self._rebuild()

    def identity(self) -> tuple[bytes, int, int, int]:
        """(device, generation, boot, seq) of the next record."""
        return self._key.device, self._key.generation, self._journal.boot, self._journal.seq + 1

    def keep(self, make) -> object:  # type: ignore[no-untyped-def]
        """Makes the record `make(device, generation, boot, seq)`, keeps it, and returns it."""
        record = make(*self.identity())
        if not self._batch.belongs(record):
            self.close_batch()
            record = make(*self.identity())
        self._journal.append(record)
        self._batch.add(record, self._seal(record))
        self._name_dropped()
        self.wake()
        return record

    def close_if_over(self, utc_ms: int) -> None:
        """Closes the batch whose quarter-hour has ended."""
        if self._batch.ends_before(utc_ms):
            self.close_batch()

    def close_batch(self) -> None:
        """Makes the statement of the open batch; none for an empty one."""
        if not self._batch.count:
            return
        journal = self._journal
        statement = self._batch.statement(*self.identity(), journal.head)
        journal.append(statement)
        self.statements[statement.seq] = self._seal(statement)
        journal.save(
            journal.command,
            envelope.payload_digest(records.encode(statement)),
            max(journal.floor_ms, journal.last_reading_ms),
            journal.setpoint,
        )
        self.wake()

    def sealed(self, seq: int) -> bytes:
        """The sealed bytes of a kept record; b"" if the journal no longer holds it."""
        if seq in self._sealed:
            return self._sealed[seq]
        record = self._journal.find(seq)
        return b"" if record is None else self._seal(record)

    def digest(self, seq: int) -> bytes:
        """Digest of the payload of a kept record; b"" if it is gone."""
        sealed = self.sealed(seq)
        return envelope.payload_digest(envelope.split(sealed)[0]) if sealed else b""

    def _seal(self, record) -> bytes:  # type: ignore[no-untyped-def]
        sealed: bytes = envelope.seal(record, self._deployment, self._key.sign)
        self._sealed.pop(record.seq - _CACHE, None)
        self._sealed[record.seq] = sealed
        return sealed

    def _name_dropped(self) -> None:
        for first, last in self._journal.take_dropped():
            end_ms = max(1, self._journal.last_reading_ms)
            self.keep(
                lambda device, generation, boot, seq, first=first, last=last, end=end_ms: records.Gap(
                    device, generation, boot, seq, records.CAUSE_OVERRUN, max(0, end - 1), end, 0, first, last
                )
            )

    def _rebuild(self) -> None:
        for record in self._journal.after(0):
            if isinstance(record, records.BatchStatement):
                self._batch = Batch()
                self.statements[record.seq] = self._seal(record)
            else:
                if not self._batch.belongs(record):
                    self._batch = Batch()
                self._batch.add(record, self._seal(record))
        self.close_batch()
