"""The standard scenarios on every target: one pytest run, its record, the budgets, one report.

What is standard: every test body with a target, every module of the firmware, the mutants, one reading to its receipt, the
loop, kill -9, the faults, updates, and the exact budgets where the emulated chip can be had.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hil.output import own
from hil.process import die_with_parent
from hil.rig.page import write_page

ROOT = Path(__file__).parents[2]
STANDARD = (
    "tests/targets", "tests/lightboot", "tests/lightnode", "tests/lightwire", "tests/hil/test_mutants.py",
    "tests/scenarios/test_one_reading.py", "tests/scenarios/test_loop.py", "tests/scenarios/test_kill.py", "tests/scenarios/test_faults.py",
    "tests/scenarios/test_update.py",
)  # fmt: skip
Progress = Callable[[str], None]


def run(out: Path, targets: str, chosen: Sequence[str], keyword: str, progress: Progress) -> dict[str, Any]:
    """Runs, and writes rig.json, junit.xml and report.html to out; the record. chosen: test paths, empty for STANDARD."""
    own(out, "rig", ("rig.json", "junit.xml", "report.html", "pytest.log"))
    progress(f"running the scenarios on {targets}; details in {out / 'pytest.log'}")
    _pytest(out, targets, chosen or STANDARD, keyword)
    record: dict[str, Any] = json.loads((out / "rig.json").read_text())
    record["targets"] = targets
    record["budgets"] = _budgets(targets, keyword, progress) if not chosen else []
    (out / "rig.json").write_text(json.dumps(record, indent=1) + "\n")
    write_page(record, out / "report.html")
    return record


def failures(record: dict[str, Any]) -> list[str]:
    """One line for each scenario that failed and each budget that has grown, with the command that repeats it."""
    found = []
    for device in record["devices"]:
        for scenario in device["scenarios"]:
            if scenario["outcome"] == "failed":
                what = f"{device['name']}: {scenario['scenario']}: {scenario['reason']}"
                found.append(f"{what}\n  again: {scenario['repeat']}")
    found.extend(f"chip: {row['said']}\n  again: ./run hil budget" for row in record["budgets"] if row["grown"])
    return found


def _pytest(out: Path, targets: str, chosen: Sequence[str], keyword: str) -> None:
    folder, workers = out.resolve(), str(min(4, os.cpu_count() or 1))
    command = [
        sys.executable, "-m", "pytest", *chosen, "-c", str(ROOT / "pyproject.toml"), "-n", workers, "--dist", "loadgroup",
        "-p", "hil.rig.record", "--record", str(folder / "rig.json"), "--target", targets,
        "--junitxml", str(folder / "junit.xml"), "-o", "junit_suite_name=lightnode-rig", *(["-k", keyword] if keyword else []),
    ]  # fmt: skip
    with (out / "pytest.log").open("w") as log:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False, preexec_fn=die_with_parent)
    if not (out / "rig.json").exists():
        from hil.errors import RigError

        raise RigError(f"the scenarios did not start: see {out / 'pytest.log'}")


def _budgets(targets: str, keyword: str, progress: Progress) -> list[dict[str, Any]]:
    from hil import budget
    from hil.targets.chip import Chip

    if keyword or not ({"all", "chip"} & set(targets.split(","))) or Chip().missing():
        return []
    progress("measuring the budgets on the emulated chip")
    comparable = not budget.not_comparable()
    rows = budget.compare(budget.measure(), budget.read_ratchet())
    return [
        {**asdict(row), "grown": comparable and row.has_grown, "missed": row.misses_target, "said": str(row)}
        for row in rows
        if not row.name.startswith("compiled.")
    ]
