"""Exclusive leases: one program at a time has a port, a switch or a meter of the lab.

1. A lease is a lock of the kernel on a file in the leases' folder: it ends with its process, however that ends.
2. The file says who has it, for the message to the one who has to wait; what it says decides nothing.
"""

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hil.errors import PartMissing
from hil.runtime import cache_folder


class LeaseTaken(PartMissing):
    """Another process has it; the message names the thing, the process and since when."""


def leases_folder() -> Path:
    """Where the locks of this user's machine lie; made if it is not there."""
    folder = cache_folder() / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def lease(thing: str, folder: Path | None = None) -> Iterator[None]:
    """Holds `thing` (a device path, or a name of the lab file) for this process. LeaseTaken at once if another has it."""
    path = (folder or leases_folder()) / (
        re.sub(r"[^A-Za-z0-9.-]", "_", os.path.realpath(thing) if "/" in thing else thing) + ".lease"
    )
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LeaseTaken(f"{thing} is in use by {_holder(path)}: wait for it or stop it") from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "program": " ".join(sys.argv[:3]), "since": time.time()}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        since = time.strftime("%H:%M:%S", time.localtime(said["since"]))
        return f"process {said['pid']} ({said['program']}) since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
