"""A node that nobody visits, with every real part: its health at the back end, its console, its resets, its secrets."""

import base64
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightwire import records

from hil.bench import Bench
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.nodes import FIRMWARE
from hil.process import die_with_parent
from hil.runtime import micropython_command
from hil.targets.meter_line import on_a_terminal
from tests.targets.test_application import CONFIG

POD = "IT001E00000041"
QUARTER_MS = 1_796_040_000_000
START_MS = QUARTER_MS - 100_000  # 25 slots before it


@pytest.fixture
def bench(tmp_path: Path, mosquitto: list[str], micropython: object) -> Iterator[Bench]:
    with Bench(tmp_path / "bench", pods=[POD], start_ms=START_MS) as made:
        yield made


def stored(bench: Bench, kind: int) -> list[Any]:
    kept = bench.backend.store.of_kind(bench.nodes[POD].device, kind)
    return [records.decode(m.sealed[10:-66]) for m in kept]


class Console:
    """A light node with the installer's console on a pseudo terminal, in the place of the bench's own process."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        node = bench.nodes[POD]
        bench.kill_node(POD)
        node.settings["trace"] = False  # readings are printed where the console is, and print waits
        node.save()
        self.master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.errors = (node.folder / "errors").open("w+")
        self.process = subprocess.Popen(
            node.command("console"),
            env={**os.environ, **node.environment},
            stdin=slave,
            stdout=slave,
            stderr=self.errors,
            preexec_fn=die_with_parent,
        )
        os.close(slave)
        self.heard = b""
        assert not bench.conductor.wait_for([f"node/{node.device.hex()}"], 30, lambda: None)

    def say(self, command: str, until: str) -> str:
        """What it answered; time goes on meanwhile, and no slot is missed."""
        os.write(self.master, command.encode() + b"\n")
        return self.hear(until)

    def hear(self, until: str) -> str:
        begin = len(self.heard)
        for _ in range(100):
            self.bench.tick()
            while select.select([self.master], [], [], 0.05)[0]:
                self.heard += os.read(self.master, 4096)
            if until.encode() in self.heard[begin:]:
                return self.heard[begin:].decode()
        raise AssertionError(f"{until!r} did not come: {self.heard[begin:]!r}")

    def close(self) -> None:
        self.bench.conductor.dismiss(f"node/{self.bench.nodes[POD].device.hex()}")
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        self.errors.close()


@pytest.fixture
def console(bench: Bench) -> Iterator[Console]:
    bench.warm_up()
    made = Console(bench)
    yield made
    made.close()


@pytest.mark.long
def test_its_health_reaches_the_back_end_in_the_statement_of_its_quarter_hour(bench: Bench) -> None:
    bench.warm_up()
    while bench.conductor.now_ms < QUARTER_MS + 8_000:
        bench.tick()
    bench.drain()
    made = stored(bench, records.DIAGNOSTICS)
    assert [r.time_ms for r in made] == [QUARTER_MS]
    last = made[-1]
    assert last.seq in {s.last_seq for s in stored(bench, records.STATEMENT)}
    assert (last.reset_cause, last.fault, last.restarts, last.alarms, last.flags) == (records.RESET_POWER, 0, 0, 0, 0)
    assert last.sessions >= 1 and last.fill_permille <= 1000
    assert 100_000 < last.heap_block_bytes <= last.heap_free_bytes < 4 << 20
    assert bench.backend.collect.refused == 0


@pytest.mark.timeout(600)
@pytest.mark.long
def test_a_receipt_that_does_not_come_is_an_alarm_in_its_diagnostics_and_a_finding_of_the_back_end(
    tmp_path: Path, mosquitto: list[str], micropython: object
) -> None:
    late = {POD: {"receipt_late_s": 900}}
    with Bench(tmp_path, pods=[POD], start_ms=START_MS, node_settings=late) as bench:

        def without_receipts(utc_ms: int) -> dict[str, object]:
            bench.backend.collect.deliver(utc_ms)
            return {}

        bench.step_backend = without_receipts
        bench.warm_up()
        while bench.conductor.now_ms < QUARTER_MS + 1_800_000 + 8_000:
            bench.tick()
        bench.drain()
        assert [(r.time_ms - QUARTER_MS, r.alarms) for r in stored(bench, records.DIAGNOSTICS)] == [
            (0, 0),
            (900_000, 1),  # of the time before trust, whose statement ended with the clock link
            (1_800_000, 2),
        ]
        device = bench.nodes[POD].device.hex()
        found = [what for _, what in bench.backend.store.findings() if "alarms" in what]
        assert [what.split(": late")[0] for what in found] == [
            f"{device}: alarms, 1 new, 1 since start 1",
            f"{device}: alarms, 1 new, 2 since start 1",
        ]
        facts = bench.facts[POD]
        assert facts["receipts_late"] == facts["alarms"] >= 2 and facts["receipts"] == 0


def test_the_installer_sees_meter_key_and_network_while_the_node_works(console: Console) -> None:
    device = console.bench.nodes[POD].device.hex()
    assert f"device: {device}" in console.say("key", "key_sha256")
    line = next(row for row in console.say("meter json", "}}").splitlines() if "command" in row)
    found = json.loads(line)
    assert 45_000 < found["answer"]["power_w"] < 55_000 and found["answer"]["voltage_l1_mv"] > 200_000
    assert isinstance(found["answer"]["suspect"], bool)
    network = console.say("network", "utc_ms")
    assert "broker: 127.0.0.1:" in network and "connected: True" in network
    assert "no such command, try help" in console.say("x" * 30, "help")
    assert "too long" in console.say("x" * 300, "long")
    assert "restart" in console.say("help", "version")
    first = console.say("log", "connected value=True").splitlines()[0]
    assert re.fullmatch(r"\d+\.\d{3} start cause=power text=", first.strip())


@pytest.mark.long
def test_who_does_not_read_the_console_delays_no_slot(console: Console) -> None:
    console.say("version", "python")
    before = console.bench.facts[POD]["produced"]
    told = 0
    for _ in range(60):
        while told < 100_000 and select.select([], [console.master], [], 0)[1]:
            told += os.write(console.master, b"help\n" * 20)
        console.bench.tick()
        time.sleep(0.05)
    assert console.bench.facts[POD]["produced"] == before + 60
    waiting = 0
    while select.select([console.master], [], [], 0.2)[0]:
        waiting += len(os.read(console.master, 65536))
    assert waiting > 16_384  # the terminal was full


def test_a_restart_by_command_is_reported_by_the_next_start(console: Console) -> None:
    console.say("status", "uptime_s")
    os.write(console.master, b"restart\n")
    assert console.process.wait(20) == 4
    bench = console.bench
    bench.conductor.dismiss(f"node/{bench.nodes[POD].device.hex()}")
    reason = bench.nodes[POD].folder / "reason"
    assert reason.read_bytes()[:2] == bytes((records.RESET_COMMAND, records.TASK_CONSOLE))
    bench.start_node(POD)
    bench.warm_up()
    bench.drain()
    assert reason.read_bytes() == b""
    told = [(r.reset_cause, r.fault) for r in stored(bench, records.DIAGNOSTICS)]
    assert (records.RESET_COMMAND, records.TASK_CONSOLE) in told
    errors = (bench.nodes[POD].folder / "errors").read_text()
    assert errors == "lightnode: to be started again: command, console: asked for on the console\n"


COMMANDS = (
    "status", "meter", "key", "sign", "setpoint", "network", "log", "version", "releases", "rotate", "rollback",
)  # fmt: skip
HOSTILE = (
    " ../device.key", " device.key json", " -1", " 99999999999999999999", " {}", " %s%n{0}", " \x00\x1b[2J", " é",
    " " + "A" * 200, " " + "0" * 32, " " + "A" * 43 + "=", " " + "=" * 44,
)  # fmt: skip


@pytest.mark.long
def test_no_secret_is_shown_logged_or_kept_outside_its_own_file(console: Console) -> None:
    node = console.bench.nodes[POD]
    tls = Path(node.settings["broker"]["key"]).read_bytes()
    console.say("help", "version")
    for command in COMMANDS:
        for words in ("", " json", *HOSTILE):
            os.write(console.master, f"{command}{words}\n".encode())
        console.say("over", "no such command")
    keys = (node.folder / "device.key").read_bytes()
    assert keys[:1] == b"\x03" and len(keys) == 9 + 2 * 34 + 8  # `rotate` with a nonce was obeyed
    secrets = [keys[11:43], keys[45:77]]
    os.write(console.master, b"restart\n")
    assert console.process.wait(20) == 4
    places = {"the console": console.heard}
    for path in node.folder.rglob("*"):
        if path.is_file() and path.name not in ("device.key", Path(node.settings["broker"]["key"]).name):
            places[path.name] = path.read_bytes()
    assert {"reason", "errors", "journal.bin", "node.log"} <= set(places)
    for key in (*secrets, tls[7:39], tls[36:68]):  # the scalar of a key in DER, whichever form it has
        forms = [key, key.hex().encode(), key.hex().upper().encode(), str(int.from_bytes(key, "big")).encode()]
        forms += [base64.b64encode(key).rstrip(b"="), base64.b64encode(key)[4:36], repr(key).encode()[2:-1]]
        for where, content in places.items():
            assert not any(form in content for form in forms), where


RUN = """
import asyncio, sys, time
from lightnode import app, board, settings
app.WATCHDOG_MS = 2000
made = app.Node(settings.load("config.json"), board.load())
{}
asyncio.run(made.run())
"""


def run_vm(folder: Path, meter: str, stuck: str, **other: Any) -> "subprocess.CompletedProcess[str]":
    for name in ("ca", "cert", "key"):
        (folder / name).touch()
    config = {**CONFIG, "state_dir": str(folder), "meter": {**CONFIG["meter"], "port": meter}, **other}
    config["journal"] = {**CONFIG["journal"], **config["journal"]}
    config["broker"] = {**CONFIG["broker"], "key": "key"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "stuck.py").write_text(RUN.format(stuck))
    environment = {**os.environ, "MICROPYPATH": f"{FIRMWARE}:.frozen"}
    command = [*micropython_command(), "stuck.py"] if stuck else [*micropython_command(), "-m", "lightnode.app"]
    command += [] if stuck else ["config.json", "run"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_stuck_process_is_ended_by_the_kernel(tmp_path: Path, micropython: object) -> None:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20), unit=7)
    station.offer(0, Terminals.spread(3, 6_000, 0, 230_000))
    stuck = "async def run(alive):\n    time.sleep(100)\nmade._tasks[0] = (2, 'uplink', run, 0)"
    with on_a_terminal(station) as meter:
        began = time.monotonic()
        done = run_vm(tmp_path, meter, stuck)
    assert done.returncode == -14 and time.monotonic() - began < 30


def test_a_start_that_fails_is_one_line_and_its_reason_is_kept(tmp_path: Path, micropython: object) -> None:
    station = Station(Meter("P1", meter_map("sdm630")), unit=7)
    with on_a_terminal(station) as meter:
        done = run_vm(tmp_path, meter, "", journal={"path": "/dev/full"})
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    kept = (tmp_path / "reason").read_bytes()
    assert kept[:2] == bytes((records.RESET_FAILURE, 0)) and b"OSError 28" in kept
