"""A pytest plugin that keeps what a run found, per device under test: `-p hil.rig.record --record FILE`.

The device under test is the target of a test body; where a test has none, `cpython` for the firmware's modules and the
mutants, `vm` for scenarios with every real part, `chip` for the budgets.
"""

import json
import platform
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

FORMAT = "lightnode-rig/1"
_BY_FOLDER = (("tests/scenarios/", "vm"), ("tests/hil/test_budget", "chip"), ("tests/hil/test_chip", "chip"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the record goes."""
    parser.addoption("--record", type=Path, help="write what was found to this file as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Records only when asked to."""
    path = config.getoption("--record")
    if path is not None:
        config.pluginmanager.register(_Recorder(config, path))


class _Recorder:
    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path
        self._began = time.time()
        self._found: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Tells the report which target its test had."""
        outcome = yield
        target = getattr(getattr(item, "callspec", None), "params", {}).get("target")
        outcome.get_result().device = target if isinstance(target, str) else _device(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One entry a test; a failure in any phase counts."""
        entry = self._found.setdefault(
            report.nodeid,
            {
                "device": getattr(report, "device", _device(report.nodeid)),
                "scenario": report.nodeid.rpartition("/")[2],
                "outcome": "passed",
                "seconds": 0.0,
                "reason": "",
            },
        )
        entry["seconds"] = round(entry["seconds"] + report.duration, 3)
        if report.failed:
            entry["outcome"] = "failed"
            entry["reason"] = str(report.longrepr).strip().splitlines()[-1][:400]
            entry["repeat"] = f"./run test {shlex.quote(report.nodeid)}"
        elif report.skipped and entry["outcome"] == "passed":
            entry["outcome"] = "skipped"
            entry["reason"] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)[:400]

    def pytest_sessionfinish(self) -> None:
        """Writes the record; of several processes the one that hears of all tests."""
        if hasattr(self._config, "workerinput"):
            return
        devices: dict[str, list[dict[str, Any]]] = {}
        for entry in self._found.values():
            devices.setdefault(entry["device"], []).append({k: v for k, v in entry.items() if k != "device"})
        document = {
            "format": FORMAT,
            "began": self._began,
            "seconds": round(time.time() - self._began, 1),
            "machine": f"{platform.machine()} {platform.system()} Python {platform.python_version()}",
            "devices": [
                {"name": name, **_counts(found), "scenarios": found} for name, found in sorted(devices.items())
            ],
        }
        self._path.write_text(json.dumps(document, indent=1) + "\n")


def _device(nodeid: str) -> str:
    for folder, device in _BY_FOLDER:
        if nodeid.startswith(folder):
            return device
    return "cpython"


def _counts(found: list[dict[str, Any]]) -> dict[str, int]:
    return {outcome: sum(entry["outcome"] == outcome for entry in found) for outcome in ("passed", "failed", "skipped")}
