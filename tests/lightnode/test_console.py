"""The installer's console over a stream in memory: bounded, one line for what it does not understand, no secret."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st
from lightnode.console import LINE_MAX, Console
from lightnode.errors import NodeError


class Stream:
    """A terminal: what was typed, what was shown."""

    def __init__(self, typed: bytes, echoes: bool = False, stuck: bool = False) -> None:
        self.typed = [typed[k : k + 1] for k in range(len(typed))]
        self.echoes = echoes
        self.stuck = stuck
        self.shown = b""

    async def read(self) -> bytes:
        return self.typed.pop(0) if self.typed else b""

    async def write(self, data: bytes) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.shown += data


async def status() -> dict[str, object]:
    return {"seq": 7, "connected": False}


async def log() -> dict[str, object]:
    return {"log": ["1.000 a", "2.000 b"]}


async def rotate(nonce: str) -> dict[str, object]:
    if nonce == "no":
        raise NodeError("not now")
    return {"nonce": nonce}


def shown(typed: bytes, **options: bool) -> str:
    stream = Stream(typed, **options)
    commands = {"status": ("how it is", status), "log": ("events", log), "rotate": ("a new key", rotate, "NONCE")}
    asyncio.run(Console(stream, commands).run())
    return stream.shown.decode()


def test_a_command_is_answered_with_names_and_values() -> None:
    assert shown(b"status\n") == "connected: False\r\nseq: 7\r\n"
    assert shown(b"log\r\n") == "1.000 a\r\n2.000 b\r\n"
    assert shown(b"help\r") == "log: events\r\nrotate NONCE: a new key\r\nstatus: how it is\r\n"


def test_rule_1_json_is_one_line_for_programs() -> None:
    line = shown(b"status json\n")
    assert json.loads(line) == {"command": "status", "answer": {"seq": 7, "connected": False}}
    assert line.count("\n") == 1


def test_rule_1_what_it_does_not_know_is_one_line_that_repeats_nothing() -> None:
    assert shown(b"secret\n") == "no such command, try help\r\n"
    assert shown(b"status all\n") == "only json may stand behind a command\r\n"
    assert shown(b"\xff\x00\n") == "only printable ASCII is understood\r\n"
    assert shown(b"x" * 10_000 + b"\n") == "the line is too long\r\n"
    assert shown(b"\n\r\n") == ""


def test_rule_1_a_command_has_the_one_word_that_it_wants() -> None:
    assert shown(b"rotate 0f\n") == "nonce: 0f\r\n"
    assert json.loads(shown(b"rotate 0f json\n"))["answer"] == {"nonce": "0f"}
    for line in (b"rotate\n", b"rotate json\n", b"rotate 0f 0f\n", b"rotate 0f json json\n"):
        assert shown(line) == "NONCE belongs behind rotate\r\n"


def test_rule_3_a_command_that_refuses_says_why() -> None:
    assert shown(b"rotate no\n") == "refused: not now\r\n"
    assert json.loads(shown(b"rotate no json\n"))["answer"] == {"refused": "not now"}


def test_rule_1_the_next_command_after_a_long_line_is_heard() -> None:
    assert shown(b"y" * 200 + b"\nlog\n").endswith("2.000 b\r\n")
    assert shown(b"status" + b" " * (LINE_MAX - 6) + b"\n").startswith("connected")


def test_it_echoes_and_erases_where_the_port_does_not() -> None:
    assert shown(b"lp\x7fog\r", echoes=True).startswith("lp\b \bog\r\n1.000 a\r\n")


def test_rule_2_who_does_not_read_loses_the_answer_and_nothing_hangs(monkeypatch: object) -> None:
    from lightnode import console

    monkeypatch.setattr(console, "_WRITE_S", 0.01)  # type: ignore[attr-defined]
    assert shown(b"status\nstatus\n", stuck=True) == ""


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_in_bounded_text(typed: bytes) -> None:
    assert len(shown(typed)) < 100 * (typed.count(b"\n") + typed.count(b"\r") + 1)
