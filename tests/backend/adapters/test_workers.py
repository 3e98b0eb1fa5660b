"""Workers end with the one that reads, whatever ends it; one worker is the reader alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.adapters.workers import sensible, workers

READER = """
import os, signal, sys, time
from backend.adapters.workers import workers
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background, which ignores it
    try:
        with workers(3) as executor:
            print(executor.submit(os.getpid).result(), flush=True)
            if sys.argv[1] == "busy":
                executor.submit(time.sleep, 60)
            time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_one_worker_is_the_reader_alone() -> None:
    """Rule 1."""
    assert 1 <= sensible() <= 2
    with workers(1) as executor:
        assert executor is None


@pytest.mark.parametrize(
    ("how", "what", "says"), [(signal.SIGKILL, "busy", ""), (signal.SIGTERM, "busy", ""), (signal.SIGINT, "idle", "interrupted\n")]
)  # fmt: skip
def test_no_worker_stays_behind(how: signal.Signals, what: str, says: str, tmp_path: Path) -> None:
    """Rule 2: the pipe ends when the last process that holds it has ended; an interrupt goes to all of them at once."""
    (script := tmp_path / "reader.py").write_text(READER)
    reader = subprocess.Popen(
        [sys.executable, str(script), what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert reader.stdout is not None
    assert int(reader.stdout.readline()) != reader.pid
    (os.killpg if how == signal.SIGINT else os.kill)(reader.pid, how)
    out, err = reader.communicate(timeout=30)
    assert out == says and "Traceback" not in err
