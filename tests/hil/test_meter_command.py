"""`lightnode-hil meter` as a user runs it: where it listens, how it ends, what it says to wrong words."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hil.meters.catalogue import models
from hil.meters.command import scheduled
from hil.meters.faults import Fault, FaultError, Kind
from hil.meters.rtu import crc16, serial_line
from hil.meters.truth import read_events, read_truth
from tests.hil.meter_lines import looping, registers, serial_master, station, tcp_master, value_of


@contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "hil", "meter", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    assert select.select([child.stdout], [], [], 20)[0], "it says nothing"
    return child.stdout.readline()


def where(child: subprocess.Popen[str]) -> Any:
    return json.loads(first_line(child))


def refused(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "hil", "meter", *words], capture_output=True, text=True, timeout=30)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr.strip()


def test_a_meter_on_tcp_plays_its_profile_and_stops_with_a_signal(tmp_path: Path) -> None:
    profile, truth = tmp_path / "p.csv", tmp_path / "truth.jsonl"
    profile.write_text("time_s,w_l1,w_l2,w_l3\n0,100,200,-50\n")
    with command("--model", "em340", "--tcp", "0", "--unit", "5", "--ct", "2", "--profile", str(profile), "--truth", str(truth),
                 "--fault", "slow:30@0-3600", "--json") as child:  # fmt: skip
        told = where(child)
        assert (told["model"], told["unit"]) == ("em340", 5)
        host, _, port = told["tcp"].rpartition(":")
        assert host == "127.0.0.1"
        with tcp_master(int(port)) as master:
            assert registers(master, 0x28, 2, unit=5) == [1_250, 0]
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=10)
    assert child.returncode == 0
    assert json.loads(out) == {"done": True, "requests": 1}
    assert read_truth(truth)[0].power_w == 250
    assert [e.event for e in read_events(truth)] == ["fault_on", "answer"]


def test_faults_are_switched_on_standard_input(tmp_path: Path) -> None:
    with command("--json") as child:
        path = where(child)["pty"]
        assert child.stdin is not None and child.stderr is not None
        with serial_master(path, 1.0) as master:
            assert value_of(registers(master, 0x34, 2), "float32") == 3_000
            for line, wanted in (("on sign_swap", -3_000), ("off sign_swap", 3_000)):
                child.stdin.write(f"nonsense\n{line}\n")
                child.stdin.flush()
                assert "'nonsense' is no command; write 'on FAULT' or 'off NAME'" in child.stderr.readline()
                assert wanted in [value_of(registers(master, 0x34, 2), "float32") for _ in range(20)]


def test_it_ends_by_itself_after_its_seconds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hil", "meter", "--seconds", "0.1"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and "sdm630, unit 1: /dev/" in done.stdout and "answered 0 requests" in done.stdout


def test_the_list_names_every_model_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    from hil.cli import main

    assert main(["meter", "--list"]) == 0
    shown = capsys.readouterr().out
    assert main(["meter", "--list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["model"] for r in rows] == models()
    assert all(r["source"] in shown for r in rows)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "sdm631x"], 2, "sdm631x is not a model; these are: "),
        (["--fault", "wobble"], 2, "'wobble' is not a fault; these are: silent"),
        (["--fault", "late@9-3"], 2, "late@9-3: after @ belongs FROM-TO in seconds"),
        (["--unit", "0"], 2, "--unit is 0, a number from 1 to 247 belongs here"),
        (["--base", "7"], 2, "sdm630 is no SunSpec meter"),
        (["--profile", "none.csv"], 1, "none.csv cannot be read"),
        (["--truth", "/dev/null/x"], 1, "/dev/null/x cannot be written"),
        (["--serial", "/dev/none"], 3, "/dev/none cannot be had"),
        (["--tcp", "1", "--host", "192.0.2.1"], 3, "192.0.2.1 port 1 cannot be had"),
    ],
)
def test_wrong_words_are_one_line_with_cause_and_cure(words: list[str], code: int, message: str) -> None:
    got, said = refused(*words)
    assert got == code and said.startswith(f"lightnode-hil meter: {message}"), said


def test_a_schedule_is_in_seconds_from_the_start() -> None:
    assert scheduled("late:700@10-20.5", 1_000) == Fault(Kind.LATE, 700, "", 100, 11_000, 21_500)
    assert scheduled("silent@10-", 1_000) == Fault(Kind.SILENT, 0, "", 100, 11_000, None)
    assert scheduled("noise~5", 1_000) == Fault(Kind.NOISE, 0, "", 5)
    for text in ("silent@", "silent@x-y", "silent@-5", "silent@5", "silent@nan-7", "silent@1-inf"):
        with pytest.raises(FaultError, match="in seconds from the start"):
            scheduled(text, 0)


def test_a_serial_port_answers_and_its_loss_is_told() -> None:
    """The port is one end of a pseudo terminal; the master speaks at the other."""
    master, slave = os.openpty()
    lost: list[bool] = []
    with looping() as loop:
        one = station("iem3155")

        async def listen() -> Any:
            return serial_line([one], os.ttyname(slave), 19_200, "E", 1, lost=lambda: lost.append(True))

        async def close(line: Any) -> None:
            line.close()

        line = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
        body = bytes.fromhex("01030bf30002")
        os.write(master, body + crc16(body))
        assert select.select([master], [], [], 5)[0]
        assert os.read(master, 64)[:3] == b"\x01\x03\x04"
        os.close(master)
        for _ in range(100):
            if lost:
                break
            select.select([], [], [], 0.02)
        asyncio.run_coroutine_threadsafe(close(line), loop).result(5)
    os.close(slave)
    assert lost == [True]
