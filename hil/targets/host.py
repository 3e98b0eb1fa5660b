"""The two targets that are processes on this computer: CPython, and MicroPython's unix VM."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hil.process import die_with_parent
from hil.runtime import RuntimePartMissing, micropython_command
from hil.targets.target import ASYNCIO, FLASH, NETWORK, TLS, UART, Job, ScriptFailed, TargetError, with_meter

FIRMWARE = Path(__file__).parents[2] / "firmware"


class CPython:
    """This interpreter, in a process of its own. Its asyncio has no MicroPython streams, so it reads no meter."""

    name = "cpython"
    capabilities = frozenset({NETWORK, TLS, FLASH})

    def missing(self) -> str:
        """Never missing."""
        return ""

    def run(self, job: Job) -> str:
        """What the script printed."""
        return _run(self.name, [sys.executable], {"PYTHONPATH": str(FIRMWARE)}, job)


class Vm:
    """MicroPython's unix port. heap: bytes of its heap."""

    name = "vm"
    capabilities = frozenset({NETWORK, TLS, ASYNCIO, FLASH, UART})

    def __init__(self, heap: int = 8 << 20) -> None:
        self._heap = heap

    def missing(self) -> str:
        """Why the VM cannot be had."""
        try:
            micropython_command()
        except RuntimePartMissing as missing:
            return str(missing)
        return ""

    def run(self, job: Job) -> str:
        """What the script printed."""
        command = [*micropython_command(), "-X", f"heapsize={self._heap}"]
        return _run(self.name, command, {"MICROPYPATH": f".frozen:{FIRMWARE}"}, job)


def _run(name: str, command: list[str], paths: dict[str, str], job: Job) -> str:
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        for file, content in job.files.items():
            (Path(folder) / file).write_bytes(content)
        script = Path(folder) / "script.py"
        script.write_text(with_meter(job.script, job.meter))
        try:
            done = subprocess.run(
                [*command, script.name],
                cwd=folder,
                env={**os.environ, **paths},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=job.timeout_s,
                preexec_fn=die_with_parent,
            )
        except subprocess.TimeoutExpired as late:
            raise TargetError(f"{name}: the script did not end within {job.timeout_s:g} s") from late
    if done.returncode:
        raise ScriptFailed(name, done.stderr or f"exit code {done.returncode}", done.stdout)
    return done.stdout
