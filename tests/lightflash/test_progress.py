"""Progress: one line per device on a terminal, a line per step in a pipe."""

import io

from lightflash.progress import Progress


def test_in_a_pipe_a_step_is_one_line_however_often_it_moves() -> None:
    out = io.StringIO()
    progress = Progress(out, ["N01", "N02"], is_terminal=False)
    for at in range(5):
        progress.tell("N01", "application", at, 5)
    progress.tell("N02", "identify", 0, 1)
    progress.tell("N01", "done", 1, 1)
    assert out.getvalue() == "N01: application\nN02: identify\nN01: done\n"


def test_on_a_terminal_each_device_keeps_its_line() -> None:
    out = io.StringIO()
    progress = Progress(out, ["N01", "long-name"], is_terminal=True)
    assert out.getvalue() == "N01        waiting\nlong-name  waiting\n"
    progress.tell("N01", "firmware", 50, 100)
    assert out.getvalue().endswith("\x1b[2A\r\x1b[2KN01        firmware     ##########..........\x1b[2B\r")
    progress.tell("long-name", "done", 1, 1)
    assert out.getvalue().endswith("\x1b[1A\r\x1b[2Klong-name  done         ####################\x1b[1B\r")


def test_a_step_without_bytes_is_whole() -> None:
    out = io.StringIO()
    Progress(out, ["N01"], is_terminal=True).tell("N01", "settings", 0, 0)
    assert "#" * 20 in out.getvalue()
