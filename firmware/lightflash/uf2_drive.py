"""A board whose boot loader shows a UF2 drive: firmware is copied there, everything else goes through MicroPython.

1. A drive of another board is refused by its Board-ID before a byte is copied; so is a file without blocks of its family.
2. Done is when the drive went away, the board started, and every byte of the file was read back from flash by its hash.
3. A board that runs MicroPython is sent to its boot loader first.
4. While only the drive is there the board has no unique id: the drive's place stands for it.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lightflash.errors import FlashError, PartMissing
from lightflash.firmware_file import FirmwareFile
from lightflash.micropython import MicroPython
from lightflash.transport import Identity, Progress, cut_off
from lightflash.uf2 import BLOCK, board_id, parsed

INFO = "INFO_UF2.TXT"
_PIECE = 64 * BLOCK
_APPEARS_S = 60.0
_LEAVES_S = 60.0
_HASH_S = 60.0
_READ_BACK = """
import hashlib, uctypes
h = hashlib.sha256()
at, left = {address}, {count}
while left:
    n = min(left, 4096)
    h.update(uctypes.bytearray_at(at, n))
    at += n
    left -= n
print(h.digest().hex())
"""


class Uf2Board:
    """A board with a drive. find: where its port is now; name: the Board-ID; family: of its blocks.

    drive: the folder where its drive appears, "" if that is not known.
    """

    def __init__(self, find: Callable[[], str], drive: str, name: str, family: int) -> None:
        self._port = find()
        self._drive = Path(drive) if drive else None
        self._name = name
        self._family = family
        self._repl = MicroPython(find)

    def identify(self) -> Identity:
        """MicroPython says it; else the drive."""
        drive = self._drive
        if drive is not None and (drive / INFO).is_file():
            return Identity("", chip=self._checked(drive))
        try:
            return self._repl.identify()
        except PartMissing as error:
            where = f" and no drive at {drive}" if drive is not None else ""
            raise PartMissing(
                "identify", f"no port{where}", "plug the board in, with BOOTSEL held if it is new", port=self._port
            ) from error

    def write_firmware(self, firmware: FirmwareFile, progress: Progress) -> None:
        """Rules 1 to 3."""
        try:
            content = parsed(firmware.content, self._family)
        except ValueError as error:
            raise FlashError("firmware file", f"{firmware.path}: {error}", "take the file for this board") from error
        drive = self._shown_drive()
        self._checked(drive)
        self._copy(drive, firmware.content, progress)
        self._repl.wait()
        for address, wanted in content.spans:
            self._read_back(address, wanted)

    def hashes(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Through MicroPython."""
        return self._repl.hashes(paths)

    def free_bytes(self) -> int:
        """Through MicroPython."""
        return self._repl.free_bytes()

    def write_file(self, path: str, content: bytes, progress: Progress) -> None:
        """Through MicroPython."""
        self._repl.write_file(path, content, progress)

    def run(self, script: str, timeout_s: float) -> str:
        """Through MicroPython."""
        return self._repl.run(script, timeout_s)

    def reset(self) -> None:
        """Through MicroPython."""
        self._repl.reset()

    def close(self) -> None:
        """Gives the port back."""
        self._repl.close()

    def _checked(self, drive: Path) -> str:
        try:
            found = board_id((drive / INFO).read_text(errors="replace")[:4096])
        except OSError as error:
            raise cut_off("identify", str(drive), f"{INFO}: {error.strerror}") from error
        if found != self._name:
            raise FlashError(
                "identify",
                f"the drive is {found!r}, not {self._name!r}",
                "name the right board in the list",
                port=str(drive),
            )
        return found

    def _shown_drive(self) -> Path:
        drive = self._drive
        if drive is None:
            raise PartMissing(
                "firmware",
                "it is not known where its drive appears",
                "name the drive (column or option `drive`)",
                port=self._port,
            )
        if not (drive / INFO).is_file():
            self._repl.leave("bootloader")
            if not _becomes((drive / INFO).is_file, _APPEARS_S):
                raise PartMissing(
                    "firmware", f"no drive appeared at {drive}", "is it mounted? then again", port=self._port
                )
        return drive

    def _copy(self, drive: Path, content: bytes, progress: Progress) -> None:
        at = 0
        try:
            with (drive / "FIRMWARE.UF2").open("wb", buffering=0) as file:
                while at < len(content):
                    at += file.write(content[at : at + _PIECE]) or 0
                    progress(at, len(content))
                os.fsync(file.fileno())
        except OSError as error:  # a board that has the last block starts at once, before the copy is closed
            if at < len(content):
                raise cut_off("firmware", str(drive), error.strerror or "the copy failed") from error
        if not _becomes(lambda: not (drive / INFO).exists(), _LEAVES_S):
            raise FlashError(
                "firmware", "the boot loader did not take the file", "unplug the board, then again", port=str(drive)
            )

    def _read_back(self, address: int, wanted: bytes) -> None:
        script = _READ_BACK.format(address=address, count=len(wanted))
        if self._repl.run(script, _HASH_S).strip() != hashlib.sha256(wanted).hexdigest():
            raise FlashError(
                "firmware read-back",
                f"{len(wanted)} bytes at {address:#x} are others than the file's",
                "write it again",
                port=self._port,
            )


def _becomes(is_true: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
