"""Boards as data: one file of boards/ each says what a build and a cable need to know.

1. A file is taken whole or refused in one line: file, key, value, what belongs there. No key is unknown, none is missing.
2. Regions lie in the flash, begin and end at sectors and do not overlap; one has the name "files".
3. A board is named by its file in boards/, or by a path that ends in .toml.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from lightflash.errors import FlashError

_FOLDER = Path(__file__).parent / "boards"
_MOST_BYTES = 65_536
_FLASH_MOST = 1 << 28
_MARCHES = (
    "x86",
    "x64",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
    "rv64imc",
)
_KEYS = (
    "name",
    "title",
    "hardware",
    "march",
    "modules",
    "flash_bytes",
    "sector_bytes",
    "slots",
    "support_end",
    "usb",
    "firmware",
    "littlefs",
)
_FIRMWARE = {"esptool": ("chip", "offset"), "uf2": ("family", "drive"), "none": ()}
_LITTLEFS = ("read_bytes", "prog_bytes", "lookahead_bytes")
_REGIONS = ("files", "journal", "identity", "firmware", "radio")
_TEXTS = {
    "name": (r"[a-z0-9][a-z0-9-]{0,31}", "1 to 32 of a-z, 0-9 and -"),
    "title": (r"[ -~]{1,64}", "1 to 64 printable characters"),
    "hardware": (r"[a-z0-9-]{1,16}", "1 to 16 of a-z, 0-9 and -, the class that updates are signed for"),
    "chip": (r"esp32[a-z0-9]{0,4}", "a chip as esptool names it"),
    "drive": (r"[A-Z0-9-]{1,11}", "the label of the drive"),
    "label": (r"[a-z0-9_]{1,15}", "1 to 15 of a-z, 0-9 and _"),
    "usb": (r"[0-9a-f]{4}:[0-9a-f]{4}", "vendor and product, 4 hexadecimal digits each"),
    "version": (r"1\.[0-9]{1,3}", "a version like 1.26"),
    "modules": (r"board_[a-z0-9_]{1,26}", "a module of lightnode that begins with board_"),
}


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the flash. name: its use; label: in the partition table, "" where the board has none."""

    name: str
    offset: int
    bytes: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Firmware:
    """How MicroPython itself gets in. kind: "esptool" (chip, offset), "uf2" (family, drive) or "none" (it is there).

    micropython: the versions, major.minor, that the application runs on.
    """

    kind: str
    micropython: tuple[str, ...]
    chip: str = ""
    offset: int = 0
    family: int = 0
    drive: str = ""


@dataclass(frozen=True, slots=True)
class LittleFs:
    """The parameters that the board mounts its files with; an image made with others is not read everywhere."""

    read_bytes: int
    prog_bytes: int
    lookahead_bytes: int


@dataclass(frozen=True, slots=True)
class Board:
    """hardware: its class as in a Manifest. march: as mpy-cross names it. usb: "vendor:product" of its ports, in hex.

    modules: those of the application's board_*.py that are for it; the others stay out of its flash.
    slots: how many directories with an application have to fit; with 2 it can be updated over the air.
    """

    name: str
    title: str
    hardware: str
    march: str
    modules: tuple[str, ...]
    flash_bytes: int
    sector_bytes: int
    slots: int
    support_end: date
    usb: tuple[str, ...]
    firmware: Firmware
    littlefs: LittleFs
    regions: tuple[Region, ...]

    def region(self, name: str) -> Region | None:
        """The region with this use, None if the board has none."""
        return next((region for region in self.regions if region.name == name), None)

    @property
    def files(self) -> Region:
        """Where LittleFS lies."""
        return next(region for region in self.regions if region.name == "files")

    @property
    def has_partition_table(self) -> bool:
        """Whether its boot loader finds the regions by a table."""
        return self.firmware.kind == "esptool"


def names() -> list[str]:
    """Every board that comes with the flasher."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def board(name: str) -> Board:
    """The board with this name, or in this file (rule 3). FlashError in one line."""
    if name.endswith(".toml"):
        return read(Path(name))
    if name not in names():
        raise FlashError("board", f"{name} is none of {', '.join(names())}", "choose one, or name a .toml file")
    return read(_FOLDER / f"{name}.toml")


def read(path: Path) -> Board:
    """The board in a file. FlashError names the file, the key, its value and what belongs there."""
    try:
        return parse(load_toml(path))
    except _Wrong as wrong:
        raise FlashError("board", f"{path}: {wrong}", "correct the file") from wrong


def load_toml(path: Path) -> Mapping[str, Any]:
    """A TOML file of at most 64 KiB; FlashError if it is not there or is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise FlashError("board", f"{path} is longer than {_MOST_BYTES} bytes", "name the right file")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise FlashError("board", f"{path} cannot be read ({error.strerror})", "name a file that is there") from error
    except (ValueError, RecursionError) as error:
        raise FlashError("board", f"{path} is not TOML ({error})", "correct the file") from error


class _Wrong(ValueError):
    def __init__(self, key: str, value: object, wanted: str) -> None:
        super().__init__(f"{key} is {repr(value)[:60]}, {wanted} belongs here")


