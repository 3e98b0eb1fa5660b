"""The line to a device's console: worked cases, who does not answer, hostile text."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.link import LARGEST, Link, Refused, line_of
from lightflash.transport import NoAnswer
from lightnode.errors import NodeError

from tests.lightflash.consoles import ANSWERS, ID, Line, console


@contextmanager
def device(folder: Path, answer: Callable[[bytes], bytes], before: bytes = b"") -> Iterator[tuple[str, Line]]:
    """What answers a line with any bytes."""
    line = Line(folder)
    halt, stop = os.pipe()
    os.write(line.end, before)

    def run() -> None:
        heard = b""
        try:
            while halt not in select.select([line.end, halt], [], [])[0]:
                heard += os.read(line.end, 4096)
                *whole, heard = heard.split(b"\r")
                for asked in whole:
                    os.write(line.end, answer(asked.strip(b"\x7f")))
        except (OSError, ValueError):
            return  # the cable was pulled

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield line.port, line
    finally:
        os.close(stop)
        thread.join(5)
        line.close()
        os.close(halt)


@pytest.mark.parametrize("echoes", [False, True])
def test_a_command_is_answered_by_names_and_values(tmp_path: Path, echoes: bool) -> None:
    with console(tmp_path, echoes=echoes) as port, Link(port) as link:
        assert link.ask("key") == ANSWERS["key"]
        assert link.device == ID
        assert link.ask("meter")["power_w"] == 50_123
        assert "status" in link.ask("help")


def test_a_word_goes_behind_a_command_and_rule_3_a_refusal_comes_in_the_devices_words(tmp_path: Path) -> None:
    async def rotate(nonce: str) -> dict[str, Any]:
        if nonce == "ff":
            raise NodeError("4 key generations are still in use")
        return {"device": ID, "nonce": nonce}

    with console(tmp_path, {"rotate": ("", rotate, "NONCE")}) as port, Link(port) as link:
        assert link.ask("rotate", "0f")["nonce"] == "0f"
        with pytest.raises(Refused, match=f"{port}, {ID}, rotate: the device says: 4 key generations are still in use"):
            link.ask("rotate", "ff")


def test_rule_1_what_is_no_answer_to_the_command_is_passed_over(tmp_path: Path) -> None:
    noise = b'{"device": "00", "seq": 1}\r\n{"command": "key", "answer": {}}\r\n{"command": "status", "answer": 7}\r\n\xff\x00{"{\n'
    with device(tmp_path, lambda _: noise + b'x> {"command": "status", "answer": {"seq": 7}}\r\n') as (port, _):
        assert Link(port).ask("status") == {"seq": 7}


def test_rule_1_what_came_before_the_command_is_no_answer(tmp_path: Path) -> None:
    stale = b'{"command": "status", "answer": {"seq": 1}}\r\n'
    with device(tmp_path, lambda _: stale.replace(b"1", b"2"), before=stale) as (port, _):
        link = Link(port)
        link.read()  # the port is opened, and what came waits
        assert link.ask("status") == {"seq": 2}


def test_rule_1_an_answer_has_an_end_in_time_and_in_size(tmp_path: Path) -> None:
    with console(tmp_path, {}) as port:
        line = Link(port)
        with pytest.raises(FlashError, match="no such command"):
            line.ask("status")
    with (
        device(tmp_path, lambda _: b"") as (port, _),
        pytest.raises(NoAnswer, match="does not answer; is it the device"),
    ):
        Link(port).ask("status", timeout_s=0.3)
    with (
        device(tmp_path, lambda _: b"x" * (LARGEST + 9)) as (port, _),
        pytest.raises(NoAnswer, match="bytes came and no answer"),
    ):
        Link(port).ask("status")


def test_rule_2_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PartMissing, match=r"none, open: .*; is the cable plugged in") as error:
        Link(str(tmp_path / "none")).ask("status")
    assert error.value.exit_code == 3 and "\n" not in str(error.value)


def test_rule_2_a_pulled_cable_is_not_yet_with_its_cure(tmp_path: Path) -> None:
    with device(tmp_path, lambda _: b'{"command": "key", "answer": {"device": "%s"}}\r\n' % ID.encode()) as (
        port,
        line,
    ):
        link = Link(port)
        link.ask("key")
        line.close()
        with pytest.raises(Pending, match=f"{port}, {ID}, status: the board went away.*same command") as error:
            link.ask("status")
    assert error.value.exit_code == 4


def test_rule_2_the_prompt_of_micropython_is_told_apart(tmp_path: Path) -> None:
    prompt = b"status json\r\nTraceback (most recent call last):\r\nSyntaxError: invalid syntax\r\n>>> "
    with device(tmp_path, lambda _: prompt) as (port, _), pytest.raises(NoAnswer, match="the application does not run"):
        Link(port).ask("status")


def test_rule_2_a_command_that_the_device_does_not_know_is_older_firmware(tmp_path: Path) -> None:
    with (
        console(tmp_path, {}) as port,
        pytest.raises(FlashError, match="no such command, try help; its firmware is older"),
    ):
        Link(port).ask("rotate", "00")


def test_rule_4_what_was_typed_before_is_erased(tmp_path: Path) -> None:
    with console(tmp_path) as port:
        with Link(port) as link:
            link.write(b"half a line")
        with Link(port) as link:
            assert link.ask("key") == ANSWERS["key"]


@pytest.mark.parametrize("word", ["\x03", "a\rb", "ü", ""])
def test_rule_4_nothing_but_printable_ascii_goes_out(tmp_path: Path, word: str) -> None:
    heard: list[bytes] = []
    with device(tmp_path, lambda asked: heard.append(asked) or b"") as (port, _):  # type: ignore[func-returns-value]
        with pytest.raises(FlashError):
            Link(port).ask("status", word, timeout_s=0.2)
    assert all(bytes(32 <= c < 127 for c in asked) for asked in heard)


@pytest.mark.parametrize("said", ["a\nb", "\ud800", "\x1b[2J", "x" * 999])
def test_what_a_device_says_is_one_printable_line(said: str) -> None:
    shown = line_of(said)
    assert shown.isprintable() and len(shown) <= 200 and shown.encode().isascii()
