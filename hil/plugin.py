"""The rig's pytest plugin: `--target` chooses where a test body with the fixture `target` runs.

1. Without the option a body runs on every target; one that cannot be had is skipped with its reason.
2. `@pytest.mark.needs("uart")` names what a body needs; a target without it is skipped with the reason.
3. With CI=true a missing cpython, vm or chip is a failure: a test set-up installs them itself.
"""

import os
from collections.abc import Callable

import pytest

from hil.targets.board import Board
from hil.targets.chip import Chip
from hil.targets.host import CPython, Vm
from hil.targets.target import Target, lacks

NAMES = ("cpython", "vm", "chip", "board")
_BUILD_S = 1200  # the chip's first test may have to install a compiler and build the image
_OURS_TO_INSTALL = ("cpython", "vm", "chip")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The rig's options."""
    group = parser.getgroup("rig")
    group.addoption(
        "--target", default="all", help=f"where test bodies run: {', '.join(NAMES)} or all, several with commas"
    )
    group.addoption("--board-port", default="", help="serial port of a real board; default $LIGHTNODE_BOARD_PORT")


def pytest_configure(config: pytest.Config) -> None:
    """The rig's markers; a wrong target name ends the run."""
    config.addinivalue_line("markers", "needs(*capabilities): what a target must have for this body")
    wrong = [name for name in _chosen(config) if name not in NAMES]
    if wrong:
        raise pytest.UsageError(f"--target {wrong[0]}: known are {', '.join(NAMES)} and all")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A body with the fixture `target` becomes one test for each chosen target."""
    if "target" in metafunc.fixturenames:
        slow = pytest.mark.timeout(_BUILD_S)
        chosen = [pytest.param(n, marks=slow) if n == "chip" else n for n in _chosen(metafunc.config)]
        metafunc.parametrize("target", chosen, indirect=True)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    """The target of this test, which can be had and has what the body needs."""
    makers: dict[str, Callable[[], Target]] = {
        "cpython": CPython,
        "vm": Vm,
        "chip": Chip,
        "board": lambda: Board(str(request.config.getoption("--board-port"))),
    }
    found = makers[request.param]()
    needed = frozenset(word for mark in request.node.iter_markers("needs") for word in mark.args)
    if reason := lacks(found, needed):
        pytest.skip(reason)
    if reason := found.missing():
        if os.environ.get("CI") == "true" and found.name in _OURS_TO_INSTALL:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _chosen(config: pytest.Config) -> list[str]:
    option = str(config.getoption("--target"))
    return list(NAMES) if option == "all" else option.split(",")
