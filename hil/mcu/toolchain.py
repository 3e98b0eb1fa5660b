"""What the chip needs of this computer: a compiler for Arm, make, and the emulator.

1. What is on PATH is used.
2. Else, as root on Debian and its kin, apt installs it: a test set-up is made by the tests themselves.
3. Else the packages of the machine's own release are unpacked into the cache, without root. About 500 MB, once.
4. Else ToolchainMissing says in one line what to type.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hil.apt import PrivateApt, has_apt, reason
from hil.errors import PartMissing
from hil.release import Release, machine, release
from hil.runtime import cache_folder, locked

_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make", "dpkg-source")
_PACKAGES = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm", "make", "dpkg-dev")
_CURE = f"'apt install {' '.join(_PACKAGES)}'"
_HOSTS_OWN = ("libc6", "libc-bin", "libgcc-s1", "libstdc++6", "libcrypt1")


class ToolchainMissing(PartMissing):
    """The chip cannot be built or run here; the message names the cure."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the emulated chip cannot be had ({why}): {_CURE} (Debian, Ubuntu)")


def environment() -> dict[str, str]:
    """The environment in which the tools are on PATH; ToolchainMissing if they cannot be had."""
    here = dict(os.environ)
    if not _absent(here):
        return here
    folder = cache_folder()
    unpacked = folder / "toolchain"
    with locked(folder):
        if not unpacked.exists() and _install() and not _absent(here):
            return here
        try:
            if not unpacked.exists():
                _unpack(folder, unpacked)
        except (subprocess.SubprocessError, OSError) as error:
            raise ToolchainMissing(reason(error)) from error
    found = _with(unpacked, here)
    if absent := _absent(found):
        raise ToolchainMissing(f"{unpacked} has no {absent[0]}")
    return found


def _absent(env: dict[str, str]) -> list[str]:
    return [tool for tool in _TOOLS if not shutil.which(tool, path=env.get("PATH", ""))]


def _install() -> bool:
    """Whether apt, which wants root, installed them (rule 2); one that cannot leaves it to rule 3."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"installing {', '.join(_PACKAGES)} (once)", file=sys.stderr)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *_PACKAGES]
    for command in (["apt-get", "-qq", "update"], install):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            print(f"{' '.join(command[:3])}: {done.stderr.strip()[-300:]}", file=sys.stderr)
    return done.returncode == 0


def _unpack(folder: Path, target: Path) -> None:
    if not has_apt():
        raise OSError("this system has no apt")
    print(f"fetching {', '.join(_PACKAGES)} from the distribution into {target} (once)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        apt = PrivateApt(Path(work) / "apt", _own())
        wanted = {n for n in apt.needed(*_PACKAGES) if n in _PACKAGES or n.startswith(("lib", "binutils-arm", "dpkg"))}
        apt.run("apt-get", "download", *sorted(wanted - set(_HOSTS_OWN)))
        apt.unpack(Path(work) / "root")
        (Path(work) / "root").rename(target)


def _own() -> Release:
    """The machine's own release: its libraries are those that the unpacked programs meet."""
    return release(machine(), "", (0, 0))


def _with(root: Path, env: dict[str, str]) -> dict[str, str]:
    libraries = [str(p) for p in sorted(root.glob("usr/lib/*-linux-gnu*"))]
    paths = {
        "PATH": [str(root / "usr/bin")],
        "LD_LIBRARY_PATH": libraries,
        "PERL5LIB": [str(root / "usr/share/perl5")],
        "C_INCLUDE_PATH": [str(root / "usr/include/newlib")],  # the compiler looks for its headers from the root only
    }
    return {**env, **{k: os.pathsep.join([*v, *filter(None, [env.get(k, "")])]) for k, v in paths.items()}}
