"""Boosting is an extra: without it that is said; with it only what was known at the gate is read."""

import hashlib
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.boosting import boosted
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.grid.backtest import near_real_time
from backend.grid.candidate import History

ROME = Calendar()
FIRST = ROME.frames(date(2026, 2, 2)).start
ORIGIN = near_real_time(FIRST + 26 * 96 + 40)
ROOT = Path(__file__).parents[3]


def history(days: int = 28) -> History:
    random = np.random.default_rng(2)
    wall = np.tile(np.arange(96, dtype=np.int64), days)
    values = (1_000 * wall + random.integers(0, 2_000, size=96 * days)).reshape(-1, 1)
    return History(FIRST, ("n",), values)


WITHOUT = """
import sys
sys.modules["sklearn"] = None  # as Python marks what cannot be imported
from tests.backend.adapters.test_boosting import ORIGIN, ROME, boosted, history
try:
    boosted(history(), ROME, ORIGIN)
except Exception as error:
    print(type(error).__name__, error)
"""


def said(script: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "firmware")])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_rule_3_without_the_extra_the_command_to_install_it_is_named() -> None:
    assert said(WITHOUT).startswith("Unavailable scikit-learn: not installed: pip install 'lightnode[forecast]'")


ALONE = """
import hashlib, os
import sklearn.ensemble  # its import may start threads
from tests.backend.adapters.test_boosting import ORIGIN, ROME, boosted, history
before = len(os.listdir("/proc/self/task"))
values = boosted(history(), ROME, ORIGIN).values
print(hashlib.sha256(values.tobytes()).hexdigest(), len(os.listdir("/proc/self/task")) - before)
"""


def test_rules_1_and_2_only_what_was_known_one_thread_and_the_same_bytes() -> None:
    """The bytes of a process of its own, and of this one, which is given another future."""
    known = history()
    spoiled = known.values.copy()
    spoiled[ORIGIN.gate - FIRST :] = 10**9
    made = boosted(History(FIRST, ("n",), spoiled), ROME, ORIGIN).values
    assert said(ALONE) == f"{hashlib.sha256(made.tobytes()).hexdigest()} 0\n"
    assert (np.diff(made, axis=0) >= 0).all() and (np.abs(made[2] - known.rows(ORIGIN.frames)) < 4_000).all()
    with pytest.raises(Rejected, match="10 days before the gate can be played, 21 are needed"):
        boosted(known, ROME, near_real_time(FIRST + 11 * 96 + 40))
