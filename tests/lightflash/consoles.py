"""A device's console on a pseudo terminal: the application's own console code, answers given by the test."""

import asyncio
import os
import select
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightnode.console import Console

ID = "0123456789abcdef"
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "version": {"firmware": "0.1.0", "platform": "esp32", "python": "1.26.1"},
    "key": {"device": ID, "generation": 1, "public_key": "02" * 33, "key_sha256": "ab" * 32, "certificate_sha256": "cd" * 32},
    "status": {
        "device": ID, "fill_permille": 125, "pending": 3, "on_trial": False, "release": 12, "updates_refused": 0, "refused": 0,
        "uptime_s": 60, "reset_cause": "power", "fault": "none", "alarms": 0, "restarts": 1,
    },
    "network": {
        "link": "up, 10.0.0.7", "broker": "broker.example:8883", "connected": True, "sessions": 2, "pending": 3,
        "clock_trusted": True, "clock_error_ms": 12, "utc_ms": 1_796_040_000_000,
    },
    "meter": {
        "map": "sdm630", "unit": 1, "power_w": 50_123, "reactive_var": -20, "import_wh": 1000, "export_wh": 0,
        "frequency_mhz": 50_010, "voltage_l1_mv": 230_400, "voltage_l2_mv": 230_500, "voltage_l3_mv": 230_600,
    },
}  # fmt: skip


class Stream:
    """The device's end of the line."""

    def __init__(self, end: int, halt: int, echoes: bool) -> None:
        self.end = end
        self.halt = halt
        self.echoes = echoes

    async def read(self) -> bytes:
        """One byte; b"" when the line is taken away."""
        if self.halt in select.select([self.end, self.halt], [], [])[0]:
            return b""
        return os.read(self.end, 1)

    async def write(self, data: bytes) -> None:
        """To the other end."""
        os.write(self.end, data)


class Line:
    """A pseudo terminal: `port` is the technician's end, `end` the device's."""

    def __init__(self, folder: Path) -> None:
        self.end, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = str(folder / "port")
        Path(self.port).symlink_to(os.ttyname(self._slave))

    def close(self) -> None:
        """The cable is pulled."""
        Path(self.port).unlink(missing_ok=True)
        for end in (self.end, self._slave):
            if end >= 0:
                os.close(end)
        self.end = self._slave = -1


def answering(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Commands of a console that give these answers."""

    def command(answer: Mapping[str, Any]) -> Any:
        async def give() -> Mapping[str, Any]:
            return answer

        return give

    return {name: ("", command(answer)) for name, answer in answers.items()}


@contextmanager
def console(folder: Path, commands: Mapping[str, Any] | None = None, echoes: bool = True) -> Iterator[str]:
    """The port of a device with these commands."""
    line = Line(folder)
    halt, stop = os.pipe()
    made = Console(Stream(line.end, halt, echoes), answering(ANSWERS) if commands is None else commands)
    thread = threading.Thread(target=lambda: asyncio.run(made.run()), daemon=True)
    thread.start()
    try:
        yield line.port
    finally:
        os.close(stop)
        thread.join(5)
        line.close()
        os.close(halt)
