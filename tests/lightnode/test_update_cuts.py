"""Power is lost at every step of an update: the device boots the old or the new release, whole, and the update goes on.

A step is one change of the file system; a write is also cut in its middle. A sample of the cuts, and of pairs of cuts; with
`--every-cut` all.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from lightboot import files

from tests.lightnode.updating import NEW, NEXT_KEY, OLD, Device, made

LAST = 10**9


class PowerCut(BaseException):
    """The device is off."""


class Power:
    """Lasts for so many half steps."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.used = 0

    def spend(self) -> None:
        self.used += 1
        self.left -= 1
        if self.left < 0:
            raise PowerCut


class CutOs:
    """The module os whose changes need power."""

    def __init__(self, power: Power) -> None:
        self._power = power

    def __getattr__(self, name: str) -> Any:
        if name in ("remove", "rmdir", "mkdir"):
            self._power.spend()
        return getattr(os, name)


@contextmanager
def power(left: int) -> Iterator[Power]:
    """Until it is gone every change to the file system works; then PowerCut, a write being half done."""
    lasting = Power(left)
    put = files._put

    def cut(path: str, mode: str, data: bytes) -> None:
        lasting.spend()
        with open(path, mode) as file:
            file.write(data[: len(data) // 2])
        lasting.spend()
        put(path, "wb" if mode == "wb" else "ab", data if mode == "wb" else data[len(data) // 2 :])

    def cut_copy(source: str, path: str) -> Iterator[None]:
        cut(path, "wb", Path(source).read_bytes())
        yield

    before, copy = files.os, files.copy
    files._put, files.copy, files.os = cut, cut_copy, CutOs(lasting)  # type: ignore[assignment]
    try:
        yield lasting
    finally:
        files._put, files.copy, files.os = put, copy, before


FOUND = made(next_key=NEXT_KEY.public, floor=11)


def update_it(device: Device) -> None:
    """From wherever it stands to the commit."""
    for _ in range(3):
        device.start().live()
        device.announce(FOUND.announcement)
        device.serve(FOUND)
        if device.running == "b" and not device.updates.is_on_trial:
            return


def check(device: Device) -> None:
    """It boots, and what it boots is whole."""
    assert device.start().running in ("a", "b"), device.said
    assert device.holds(device.running, OLD if device.running == "a" else NEW)
    state = device.state
    assert (state.sequence, state.floor, state.generation) == ((11, 11, 2) if state.active == 2 else (10, 5, 0))


def test_an_update_without_a_cut_ends_committed(tmp_path: Path) -> None:
    device = Device(tmp_path)
    update_it(device)
    assert device.state.sequence == 11 and device.holds("b", NEW)


def test_a_cut_at_every_step_leaves_a_device_that_boots_and_goes_on(tmp_path: Path, every_cut: bool) -> None:
    counted = Device(tmp_path / "counted")
    with power(LAST) as whole:
        update_it(counted)
    assert whole.used > 60
    for left in range(0, whole.used, 1 if every_cut else 3):
        device = Device(tmp_path / str(left))
        with pytest.raises(PowerCut), power(left):
            update_it(device)
        check(device)
        update_it(device)
        assert device.state.sequence == 11 and device.holds("b", NEW) and device.state.outcome == 0, left
        assert {r.outcome for r in device.reports()} <= {1, 3}, left  # never rolled back; a report may come twice


@pytest.mark.long
def test_a_second_cut_during_the_recovery_does_no_more_harm(tmp_path: Path, every_cut: bool) -> None:
    counted = Device(tmp_path / "counted")
    with power(LAST) as whole:
        update_it(counted)
    cuts = [(first, second) for first in range(whole.used) for second in range(whole.used)]
    for first, second in cuts[:: 1 if every_cut else 131]:
        device = Device(tmp_path / f"{first}-{second}")
        with pytest.raises(PowerCut), power(first):
            update_it(device)
        with suppress(PowerCut), power(second):
            update_it(device)
        check(device)
        device.live()  # three starts without a slot would end the trial
        update_it(device)
        assert device.state.sequence == 11 and device.holds("b", NEW), (first, second)
