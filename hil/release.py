"""Which release of the distribution the packages come from, and what signs it.

1. Ubuntu: the machine's own release, components main and universe, Ubuntu's keyring.
2. Debian: the machine's own release if apt knows a MicroPython in it that is new enough, else a given one; Debian's keyring.
3. Other systems are refused: which mirror and which key to trust there is not ours to guess.
"""

import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KEYRINGS = Path("/usr/share/keyrings")


@dataclass(frozen=True, slots=True)
class Release:
    """`origin` as the mirror's lists say it; `keyring` is the file that signs the suite."""

    origin: str
    suite: str
    components: str
    keyring: Path


def machine() -> Mapping[str, str]:
    """/etc/os-release; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def release(system: Mapping[str, str], otherwise: str, least: tuple[int, int]) -> Release:
    """Where a MicroPython of at least this version is, `otherwise` being Debian's suite. OSError if it is not known."""
    name, own = system.get("ID", ""), system.get("VERSION_CODENAME", "")
    if name == "ubuntu" and own:
        return Release("Ubuntu", own, "main universe", _KEYRINGS / "ubuntu-archive-keyring.gpg")
    if name == "debian":
        suite = own if own and _newest(own) >= least else otherwise
        return Release("Debian", suite, "main", _KEYRINGS / "debian-archive-keyring.gpg")
    raise OSError(f"packages are fetched on Debian and Ubuntu only, this is {name or 'neither'}")


def _newest(suite: str) -> tuple[int, int]:
    """Version of the MicroPython that the machine's own apt knows in the suite, (0, 0) if none."""
    listed = subprocess.run(["apt-cache", "madison", "micropython"], capture_output=True, text=True, check=False).stdout
    rows = re.findall(rf"\| *(\d+)\.(\d+)\S* *\| \S+ {re.escape(suite)}/main ", listed)
    return max(((int(major), int(minor)) for major, minor in rows), default=(0, 0))
