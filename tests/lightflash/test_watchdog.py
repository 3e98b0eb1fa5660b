"""A device in service is written while its watchdog goes on: rule 3 of lightflash.micropython, on a board in its own time."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from lightflash.device_log import DONE, DeviceLog
from lightflash.errors import Pending
from lightflash.many import Wanted
from lightflash.micropython import MicroPython
from shelf import FILES, a_board, files_on, put_on, row, written

from hil.boards.board import Board

pytestmark = [pytest.mark.usefixtures("micropython"), pytest.mark.timeout(120)]
SERVING = b"import time\nprint('serving')\nwhile True:\n    time.sleep(1)\n"
SERVED = {"/main.py": SERVING, "/config.json": b"{}"}
LARGE = {"/app/a/lightnode/large.mpy": bytes(range(251)) * 400}


def in_service(folder: Path, files: Mapping[str, bytes] = MappingProxyType({})) -> Board:
    """A board whose application has armed its watchdog."""
    board = a_board(folder / "board")
    put_on(board, {**SERVED, **files})
    board.starts_main, board.watchdog_ms, board.read_ms = True, 8000, 10
    return board


def test_3_a_device_in_service_is_written_read_back_and_found_good_without_a_bite(tmp_path: Path) -> None:
    board, made = in_service(tmp_path), Wanted({}, {"esp32-s3": {**FILES, **LARGE}})
    with board:
        (entry,) = written([row(board)], made, DeviceLog(tmp_path / "log"))
    assert (entry.state, board.bites) == (DONE, 0), entry.line
    assert files_on(board) == {**SERVED, **FILES, **LARGE}


def test_3_one_long_hash_feeds_while_it_works(tmp_path: Path) -> None:
    (path, content), *_ = LARGE.items()
    board = in_service(tmp_path, {path: content * 2})
    with board:
        at = MicroPython(lambda: str(board.port))
        assert at.hashes([path]) == {path: hashlib.sha256(content * 2).hexdigest()}
        at.close()
    assert board.bites == 0


def test_3_the_watchdog_bites_who_works_without_feeding_it(tmp_path: Path) -> None:
    board = in_service(tmp_path, LARGE)
    with board:
        at = MicroPython(lambda: str(board.port))
        with pytest.raises(Pending, match="went away"):
            at.run("for _ in range(9):\n open('/app/a/lightnode/large.mpy').read()", 5.0)
        assert board.bites == 1
        assert "serving" not in at.run("print('prompt')", 5.0), "it is at the prompt again, its application stopped"
        at.close()


@pytest.mark.parametrize(
    ("files", "fed"), [({}, "function"), ({"/main.py": SERVING}, "function"), (SERVED, "bound_method")]
)
def test_3_who_is_not_in_service_gets_no_watchdog(tmp_path: Path, files: dict[str, bytes], fed: str) -> None:
    board = a_board(tmp_path / "board")
    put_on(board, files)
    with board:
        at = MicroPython(lambda: str(board.port))
        assert fed in at.run("print(type(_feed))", 5.0)
        at.close()
