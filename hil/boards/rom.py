"""An ESP32's boot loader as its serial line sees it: the loader in ROM, and the stub that a tool sends into RAM.

1. Packets are SLIP frames; a request is direction 0, command, length, checksum, payload; an answer repeats the command.
2. The ROM knows 0x05-0x0F and 0x13; after the RAM's code is started it is the stub: answers are two bytes shorter, a hash is
   binary, and flash can be erased and read. What is sent to RAM is not run.
3. Flash is NOR: a write begins with an erase of its sectors. Nothing outside what was begun is touched.
4. A frame that is not a request, or of another length than it says, is not answered.
Source: Espressif's serial protocol documentation (esptool docs, "Serial Protocol").
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_SECTOR = 4096
_SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
_UNKNOWN, _FAILED = 0x05, 0x06
_CHECKSUM = 0xEF


@dataclass(frozen=True, slots=True)
class Chip:
    """A model. chip_id: 0 if it has none and is known by `magic`; registers: where its MAC and its flash's answer stand."""

    name: str
    chip_id: int
    magic: int
    mac_register: int
    flash_register: int


CHIPS = {
    "esp32": Chip("ESP32", 0, 0x00F01D83, 0x3FF5A004, 0x3FF42080),
    "esp32-s3": Chip("ESP32-S3", 9, 0x9, 0x60007044, 0x60002058),
    "esp32-c3": Chip("ESP32-C3", 5, 0x6921506F, 0x60008844, 0x60002058),
}


class Slip:
    """Frames out of a stream of bytes; a frame longer than `most` is dropped."""

    def __init__(self, most: int = 1 << 16) -> None:
        self._most = most
        self._frame: bytearray | None = None
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now."""
        for byte in data:
            if byte == 0xC0:
                if self._frame:
                    yield bytes(self._frame)
                    self._frame = None
                else:
                    self._frame = bytearray()
                self._escaped = False
            elif self._frame is not None:
                self._take(self._frame, byte)

    def _take(self, frame: bytearray, byte: int) -> None:
        if self._escaped:
            byte = {0xDC: 0xC0, 0xDD: 0xDB}.get(byte, byte)
            self._escaped = False
        elif byte == 0xDB:
            self._escaped = True
            return
        frame.append(byte)
        if len(frame) > self._most:
            self._frame = None


def framed(data: bytes) -> bytes:
    """One SLIP frame."""
    return b"\xc0" + data.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Loader:
    """The boot loader of one board. flash: its content, changed in place; mac: 6 bytes; flash_bytes: what it says of its size."""

    def __init__(self, chip: Chip, mac: bytes, flash: bytearray, flash_bytes: int = 4 << 20) -> None:
        self._chip = chip
        self._flash = flash
        self._slip = Slip()
        self._is_stub = False
        self._to_read: list[bytes] = []
        self._at = self._end = 0
        self._inflate = zlib.decompressobj()
        self._registers = {
            0x40001000: chip.magic,
            chip.mac_register: int.from_bytes(mac[2:], "big"),
            chip.mac_register + 4: int.from_bytes(mac[:2], "big"),
            chip.flash_register: 0x4020 | (flash_bytes - 1).bit_length() << 16,
        }
        self.writes = 0

    def feed(self, data: bytes) -> bytes:
        """What it answers to these bytes."""
        return b"".join(framed(answer) for frame in self._slip.feed(data) for answer in self._frame(frame))

    def _frame(self, frame: bytes) -> Iterator[bytes]:
        if self._to_read:
            if len(frame) == 4:
                yield self._to_read.pop(0)
                if len(self._to_read) == 1:  # the hash follows the last block without being asked for
                    yield self._to_read.pop()
            return
        if len(frame) < 8 or frame[0] != 0:
            return
        _, command, length, checksum = struct.unpack("<BBHI", frame[:8])
        payload = frame[8:]
        if len(payload) == length:
            yield from self._answer(command, payload, checksum)

    def _answer(self, command: int, payload: bytes, checksum: int) -> Iterator[bytes]:
        if command == 0x08:
            if payload == _SYNC:
                for _ in range(8):
                    yield self._said(command, value=0 if self._is_stub else 0x20120707)
        elif command == 0x0A and len(payload) == 4:
            yield self._said(command, value=self._registers.get(int.from_bytes(payload, "little"), 0))
        elif command == 0x14 and self._chip.chip_id:
            yield self._said(command, struct.pack("<IB7xII", 0, 0, self._chip.chip_id, 0))
        elif command == 0x06:
            yield self._said(command)
            if int.from_bytes(payload[4:8], "little"):
                self._is_stub = True
                yield b"OHAI"
        elif command == 0x13 and len(payload) == 16:
            yield self._said(command, self._hash(*struct.unpack("<II", payload[:8])))
        elif command in (0x05, 0x07, 0x09, 0x0B, 0x0D, 0x0F):  # RAM, registers, flash parameters, baud rate
            yield self._said(command)
        else:
            yield from self._flash_work(command, payload, checksum)

    def _flash_work(self, command: int, payload: bytes, checksum: int) -> Iterator[bytes]:
        if command in (0x02, 0x10):
            yield self._said(command, error=self._begin(*struct.unpack("<IIII", payload[:16]), packed=command == 0x10))
        elif command in (0x03, 0x11):
            yield self._said(command, error=self._write(payload[16:], checksum, packed=command == 0x11))
        elif command in (0x04, 0x12):
            yield self._said(command)
            self._is_stub = self._is_stub and payload != bytes(4)
        elif command == 0xD0 and self._is_stub:
            self._erase(0, len(self._flash))
            yield self._said(command)
        elif command == 0xD2 and self._is_stub:
            at, count, block, _ = struct.unpack("<IIII", payload)
            found = bytes(self._flash[at : at + count])
            yield self._said(command)
            blocks = [found[i : i + block] for i in range(0, count, block)]
            self._to_read = [*blocks[1:], hashlib.md5(found).digest()]
            yield blocks[0]
        else:
            yield self._said(command, error=_UNKNOWN)

    def _said(self, command: int, payload: bytes = b"", value: int = 0, error: int = 0) -> bytes:
        status = bytes((1 if error else 0, error)) + (b"" if self._is_stub else bytes(2))
        return struct.pack("<BBHI", 1, command, len(payload) + len(status), value) + payload + status

    def _hash(self, at: int, count: int) -> bytes:
        found = hashlib.md5(self._flash[at : at + count])
        return found.digest() if self._is_stub else found.hexdigest().encode()

    def _begin(self, size: int, _blocks: int, _block: int, at: int, *, packed: bool) -> int:
        if at % _SECTOR or at + size > len(self._flash):
            return _FAILED
        self._at, self._end = at, at + size
        self._inflate = zlib.decompressobj()
        self._erase(at, self._end)
        return 0

    def _erase(self, at: int, end: int) -> None:
        end = min(-(-end // _SECTOR) * _SECTOR, len(self._flash))
        self._flash[at:end] = b"\xff" * (end - at)

    def _write(self, data: bytes, checksum: int, *, packed: bool) -> int:
        found = _CHECKSUM
        for byte in data:
            found ^= byte
        if found != checksum:
            return _FAILED
        content = self._inflate.decompress(data) if packed else data
        content = content[: max(0, -(-self._end // _SECTOR) * _SECTOR - self._at)]
        self._flash[self._at : self._at + len(content)] = content
        self._at += len(content)
        self.writes += 1
        return 0
