"""Children end with their parent, whatever ends it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from hil.process import Child, stopping


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().split()[2] == "Z"


def test_json_lines_arrive_and_other_output_is_passed_over(tmp_path: Path) -> None:
    child = Child("c", [sys.executable, "-c", "print('hello'); print('{\"port\": 7}')"], tmp_path / "log")
    assert child.line(10) == {"port": 7}
    assert child.wait(10) == 0


def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); time.sleep(60)"
    with stopping([Child("c", [sys.executable, "-c", code], tmp_path / "log")]) as children:
        assert children[0].line(10) == {}
        children[0].stop(0.1)
        assert children[0].exit_code == -signal.SIGKILL


def test_the_last_line_of_the_log_is_what_it_said_last(tmp_path: Path) -> None:
    child = Child(
        "c",
        [sys.executable, "-c", "import sys; print('a', file=sys.stderr); sys.exit('port 1 in use')"],
        tmp_path / "log",
    )
    assert child.wait(10) == 1
    assert child.last_words() == "port 1 in use"


def test_kill_9_of_the_parent_leaves_no_child(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from hil.process import Child
        child = Child("c", [sys.executable, "-c", "import time; time.sleep(60)"], Path({str(tmp_path / "log")!r}))
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    end = time.monotonic() + 5
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert gone(pid)
