"""Whatever the file, every command that reads one answers in one line, at once, and takes no memory to speak of."""

import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.cli import main
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.finding import NotValid
from tests.backend.evidence.made import Made
from tests.backend.evidence.test_single import Traded, every_kind, files_of

HUGE = 100 * 1024 * 1024
LIMIT = 700 * 1024 * 1024


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    made: Made = Traded(tmp_path_factory.mktemp("bad"), every=75)
    found = {kind: text.encode() for kind, text in every_kind(made, files_of(made)).items()}
    return {**found, "bundle": made.sealed(made.bundle())}


FOREIGN: dict[str, Callable[[Path], None]] = {
    "huge": lambda path: path.write_bytes(b"{" + b" " * HUGE + b"}"),
    "huge and nested": lambda path: path.write_bytes(b"[" * HUGE),
    "huge and sparse": lambda path: (path.touch(), __import__("os").truncate(path, HUGE))[0],
    "nested": lambda path: path.write_text('{"format":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(100_000)),
    "table": lambda path: path.write_text("time_ms,power_w\n1,2\n"),
    "number": lambda path: path.write_text("7"),
    "list": lambda path: path.write_text("[]"),
    "empty": lambda path: path.touch(),
    "other format": lambda path: path.write_text('{"format":"lightnode-receipt/2"}'),
    "format of another type": lambda path: path.write_text('{"format":["lightnode-receipt/1"]}'),
    "anchors": lambda path: path.write_text('{"format":"lightnode-anchors/1"}'),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_one_line(name: str, tmp_path: Path) -> None:
    """In a process of its own with bounded memory."""
    FOREIGN[name](path := tmp_path / "file")
    done = subprocess.run(
        [sys.executable, "-m", "backend", "evidence", "verify", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr) < 400


def test_a_cut_file_is_refused_wherever_it_is_cut(
    good: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, path = random.Random(1), tmp_path / "cut"
    for data in good.values():
        for at in (0, 1, len(data) - 1, *(source.randrange(len(data)) for _ in range(5))):
            path.write_bytes(data[:at])
            assert main(["evidence", "verify", str(path)]) == 1
            assert capsys.readouterr().err.count("\n") == 1


def test_a_field_of_another_type_is_named(good: dict[str, bytes]) -> None:
    for kind in ("reading", "consistency"):
        document = json.loads(good[kind])
        for name in document:
            for value in (None, True, -1, [], {}, "zz", [[]], "00" * 40_000):
                if value == document[name] and type(value) is type(document[name]):
                    continue
                changed = json.dumps({**document, name: value}, sort_keys=True, separators=(",", ":"))
                with pytest.raises(NotValid):
                    verify(changed.encode(), None)
