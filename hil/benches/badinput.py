"""Files that are no evidence: what refusing each costs a process of its own, from its start to its one line.

1. Computing time of the whole process and of its workers, the start of the interpreter included; the time of the clock on the
   wall; the most memory that one of them had. A process begins with the memory of the one that starts it, so the files are
   made elsewhere.
2. Each must be refused with exit code 1 and one line, nothing else.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.errors import RigError

_HUGE = 100_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of computing, MiB at most, seconds on the wall."""

    seconds: float
    mib: float
    wall_s: float


def cases(month: bytes) -> Mapping[str, bytes]:
    """The files, by name; month: a bundle that holds, as large as there are."""
    first = month.index(b"\n")
    return {
        "100_mb_of_blanks": b"{" + b" " * (_HUGE - 2) + b"}",
        "100_mb_nested": b"[" * _HUGE,
        "100_mb_of_lines": b"[]\n" * (_HUGE // 3),
        "101_mb": bytes(_HUGE + 1_000_000),
        "32_mb_of_numbers": b"[" + b"1," * 16_000_000 + b"1]",
        "32_mb_of_lists": b"[" + b"[]," * 10_000_000 + b"[]]",
        "nested_100000": b'{"format":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "a_month_cut_in_its_first_line": month[: first // 2],
        "a_month_whose_first_line_is_alone": month[:first],
        "a_month_with_a_bit_changed_at_once": month[:40] + bytes([month[40] ^ 1]) + month[41:],
        "half_a_month": month[: len(month) // 2],
        "a_picture": b"\x89PNG\r\n\x1a\n" + os.urandom(1_000_000),
        "a_database": b"SQLite format 3\0" + bytes(5_000_000),
        "another_format": b'{"format":"lightnode-receipt/2"}',
    }


def refuse(path: Path) -> Cost:
    """Rules 1 and 2; RigError for a file that is not refused so."""
    code, said, diagnosis, cost = _run(str(path))
    if (code, said, diagnosis.count(b"\n")) != (1, b"", 1):
        raise RigError(f"{path.name}: exit code {code}, {diagnosis[:200]!r}: one line and exit code 1 belong there")
    return cost


def checked(bundle: Path, anchors: Path, workers: int) -> Cost:
    """What checking a bundle that holds costs; RigError if it is not found valid."""
    code, _, diagnosis, cost = _run(str(bundle), "--anchors", str(anchors), "--workers", str(workers))
    if code:
        raise RigError(f"{bundle.name}: {diagnosis[:300]!r}: it should be valid")
    return cost


def _run(*words: str) -> tuple[int, bytes, bytes, Cost]:
    """Exit code, what it printed on both ways, and what it cost."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "evidence", "verify", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        said, diagnosis = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, diagnosis, Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, wall_s)
