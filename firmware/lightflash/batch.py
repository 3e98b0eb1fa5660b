"""The list of what is to be written: a row per device.

A CSV file with a header: `name`, `board`, and where the device is: `port`, `serial` (of the USB device) or `drive` (of a UF2
boot loader). It may have `pod`, `config` (its settings file, beside the list) and `firmware` (a table of the firmware list).

1. Every finding is told, with its row; a list with one is refused as a whole, before anything is touched.
2. Name, port, serial number, drive, POD and settings file are each one device's.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightflash import board
from lightflash.errors import FlashError

_STEP = "list"
_LARGEST = 1 << 20
_MOST_ROWS = 1000
_NEEDED = ("name", "board")
_WHERE = ("port", "serial", "drive")
_OPTIONAL = ("pod", "config", "firmware")
_ONE_EACH = ("name", "port", "serial", "drive", "pod", "config")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class Row:
    """A device to be written. Texts are "" where the list has none; config: a path, None without."""

    name: str
    board: str
    port: str = ""
    serial: str = ""
    drive: str = ""
    pod: str = ""
    config: Path | None = None
    firmware: str = ""

    @property
    def where(self) -> str:
        """For messages: the place the list names."""
        return self.port or self.drive or self.serial


def rows(path: Path) -> list[Row]:
    """The devices of a list. FlashError with every finding (rule 1)."""
    try:
        data = path.read_bytes()
        if len(data) > _LARGEST:
            raise FlashError(_STEP, f"{path} has {len(data)} bytes, {_LARGEST} at most", "split it")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FlashError(_STEP, f"{path} cannot be read ({error.strerror})", "name a list with --batch") from error
    except UnicodeDecodeError as error:
        raise FlashError(_STEP, f"{path} is not UTF-8", "save it as CSV, UTF-8") from error
    try:
        found = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise FlashError(_STEP, f"{path} is not CSV: {error}", "save it as CSV, UTF-8") from error
    made = [_row(path.parent, values) for values in found[:_MOST_ROWS]]
    findings = [*_header(found), *_too_many(found), *checked(made, [_extra(values) for values in found[:_MOST_ROWS]])]
    if findings:
        raise FlashError(_STEP, f"{path}: " + ", ".join(findings), "correct the list")
    return made


def checked(made: list[Row], extra: list[str] | None = None) -> list[str]:
    """Every finding of rules 1 and 2, "row 3: ...". extra: what else is wrong with each row."""
    findings = []
    seen: dict[tuple[str, object], int] = {}
    for number, row in enumerate(made, start=1):
        told = [*_wrong(row), *([extra[number - 1]] if extra and extra[number - 1] else [])]
        for key in _ONE_EACH:
            value = getattr(row, key)
            before = seen.setdefault((key, value), number) if value else number
            if before != number:
                told.append(f"{key} {value} is that of row {before} too")
        findings += [f"row {number}: {what}" for what in told]
    return findings


def _wrong(row: Row) -> Iterator[str]:
    if not _WORD.match(row.name):
        yield f"name is {row.name[:60]!r}, 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-' belong here"
    if row.pod and not _WORD.match(row.pod):
        yield f"pod is {row.pod[:60]!r}, 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-' belong here"
    if not row.board.endswith(".toml") and row.board not in board.names():
        yield f"board is {row.board[:60]!r}, one of {', '.join(board.names())} belongs here"
    if not row.where:
        yield "port, serial and drive are empty, one of them says where the device is"
    if row.port and row.serial:
        yield "port and serial are both given, one of them says where the device is"


def _row(folder: Path, values: dict[str, str]) -> Row:
    texts = {key: (values.get(key) or "").strip() for key in (*_NEEDED, *_WHERE, *_OPTIONAL)}
    config = folder / texts["config"] if texts["config"] else None
    places = (texts["port"], texts["serial"], texts["drive"])
    return Row(texts["name"], texts["board"], *places, texts["pod"], config, texts["firmware"])


def _header(found: list[dict[str, str]]) -> Iterator[str]:
    if not found:
        yield "it has no rows"
        return
    names = [name for name in found[0] if name is not None]
    for name in _NEEDED:
        if name not in names:
            yield f"column {name} is missing"
    for name in names:
        if name not in (*_NEEDED, *_WHERE, *_OPTIONAL):
            yield f"column {name[:40]!r} is unknown"


def _too_many(found: list[dict[str, str]]) -> Iterator[str]:
    if len(found) > _MOST_ROWS:
        yield f"it has {len(found)} rows, {_MOST_ROWS} at most"


def _extra(values: dict[str, str]) -> str:
    return "more fields than the header has columns" if None in values else ""
