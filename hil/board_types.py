"""Checks the firmware's types against MicroPython's own stubs, once for each board that is sold, with mypy and pyright.

1. For a board everything is checked but the other boards' files. Errors inside the stubs are not ours and do not count.
2. Stubs and pyright are pinned with hashes in `typings/` and kept in the environment; what is there is not fetched again.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hil.errors import PartMissing

BOARDS = ("esp32", "rp2")
FIRMWARE = Path(__file__).parents[1] / "firmware"
_PINS = Path(__file__).parent / "typings"
_PACKAGES = ("lightboot", "lightnode", "lightwire", "device")


class StubsMissing(PartMissing):
    """The stubs cannot be installed; the message has pip's reason."""


def findings(firmware: Path = FIRMWARE) -> list[str]:
    """One line for each error of each checker and board; empty if all is well. StubsMissing if they cannot be had."""
    tools = _installed("tools")
    jobs = [(check, board, _installed(board)) for board in BOARDS for check in (_mypy, _pyright)]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda job: [f"{job[1]}: {line}" for line in job[0](firmware, job[1], job[2], tools)], jobs)
        return [line for lines in found for line in lines]


def _installed(name: str) -> Path:
    """The folder with the packages of typings/NAME.txt."""
    pins = _PINS / f"{name}.txt"
    folder = Path(sys.prefix) / "typings" / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--target", f"{work}/found", "-r", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StubsMissing(f"{pins.name} cannot be installed: {(done.stderr.strip() or '?').splitlines()[-1]}")
        (Path(work) / "found").rename(folder)
    return folder


def _sources(firmware: Path, board: str) -> list[str]:
    others = {f"board_{name}.py" for name in (*BOARDS, "unix", "mps2") if name != board}
    folders = (*_PACKAGES, f"device/{board}")
    found = [p for folder in folders for p in sorted((firmware / folder).glob("*.py")) if p.name not in others]
    return [str(p) for p in found]


def _mypy(firmware: Path, board: str, stubs: Path, _tools: Path) -> Iterator[str]:
    foreign = ",".join(sorted({f"mypy-{p.stem},mypy-{p.stem}.*" for p in stubs.iterdir() if p.suffix in ("", ".pyi")}))
    with tempfile.TemporaryDirectory() as work:
        config = Path(work) / "mypy.ini"
        config.write_text(
            f"[mypy]\nstrict = true\nmypy_path = {stubs}:{firmware}\ncustom_typeshed_dir = {stubs}\n"
            "explicit_package_bases = true\nwarn_unused_ignores = false\n"
            "disable_error_code = no-untyped-def,no-untyped-call,no-any-return\n"
            f"cache_dir = {Path(sys.prefix) / 'typings' / f'cache-{board}'}\n"
            f"[{foreign}]\nignore_errors = true\n"
        )
        command = [sys.executable, "-m", "mypy", "--config-file", str(config), *_sources(firmware, board)]
        done = subprocess.run(command, cwd=firmware, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines() + done.stderr.splitlines():
        if ": error:" in line and str(firmware / line.split(":")[0]) in _sources(firmware, board):
            yield f"mypy: {line}"
    if done.returncode > 1:
        yield f"mypy: it ended with exit code {done.returncode}"


def _pyright(firmware: Path, board: str, stubs: Path, tools: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as work:
        config = Path(work) / "pyrightconfig.json"
        (Path(work) / "typings").symlink_to(stubs)  # it takes no absolute path
        for package in filter(lambda name: (firmware / name).exists(), _PACKAGES):
            shutil.copytree(firmware / package, Path(work) / package, ignore=shutil.ignore_patterns("__pycache__"))
        settings = {
            "include": [str(Path(path).relative_to(firmware)) for path in _sources(firmware, board)],
            "extraPaths": ["."],
            "stubPath": "typings",
            "typeshedPath": "typings",
            "pythonVersion": "3.11",
            "pythonPlatform": "Linux",
            "typeCheckingMode": "standard",
            "reportMissingModuleSource": "none",
        }
        config.write_text(json.dumps(settings))
        env = {**os.environ, "PYTHONPATH": str(tools), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
        command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(config)]
        done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        yield f"pyright: it ended with exit code {done.returncode}: {done.stderr.strip()[-200:]}"
        return
    for entry in report["generalDiagnostics"]:
        file = os.path.relpath(entry["file"], os.path.realpath(work))
        if entry["severity"] == "error" and file.startswith(_PACKAGES):
            where = f"{file}:{entry['range']['start']['line'] + 1}"
            yield f"pyright: {where}: {entry['message'].splitlines()[0]}"
    if not report["summary"]["filesAnalyzed"]:
        yield "pyright: it looked at no file"
