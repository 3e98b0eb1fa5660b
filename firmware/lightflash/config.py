"""A device's settings, checked here by the rules that the device has, so that what is written is taken there.

1. The device's own module decides: what it takes is taken, what it refuses is refused in its words.
2. A secret in it is refused like every key that the device does not know: by its name, its value is not shown.
3. For a board they also have to fit it: the journal its region, the UART a number, the class that updates are signed for.
"""

from pathlib import Path

from lightnode import settings
from lightnode.errors import SettingsError

from lightflash.board import Board
from lightflash.errors import FlashError

_CURE = "correct the file, firmware/device/config.example.json has every key"
_ROOT = "/app"  # where device/main.py and the image have it


def checked(path: Path, board: Board | None = None) -> settings.Settings:
    """The settings in a file, for any board or for this one; FlashError in one line: file, key, value, what belongs there."""
    try:
        found = settings.load(str(path))
    except SettingsError as error:
        raise FlashError("config", str(error), _CURE) from error
    if board is not None:
        wrong = misfit(found, board)
        if wrong:
            raise FlashError("config", f"{path}: {wrong} on {board.name}", _CURE)
    return found


def misfit(of: settings.Settings, board: Board) -> str:
    """What of the settings does not fit a board (rule 3), "" if all does."""
    journal = board.region("journal")
    if journal and of.value("journal.bytes") > journal.bytes:
        return f"journal.bytes is {of.value('journal.bytes')}, at most {journal.bytes} belongs there"
    if of.value("journal.bytes") % board.sector_bytes:
        return f"journal.bytes is {of.value('journal.bytes')}, whole sectors of {board.sector_bytes} belong there"
    if journal and journal.label and of.value("journal.path") != journal.label:
        return f"journal.path is {of.value('journal.path')!r}, the partition {journal.label!r} belongs there"
    if of.value("hardware") != board.hardware and (of.value("hardware") != "unknown" or of.value("update.key")):
        return f"hardware is {of.value('hardware')!r}, {board.hardware!r} belongs there"
    return _misfit_in_service(of) if board.firmware.kind != "none" else ""


def _misfit_in_service(of: settings.Settings) -> str:
    """On a board that is sold: no rig around it, and its image as it is built."""
    if not of.value("meter.port").isdecimal():
        return f"meter.port is {of.value('meter.port')!r}, the number of a UART belongs there"
    if not of.value("state_dir").startswith("/"):
        return f"state_dir is {of.value('state_dir')!r}, a path from / belongs there"
    if of.value("update.root") != _ROOT:
        return f"update.root is {of.value('update.root')!r}, {_ROOT!r} belongs there"
    if of.value("conductor") is not None:
        return f"conductor is {of.value('conductor')!r}, null belongs there"
    return ""
