"""The journal: a raw ring on a block device that survives a cut at any byte and forgets only what is acknowledged.

The device has MicroPython's block-device protocol with offsets: readblocks(block, buffer, offset), writeblocks(block,
data, offset), ioctl(4) = number of blocks, ioctl(6, block) = erase; blocks of 4096 bytes, erased bytes are 0xFF.

1. A sector is 146 slots of 28 bytes. Slot 0 is its header: magic, lap, boot, generation, bases, CRC. A reading fits one
   slot as differences to the bases; what does not fit, and every other record, is kept whole over several slots.
2. An entry is written once, kind first, with a CRC-32 over all of it. Acknowledgements and boots are entries too; the
   state (command number, statement head, time floor, set-point in force) opens every sector.
3. The sector with the highest lap is the head. A new one: old header retired, erased, header, state.
4. Mount: a head without a valid entry is erased again; the first free slot is skipped, since a cut may have touched it;
   the boot number rises before anything else; the last unacknowledged record is written again before it may be sent.
5. A record is (device, boot, seq); seq rises over boots and is never used twice.
6. Full: the oldest unacknowledged records are dropped and named by `take_dropped`.
"""

import binascii
import struct

from lightwire import records

from .errors import JournalError
from .packing import Base, pack, unpack

SECTOR = 4096
SLOT = 28
SLOTS = SECTOR // SLOT
_HEADER = ">4sIIHIQQQHI"
_MAGIC = b"LNJ1"
_READING, _WHOLE, _CURSOR, _BOOT, _STATE = 1, 2, 3, 4, 5
_BLANK = b"\xff" * SLOT
_STATE_FIXED = ">II32sQ"


def _sealed(kind: int, body: bytes) -> bytes:
    head = bytes((kind,)) + len(body).to_bytes(2, "big")
    return head[:1] + binascii.crc32(head + body).to_bytes(4, "big") + head[1:] + body


