"""Leases are exclusive over processes and end with them, also after kill -9."""

import subprocess
import sys
from pathlib import Path

import pytest

from hil.lease import LeaseTaken, lease

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from hil.lease import lease
with lease(sys.argv[1], Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, "/dev/ttyACM0", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(LeaseTaken, match=f"/dev/ttyACM0 is in use by process {holder.pid}"):
            lease("/dev/ttyACM0", tmp_path).__enter__()
        holder.kill()
    with lease("/dev/ttyACM0", tmp_path):
        pass


def test_two_names_of_one_port_are_one_lease(tmp_path: Path) -> None:
    port = tmp_path / "tty"
    port.touch()
    (tmp_path / "by-id").symlink_to(port)
    with lease(str(port), tmp_path), pytest.raises(LeaseTaken), lease(str(tmp_path / "by-id"), tmp_path):
        pass
