"""Where boards are: serial ports, UF2 drives, and which of them are one board.

1. A port belongs to a board of the list by its USB ids, "vendor:product"; one that has none is only taken when it is named.
2. A drive is a mounted folder with INFO_UF2.TXT.
3. Port and drive are one board if they hang on the same place of the USB tree; so the port is found after a firmware was
   copied to the drive, whatever its new name.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from lightflash.uf2_drive import INFO

_MOUNTS = Path("/proc/mounts")
_BLOCKS = Path("/sys/class/block")
_PLACE = re.compile(r"/(\d+-\d+(?:\.\d+)*)(?=/)")


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port. usb: "303a:1001", "" if it is none of USB; place: in the USB tree, "1-1.2"."""

    path: str
    usb: str = ""
    serial_number: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive of a boot loader."""

    folder: str
    place: str = ""


def serial_ports() -> list[Port]:
    """Every serial port there is."""
    found = []
    for port in list_ports.comports():
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else ""
        place = (port.location or "").partition(":")[0]
        found.append(Port(port.device, usb, port.serial_number or "", place))
    return sorted(found, key=lambda port: port.path)


def ports_of(usb: Sequence[str], among: Sequence[Port]) -> list[Port]:
    """The ports with one of the USB ids."""
    return [port for port in among if port.usb and port.usb in usb]


def drives(mounts: Path = _MOUNTS, blocks: Path = _BLOCKS) -> list[Drive]:
    """Every mounted drive with INFO_UF2.TXT."""
    found = []
    for device, folder in _mounted(mounts):
        if (folder / INFO).is_file():
            places = _PLACE.findall(str((blocks / Path(device).name).resolve())) if device else []
            found.append(Drive(str(folder), places[-1] if places else ""))
    return found


def at_place(place: str, among: Sequence[Port]) -> str:
    """The port at a place of the USB tree, "" if there is none."""
    return next((port.path for port in among if place and port.place == place), "")


def _mounted(mounts: Path) -> list[tuple[str, Path]]:
    """Device and folder of each file system; the device is "" where the system does not say it."""
    if sys.platform == "win32":
        return [("", Path(f"{letter}:\\")) for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return [("", folder) for folder in sorted(Path("/Volumes").glob("*"))]
    return [(row[0], Path(_unescaped(row[1]))) for row in rows if len(row) > 2 and row[2] in ("vfat", "msdos")]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