def parse(document: Mapping[str, Any]) -> Board:
    """The board that a document describes; ValueError in one line (rules 1 and 2)."""
    _only(document, (*_KEYS, "regions"), "")
    found = Board(
        name=_text("name", document["name"]),
        title=_text("title", document["title"]),
        hardware=_text("hardware", document["hardware"]),
        march=_one_of("march", document["march"], _MARCHES),
        modules=tuple(_text("modules", word) for word in _list("modules", document["modules"])),
        flash_bytes=_number("flash_bytes", document["flash_bytes"], 65_536, _FLASH_MOST),
        sector_bytes=_number("sector_bytes", document["sector_bytes"], 256, 65_536),
        slots=_number("slots", document["slots"], 1, 2),
        support_end=_date("support_end", document["support_end"]),
        usb=tuple(_text("usb", word) for word in _list("usb", document["usb"])),
        firmware=_firmware(document["firmware"]),
        littlefs=_littlefs(document["littlefs"]),
        regions=tuple(_region(k, entry) for k, entry in enumerate(_list("regions", document["regions"]))),
    )
    _check_regions(found)
    return found


def _only(table: object, wanted: tuple[str, ...], where: str, optional: tuple[str, ...] = ()) -> None:
    if not isinstance(table, Mapping):
        raise _Wrong(where.rstrip("."), table, "a table")
    for key in table:
        if key not in wanted and key not in optional:
            raise _Wrong(where + key, table[key], "nothing: no such key")
    for key in wanted:
        if key not in table:
            raise _Wrong(where + key, None, "a value")


def _text(form: str, value: object, key: str = "") -> str:
    pattern, wanted = _TEXTS[form]
    if isinstance(value, str) and re.fullmatch(pattern, value):
        return value
    raise _Wrong(key or form, value, wanted)


def _number(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise _Wrong(key, value, f"a whole number from {low} to {high}")


def _one_of(key: str, value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise _Wrong(key, value, "one of " + ", ".join(allowed))


def _list(key: str, value: object) -> list[Any]:
    if isinstance(value, list) and len(value) <= 32:
        return value
    raise _Wrong(key, value, "a list of at most 32")


def _date(key: str, value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _Wrong(key, value, "a day like 2032-12-31") from None


def _firmware(table: Any) -> Firmware:
    kind = _one_of("firmware.kind", table.get("kind") if isinstance(table, Mapping) else None, tuple(_FIRMWARE))
    _only(table, ("kind", "micropython", *_FIRMWARE[kind]), "firmware.")
    listed = _list("firmware.micropython", table["micropython"])
    versions = tuple(_text("version", word, "firmware.micropython") for word in listed)
    if not versions:
        raise _Wrong("firmware.micropython", [], "at least one version")
    found = Firmware(kind, versions)
    if kind == "esptool":
        offset = _number("firmware.offset", table["offset"], 0, _FLASH_MOST)
        return replace(found, chip=_text("chip", table["chip"], "firmware.chip"), offset=offset)
    if kind == "uf2":
        family = _number("firmware.family", table["family"], 1, 2**32 - 1)
        return replace(found, family=family, drive=_text("drive", table["drive"], "firmware.drive"))
    return found


def _littlefs(table: Any) -> LittleFs:
    _only(table, _LITTLEFS, "littlefs.")
    read_bytes, prog_bytes = (_number("littlefs." + key, table[key], 16, 4096) for key in _LITTLEFS[:2])
    lookahead = _number("littlefs.lookahead_bytes", table["lookahead_bytes"], 8, 4096)
    if lookahead % 8:
        raise _Wrong("littlefs.lookahead_bytes", lookahead, "a multiple of 8")
    return LittleFs(read_bytes, prog_bytes, lookahead)


def _region(k: int, table: Any) -> Region:
    where = f"regions[{k}]."
    _only(table, ("name", "offset", "bytes"), where, ("label",))
    offset = _number(where + "offset", table["offset"], 0, _FLASH_MOST)
    size = _number(where + "bytes", table["bytes"], 1, _FLASH_MOST)
    label = _text("label", table["label"], where + "label") if "label" in table else ""
    return Region(_one_of(where + "name", table["name"], _REGIONS), offset, size, label)


def _check_regions(found: Board) -> None:
    end, before = 0, "the beginning"
    for region in sorted(found.regions, key=lambda region: region.offset):
        if region.offset % found.sector_bytes or region.bytes % found.sector_bytes:
            raise _Wrong(f"region {region.name}", region.offset, f"whole sectors of {found.sector_bytes} bytes")
        if region.offset < end:
            raise _Wrong(f"region {region.name}", region.offset, f"an offset behind the region {before}")
        if region.offset + region.bytes > found.flash_bytes:
            raise _Wrong(f"region {region.name}", region.bytes, f"a size within {found.flash_bytes} bytes of flash")
        if found.has_partition_table and not region.label:
            raise _Wrong(f"region {region.name}", None, "a label for the partition table")
        end, before = region.offset + region.bytes, region.name
    uses = [region.name for region in found.regions]
    if len(set(uses)) < len(uses) or "files" not in uses:
        raise _Wrong("regions", uses, "each use once, and files among them")
