"""The rig's pytest plugin: `--target` chooses where a test body with the fixture `target` runs.

1. Without the option a body runs on every target; one that cannot be had is skipped with its reason.
2. `@pytest.mark.needs("uart")` names what a body needs; a target without it is skipped with the reason.
3. With CI=true a missing cpython, vm or chip is a failure: a test set-up installs them itself.
4. With `--lab FILE` the boards of the lab file take the place of `board`, each leased with its meter and its switch.
5. `broker`, `chain`, `anvil`, `meter`, `bench` and `node` are the real parts, started for one test and stopped after it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.ethereum import EmbeddedChain
from hil.anvil import Anvil, anvil_command
from hil.bench import Bench
from hil.broker import Broker
from hil.errors import PartMissing
from hil.lab import Lab, LabError, load
from hil.lease import LeaseTaken
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter
from hil.meters.station import Station
from hil.nodes import VirtualNode
from hil.pki import Pki
from hil.process import die_with_parent
from hil.runtime import micropython_command, mosquitto_command
from hil.targets.board import Board
from hil.targets.chip import Chip
from hil.targets.host import CPython, Vm
from hil.targets.meter_line import on_a_terminal
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
    group.addoption("--lab", default="", help="lab file (TOML) with boards, meters and switches")


def pytest_configure(config: pytest.Config) -> None:
    """The rig's markers; a wrong target name ends the run. A worker of xdist ends with the run, also after kill -9."""
    if hasattr(config, "workerinput"):
        die_with_parent()
    config.addinivalue_line("markers", "needs(*capabilities): what a target must have for this body")
    wrong = [name for name in _chosen(config) if name.partition(":")[0] not in NAMES]
    if wrong:
        raise pytest.UsageError(f"--target {wrong[0]}: known are {', '.join(NAMES)} and all")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A body with the fixture `target` becomes one test for each chosen target; a parameter of that name is a test's own."""
    if "target" in metafunc.fixturenames and not _is_parameter(metafunc.definition, "target"):
        slow = pytest.mark.timeout(_BUILD_S)
        chosen = [pytest.param(n, marks=slow) if n == "chip" else n for n in _chosen(metafunc.config)]
        metafunc.parametrize("target", chosen, indirect=True)


def _is_parameter(item: Any, name: str) -> bool:
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        if name in [one.strip() for one in names]:
            return True
    return False


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The target of this test, which can be had and has what the body needs."""
    with ExitStack() as stack:
        yield _had(request, _made(request, stack))


def _made(request: pytest.FixtureRequest, stack: ExitStack) -> Target:
    kind, _, name = request.param.partition(":")
    if name:
        try:
            return Board(stack.enter_context(_lab(request.config).leased(name)).port)
        except LeaseTaken as taken:
            pytest.fail(str(taken))
    makers: dict[str, Callable[[], Target]] = {
        "cpython": CPython,
        "vm": Vm,
        "chip": Chip,
        "board": lambda: Board(str(request.config.getoption("--board-port"))),
    }
    return makers[kind]()


def _had(request: pytest.FixtureRequest, found: Target) -> Target:
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
    chosen = list(NAMES) if option == "all" else option.split(",")
    if not config.getoption("--lab") or "board" not in chosen:
        return chosen
    at = chosen.index("board")
    return [*chosen[:at], *(f"board:{name}" for name in _lab(config).boards), *chosen[at + 1 :]]


def _lab(config: pytest.Config) -> Lab:
    try:
        return load(Path(str(config.getoption("--lab"))))
    except LabError as error:
        raise pytest.UsageError(str(error)) from error


def _needed(find: Callable[[], list[str]]) -> None:
    """A system part that is missing is a skip with its reason, in CI a failure."""
    try:
        find()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """mosquitto on a free port with its own authority; mutual TLS and one access rule per role."""
    _needed(mosquitto_command)
    with Broker(tmp_path / "broker", Pki(tmp_path / "broker-pki"), 0) as running:
        yield running


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    """The embedded EVM with AnchorLog deployed, for an operator's log of zeros."""
    running = EmbeddedChain(bytes(32))
    yield running
    running.close()


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[Callable[..., Anvil]]:
    """anvil(*options, state=False) -> a real node on loopback; its developer accounts have funds."""
    _needed(lambda: list(anvil_command()))
    with ExitStack() as stack:
        made: list[Anvil] = []

        def make(*options: str, state: bool = False) -> Anvil:
            made.append(stack.enter_context(Anvil(tmp_path / f"anvil-{len(made)}", *options, state=state)))
            return made[-1]

        yield make


@pytest.fixture
def meter() -> Iterator[Callable[..., tuple[Station, str]]]:
    """meter(model, unit=1, **Meter's) -> (station, path of its pseudo terminal)."""
    with ExitStack() as stack:

        def make(model: str = "sdm630", unit: int = 1, **of_meter: Any) -> tuple[Station, str]:
            station = Station(Meter(f"{model} {unit}", meter_map(model), **of_meter), unit=unit)
            return station, stack.enter_context(on_a_terminal(station))

        yield make


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """bench(pods=[...], start_ms=..., with_agents=...) -> a bench with every real part, warm."""
    _needed(mosquitto_command)
    _needed(micropython_command)
    with ExitStack() as stack:

        def make(**settings: Any) -> Bench:
            made = stack.enter_context(Bench(tmp_path / "bench", **settings))
            made.warm_up()
            return made

        yield make


@pytest.fixture
def node(bench: Callable[..., Bench]) -> tuple[Bench, VirtualNode]:
    """A light node in a MicroPython VM that has trusted time and is connected, and the bench it stands on."""
    made = bench(pods=["NODE01"], start_ms=1_796_040_000_000)
    return made, made.nodes["NODE01"]
