"""Finds the MicroPython VM and mosquitto, or fetches the distribution's packages without root.

1. What is on PATH (or in /usr/sbin) is used first.
2. Else, on Debian and Ubuntu, the packages of a release that has both (release.py) are downloaded with a private apt
   state, unpacked into a cache folder and run through their own dynamic linker. Nothing on the system changes. About
   20 MB, once.
3. Else RuntimePartMissing says in one line what to type. So it does when the part that was found is too old.

The mirror is the one the machine's own apt uses. The cache is $LIGHTNODE_CACHE, else $XDG_CACHE_HOME/lightnode, else
~/.cache/lightnode.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hil.apt import PrivateApt, has_apt, reason
from hil.errors import PartMissing
from hil.release import Release, machine, release

SUITE = "trixie"
_PARTS = {"micropython": "usr/bin/micropython", "mosquitto": "usr/sbin/mosquitto"}
_CURES = {
    "micropython": "'apt install micropython' (Debian 13, Ubuntu 24.04 or later) or 'brew install micropython'",
    "mosquitto": "'apt install mosquitto' or 'brew install mosquitto'",
}
_LEAST = {"micropython": (1, 22), "mosquitto": (2, 0)}
_ASK = {"micropython": ["-c", "import sys; print(sys.implementation.version)"], "mosquitto": ["-h"]}
_VERSION = {"micropython": r"\((\d+), (\d+)", "mosquitto": r"mosquitto version (\d+)\.(\d+)"}
_NOT_NEEDED = (
    "-common",
    "libpam",
    "libsemanage",
    "libsepol",
    "libaudit",
    "libnewt",
    "libslang",
    "libdebian",
    "libtextwrap",
)


class RuntimePartMissing(PartMissing):
    """A system part that is neither there nor could be fetched; the message names the cure."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part} is not here and could not be fetched ({reason}): {_CURES[part]}")


class RuntimePartOld(RuntimePartMissing):
    """A system part of another version than we need; the message names both and the cure."""

    def __init__(self, part: str, where: str, found: tuple[int, int] | None) -> None:
        version = "of no known version" if found is None else "{}.{}".format(*found)
        needed = "{}.{}".format(*_LEAST[part])
        RuntimeError.__init__(self, f"{where} is {part} {version}, {needed} or later is needed: {_CURES[part]}")


def micropython_command() -> list[str]:
    """The command that starts the MicroPython VM (unix port), 1.22 or later."""
    return _command("micropython")


def mosquitto_command() -> list[str]:
    """The command that starts mosquitto, 2.0 or later."""
    return _command("mosquitto")


@cache
def _locate(part: str) -> tuple[str, ...]:
    command = _found(part)
    version = _version(part, command)
    if version is None or version < _LEAST[part]:
        raise RuntimePartOld(part, command[-1], version)
    return command


def _version(part: str, command: tuple[str, ...]) -> tuple[int, int] | None:
    """(major, minor) as the part itself says; None if it does not."""
    try:
        done = subprocess.run([*command, *_ASK[part]], capture_output=True, text=True, timeout=20, check=False)
    except (subprocess.TimeoutExpired, OSError, UnicodeDecodeError):
        return None
    said = re.search(_VERSION[part], done.stdout + done.stderr)
    return (int(said[1]), int(said[2])) if said else None


def _found(part: str) -> tuple[str, ...]:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    if found := shutil.which(part, path=path):
        return (found,)
    root = _runtime(part)
    binary = root / _PARTS[part]
    linkers = [p for where in ("usr/lib/*", "usr/lib", "lib/*") for p in sorted(root.glob(f"{where}/ld-linux*.so*"))]
    if not binary.exists() or not linkers:
        raise RuntimePartMissing(part, f"{root} is incomplete; delete it and try again")
    libraries = [str(p) for where in ("usr/lib", "lib") for p in sorted(root.glob(f"{where}/*-linux-gnu*"))]
    return (str(linkers[0]), "--library-path", os.pathsep.join(libraries), str(binary))


def _command(part: str) -> list[str]:
    return list(_locate(part))


def cache_folder() -> Path:
    """Where fetched parts are kept; made if it is not there."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightnode"
    folder = Path(os.environ.get("LIGHTNODE_CACHE") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time in this folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _runtime(part: str) -> Path:
    """The folder of the unpacked packages; fetched once, atomically, one process at a time."""
    if not has_apt():
        raise RuntimePartMissing(part, "this system has no apt")
    folder = cache_folder()
    try:
        source = release(machine(), SUITE, _LEAST["micropython"])
    except OSError as error:
        raise RuntimePartMissing(part, reason(error)) from error
    target = folder / f"runtime-{source.suite}"
    if target.exists():
        return target
    with locked(folder):
        if not target.exists():
            print(f"fetching micropython and mosquitto from the distribution into {target} (once)", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                try:
                    _fetch(Path(work), source)
                except (subprocess.CalledProcessError, OSError) as error:
                    raise RuntimePartMissing(part, reason(error)) from error
                (Path(work) / "root").rename(target)
    return target


def _fetch(work: Path, source: Release) -> None:
    apt = PrivateApt(work / "apt", source)
    apt.run("apt-get", "download", *_packages(apt.needed(*_PARTS)))
    apt.unpack(work / "root")


def _packages(names: set[str]) -> list[str]:
    needed = {n for n in names if n.startswith("lib") or n in _PARTS}
    return sorted(n for n in needed if not any(n.startswith(w) or n.endswith(w) for w in _NOT_NEEDED))


def main() -> None:
    """Prints the two commands as one JSON object."""
    print(json.dumps({"micropython": micropython_command(), "mosquitto": mosquitto_command()}))


if __name__ == "__main__":
    main()
