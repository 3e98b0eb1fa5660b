"""`status` and `console` against the application's console on a pseudo terminal."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from lightflash.commands.console import sent, shown
from lightflash.commands.status import lines

from tests.lightflash.consoles import ANSWERS, ID, answering, console

ROOT = Path(__file__).parents[2]
WORKED = """\
device      0123456789abcdef
key         generation 1, SHA-256 {ab}
certificate SHA-256 {cd}
firmware    0.1.0 on esp32, MicroPython 1.26.1
release     sequence 12, 0 announcements refused
time        trusted, at most 12 ms off, UTC 1796040000000 ms
meter       sdm630, unit 1: 50123 W, -20 var, 230.4/230.5/230.6 V, 50.01 Hz, 1000 Wh in, 0 Wh out
broker      broker.example:8883: connected, 2 sessions, link up, 10.0.0.7
journal     12.5 % held, 3 records not acknowledged
started     60 s ago, cause power, last fault none
alarms      0, tasks started again 1
""".format(ab="ab" * 32, cd="cd" * 32)


def flash(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lightflash", *words]
    return subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=False, timeout=60)


def test_status_says_how_a_device_is(tmp_path: Path) -> None:
    with console(tmp_path) as port:
        done = flash("status", "--port", port)
        assert (done.returncode, done.stdout, done.stderr) == (0, WORKED, "")
        found = json.loads(flash("status", "--port", port, "--json").stdout)
    assert found == {"port": port, **ANSWERS}


def test_status_says_what_is_wrong() -> None:
    meter = {"map": "sdm630", "unit": 1, "error": "no answer"}
    network = {**ANSWERS["network"], "connected": False, "clock_trusted": False}
    said = dict(lines({**ANSWERS, "meter": meter, "network": network}))
    assert said["meter"] == "sdm630, unit 1: no answer"
    assert said["time"].startswith("not trusted") and "not connected" in said["broker"]


def test_what_a_device_says_in_no_way_that_is_known_is_shown_as_unknown() -> None:
    said = dict(lines({name: {} for name in ANSWERS}))
    assert said["device"] == "?" and said["journal"] == "0 % held, ? records not acknowledged"


def test_a_port_that_is_not_there_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    for command in ("status", "console"):
        done = flash(command, "--port", str(tmp_path / "none"))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert "none, open: " in done.stderr and "is the cable plugged in" in done.stderr


def test_console_answers_what_is_piped_in_one_line_after_the_other(tmp_path: Path) -> None:
    with console(tmp_path) as port:
        done = flash("console", "--port", port, typed="version\n\nmeter\nx\n")
    assert done.returncode == 0
    told = [line for line in done.stdout.splitlines() if line]
    assert told[:4] == ["version", "firmware: 0.1.0", "platform: esp32", "python: 1.26.1"]
    assert "power_w: 50123" in told and told[-1] == "no such command, try help"


def test_console_at_a_terminal_shows_each_key_and_ctrl_bracket_leaves(tmp_path: Path) -> None:
    with console(tmp_path) as port:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "lightflash", "console", "--port", port],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        heard = b""
        for until, then in ((b"Ctrl-] leaves", b"\x03version\r"), (b"python: 1.26.1", b"\x1d")):
            while until not in heard:
                assert select.select([master], [], [], 30)[0], heard
                heard += os.read(master, 4096)
            if then[:1] == b"\x03":
                then = then[1:]  # an interrupt ends the program, as everywhere
            os.write(master, then)
        assert process.wait(20) == 0
        os.close(master)
    assert ID.encode() in heard


def test_rule_1_no_control_character_goes_to_the_device_and_rule_2_none_is_shown() -> None:
    assert sent(b"key\n\x03\x01\x04\x1b[A\xff") == b"key\r[A"
    assert shown(b"a\x1b]0;x\x07b\r\n\xc3") == "a]0;xb\r\n"


@pytest.mark.parametrize("minutes", ["0", "nan", "-1", "9999"])
def test_a_time_without_an_end_is_refused(tmp_path: Path, minutes: str) -> None:
    done = flash("console", "--port", str(tmp_path / "none"), "--minutes", minutes)
    assert done.returncode == 1 and "--minutes is" in done.stderr


def test_no_answer_from_micropythons_prompt_opens_a_console(tmp_path: Path) -> None:
    with console(tmp_path, answering({})) as port:
        done = flash("console", "--port", port)
    assert done.returncode == 1 and "no such command" in done.stderr
