"""The journal: every signed record of the device, kept over a cut at any byte until the back end has signed for it.

1. What `append` kept is there after any cut, once and unchanged, until it is acknowledged and its space is needed.
2. A record is (device, boot, seq). seq rises over boots and is never used twice; the boot number rises before anything
   else is written.
3. The last entry before a cut may stand in half-written cells: it is written again, with its own boot and seq, before it
   may be sent; of two entries with one seq the later one counts.
4. A reading takes one slot as differences to the base of its sector; where a boot's first one is too far from it, a sector
   is opened that begins with it. Every other record is kept without CBOR's heads and with its identity as a difference; what
   would not come back identical is kept whole.
5. Every sector opens with what must outlive all others: acknowledgement, command number, digest of the last statement, time
   floor, and the set-point in force; so does every boot, but for the set-point. Nothing else is written before. Other
   set-points that may still rule are carried forward before their sector is erased.
6. `forget` leaves the state and no record on the flash: what was never acknowledged is then lost, no number comes twice.
7. Full: the oldest sector goes, what was unacknowledged in it is named by `take_dropped`.
8. A signature is kept only for who asks: of a key with random ones it is the record's for good (signatures.py).
"""

import hashlib
import struct

from lightwire import records

from .errors import JournalError
from .packing import SLOT_MS, Base, decode_base, expand, flags_of, pack, seq_of, squeeze, squeezed_seq, time_of, unpack
from .ring import SHORT, Ring
from .signatures import KIND as _SIGNATURE
from .signatures import Signatures
from .standing import entry, rank, remembered, sealed

_WHOLE, _CURSOR, _BOOT, _SETPOINT, _RECEIPT, _SMALL = 2, 3, 4, 5, 6, 7
_RECORDS = (SHORT, _WHOLE, _SMALL)
_LASTING = _RECORDS + (_SIGNATURE,)
_STATE = ">I8sI32sQQ"
_DECISIONS_KEPT = 64


