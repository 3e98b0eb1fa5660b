"""MicroPython firmware files: no bytes of one reach a board before their SHA-256 is the one that was pinned.

A build's partition table replaces the file's own, because files and journal lie where the board definition says.
A list of them is TOML, a table per board: `file` (beside the list), `sha256`, `version` (1.26.1).
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lightflash.errors import FlashError

_STEP = "firmware file"
_PIN = re.compile(r"[0-9a-f]{64}\Z")
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\Z")
_LARGEST = 32 << 20
_CURE = "take the file from micropython.org again, or correct the pin if it is another release"


@dataclass(frozen=True, slots=True)
class FirmwareFile:
    """A firmware whose content is the pinned one. version: what the board says when it runs it."""

    path: Path
    content: bytes
    sha256: str
    version: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Pin:
    """What a firmware file must be."""

    path: Path
    sha256: str
    version: tuple[int, int, int]

    def opened(self) -> FirmwareFile:
        """The file. FlashError by name if it is not there or another one."""
        try:
            if self.path.stat().st_size > _LARGEST:
                raise FlashError(_STEP, f"{self.path} has {self.path.stat().st_size} bytes, {_LARGEST} at most", _CURE)
            content = self.path.read_bytes()
        except OSError as error:
            raise FlashError(_STEP, f"{self.path} cannot be read ({error.strerror})", _CURE) from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise FlashError(_STEP, f"{self.path} has SHA-256 {found}, pinned is {self.sha256}", _CURE)
        return FirmwareFile(self.path, content, self.sha256, self.version)


def with_table(firmware: FirmwareFile, table: bytes, at: int) -> FirmwareFile:
    """The firmware with a build's partition table in the place of its own. FlashError if it does not reach there."""
    if len(firmware.content) < at + len(table):
        raise FlashError(
            _STEP,
            f"{firmware.path} has {len(firmware.content)} bytes and no partition table",
            "take the file for a blank board, which begins with the boot loader",
        )
    content = firmware.content[:at] + table + firmware.content[at + len(table) :]
    return replace(firmware, content=content, sha256=hashlib.sha256(content).hexdigest())


def pin(path: Path, sha256: str, version: str) -> Pin:
    """A checked pin; FlashError says which word is wrong and what belongs there."""
    if not _PIN.match(sha256.lower()):
        raise FlashError(_STEP, f"{path}: sha256 is {sha256[:80]!r}", "64 hexadecimal digits belong there")
    parts = _VERSION.match(version)
    if parts is None:
        raise FlashError(_STEP, f"{path}: version is {version[:80]!r}", "a version as 1.26.1 belongs there")
    return Pin(path, sha256.lower(), (int(parts[1]), int(parts[2]), int(parts[3])))


def pins(path: Path) -> Mapping[str, Pin]:
    """The pins of a list, by board. FlashError names file, board and key."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise FlashError(_STEP, f"{path} cannot be read ({error.strerror})", "name a list with --firmware") from error
    except ValueError as error:
        raise FlashError(_STEP, f"{path} is not TOML: {error}", "a table per board: file, sha256, version") from error
    return {board: _pin(path, board, table) for board, table in document.items()}


def _pin(path: Path, board: str, table: object) -> Pin:
    keys = ("file", "sha256", "version")
    if not isinstance(table, dict) or set(table) != set(keys) or not all(isinstance(table[k], str) for k in keys):
        raise FlashError(_STEP, f"{path}: [{board}] is not a table of {', '.join(keys)}", "three texts belong there")
    return pin(path.parent / table["file"], table["sha256"], table["version"])
