"""Cables pulled and programs killed in the middle of every command: a device runs or is named, and a repeat completes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lightflash.serviced import CONFIG, POD, STATE, Serviced, Site, built, device, made, now_ms
from tests.lightflash.test_service import ROOT, flash, states

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("micropython", "mosquitto"), pytest.mark.timeout(600)]
NONCE = "0f" * 16
COMMANDS = ("update", "rollback", "rotate-key", "factory-reset")
SAMPLE = {"update": (1, 9, 60, 170), "rollback": (2, 5, 9), "rotate-key": (2, 4, 6), "factory-reset": (3, 12, 25, 60)}
MOST = {"update": 400, "rollback": 14, "rotate-key": 10, "factory-reset": 90}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "transfers" in metafunc.fixturenames:
        every = bool(metafunc.config.getoption("--every-cut"))
        cases = [(c, n) for c in COMMANDS for n in (range(1, MOST[c]) if every else SAMPLE[c])]
        metafunc.parametrize(("command", "transfers"), cases)


@pytest.fixture
def serviced(tmp_path: Path) -> Iterator[Serviced]:
    """A device that runs sequence 10 and is well."""
    with Site(tmp_path / "site") as site:
        found = device(site, tmp_path / "device")
        with found.board:
            found.is_well()
            yield found


def words(command: str, of: Serviced, folder: Path) -> list[str]:
    """The command line, once what it needs is there."""
    if command == "update":
        build = folder / "build11"
        if not build.exists():
            built(build, made(11, of.site.identity.deployment))
        return ["update", "--build", str(build), "--port", of.port, "--wait", "60"]
    if command == "rotate-key":
        return ["rotate-key", "--port", of.port, "--nonce", NONCE, "--out", str(folder / "rotation.json")]
    if command == "factory-reset":
        return ["factory-reset", "--port", of.port, "--device", of.id]
    return ["rollback", "--port", of.port]


def prepared(command: str, of: Serviced, folder: Path) -> list[str]:
    """The same; for a rollback there is a release before the present one."""
    if command == "rollback":
        flash(folder, *words("update", of, folder))
        of.is_well()
    return words(command, of, folder)


def check(command: str, of: Serviced, folder: Path) -> None:
    """What the command promises is true of the device."""
    if command == "factory-reset":
        of.board.unplug()
        files = of.on_flash()
        assert CONFIG not in files and f"{STATE}/wlan" not in files
        assert files[f"{STATE}/device.key"] == of.files[f"{STATE}/device.key"]
        return
    of.is_well()
    if command == "rotate-key":
        said = json.loads((folder / "rotation.json").read_text())
        assert said["generation"] == 2
        register = of.site.backend.register
        register.approve(bytes.fromhex(said["enrolment"]), bytes.fromhex(NONCE), "node", POD, now_ms())
        return
    running = of.asks("releases", lambda said: not said["on_trial"])["running"]
    assert running == (11 if command == "update" else 10)


def test_a_cable_pulled_after_any_transfer_leaves_a_device_that_runs_or_is_named_and_the_repeat_completes(
    tmp_path: Path, serviced: Serviced, command: str, transfers: int
) -> None:
    line = prepared(command, serviced, tmp_path)
    serviced.board.plug(transfers)
    first = flash(tmp_path, *line, code=None)
    assert first.returncode in (0, 1, 3, 4), first.stderr
    serviced.board.plug()
    if first.returncode:
        assert serviced.port in first.stderr and first.stderr.strip().splitlines()[-1].count(";") >= 1, first.stderr
        named = states(tmp_path).get(serviced.id) if (tmp_path / "log" / "status.json").exists() else None
        if named != "half-done" and command != "factory-reset":
            serviced.is_well()
    second = flash(tmp_path, *line)
    assert states(tmp_path)[serviced.id] == "done", second.stdout
    check(command, serviced, tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flasher_killed_at_any_moment_leaves_what_a_repeat_completes(
    tmp_path: Path, serviced: Serviced, command: str
) -> None:
    seed = int(os.environ.get("LIGHTNODE_SEED", str(random.randrange(1 << 32))))
    print(f"repeat it with LIGHTNODE_SEED={seed}")
    draw = random.Random(seed)
    line = prepared(command, serviced, tmp_path)
    line += ["--to", "10"] if command == "rollback" else []  # one that ended before its kill is not to go forward again
    for _ in range(3):
        killed(tmp_path, line, draw.uniform(0.3, 6.0))
    flash(tmp_path, *line)
    assert states(tmp_path)[serviced.id] == "done"
    check(command, serviced, tmp_path)


def killed(folder: Path, line: list[str], after_s: float) -> None:
    """kill -9 after so long, if it has not ended by then."""
    command = [sys.executable, "-m", "lightflash", *line, "--log", str(folder / "log")]
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT / "firmware")}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + after_s
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
