"""Clocks that jump: a light node's source of time, and the clock of a back end."""

from collections.abc import Callable
from typing import Any


class JumpingSource:
    """A node's source (monotonic_ms, agrees) whose counter jumps."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._jumped_ms = 0

    def jump(self, by_ms: int) -> None:
        """Forward, or back for a negative number."""
        self._jumped_ms += by_ms

    def monotonic_ms(self) -> int:
        """The source's time, and all jumps so far."""
        return int(self._source.monotonic_ms()) + self._jumped_ms

    def agrees(self, utc_ms: int) -> bool:
        """As the source says."""
        return bool(self._source.agrees(utc_ms))


class JumpingClock:
    """A back end's `now_ms` that jumps."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._jumped_ms = 0

    def jump(self, by_ms: int) -> None:
        """Forward, or back for a negative number."""
        self._jumped_ms += by_ms

    def __call__(self) -> int:
        """UTC ms as this clock has it."""
        return self._now_ms() + self._jumped_ms
