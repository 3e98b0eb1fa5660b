"""Signatures of many messages, checked beside the reading where there is somebody to do it.

1. Without an executor (the interface of concurrent.futures) a signature is checked at once.
2. With one, signatures go to it in lots of a fixed size; at most ``MOST_WAITING`` lots are under way, so memory does not grow
   with the file. What is less than a lot is checked here: a small file needs no worker.
3. The answer is the same: whatever else is found while signatures wait counts only behind them, so the first that does not
   hold, in the order in which they were met, is what is said. What leaves the block in which they are checked has been checked.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Self

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import PublicKey, check_signature, fault_of

LOT = 64
MOST_WAITING = 16
Signed = tuple[PublicKey, bytes, bytes]
"""Key, what it signed, signature."""


class Signatures:
    """Checks signatures by the three rules: ``with Signatures(executor) as signatures: ...``."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._lot: list[Signed] = []
        self._places: list[str] = []
        self._waiting: deque[tuple[list[str], Future[tuple[int, str]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is None or isinstance(error, Exception):
                self._settle()
        finally:
            self._drop()

    def check(self, key: PublicKey, signed: bytes, signature: bytes, where: str) -> None:
        """NotValid, now or later in the block, unless signature is key's over signed."""
        if self._executor is None:
            check_signature(key, signed, signature, where)
            return
        self._lot.append((key, signed, signature))
        self._places.append(where)
        if len(self._lot) == LOT:
            self._hand_over(self._executor)

    def _hand_over(self, executor: Executor) -> None:
        self._waiting.append((self._places, executor.submit(first_fault, self._lot)))
        self._lot, self._places = [], []
        if len(self._waiting) > MOST_WAITING:
            self._take()

    def _settle(self) -> None:
        while self._waiting:
            self._take()
        at, fault = first_fault(self._lot)
        if fault:
            raise NotValid(self._places[at], fault)

    def _take(self) -> None:
        places, future = self._waiting.popleft()
        at, fault = future.result()
        if fault:
            self._drop()
            raise NotValid(places[at], fault)

    def _drop(self) -> None:
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
        self._lot, self._places = [], []


def first_fault(lot: Sequence[Signed]) -> tuple[int, str]:
    """In a worker: place and reason of the first signature that does not hold; ``(0, "")`` if all do."""
    for at, (key, signed, signature) in enumerate(lot):
        if fault := fault_of(key, signed, signature):
            return at, fault
    return 0, ""
