"""Modbus master, asyncio: reads registers over a link (RTU or TCP), believes nothing that is not exactly the answer.

Modbus Application Protocol V1.1b3, functions 3 and 4.

1. An answer counts only with the right unit, function and length, and with what its link adds: a CRC, a transaction.
2. A cycle sends at most REQUESTS_MAX requests, repetitions included: meters restart when they are polled fast. After a cycle
   in which nothing was heard a request is not repeated.
3. What did not come truly is a MeterError, never a value. `retried` says that the cycle needed a repetition.
4. A request that the meter refused as wrong (exceptions 1 to 3) is not repeated: the answer would be the same.

A request is (first register, count, before, after): so many registers before and after it may be read with it, should its
link want another length; what is returned is the count from the first.
"""

import asyncio

from .compat import within
from .errors import MeterError, Refused

REQUESTS_MAX = 3
TIMEOUT_MS = 250
_LASTING = 3  # highest exception that says that the request itself is wrong


def content(function: int, wanted: int, answer: bytes) -> bytes:
    """The registers in an answer (function, byte count, registers); Refused, or MeterError if it answers something else."""
    if len(answer) == 2 and answer[0] == function | 0x80:
        raise Refused(answer[1])
    if len(answer) != 2 + wanted or answer[0] != function or answer[1] != wanted:
        raise MeterError("an answer to another question")
    return answer[2:]


class Master:
    """One request at a time over a link. `errors`: attempts that failed since the start; `left`: requests of this cycle.

    A link has begin(answered); ready(request), which gives the ms that request and answer are on the line; then
    ask(unit, function, request), which waits for the answer as long as the master lets it; failed(), lost() and `heard`.
    """

    def __init__(self, link, timeout_ms: int = TIMEOUT_MS, patience: int = 1) -> None:  # type: ignore[no-untyped-def]
        """patience: so many times longer it waits for a meter that answered the last cycle."""
        self._link = link
        self._timeout_ms = timeout_ms
        self._patience = patience
        self._answered = True
        self._may_repeat = True
        self._waits = 1
        self.left = REQUESTS_MAX
        self.retried = False
        self.errors = 0

    def begin(self) -> None:
        """A cycle begins."""
        self._link.begin(self._answered)
        self._may_repeat = self._answered or self._link.heard
        self._waits = self._patience if self._answered else 1
        self._link.heard = self._answered = self.retried = False
        self.left = REQUESTS_MAX

    async def read(self, unit: int, function: int, requests) -> list[bytes]:  # type: ignore[no-untyped-def]
        """For each request its 2 * count bytes; MeterError as soon as the attempts are used up."""
        self._answered = False
        blocks: list[bytes] = []
        for request in requests:
            blocks.append(await self._block(unit, function, request))
        self._answered = True
        return blocks

    async def _block(self, unit: int, function: int, request) -> bytes:  # type: ignore[no-untyped-def]
        problem = "asked often enough"
        while self.left:
            self.left -= 1
            try:
                airtime_ms = await self._link.ready(request)
                wait_ms = (self._timeout_ms + airtime_ms) * self._waits
                return await within(self._link.ask(unit, function, request), wait_ms)  # type: ignore[no-any-return]
            except asyncio.TimeoutError:
                problem = "no answer"
                self._link.failed()
            except Refused as refused:
                if refused.code <= _LASTING:
                    self.errors += 1
                    raise
                problem = str(refused)
            except MeterError as error:
                problem = str(error)
                self._link.failed()
            except (EOFError, OSError):
                problem = "the line is gone"
                self._link.lost()
            self.errors += 1
            self.retried = True
            if not self._may_repeat:
                break
        raise MeterError(f"unit {unit}, register {request[0]}: {problem}")
