"""Why a device starts again: kept, read back, and never a stranger's message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode import board_port
from lightnode.errors import MeterError
from lightnode.reason import Reset, decode, encode, line_of
from lightwire import records


def test_what_was_kept_comes_back_and_counts_before_the_hardware() -> None:
    data = encode(Reset(records.RESET_FAILURE, records.TASK_UPLINK, "OSError 28 at ring.py:90"), "1.000 event\n")
    reason = decode(data, records.RESET_WATCHDOG)
    assert (reason.cause, reason.task, reason.text) == (3, 2, "OSError 28 at ring.py:90")
    assert (reason.tail, reason.kept) == ("1.000 event\n", True)


@pytest.mark.parametrize(("hardware", "task"), [(1, 0), (2, records.TASK_SAMPLER), (6, 0)])
def test_rule_1_without_a_kept_reason_the_hardware_says_it(hardware: int, task: int) -> None:
    reason = decode(b"", hardware)
    assert (reason.cause, reason.task, reason.kept) == (hardware, task, False)


@given(st.binary(min_size=1, max_size=700))
def test_rule_2_any_bytes_give_a_reason_that_a_record_can_hold(data: bytes) -> None:
    reason = decode(data, records.RESET_POWER)
    assert 1 <= reason.cause <= 6 and 0 <= reason.task <= 5 and reason.kept


def test_rule_3_only_our_own_errors_say_their_message() -> None:
    def place(error: Exception) -> str:
        try:
            raise error
        except Exception as raised:
            return line_of(raised)

    assert line_of(MeterError("unit 7, register 0: no answer")) == "MeterError: unit 7, register 0: no answer"
    assert place(ValueError("secret 0123")).startswith("ValueError  at test_reason.py:")
    assert "OSError 5 at test_reason.py:" in place(OSError(5, "/secret/path"))
    assert "secret" not in place(OSError("secret"))
    assert line_of(MemoryError("x")) == "MemoryError"


def test_it_is_bounded_and_its_text_is_one_line() -> None:
    data = encode(Reset(records.RESET_FAILURE, 1, "a\nb" * 300), "line\n" * 500)
    assert len(data) <= 640 and decode(data, 1).text == ("a b" * 300)[:120]


def test_the_small_file_forgets_and_survives(tmp_path: object) -> None:
    folder = str(tmp_path)
    assert board_port.last_reason(folder) == b""
    board_port.keep_reason(folder, b"\x03\x01text\n")
    assert board_port.last_reason(folder) == b"\x03\x01text\n"
    board_port.keep_reason(folder, b"")
    assert board_port.last_reason(folder) == b""
    board_port.keep_reason(folder + "/not there", b"lost")  # a full or broken file system must not stop the reset
