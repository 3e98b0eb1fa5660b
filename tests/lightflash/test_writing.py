"""From any state to a verified device: worked cases on every kind of board, cables pulled at every transfer, refusals."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from lightflash.board import board as board_kind
from lightflash.device_log import DONE, HALF, REFUSED, UNTOUCHED, DeviceLog, Entry
from lightflash.errors import FlashError
from lightflash.firmware_file import Pin
from lightflash.many import CONFIG, NOTHING_BUILT, Wanted, jobs, write_all
from lightflash.transport import Identity
from lightflash.writing import is_board
from shelf import FILES, NEW, NOTHING, OLD, a_board, files_on, firmware_file, pins, put_on, row, written

from hil.boards.board import Board, Pace

pytestmark = [pytest.mark.usefixtures("micropython"), pytest.mark.timeout(120)]
EXAMPLE = Path(__file__).parents[2] / "firmware" / "device" / "config.example.json"
KEPT = {"/kept.txt": b"of the board"}
KINDS = [
    ("esp32-s3", NEW), ("esp32-s3", OLD), ("esp32-s3", None), ("esp32", None),
    ("rp2040-w", NEW), ("rp2040-w", OLD), ("rp2350-w", None),
]  # fmt: skip


def wanted(folder: Path, *models: str) -> Wanted:
    return Wanted(pins(folder, *models), {model: FILES for model in models})


def status(log_folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((log_folder / "status.json").read_text())["devices"]
    return found


@pytest.mark.parametrize(("model", "runs"), KINDS)
def test_a_board_in_any_state_becomes_the_wanted_one_and_the_second_run_writes_nothing(
    tmp_path: Path, model: str, runs: tuple[int, int, int] | None
) -> None:
    log = DeviceLog(tmp_path / "log")
    with a_board(tmp_path / "board", model, runs=runs) as board:
        put_on(board, KEPT) if runs is None else None
        (entry,) = written([row(board)], wanted(tmp_path, model), log)
        assert (entry.state, entry.device, entry.begun) == (DONE, board.unique_id.hex(), ""), entry
        flash, files = bytes(board.flash), board.files.read_bytes()
        (again,) = written([row(board)], wanted(tmp_path, model), log)
        assert again == entry
    assert board.flash == flash and board.files.read_bytes() == files
    found = files_on(board)
    assert {path: found[path] for path in FILES} == FILES
    assert set(found) - set(FILES) <= set(KEPT)


@pytest.mark.long
@pytest.mark.parametrize("model", ["rp2040-w", "esp32-s3"])
@pytest.mark.parametrize("pace", [Pace(starts_s=20), Pace(thinks_s=12), Pace(leaves_s=20)], ids=str)
def test_a_new_board_is_waited_for_however_slow_it_starts_answers_and_takes_its_firmware(
    tmp_path: Path, model: str, pace: Pace
) -> None:
    board = a_board(tmp_path / "board", model, runs=None)
    board.pace = pace
    with board:
        (entry,) = written([row(board)], wanted(tmp_path, model), DeviceLog(tmp_path / "log"))
    assert (entry.state, entry.begun) == (DONE, ""), entry
    assert files_on(board) == FILES


def test_rule_5_a_file_that_is_not_of_the_application_is_left_and_a_changed_one_is_replaced(tmp_path: Path) -> None:
    board = a_board(tmp_path / "board")
    put_on(board, {**KEPT, "/main.py": b"other"})
    with board:
        (entry,) = written([row(board)], wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log"))
    assert entry.state == DONE and files_on(board) == {**FILES, **KEPT}


def test_rule_4_the_choosers_state_is_the_boards_own_once_its_application_is_whole(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path / "log")
    with a_board(tmp_path / "board") as board:
        written([row(board)], wanted(tmp_path, "esp32-s3"), log)
    state = {**FILES, "/app/state.0": b"its own state"}
    with board:
        made = Wanted({}, {"esp32-s3": state})
        assert written([row(board)], made, log)[0].state == DONE
    assert files_on(board)["/app/state.0"] == FILES["/app/state.0"]


def test_the_settings_are_checked_by_the_devices_rules_before_the_board_is_touched(tmp_path: Path) -> None:
    config = tmp_path / "n01.json"
    config.write_text(EXAMPLE.read_text().replace("8883", "99999"))
    board = a_board(tmp_path / "board")
    with board:
        (entry,) = written(
            [replace(row(board), config=config)], wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log")
        )
        assert board.received == 0
    assert entry.state == REFUSED and "n01.json: broker.port is 99999" in entry.cause


def test_good_settings_are_on_the_board_as_they_were_given(tmp_path: Path) -> None:
    board = a_board(tmp_path / "board")
    with board:
        (entry,) = written(
            [replace(row(board), config=EXAMPLE)], wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log")
        )
    assert entry.state == DONE and files_on(board)[CONFIG] == EXAMPLE.read_bytes()


def pulled(folder: Path, model: str, runs: tuple[int, int, int] | None, transfers: int) -> tuple[Board, Entry, Entry]:
    """A board whose cable is pulled after so many transfers, its entry then, and after the same run again."""
    log = DeviceLog(folder / "log")
    board = a_board(folder / "board", model, runs=runs)
    put_on(board, {**KEPT, "/main.py": b"old"})
    made = wanted(folder, model)
    board.plug(transfers)
    (first,) = written([row(board)], made, log)
    listed = status(folder / "log")
    assert [one["name"] for one in listed] == ["N01"]
    if first.state != DONE:
        assert all(listed[0][key] for key in ("step", "cause", "cure")), listed
    board.plug()
    (second,) = written([row(board)], made, log)
    board.unplug()
    return board, first, second


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "transfers" in metafunc.fixturenames:
        every = bool(metafunc.config.getoption("--every-cut"))
        sample = {"esp32-s3": (1, 4, 11, 40, 90, 150), "esp32-c3": (20, 140), "rp2040-w": (30, 120)}
        most = {"esp32-s3": 260, "esp32-c3": 640, "rp2040-w": 330}
        kinds = [("esp32-s3", NEW), ("esp32-c3", None), ("rp2040-w", None)]
        cases = [(m, r, n) for m, r in kinds for n in (range(1, most[m]) if every else sample[m])]
        metafunc.parametrize(("model", "runs", "transfers"), cases)


def test_a_cable_pulled_after_any_transfer_is_named_with_its_cure_and_the_next_run_finishes(
    tmp_path: Path, model: str, runs: tuple[int, int, int] | None, transfers: int
) -> None:
    board, first, second = pulled(tmp_path, model, runs, transfers)
    assert first.state in (UNTOUCHED, HALF, DONE), first.line
    assert first.state in (DONE, UNTOUCHED) or "same command" in first.cure, first.line
    assert second.state == DONE, second.line
    assert files_on(board) == {**FILES, **KEPT}
    assert not list((tmp_path / "log").glob("at-*")), "the place is forgotten once the device is known"


def test_a_pulled_cable_leaves_no_file_open(tmp_path: Path) -> None:
    board, log = a_board(tmp_path / "board"), DeviceLog(tmp_path / "log")
    begun = len(os.listdir("/proc/self/fd"))
    for transfers in (11, 40):
        board.plug(transfers)
        assert written([row(board)], wanted(tmp_path, "esp32-s3"), log)[0].state != DONE
    board.unplug()
    assert len(os.listdir("/proc/self/fd")) == begun


def test_rule_3_the_pinned_version_is_written_again_if_the_builds_partition_table_is_not_known_to_be_there(
    tmp_path: Path,
) -> None:
    made = wanted(tmp_path, "esp32-s3")
    content = made.pins["esp32-s3"].path.read_bytes()
    with_table = replace(made, tables={"esp32-s3": b"\xff" * 32})
    padded = content + b"\xff" * (0x9000 - len(content))
    made.pins["esp32-s3"].path.write_bytes(padded)
    pin = Pin(made.pins["esp32-s3"].path, hashlib.sha256(padded).hexdigest(), NEW)
    with_table = replace(with_table, pins={"esp32-s3": pin})
    log = DeviceLog(tmp_path / "log")
    with a_board(tmp_path / "board") as board:
        (entry,) = written([row(board)], with_table, log)
        assert entry.state == DONE and entry.digest("firmware") != ""
        (again,) = written([row(board)], with_table, log)
        assert again == entry


def test_rule_1_a_board_of_another_kind_is_refused_by_name_and_unchanged(tmp_path: Path) -> None:
    board = a_board(tmp_path / "board", "esp32-c3")
    put_on(board, KEPT)
    before = bytes(board.flash), board.files.read_bytes()
    with board:
        (entry,) = written([row(board, kind="esp32-s3")], wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log"))
    assert entry.state == REFUSED and entry.step == "identify"
    assert entry.cause == "this is ESP32C3 module with ESP32C3, the list says esp32-s3"
    assert (bytes(board.flash), board.files.read_bytes()) == before


@pytest.mark.parametrize(
    ("model", "kind", "says"), [("esp32-c3", "esp32-s3", "ESP32-C3"), ("rp2350-w", "rp2040-w", "RP2350")]
)
def test_rule_1_a_new_board_of_another_kind_is_refused_by_what_its_loader_says(
    tmp_path: Path, model: str, kind: str, says: str
) -> None:
    board = a_board(tmp_path / "board", model, runs=None)
    before = bytes(board.flash), board.files.read_bytes()
    with board:
        (entry,) = written([row(board, kind=kind)], wanted(tmp_path, kind), DeviceLog(tmp_path / "log"))
    assert entry.state == REFUSED and says in entry.cause and entry.cure
    assert (bytes(board.flash), board.files.read_bytes()) == before


def test_rule_1_exchanged_cables_are_found_by_the_log(tmp_path: Path) -> None:
    log, made = DeviceLog(tmp_path / "log"), wanted(tmp_path, "esp32-s3")
    with a_board(tmp_path / "board") as board:
        written([row(board, "N01")], made, log)
        (entry,) = written([row(board, "N02")], made, log)
        assert entry.state == REFUSED and "is N01 in the log" in entry.cause and "--rename" in entry.cure
        (renamed,) = written([row(board, "N02")], replace(made, may_rename=True), log)
    assert renamed.state == DONE and [one.name for one in log.entries()] == ["N02"]


def test_a_firmware_file_with_another_hash_is_refused_by_name_before_a_byte_goes_out(tmp_path: Path) -> None:
    made = wanted(tmp_path, "esp32-s3")
    file = made.pins["esp32-s3"].path
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with a_board(tmp_path / "board") as board:
        (entry,) = written([row(board)], made, DeviceLog(tmp_path / "log"))
        assert board.received == 0
    assert entry.state == REFUSED and file.name in entry.cause and "SHA-256" in entry.cause


def test_a_file_of_the_wrong_family_is_refused_before_a_block_goes_out(tmp_path: Path) -> None:
    other = firmware_file(tmp_path, "rp2350-w")
    with a_board(tmp_path / "board", "rp2040-w", runs=None) as board:
        (entry,) = written([row(board)], Wanted({"rp2040-w": other}, {"rp2040-w": FILES}), DeviceLog(tmp_path / "log"))
        assert board.received == 0
    assert "no block of family 0xe48bff56" in entry.cause


@pytest.mark.parametrize(("runs", "says"), [(None, "no MicroPython answers"), ((1, 20, 0), "runs MicroPython 1.20.0")])
def test_rule_3_a_board_without_the_firmware_it_needs_is_refused_if_none_is_given(
    tmp_path: Path, runs: tuple[int, int, int] | None, says: str
) -> None:
    made = Wanted({}, {"esp32-s3": FILES})
    with a_board(tmp_path / "board", runs=runs) as board:
        (entry,) = written([row(board)], made, DeviceLog(tmp_path / "log"))
    assert entry.state in (REFUSED, UNTOUCHED) and (says in entry.cause or "has no MicroPython" in entry.cause)
    assert "--firmware" in entry.cure


def test_firmware_that_says_another_version_than_pinned_leaves_a_named_half_done_device(tmp_path: Path) -> None:
    pin = firmware_file(tmp_path, "rp2040-w")
    lies = Pin(pin.path, pin.sha256, (1, 27, 0))
    with a_board(tmp_path / "board", "rp2040-w", runs=OLD) as board:
        (entry,) = written([row(board)], Wanted({"rp2040-w": lies}, {"rp2040-w": FILES}), DeviceLog(tmp_path / "log"))
    assert (
        (entry.state, entry.step) == (HALF, "firmware") and "1.26.1" in entry.cause and "pinned version" in entry.cure
    )


def test_what_does_not_fit_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    big = {"/app/a/big": bytes(600_000)}
    with a_board(tmp_path / "board") as board:
        (entry,) = written([row(board)], Wanted({}, {"esp32-s3": big}), DeviceLog(tmp_path / "log"))
    assert entry.state == REFUSED and "600000 bytes to write, the board has room for" in entry.cause


def test_a_port_that_is_not_there_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    with a_board(tmp_path / "board") as board:
        gone = replace(row(board, "N02"), port=str(tmp_path / "gone"))
        entries = written([gone, row(board)], wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log"))
    assert [entry.state for entry in entries] == [UNTOUCHED, DONE]
    assert entries[0].cause == "there is no such port" and "gone" in entries[0].line


def test_a_port_that_goes_after_the_list_was_checked_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    made, log = wanted(tmp_path, "esp32-s3"), DeviceLog(tmp_path / "log")
    boards = [a_board(tmp_path / f"b{n}", number=n) for n in (1, 2)]
    with boards[0], boards[1]:
        checked, refused = jobs([row(board, f"N0{n}") for n, board in enumerate(boards, start=1)], made, ())
        boards[0].unplug()
        entries = write_all(checked, refused, NOTHING, log, lambda *_: None)
    assert [(entry.name, entry.state) for entry in entries] == [("N01", UNTOUCHED), ("N02", DONE)]
    assert entries[0].cause == "there is no such port" and "same command" in entries[0].cure
    assert {one["name"]: one["state"] for one in status(tmp_path / "log")} == {"N01": UNTOUCHED, "N02": DONE}


def test_a_board_for_which_nothing_was_built_is_refused(tmp_path: Path) -> None:
    with a_board(tmp_path / "board") as board:
        (entry,) = written([row(board)], Wanted({}, {}), DeviceLog(tmp_path / "log"))
    assert entry.state == REFUSED and entry.cause == NOTHING_BUILT.format("esp32-s3")


@pytest.mark.parametrize(
    ("kind", "identity", "expected"),
    [
        ("esp32", Identity("", "esp32", "Generic ESP32 module with ESP32", NEW), True),
        ("esp32", Identity("", "esp32", "Generic ESP32S3 module with ESP32S3", NEW), False),
        ("esp32-s3", Identity("", "esp32", "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", NEW), True),
        ("esp32-s3", Identity("", "rp2", "board with ESP32S3", NEW), False),
        ("esp32-c3", Identity("", chip="ESP32-C3"), True),
        ("rp2040-w", Identity("", "rp2", "Raspberry Pi Pico W with RP2040", NEW), True),
        ("rp2040-w", Identity("", "rp2", "Raspberry Pi Pico 2 W with RP2350", NEW), False),
        ("rp2350-w", Identity("", chip="RP2350"), True),
        ("chip", Identity("", "mps2", "MPS2-AN385 with Cortex-M3", NEW), True),
        ("unix", Identity("", "linux", "linux [GCC 14.2.0] version", NEW), True),
        ("unix", Identity("", "esp32", "Generic ESP32 module with ESP32", NEW), False),
        ("esp32", Identity(""), False),
    ],
)
def test_who_answers_is_told_apart(kind: str, identity: Identity, expected: bool) -> None:
    assert is_board(board_kind(kind), identity) is expected


def test_a_damaged_log_is_an_error_by_name(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path / "log")
    log.save(Entry("ab", "N01", "esp32"))
    (tmp_path / "log" / "ab.json").write_text('{"device": "ab"')
    with pytest.raises(FlashError, match=r"ab\.json is damaged.*move it away"):
        log.entry("ab")
