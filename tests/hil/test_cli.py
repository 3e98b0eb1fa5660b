"""The rig's command line on a machine that lacks something, and with words it cannot take: one line, the right exit code."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hil.broker import Broker, BrokerUnavailable
from hil.pki import Pki

ROOT = Path(__file__).parents[2]


def lightnode_hil(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    command = [sys.executable, "-m", "hil", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def test_without_a_vm_the_demo_says_in_one_line_what_to_type(tmp_path: Path) -> None:
    done = lightnode_hil(
        "demo", "--out", str(tmp_path / "o"), PATH=str(tmp_path), LIGHTNODE_CACHE=str(tmp_path / "cache")
    )
    assert done.returncode == 3 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "micropython" in line and "install" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--speed", "0"], "0: a number from 1 to 10000, or 'max'"),
        (["--nodes", "11"], "11: a whole number from 12 to 16"),
        (["--seed", "-1"], "-1"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_allowed(words: list[str], says: str) -> None:
    done = lightnode_hil("demo", *words)
    assert done.returncode == 2 and says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, mosquitto: list[str], micropython: object) -> None:
    (tmp_path / "file").write_text("")
    done = lightnode_hil("demo", "--out", str(tmp_path / "file" / "out"))
    assert done.returncode == 1
    assert "name another folder with --out" in done.stderr.splitlines()[-1]


def test_a_port_in_use_is_named_with_its_cure(tmp_path: Path, mosquitto: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailable, match=f"port {port} is in use: stop the program"):
            Broker(tmp_path, Pki(tmp_path / "pki"), port).__enter__()
