"""A ring of flash sectors that keeps entries over a cut at any byte. It knows nothing of what the entries mean.

The device has MicroPython's block-device protocol with offsets: readblocks(block, buffer, offset), writeblocks(block,
data, offset), ioctl(4) = number of blocks, ioctl(5) = their size (4096), ioctl(6, block) = erase; erased bytes are 0xFF.

1. A sector is 157 slots of 26 bytes. Its first slots are the header: magic, lap, the owner's opening bytes, CRC-32.
2. An entry is written once and never changed: kind, CRC-32, then either 21 bytes (kind 1, one slot) or a length and a
   body over at most 16 slots. The CRC starts from the lap, so nothing of an earlier lap is ever taken for an entry.
3. The sector with the highest lap is the head. A new one: the old header is retired, the sector erased, the header written.
4. Mount: every cell is read once, and what was valid then is remembered, since a cell that a cut has half written may read
   otherwise the next time. A head without a valid entry is given up and erased again. The slot behind everything that a cut
   may have touched is struck out, then what the cut left half written; writing goes on behind them. So no two mounts begin
   to write at the same slot, even if what the first of them began is not to be seen.
5. A flash with a journal of the format before this one is refused: read as empty it would use each identity again.
"""

import binascii
import struct

from .errors import JournalError

SECTOR = 4096
SLOT = 26
SLOTS = SECTOR // SLOT
SHORT = 1
SHORT_BYTES = SLOT - 5
_ENTRY_SLOTS = 16
_MAGIC = b"LNJ3"
_EARLIER = b"LNJ2"
_HEAD = ">4sIH"
_BLANK = b"\xff" * SLOT


