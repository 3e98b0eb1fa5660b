"""Asking for short turns changes nothing else."""

import os
import subprocess
import sys

CODE = """
import os
from hil.turns import short_turns
before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
asked = short_turns()
assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before
print(asked)
"""


def test_niceness_and_policy_stay_and_the_answer_says_whether_it_can_be_had() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.nice(3) and None,
    )
    assert done.stdout.strip() in ("True", "False"), done.stderr


def test_elsewhere_than_on_linux_nothing_is_asked() -> None:
    code = "import sys; sys.platform = 'darwin'; from hil.turns import short_turns; print(short_turns())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
