"""Child processes that never outlive their parent.

1. A child gets SIGKILL from the kernel when the thread that started it ends (Linux), so kill -9 of the parent leaves none.
2. Standard error goes to a log file; standard output is read line by line as JSON where the child speaks JSON.
3. Stopping is: SIGTERM, a bounded wait, SIGKILL; always by process id. Ctrl-C on a terminal reaches the parent only: what
   it means for the children is the parent's to say.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel ends this process when its parent thread ends (no effect elsewhere than on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One running child: `pid`, its JSON lines, its end."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        """Starts the command; log is appended to."""
        self.name = name
        self.log = log
        self.command = list(command)
        self._env = {**os.environ, **(env or {})}
        self._lines: SimpleQueue[Mapping[str, object]] = SimpleQueue()
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._env,
                preexec_fn=die_with_parent,
                process_group=0,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def line(self, timeout_s: float) -> Mapping[str, object] | None:
        """The next JSON object it printed, or None if none came in time."""
        try:
            return self._lines.get(timeout=timeout_s)
        except Empty:
            return None

    def lines(self) -> Iterator[Mapping[str, object]]:
        """All JSON objects that are there now."""
        while (found := self.line(0)) is not None:
            yield found

    def wait(self, timeout_s: float) -> int | None:
        """Exit code, or None if it still runs after the wait."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL, at once; returns when it is gone and all it printed is here."""
        self._process.kill()
        self._process.wait()
        self._reader.join(2.0)

    def stop(self, patience_s: float = 3.0) -> None:
        """SIGTERM, then SIGKILL after the patience."""
        if self.exit_code is None:
            self._process.terminate()
            if self.wait(patience_s) is None:
                self.kill()
        self._reader.join(1.0)

    def last_words(self) -> str:
        """The last line of its log: what a user should read when it ended by itself."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        for raw in stdout:
            try:
                found = json.loads(raw)
            except ValueError:
                continue
            if isinstance(found, dict):
                self._lines.put(found)


@contextmanager
def stopping(children: list[Child]) -> Iterator[list[Child]]:
    """Stops every child of the list at the end, the youngest first, whatever happens."""
    try:
        yield children
    finally:
        for child in reversed(children):
            child.stop()
