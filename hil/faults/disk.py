"""A full disk: a small file system of its own, or a limit on the size of files.

1. `SmallDisk` is a tmpfs of a given size, for root on Linux. `fill` leaves a given number of bytes, `free` gives it all back.
2. `file_size_limit` needs no rights: what this process writes beyond it fails with EFBIG.
"""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from hil.faults import FaultUnavailable

_BALLAST = "ballast"


class SmallDisk:
    """A context manager over an empty folder; FaultUnavailable where nothing can be mounted."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._size = size

    def __enter__(self) -> "SmallDisk":
        if sys.platform != "linux" or os.geteuid() != 0:
            raise FaultUnavailable("a small file system needs root on Linux")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size},mode=700", "lightnode-rig", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FaultUnavailable(f"a small file system: {done.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

    @property
    def left(self) -> int:
        """Bytes that can still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, but: int = 0) -> None:
        """Takes the room, but for this many bytes, also while a program writes beside it."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            while (room := self.left - but) > 0:
                try:
                    file.write(bytes(min(room, 1 << 16)))
                except OSError as error:  # the program took it since
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Gives the room back."""
        (self.folder / _BALLAST).unlink(missing_ok=True)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond size bytes while it lasts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
