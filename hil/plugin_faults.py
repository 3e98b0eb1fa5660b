"""pytest fixtures of the faults; what this computer cannot make is skipped with its reason."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hil.faults import FaultUnavailable
from hil.faults.clock import JumpingClock, JumpingSource
from hil.faults.disk import SmallDisk
from hil.faults.flash import SlowFlash
from hil.faults.link import Link
from hil.faults.netem import Netem, Weather
from hil.flash import NorFlash


def _entered(stack: ExitStack, fault: Any) -> Any:
    try:
        return stack.enter_context(fault)
    except FaultUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def link() -> Iterator[Callable[[int], Link]]:
    """link(port): a bad link in front of a server on loopback."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(Link(port))


@pytest.fixture
def netem(tmp_path: Path) -> Iterator[Callable[[int, Weather], Netem]]:
    """netem(port, Weather(...)): bad weather for packets in front of a server on loopback."""
    with ExitStack() as stack:
        yield lambda port, weather: _entered(stack, Netem(tmp_path / "netem", port, weather))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """small_disk(size): a file system of so many bytes."""
    with ExitStack() as stack:
        yield lambda size: _entered(stack, SmallDisk(tmp_path / "small", size))


@pytest.fixture
def nor_flash() -> Callable[..., NorFlash]:
    """nor_flash(sectors, seed): flash whose power can be cut at any step (`left`)."""
    return NorFlash


@pytest.fixture
def slow_flash() -> Callable[..., SlowFlash]:
    """slow_flash(flash, program_ms, erase_ms, sleep): waits around any block device."""
    return SlowFlash


@pytest.fixture
def jumping_source() -> Callable[[Any], JumpingSource]:
    """jumping_source(source): a node's source of time that can jump."""
    return JumpingSource


@pytest.fixture
def jumping_clock() -> Callable[[Callable[[], int]], JumpingClock]:
    """jumping_clock(now_ms): a back end's clock that can jump."""
    return JumpingClock
