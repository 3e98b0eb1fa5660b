"""The firmware is clean against MicroPython's stubs of the boards that are sold, and a mistake is seen by both checkers."""

import shutil
from pathlib import Path

import pytest

from hil.board_types import BOARDS, FIRMWARE, StubsMissing, findings


def found(firmware: Path) -> list[str]:
    try:
        return findings(firmware)
    except StubsMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.long  # `./run lint` asks the same
def test_rule_1_the_firmware_is_clean_for_every_board() -> None:
    assert found(FIRMWARE) == []


def test_rule_1_a_mistake_is_found_by_each_checker_on_its_board(tmp_path: Path) -> None:
    copy = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for board in BOARDS:
        path = copy / "lightnode" / f"board_{board}.py"
        path.write_text(
            path.read_text() + "\n\ndef wrong() -> int:\n    return machine.no_such_thing() + os.urandom(1)\n"
        )
    lines = found(copy)
    for board in BOARDS:
        for checker in ("mypy", "pyright"):
            assert any(line.startswith(f"{board}: {checker}: lightnode/board_{board}.py:") for line in lines), lines