class Journal:
    """`seq`, `boot`, `acked`: last used, this start's, last acknowledged; `command`, `head`, `floor_ms`, `setpoint`: state."""

    def __init__(self, device, device_id: bytes, generation: int, vt_ratio: int = 1) -> None:  # type: ignore[no-untyped-def]
        self._flash = device
        self._count = device.ioctl(4, 0)
        if self._count < 4:
            raise JournalError(f"the journal has {self._count} sectors, at least 4 are needed")
        self._device = device_id
        self._generation = generation
        self.seq = 0
        self.boot = 0
        self.acked = 0
        self.command = 0
        self.head = bytes(32)
        self.floor_ms = 0
        self.setpoint = b""
        self.last_reading_ms = 0  # slot mark of the last reading with a trusted clock
        self._dropped: list[tuple[int, int]] = []
        self._live: list[list[int]] = []  # [sector, first seq, last seq] in order of lap
        self._lap = 0
        self._slot = SLOTS
        self._last: records.Reading | None = None
        self._base = Base(0, generation, 0, 0, 0, 0, vt_ratio)
        self._mount()

    def append(self, record) -> None:  # type: ignore[no-untyped-def]
        """Keeps a record with boot = self.boot and seq = self.seq + 1; on return it survives loss of power."""
        if record.seq != self.seq + 1 or record.boot != self.boot:
            raise JournalError(f"record {record.boot}/{record.seq} does not follow {self.boot}/{self.seq}")
        self._keep(record)
        self.seq = record.seq

    def acknowledge(self, seq: int) -> None:
        """Everything up to seq may be forgotten."""
        if self.acked < seq <= self.seq:
            self._write(_sealed(_CURSOR, seq.to_bytes(4, "big")))
            self.acked = seq

    def forget_acknowledgements(self) -> None:
        """The back end was restored from a backup: what is still held counts as unacknowledged (until the next mount)."""
        self.acked = max(0, self._oldest() - 1)

    def save(self, command: int, head: bytes, floor_ms: int, setpoint: bytes) -> None:
        """Keeps the state; on return it survives loss of power."""
        self.command, self.head, self.floor_ms, self.setpoint = command, head, floor_ms, setpoint
        self._write(self._state())

    def take_dropped(self) -> list[tuple[int, int]]:
        """(first, last) seq of records lost to a full ring since the last call."""
        found, self._dropped = self._dropped, []
        return found

    def after(self, seq: int):  # type: ignore[no-untyped-def]
        """The kept records with a greater seq, in order, each once."""
        last = seq
        for sector, _, end in list(self._live):
            if end <= seq:
                continue
            for _, found in self._scan(sector):
                if isinstance(found, tuple) and hasattr(found, "seq") and found.seq > last:  # type: ignore[attr-defined]
                    last = found.seq  # type: ignore[attr-defined]
                    yield found

    def find(self, seq: int):  # type: ignore[no-untyped-def]
        """The record with this seq, or None."""
        for record in self.after(seq - 1):
            return record if record.seq == seq else None
        return None

    def _oldest(self) -> int:
        firsts = [entry[1] for entry in self._live if entry[1]]
        return min(firsts) if firsts else 1

    # --- writing

    def _keep(self, record) -> None:  # type: ignore[no-untyped-def]
        packed = b""
        if isinstance(record, records.Reading):
            if self._slot < SLOTS:
                packed = pack(self._base, record)
            self._last = record
            self._note(record)
        if packed:
            self._write(bytes((_READING,)) + binascii.crc32(packed).to_bytes(4, "big") + packed)
        else:
            self._write(_sealed(_WHOLE, records.encode(record)))
        entry = self._live[-1]
        entry[1] = entry[1] or record.seq
        entry[2] = max(entry[2], record.seq)

    def _write(self, entry: bytes) -> None:
        slots = (len(entry) + SLOT - 1) // SLOT
        if self._slot + slots > SLOTS:
            self._next_sector()
        self._flash.writeblocks(self._live[-1][0], entry, self._slot * SLOT)
        self._slot += slots

    def _state(self) -> bytes:
        fixed = struct.pack(_STATE_FIXED, self.acked, self.command, self.head, self.floor_ms)
        return _sealed(_STATE, fixed + self.setpoint)

    def _next_sector(self) -> None:
        sector = (self._live[-1][0] + 1) % self._count if self._live else 0
        for entry in list(self._live):
            if entry[0] == sector:
                self._give_up(entry)
        self._flash.ioctl(6, sector)
        self._lap += 1
        self._base = self._base.reborn(self.boot, self._generation)
        if self._last is not None:
            self._base = self._base.moved(self._last)
        head = struct.pack(_HEADER, _MAGIC, self._lap, *self._base.fields(), 0)[:-4]
        self._flash.writeblocks(sector, head + binascii.crc32(head).to_bytes(4, "big"), 0)
        self._live.append([sector, 0, 0])
        self._slot = (struct.calcsize(_HEADER) + SLOT - 1) // SLOT
        state = self._state()
        self._flash.writeblocks(sector, state, self._slot * SLOT)
        self._slot += (len(state) + SLOT - 1) // SLOT

    def _give_up(self, entry: list[int]) -> None:
        """Retires a sector before it is erased; what was unacknowledged in it is noted."""
        if entry[2] > self.acked:
            self._dropped.append((max(entry[1], self.acked + 1), entry[2]))
            self.acked = entry[2]
        self._flash.writeblocks(entry[0], bytes(4), 0)
        self._live.remove(entry)

    # --- reading

    def _read(self, sector: int, slot: int, length: int) -> bytes:
        buffer = bytearray(length)
        self._flash.readblocks(sector, buffer, slot * SLOT)
        return bytes(buffer)

    def _header(self, sector: int):  # type: ignore[no-untyped-def]
        raw = self._read(sector, 0, struct.calcsize(_HEADER))
        magic, lap, *fields = struct.unpack(_HEADER, raw)
        if magic != _MAGIC or binascii.crc32(raw[:-4]) != fields[-1]:
            return None
        return lap, Base(*fields[:-1])

    def _scan(self, sector: int):  # type: ignore[no-untyped-def]
        """(first free slot behind it, entry) of each valid entry: a record, or (kind, body)."""
        header = self._header(sector)
        base = header[1] if header else self._base
        slot = (struct.calcsize(_HEADER) + SLOT - 1) // SLOT
        while slot < SLOTS:
            raw = self._read(sector, slot, SLOT)
            slots, found = self._entry(sector, slot, raw, base)
            slot += slots
            if found is not None:
                if isinstance(found, tuple) and found[0] == _BOOT and not hasattr(found, "seq"):
                    boot, generation = struct.unpack(">IH", found[1])
                    base = base.reborn(boot, generation)
                yield slot, found

    def _entry(self, sector: int, slot: int, raw: bytes, base):  # type: ignore[no-untyped-def]
        if raw[0] == _READING and binascii.crc32(raw[5:]) == int.from_bytes(raw[1:5], "big"):
            return 1, unpack(base, self._device, raw[5:])
        if _WHOLE <= raw[0] <= _STATE:
            length = int.from_bytes(raw[5:7], "big")
            slots = (7 + length + SLOT - 1) // SLOT
            if slot + slots <= SLOTS:
                body = self._read(sector, slot, 7 + length)[7:]
                if binascii.crc32(raw[:1] + raw[5:7] + body) == int.from_bytes(raw[1:5], "big"):
                    return slots, records.decode(body) if raw[0] == _WHOLE else (raw[0], body)
        return 1, None

    def _mount(self) -> None:
        laps = []
        for sector in range(self._count):
            header = self._header(sector)
            if header:
                laps.append((header[0], sector, header[1]))
        laps.sort(key=lambda entry: entry[0])
        last_record = None
        for lap, sector, base in laps:
            entry = [sector, 0, 0]
            valid, self._base = 0, base
            self.boot = max(self.boot, base.boot)
            for _, found in self._scan(sector):
                valid += 1
                if hasattr(found, "seq"):
                    entry[1] = entry[1] or found.seq
                    entry[2] = max(entry[2], found.seq)
                    self.boot = max(self.boot, found.boot)
                    self._note(found)
                    if last_record is None or found.seq >= last_record.seq:
                        last_record = found
                else:
                    self._replay(found[0], found[1])
            if valid or lap != laps[-1][0]:
                self._live.append(entry)
            self._lap = lap
        self._open_head(last_record)

    def _note(self, record) -> None:  # type: ignore[no-untyped-def]
        if isinstance(record, records.Reading) and not record.flags & records.UNTRUSTED_CLOCK:
            self.last_reading_ms = max(self.last_reading_ms, record.time_ms)

    def _replay(self, kind: int, body: bytes) -> None:
        if kind == _CURSOR:
            self.acked = max(self.acked, int.from_bytes(body, "big"))
        elif kind == _BOOT:
            boot, _ = struct.unpack(">IH", body)
            self.boot = max(self.boot, boot)
        elif kind == _STATE:
            size = struct.calcsize(_STATE_FIXED)
            acked, self.command, self.head, self.floor_ms = struct.unpack(_STATE_FIXED, body[:size])
            self.acked = max(self.acked, acked)
            self.setpoint = body[size:]

    def _open_head(self, last_record) -> None:  # type: ignore[no-untyped-def]
        if last_record is not None:
            self.seq = max(self.acked, last_record.seq)
        self.seq = max(self.seq, self.acked)
        self.boot += 1
        self._slot = SLOTS
        if self._live:
            head = self._live[-1][0]
            used = SLOTS
            while used and self._read(head, used - 1, SLOT) == _BLANK:
                used -= 1
            self._slot = used + 1
            self._base = self._header(head)[1].reborn(self.boot, self._generation)
        self._write(_sealed(_BOOT, struct.pack(">IH", self.boot, self._generation)))
        self._base = self._base.reborn(self.boot, self._generation)
        if last_record is not None and last_record.seq > self.acked:
            self._write(_sealed(_WHOLE, records.encode(last_record)))
            entry = self._live[-1]
            entry[1] = entry[1] or last_record.seq
            entry[2] = max(entry[2], last_record.seq)
