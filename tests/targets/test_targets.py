"""What every target owes a test body: output, files, tracebacks, an end to silence, and the reason when it is not there."""

import pytest

from hil.targets.board import Board
from hil.targets.target import FLASH, Job, ScriptFailed, Target, TargetError, lacks


def test_a_script_prints_with_the_firmware_at_hand(target: Target) -> None:
    script = "from lightwire import topics\nimport lightnode\nprint(topics.station(bytes(8)))"
    assert target.run(Job(script)).endswith("0000000000000000\n")


def test_rule_2_files_stand_in_the_working_folder(target: Target) -> None:
    script = "for name in ('a.txt', 'b.bin'):\n    print(open(name, 'rb').read())"
    files = {"a.txt": b"one\n", "b.bin": bytes(range(4)) * 300}
    assert target.run(Job(script, files)).splitlines() == [str(content) for content in files.values()]


def test_rule_3_an_exception_comes_back_as_its_traceback(target: Target) -> None:
    with pytest.raises(ScriptFailed) as failed:
        target.run(Job("print('before')\nprint({}['absent'])"))
    assert failed.value.printed == "before\n"
    assert "line 2" in failed.value.traceback and "KeyError: " in failed.value.traceback


def test_a_script_that_does_not_end_is_ended(target: Target) -> None:
    with pytest.raises(TargetError, match=target.name):
        target.run(Job("while True:\n    pass", timeout_s=1.0))


def test_two_scripts_share_nothing(target: Target) -> None:
    target.run(Job("left_behind = 1"))
    with pytest.raises(ScriptFailed, match="NameError"):
        target.run(Job("print(left_behind)"))


def test_a_board_that_is_not_there_says_how_to_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTNODE_BOARD_PORT", raising=False)
    assert "LIGHTNODE_BOARD_PORT" in Board().missing()
    assert "does not exist" in Board("nowhere").missing()


def test_what_a_target_lacks_is_named() -> None:
    assert lacks(Board("p", "asyncio"), frozenset({FLASH, "asyncio"})) == "board has no flash"
