"""The drive that a UF2 boot loader shows, as a folder: it takes the blocks of its own family and boots when it has them all.

1. The folder holds INFO_UF2.TXT. Blocks are taken as they come, those of another family are not taken.
2. A file that names more blocks than came leaves the board in its boot loader.
Source: microsoft/uf2, "File Format" and "File Containers" (the specification of UF2).
"""

import shutil
import struct
from pathlib import Path

_BLOCK = 512
_HEAD = struct.Struct("<8I")
_MAGIC, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY, _NOT_MAIN = 0x2000, 0x1
FLASH_AT = 0x10000000


class Drive:
    """One appearance of the drive. name: its Board-ID."""

    def __init__(self, folder: Path, name: str, family: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v3.0\nModel: Simulated\nBoard-ID: {name}\n")
        self._folder = folder
        self._family = family
        self._taken: dict[str, int] = {}
        self._numbers: set[int] = set()
        self.blocks = 0

    def look(self, flash: bytearray, most: int | None = None) -> bool:
        """Takes what was copied to the drive, so many blocks at most. True when the last block of a file came."""
        end = None if most is None else self.blocks + most
        for path in self._folder.glob("*.[uU][fF]2"):
            content = path.read_bytes()
            done = self._taken.get(path.name, 0)
            for at in range(done, len(content) - _BLOCK + 1, _BLOCK):
                if self.blocks == end:
                    return False
                self._taken[path.name] = at + _BLOCK
                if self._take(content[at : at + _BLOCK], flash):
                    return True
        return False

    def _take(self, block: bytes, flash: bytearray) -> bool:
        magic, second, flags, address, size, number, count, family = _HEAD.unpack_from(block)
        is_ours: bool = bool(flags & _HAS_FAMILY) and family == self._family and not flags & _NOT_MAIN
        if (magic, second) != (_MAGIC, _SECOND) or block[-4:] != _END.to_bytes(4, "little") or not is_ours:
            return False
        at = address - FLASH_AT
        if 0 <= at <= len(flash) - size:
            flash[at : at + size] = block[32 : 32 + size]
        self.blocks += 1
        self._numbers.add(number)
        return len(self._numbers) == int(count)

    def close(self) -> None:
        """The drive is gone."""
        shutil.rmtree(self._folder, ignore_errors=True)
