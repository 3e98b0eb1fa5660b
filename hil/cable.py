"""A technician's cable to a light node on this computer: its console on a pseudo terminal, while time goes on.

1. The node runs in the bench's place of its own process, with the same settings, keys and journal.
2. The device and the technician each hold a pseudo terminal of their own; a thread carries bytes between the two.
3. While the cable is there, a thread of its own lets the bench tick, so that whoever asks the device can wait for it.
"""

import os
import pty
import select
import subprocess
import threading
import tty
from pathlib import Path
from types import TracebackType

from hil.bench import Bench, BenchError
from hil.process import die_with_parent

_JOIN_S = 30.0
_PAUSE_S = 0.05


class Cable:
    """A context manager; `port` is what a technician names."""

    def __init__(self, bench: Bench, pod: str) -> None:
        self._bench = bench
        self._node = bench.nodes[pod]
        self._pod = pod
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._ends: list[int] = []
        self.port = ""

    def __enter__(self) -> "Cable":
        node, bench = self._node, self._bench
        bench.kill_node(self._pod)
        node.settings["trace"] = False  # readings would be printed where the console is
        node.save()
        self._ends = [*pty.openpty(), *pty.openpty()]
        for terminal in self._ends[1::2]:
            tty.setraw(terminal)
        link = node.folder / "console"
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._ends[3]))
        self.port = str(link)
        self._errors = (node.folder / "console.log").open("ab")
        self._process = subprocess.Popen(
            node.command("console"),
            env={**os.environ, **node.environment},
            stdin=self._ends[1],
            stdout=self._ends[1],
            stderr=self._errors,
            preexec_fn=die_with_parent,
        )
        if bench.conductor.wait_for([f"node/{node.device.hex()}"], _JOIN_S):
            raise BenchError(f"{self._pod}: no console; see {self._errors.name}")
        for work in (self._tick, self._carry):
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._bench.conductor.dismiss(f"node/{self._node.device.hex()}")
        self._process.kill()
        self._process.wait()
        for end in self._ends:
            os.close(end)
        Path(self.port).unlink(missing_ok=True)
        self._errors.close()
        if self._failure is not None and error is None:
            raise self._failure

    def _tick(self) -> None:
        """Rule 3."""
        try:
            while not self._stop.wait(_PAUSE_S):
                self._bench.tick()
        except BaseException as failure:
            self._failure = failure

    def _carry(self) -> None:
        """Rule 2."""
        device, technician = self._ends[0], self._ends[2]
        other = {device: technician, technician: device}
        while not self._stop.is_set():
            for end in select.select([device, technician], [], [], _PAUSE_S)[0]:
                os.write(other[end], os.read(end, 4096))