class Journal:
    """`seq`, `boot`, `acked`: last used, this start's, last acknowledged. `command`: highest accepted. `head`: digest of the
    last statement's payload, `closed_seq`, `closed_ms`: where its range ended. `floor_ms`: last trusted time.
    `named`: (first, last) seq of the last gap for overrun, `named_by`: its seq. `last_reading_ms`: up to and with this slot
    each one is told. `in_force`: command of the set-point that rules, as its owner says; 0: not known, then the one that ends
    first counts."""

    def __init__(self, flash, device: bytes = bytes(8), generation: int = 1, vt_ratio: int = 1) -> None:  # type: ignore[no-untyped-def]
        """flash: MicroPython's block-device protocol. JournalError if it is too small or of another block size."""
        self._device = device
        self._generation = generation
        self.seq = 0
        self.boot = 0
        self.acked = 0
        self.incarnation = bytes(8)
        self.command = 0
        self.in_force = 0
        self.head = bytes(32)
        self.closed_seq = 0
        self.closed_ms = 0
        self.floor_ms = 0
        self.last_reading_ms = 0
        self.unproven: dict[int, int] = {}  # end_ms of the statements without a receipt, by seq
        self.decided: dict[bytes, int] = {}  # digest of a set-point -> seq of its decision
        self._setpoints: list[list] = []  # type: ignore[type-arg]
        self._dropped: list[tuple[int, int, int, int]] = []
        self.named = (0, 0)
        self.named_by = 0
        self._lost_from_ms = 0
        self._last: records.Reading | None = None
        self._base = Base(0, generation, 0, 0, 0, 0, vt_ratio)
        self._opened, self._is_base_used = 0, False  # the base: by a reading since the boot (rule 4)
        self._sectors = flash.ioctl(4, 0)
        self._ring = Ring(flash, self._opening, self._retired)
        self._signatures = Signatures(self._ring)
        self._mount()

    def append(self, record) -> None:  # type: ignore[no-untyped-def]
        """Keeps a record with boot = self.boot and seq = self.seq + 1; on return it survives loss of power."""
        if record.seq != self.seq + 1 or record.boot != self.boot:
            raise JournalError(f"record {record.boot}/{record.seq} does not follow {self.boot}/{self.seq}")
        self._keep(record)
        self.seq = record.seq

    def acknowledge(self, seq: int, incarnation: bytes) -> None:
        """Everything up to seq may be forgotten; a lower seq of a new incarnation brings back what is still held."""
        if seq <= self.seq and (seq > self.acked or incarnation != self.incarnation):
            self.acked, self.incarnation = seq, incarnation
            self._write(_CURSOR, struct.pack(">I8s", seq, incarnation))
            self._name_dropped()

    def accept(self, command: int, not_after_ms: int, message: bytes) -> None:
        """Keeps an accepted set-point and its command number; on return they survive loss of power."""
        self._stand(entry(self._device, command, not_after_ms, message))

    def prove(self, seq: int) -> None:
        """The receipt of this statement was checked."""
        if self.unproven.pop(seq, None) is not None:
            self._write(_RECEIPT, seq.to_bytes(4, "big"))

    def sign(self, seq: int, signature: bytes) -> None:
        """Keeps the signature (64 bytes) of a kept record; on return it survives loss of power."""
        self._write(_SIGNATURE, self._signatures.entry(seq, signature))

    def signature(self, seq: int) -> bytes:
        """The kept signature of a record, b"" if there is none."""
        return self._signatures.find(seq)

    @property
    def fill_permille(self) -> int:
        """Share of the sectors that hold what is not acknowledged and so may not be reused."""
        return sum(sector.last > self.acked for sector in self._ring.sectors) * 1000 // self._sectors

    def setpoints(self) -> list[bytes]:
        """Sealed set-points that were accepted and had not ended at the time floor, in order of command number."""
        return [sealed(self._device, body) for _, end, body, _ in self._setpoints if end > self.floor_ms]

    def take_dropped(self) -> list[tuple[int, int, int, int]]:
        """(first, last, start_ms, end_ms) of records lost to a full ring since the last call."""
        found, self._dropped = self._dropped, []
        return found

    def after(self, seq: int):  # type: ignore[no-untyped-def]
        """The kept records with a greater seq, in order, each once."""
        return self._records(list(self._ring.sectors), seq)

    def _records(self, sectors, seq: int):  # type: ignore[no-untyped-def]
        for sector in sectors:
            if sector.last <= seq:
                continue
            base = decode_base(sector.opening)
            for _, kind, body in self._ring.entries(sector):
                if kind == SHORT:
                    if seq_of(base, body) > seq:
                        seq = seq_of(base, body)
                        yield unpack(base, self._device, body)
                elif kind == _WHOLE or kind == _SMALL and squeezed_seq(base, body) > seq:
                    record = self._decoded(base, kind, body)
                    if record.seq > seq:
                        seq = record.seq
                        yield record
                elif kind == _BOOT:
                    base = base.reborn(*struct.unpack(">IH", body[:6]))

    def forget(self):  # type: ignore[no-untyped-def]
        """Rule 6; yields between two erased sectors. A cut leaves more of the newest records, none of which is sent."""
        self.acked = self.seq
        self._setpoints, self._dropped, self.unproven, self.decided = [], [], {}, {}
        self._last, self._lost_from_ms = None, 0
        self._base = Base(self.boot, self._generation, 0, 0, 0, 0, self._base.vt_ratio)
        yield from self._ring.start_over(_CURSOR, struct.pack(">I8s", self.acked, self.incarnation))

    def find(self, seq: int):  # type: ignore[no-untyped-def]
        """The record with this seq, or None. Cost: a scan of one sector."""
        for record in self.after(seq - 1):
            return record if record.seq == seq else None
        return None

    # writing

    def _keep(self, record) -> None:  # type: ignore[no-untyped-def]
        if isinstance(record, records.Reading):
            self._last = record
            self._ring.make_room()
            kind, packed = SHORT, pack(self._base, self._device, record)
            if not packed and not self._is_base_used and pack(self._base.moved(record), self._device, record):
                self._ring.open_sector()
                packed = pack(self._base, self._device, record)
            self._is_base_used = True
        else:
            base, kind = self._base, _SMALL
            packed = squeeze(base, self._device, record)
            self._ring.make_room(len(packed))
            if self._base is not base:  # it goes to a sector that was opened for it
                packed = squeeze(self._base, self._device, record)
        sector, _ = self._write(kind, packed) if packed else self._write(_WHOLE, records.encode(record))
        self._count(sector, record.seq)
        self._note(record)

    def _decoded(self, base: Base, kind: int, body: bytes):  # type: ignore[no-untyped-def]
        if kind == SHORT:
            return unpack(base, self._device, body)
        return expand(base, self._device, body) if kind == _SMALL else records.decode(body)

    def _write(self, kind: int, body: bytes):  # type: ignore[no-untyped-def]
        self._ring.make_room(0 if kind == SHORT else len(body))
        if self._opened:
            self._opened = 0
            self._carry()
        return self._ring.append(kind, body)

    def _carry(self) -> None:
        """Into the sector that was opened: the set-point in force, and what the next one will erase (rule 5)."""
        oldest = self._ring.next_victim()
        live = self._setpoints = [kept for kept in self._setpoints if kept[1] > self.floor_ms]
        first = ([kept for kept in live if kept[0] == self.in_force] or sorted(live, key=lambda kept: kept[1]))[:1]
        for kept in first + [kept for kept in live if kept[3] is oldest and kept not in first]:
            kept[3] = self._ring.append(_SETPOINT, kept[2])[0]

    def _opening(self) -> bytes:
        self._base = self._base.reborn(self.boot, self._generation)
        if self._last is not None:
            self._base = self._base.moved(self._last)
        self._opened, self._is_base_used = 1, False
        return self._base.encode() + self._state()

    def _state(self) -> bytes:
        return struct.pack(
            _STATE, self.acked, self.incarnation, self.command, self.head, self.floor_ms, self._lost_from_ms
        )

    def _retired(self, sector) -> None:  # type: ignore[no-untyped-def]
        for seq in [s for s in self.unproven if s <= sector.last]:
            del self.unproven[seq]
        if sector.last > self.acked:
            self._lost_from_ms = self._lost_from_ms or self._first_reading_ms([sector])
            self._name_dropped()

    def _name_dropped(self) -> None:
        """What is neither acknowledged nor held any more, from the first such seq on (rule 7); at least one slot of time."""
        for sector in self._ring.sectors:
            if sector.first:
                if sector.first > self.acked + 1:
                    end_ms = self._first_reading_ms(self._ring.sectors)
                    start_ms = min(self._lost_from_ms or end_ms, end_ms - SLOT_MS)
                    self._dropped = [(self.acked + 1, sector.first - 1, start_ms, end_ms)]
                else:
                    self._lost_from_ms = 0
                return

    def _first_reading_ms(self, sectors) -> int:  # type: ignore[no-untyped-def]
        """Slot mark of the first unacknowledged reading with trusted time; if there is none, the mark after the last one."""
        for record in self._records(sectors, self.acked):
            if isinstance(record, records.Reading) and not record.flags & records.UNTRUSTED_CLOCK:
                return record.time_ms
        return self.last_reading_ms + SLOT_MS

    def _count(self, sector, seq: int) -> None:  # type: ignore[no-untyped-def]
        sector.first = sector.first or seq
        sector.last = max(sector.last, seq)

    def _note(self, record) -> None:  # type: ignore[no-untyped-def]
        if isinstance(record, records.Reading):
            self._note_time(record.time_ms, record.flags)
        elif isinstance(record, records.BatchStatement):
            self.head = hashlib.sha256(records.encode(record)).digest()
            self.closed_seq = max(self.closed_seq, record.last_seq)
            if record.end_ms > 1 << 40:  # not of a batch that never knew the time
                self.closed_ms = max(self.closed_ms, record.end_ms)
            self.unproven[record.seq] = record.end_ms
        elif isinstance(record, records.ClockLink):
            self.floor_ms = max(self.floor_ms, record.utc_ms)
            self.last_reading_ms = max(self.last_reading_ms, record.utc_ms // SLOT_MS * SLOT_MS - SLOT_MS)
        elif isinstance(record, records.Decision) and record.outcome == records.ACCEPTED:
            self.decided[record.digest] = record.seq
            if len(self.decided) > _DECISIONS_KEPT:
                del self.decided[min(self.decided, key=lambda digest: self.decided[digest])]
        elif isinstance(record, records.Gap) and record.cause == records.CAUSE_OVERRUN:
            self.named, self.named_by = (record.first_seq, record.last_seq), record.seq

    def _note_time(self, time_ms: int, flags: int) -> None:
        if not flags & records.UNTRUSTED_CLOCK:
            self.last_reading_ms = max(self.last_reading_ms, time_ms)
            self.floor_ms = max(self.floor_ms, time_ms)

    def _stand(self, body: bytes) -> None:
        sector, _ = self._write(_SETPOINT, body)
        self._remember(body, sector)

    def _remember(self, body: bytes, sector) -> None:  # type: ignore[no-untyped-def]
        self.command = max(self.command, rank(body)[0])
        self._setpoints = remembered(self._setpoints, body, sector)

    # mounting

    def _mount(self) -> None:
        recent: list[tuple] = []  # type: ignore[type-arg]
        base, tail = self._base, []
        for sector, slot, kind, body in self._ring.mount():
            if kind == 0:
                base = self._born(decode_base(body))
                self._replay_state(body[-struct.calcsize(_STATE) :])
            elif kind in _RECORDS:
                self._replay_record(sector, slot, kind, body, base, recent)
                tail = [(sector, slot, kind, body, base)]
            elif kind == _BOOT:
                base = self._born(base.reborn(*struct.unpack(">IH", body[:6])))
                self._replay_state(body[6:])
            else:
                self._replay_other(sector, kind, body)
                entry = (sector, slot, kind, body, base)
                tail = [] if kind == _CURSOR else [one for one in tail if one[2] in _LASTING] + [entry]
        self.seq = max(self.seq, self.acked)
        self.last_reading_ms = self.last_reading_ms or self.floor_ms // SLOT_MS * SLOT_MS
        self._base = base
        self._begin(tail)
        self._name_dropped()
        if self._dropped and self.named[0] <= self._dropped[0][0] and self._dropped[0][1] <= self.named[1]:
            self._dropped = []

    def _born(self, base: Base) -> Base:
        """The base of a start that is replayed; JournalError, and nothing is written, if it had a newer key."""
        if base.generation > self._generation:
            raise JournalError(f"made under key generation {base.generation}, the key is of {self._generation}")
        self.boot = max(self.boot, base.boot)
        return base

    def _replay_record(self, sector, slot: int, kind: int, body: bytes, base: Base, recent) -> None:  # type: ignore[no-untyped-def]
        if kind == SHORT:
            seq = seq_of(base, body)
            self._note_time(time_of(base, body), flags_of(body))
        else:
            record = self._decoded(base, kind, body)
            seq = record.seq
            self._note(record)
            self.boot = max(self.boot, record.boot)
        while recent and recent[-1][2] >= seq:  # an entry that was torn then and reads whole now, or is written again
            stale, stale_slot, stale_seq = recent.pop()
            stale.void(stale_slot)
            stale.last = min(stale.last, stale_seq - 1)
        recent.append((sector, slot, seq))
        del recent[:-4]
        self._count(sector, seq)
        self.seq = seq

    def _replay_other(self, sector, kind: int, body: bytes) -> None:  # type: ignore[no-untyped-def]
        if kind == _CURSOR:
            self.acked, self.incarnation = struct.unpack(">I8s", body)
        elif kind == _SETPOINT:
            self._remember(body, sector)
        elif kind == _SIGNATURE:
            self._signatures.note(body)
        elif kind == _RECEIPT:
            self.unproven.pop(int.from_bytes(body, "big"), None)

    def _replay_state(self, state: bytes) -> None:
        self.acked, self.incarnation, command, self.head, floor_ms, self._lost_from_ms = struct.unpack(_STATE, state)
        self.command = max(self.command, command)
        self.floor_ms = max(self.floor_ms, floor_ms)

    def _begin(self, tail) -> None:  # type: ignore[no-untyped-def]
        """The new boot number first, then the last entry again (rule 3); one that carried a set-point hides no record. A
        signature goes before its record: it is found again whichever of the two a further cut hits."""
        self.boot += 1
        self._base = self._base.reborn(self.boot, self._generation)
        self._write(_BOOT, struct.pack(">IH", self.boot, self._generation) + self._state())
        tail.sort(key=lambda entry: entry[2] != _SIGNATURE)
        for sector, slot, kind, body, base in tail:
            if kind in (_RECEIPT, _SIGNATURE):
                self._write(kind, body)
            elif kind == _SETPOINT:
                self._stand(body)
            else:
                record = self._decoded(base, kind, body)
                if record.seq > self.acked:
                    sector.void(slot)
                    again, _ = self._write(_WHOLE, records.encode(record))
                    self._count(again, record.seq)