class Sector:
    """A live sector: its number, its lap, the owner's opening bytes, which slots begin a valid entry, and the owner's span."""

    def __init__(self, number: int, lap: int, opening: bytes) -> None:
        self.number = number
        self.lap = lap
        self.opening = opening
        self.first = 0
        self.last = 0
        self._valid = bytearray((SLOTS + 7) // 8)

    def is_valid(self, slot: int) -> bool:
        """Whether an entry that was found or written whole begins here."""
        return bool(self._valid[slot >> 3] & 1 << (slot & 7))

    def mark(self, slot: int) -> None:
        """A valid entry begins here."""
        self._valid[slot >> 3] |= 1 << (slot & 7)

    def void(self, slot: int) -> None:
        """The entry that begins here does not count."""
        self._valid[slot >> 3] &= ~(1 << (slot & 7)) & 0xFF


class Ring:
    """`sectors`: the live ones, oldest first. `opening()` gives the owner's bytes of a new sector, `retired(sector)` says
    that one is about to be erased."""

    def __init__(self, flash, opening, retired) -> None:  # type: ignore[no-untyped-def]
        count = flash.ioctl(4, 0)
        size = flash.ioctl(5, 0)
        if count is None or count < 4 or size != SECTOR:
            raise JournalError(f"the journal has {count} blocks of {size} bytes, at least 4 of {SECTOR} are needed")
        self._flash = flash
        self._count = count
        self._opening = opening
        self._retired = retired
        self.sectors: list[Sector] = []
        self._lap = 0
        self._slot = SLOTS

    def mount(self):  # type: ignore[no-untyped-def]
        """(sector, slot, kind, body) of each valid entry, oldest first; when it is exhausted the ring can be written."""
        walk = None
        for lap, number in self._laps():
            data = self._read(number, 0, SECTOR)
            opening = _opening_bytes(data, lap)
            if opening is None:
                continue
            self._lap = lap
            sector = Sector(number, lap, opening)
            self.sectors.append(sector)
            yield sector, 0, 0, opening
            walk = _Walk(data, _head_slots(len(opening)), lap)
            for slot, kind, body in walk.entries():
                sector.mark(slot)
                yield sector, slot, kind, body
            self._slot = walk.free_slot()
            if not walk.found:
                self.sectors.pop()
                self._slot = SLOTS
        if walk is not None and walk.found:
            for slot in walk.struck():
                self._flash.writeblocks(self.sectors[-1].number, b"\x00", slot * SLOT)

    def append(self, kind: int, body: bytes) -> tuple[Sector, int]:
        """Writes an entry; on return it survives a cut. Where it stands."""
        slots = 1 if kind == SHORT else _slots(len(body))
        if slots > _ENTRY_SLOTS:
            raise JournalError(f"an entry of {len(body)} bytes")
        if self._slot + slots > SLOTS:
            self.open_sector()
        sector, slot = self.sectors[-1], self._slot
        self._flash.writeblocks(sector.number, _written(kind, body, sector.lap), slot * SLOT)
        sector.mark(slot)
        self._slot += slots
        return sector, slot

    def make_room(self, length: int = 0) -> None:
        """Opens the next sector if the head has no room for a body of this length; 0 is one slot."""
        if self._slot + (_slots(length) if length else 1) > SLOTS:
            self.open_sector()

    def open_sector(self) -> None:
        """Opens the next sector, whatever room the head has."""
        number = (self.sectors[-1].number + 1) % self._count if self.sectors else 0
        for sector in list(self.sectors):
            if sector.number == number:
                self.sectors.remove(sector)
                self._retired(sector)
        self._flash.writeblocks(number, bytes(8), 0)
        self._flash.ioctl(6, number)
        self._lap += 1
        opening = self._opening()
        head = struct.pack(_HEAD, _MAGIC, self._lap, len(opening)) + opening
        self._flash.writeblocks(number, head + _crc(head, 0), 0)
        self.sectors.append(Sector(number, self._lap, opening))
        self._slot = _head_slots(len(opening))

    def start_over(self, kind: int, body: bytes):  # type: ignore[no-untyped-def]
        """Nothing is left but a fresh sector with this entry; yields between two erased ones, the oldest first."""
        self.open_sector()
        self.append(kind, body)
        head = self.sectors[-1]
        for step in range(1, self._count):
            number = (head.number + step) % self._count
            self._flash.writeblocks(number, bytes(8), 0)
            self._flash.ioctl(6, number)
            yield
        self.sectors = [head]

    def next_victim(self) -> Sector | None:
        """The sector that the next new one will replace, if it is live."""
        number = (self.sectors[-1].number + 1) % self._count
        for sector in self.sectors:
            if sector.number == number:
                return sector
        return None

    def entries(self, sector: Sector, slot: int = 0):  # type: ignore[no-untyped-def]
        """(slot, kind, body) of the valid entries of a sector from a slot on."""
        while slot < SLOTS:
            if sector.is_valid(slot):
                raw = self._read(sector.number, slot, SLOT)
                length = int.from_bytes(raw[5:7], "big")
                if raw[0] != SHORT and 7 + length > SLOT:
                    raw = self._read(sector.number, slot, 7 + length)
                found = _entry(raw, 0, sector.lap)
                if found is not None:
                    yield slot, found[0], found[1]
            slot += 1

    def _read(self, number: int, slot: int, length: int) -> bytes:
        buffer = bytearray(min(length, SECTOR - slot * SLOT))
        self._flash.readblocks(number, buffer, slot * SLOT)
        return bytes(buffer)

    def _laps(self) -> list[tuple[int, int]]:
        """(lap, sector) of everything that looks like a header; it is read for good with its sector."""
        found = []
        buffer = bytearray(8)
        for number in range(self._count):
            self._flash.readblocks(number, buffer, 0)
            magic, lap = struct.unpack(">4sI", bytes(buffer))
            if magic == _EARLIER:
                raise JournalError(
                    f"block {number} holds the journal of an earlier firmware: drain it with that one, then erase it"
                )
            if magic == _MAGIC:
                found.append((lap, number))
        found.sort()
        return found


def _slots(length: int) -> int:
    """Of an entry with a length and a body of so many bytes."""
    return (7 + length + SLOT - 1) // SLOT


def _crc(data: bytes, start: int) -> bytes:
    return binascii.crc32(data, start).to_bytes(4, "big")


def _head_slots(opening: int) -> int:
    return (struct.calcsize(_HEAD) + opening + 4 + SLOT - 1) // SLOT


def _opening_bytes(data: bytes, lap: int) -> bytes | None:
    magic, found, length = struct.unpack(_HEAD, data[:10])
    if (
        magic != _MAGIC
        or found != lap
        or length > SECTOR - 14
        or _crc(data[: 10 + length], 0) != data[10 + length :][:4]
    ):
        return None
    return data[10 : 10 + length]


def _written(kind: int, body: bytes, lap: int) -> bytes:
    rest = body if kind == SHORT else len(body).to_bytes(2, "big") + body
    return bytes((kind,)) + _crc(bytes((kind,)) + rest, lap) + rest


def _entry(data: bytes, at: int, lap: int) -> tuple[int, bytes, int] | None:
    """(kind, body, slots) of the entry at a byte, or None."""
    kind = data[at]
    if kind in (0, 0xFF):
        return None
    if kind == SHORT:
        end = at + SLOT
        body = data[at + 5 : end]
        rest = body
    else:
        end = at + 7 + int.from_bytes(data[at + 5 : at + 7], "big")
        if end > len(data):
            return None
        rest = data[at + 5 : end]
        body = rest[2:]
    if _crc(data[at : at + 1] + rest, lap) != data[at + 1 : at + 5]:
        return None
    return kind, body, (end - at + SLOT - 1) // SLOT


class _Walk:
    """Over the slots of one sector's bytes; afterwards it knows where writing may go on."""

    def __init__(self, data: bytes, begin: int, lap: int) -> None:
        self._data = data
        self._begin = begin
        self._lap = lap
        self._touched = begin
        self.found = 0
        self._torn: list[int] = []

    def entries(self):  # type: ignore[no-untyped-def]
        """(slot, kind, body) of each valid entry."""
        data, slot = self._data, self._begin
        while slot < SLOTS:
            found = _entry(data, slot * SLOT, self._lap)
            if found is None:
                if data[slot * SLOT : (slot + 1) * SLOT] != _BLANK:
                    if data[slot * SLOT]:
                        self._torn.append(slot)
                    self._touched = max(self._touched, slot + _claimed(data, slot))
                slot += 1
            else:
                self.found += 1
                yield slot, found[0], found[1]
                slot += found[2]
                self._touched = max(self._touched, slot)

    def struck(self) -> list[int]:
        """The slots to be struck out, in this order: what they say of how far a cut reached goes with them."""
        return [self._touched][: SLOTS - self._touched] + self._torn

    def free_slot(self) -> int:
        """The first slot that no cut can have touched: one behind the last written, or behind what a torn entry claims."""
        return min(self._touched + 1, SLOTS)


def _claimed(data: bytes, slot: int) -> int:
    """How many slots a cut may have touched that left this: a length may itself be torn."""
    at = slot * SLOT
    if not SHORT < data[at] < 0x10:
        return 1
    return max(1, min(SLOTS - slot, _ENTRY_SLOTS, _slots(int.from_bytes(data[at + 5 : at + 7], "big"))))
