"""Fixtures every test may use: the MicroPython VM, and what a missing system part means."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hil.runtime import RuntimePartMissing, micropython_command, mosquitto_command

ROOT = Path(__file__).parents[1]
_SLOWEST = ("scenarios", "targets", "hil")

pytest_plugins = ("hil.plugin_faults",)

settings.register_profile("lightnode", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lightnode")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Long suites stand behind an option."""
    parser.addoption(
        "--every-cut", action="store_true", help="cut journal and updates at every step instead of a sample (hours)"
    )
    parser.addoption(
        "--ems-orders", type=int, default=10, help="orders of the latency test, in real time (100: a minute)"
    )
    parser.addoption("--every-vector", action="store_true", help="all published ECDSA vectors on the emulated chip too")
    parser.addoption("--long", action="store_true", help="also what takes minutes: every mutant, every broken release")
    parser.addoption("--wycheproof", default="", help="testvectors_v1 of Project Wycheproof, to be run as well")


def pytest_configure(config: pytest.Config) -> None:
    """The mark of what runs with --long only."""
    config.addinivalue_line("markers", "long: runs with --long only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is marked long, and says so; what takes longest begins first, so that no process is left alone with it
    at the end; nothing ends the long suites of cuts but their end."""
    items.sort(
        key=lambda item: _SLOWEST.index(item.path.parent.name) if item.path.parent.name in _SLOWEST else len(_SLOWEST)
    )
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="runs with --long"))
    if config.getoption("--every-cut"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture
def every_cut(request: pytest.FixtureRequest) -> bool:
    """Whether the long suites of cuts are wanted whole."""
    return bool(request.config.getoption("--every-cut"))


def part_or_skip(find: Callable[[], list[str]]) -> list[str]:
    """The command of a system part; without it a skip with its reason, in CI a failure."""
    try:
        return find()
    except RuntimePartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def micropython() -> Callable[[str], str]:
    """Runs a script in the VM with the firmware on its path and gives back what it printed."""
    command = part_or_skip(micropython_command)
    environment = {**os.environ, "MICROPYPATH": str(ROOT / "firmware")}

    def run(script: str, heap: str = "8M") -> str:
        done = subprocess.run(
            [*command, "-X", f"heapsize={heap}", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"the script ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def mosquitto() -> list[str]:
    """The command that starts the broker."""
    return part_or_skip(mosquitto_command)
