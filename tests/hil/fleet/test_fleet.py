"""A small fleet through every storm: nothing lost, nothing twice, and what is not so is said with exit code 1."""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.broker import Broker
from hil.cli import main
from hil.fleet.options import add_arguments, options_of
from hil.fleet.run import allow_files
from hil.pki import Pki
from hil.process import Child


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_storms_come_in_order_of_time() -> None:
    options = options_of(parsed("--storm", "backend@2", "--storm", "sessions@0.5", "--nodes", "1"))
    assert [(storm.kind, storm.after_ms) for storm in options.storms] == [("sessions", 30_000), ("backend", 120_000)]
    assert options.workers == 1


@pytest.mark.parametrize("words", [("--storm", "flood@1"), ("--storm", "broker"), ("--nodes", "0"), ("--speed", "-1")])
def test_wrong_usage_names_what_is_allowed(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*words)
    assert ended.value.code == 2
    assert words[1] in capsys.readouterr().err


def test_a_limit_of_open_files_that_is_too_low_is_said_in_one_line() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    said: list[str] = []
    allow_files(before[1] + 1, said.append)
    assert len(said) == 1 and str(before[1]) in said[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_fleet_survives_every_storm_without_a_loss(
    tmp_path: Path, mosquitto: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Child] = []
    first = Child.__init__

    def noted(self: Child, *given: object, **named: object) -> None:
        first(self, *given, **named)  # type: ignore[arg-type]
        started.append(self)

    monkeypatch.setattr(Child, "__init__", noted)
    words = ["--nodes", "12", "--minutes", "3", "--speed", "max", "--out", str(tmp_path), "--json"]
    storms = ["sessions@0.5", "reboot@1", "broker@1.5", "backend@2"]
    code = main(["fleet", *words, *(word for storm in storms for word in ("--storm", storm))])
    summary = json.loads(capsys.readouterr().out)
    assert code == 0 and summary["balanced"]
    assert summary["produced"] == summary["stored"] == 12 * 45
    assert summary["lost"] == summary["altered"] == summary["duplicated"] == summary["refused"] == 0
    assert summary["duplicates"] > 0, "after a storm nodes send again what they have no delivery for"
    assert summary["sessions"] >= 3 * 12 and summary["alarms"] == 0
    boots = {json.loads(line)["boot"] for path in tmp_path.glob("produced-*.jsonl") for line in path.open()}
    assert boots == {1, 2}
    assert len(started) == 6 and all(child.exit_code is not None for child in started)


@pytest.mark.long
def test_a_fleet_uses_a_broker_that_runs_already(
    tmp_path: Path, mosquitto: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pki = Pki(tmp_path / "authority")
    pki.keep_key()
    with Broker(tmp_path / "broker", pki) as broker:
        where = ["--broker", f"{broker.host}:{broker.port}", "--authority", str(tmp_path / "authority")]
        words = ["--nodes", "3", "--minutes", "0.4", "--speed", "max", "--out", str(tmp_path / "out"), "--json"]
        assert main(["fleet", *words, *where]) == 0
        assert broker.alive
    assert json.loads(capsys.readouterr().out)["stored"] == 3 * 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--broker", "127.0.0.1:1"], "go together"),
        (["--broker", "127.0.0.1:1", "--authority", ".", "--storm", "broker@1"], "of the fleet's own"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def alive_in(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to see processes")
def test_no_process_is_left_after_kill_9(tmp_path: Path, mosquitto: list[str]) -> None:
    command = [sys.executable, "-m", "hil", "fleet", "--nodes", "4", "--minutes", "60", "--out", str(tmp_path)]
    fleet = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert fleet.stderr is not None
    assert any(line.startswith("slot 0") for line in fleet.stderr)
    assert len(alive_in(tmp_path)) >= 5, "fleet, broker, back end, two workers"
    fleet.kill()
    fleet.wait()
    end = time.monotonic() + 10
    while alive_in(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive_in(tmp_path) == []
