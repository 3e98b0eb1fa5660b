"""The application's own functions, called from MicroPython's prompt while the application is stopped.

1. What is called comes from the directory that is whole, the one that the chooser would start first. Nothing is chosen and
   nothing changed by that.
2. A watchdog that the application has armed goes on; the transport feeds it, and what works long here feeds it too.
3. What the device refuses is a Refused in its own words. At the end the board starts anew, whatever happened.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from lightflash.errors import FlashError
from lightflash.link import Refused, line_of
from lightflash.transport import Transport

ROOT, CONFIG = "/app", "/config.json"
_ENTER_S, _CALL_S = 60.0, 120.0
_MARK = "answer: "
_ENTER = """
import json, sys
from lightboot import chooser, state
_s = state.read({root!r})[0]
_first = ''
for _slot in (_s.active, 3 - _s.active) if _s and _s.active else (1, 2):
    _feed()
    if chooser.is_whole({root!r}, _slot, _s.release(_slot) if _s else b'', lambda line: None):
        _first = chooser.folder({root!r}, _slot)
        sys.path.insert(0, _first)
        break
_feed()
from lightnode import cable
from lightnode.errors import NodeError
print({mark!r} + json.dumps({{'from': _first}}))
"""
_CALL = """
try:
    _a = {call}
except (NodeError, OSError) as _e:
    _a = {{'refused': str(_e) or type(_e).__name__}}
print({mark!r} + json.dumps(_a))
"""


class Prompt:
    """A device at MicroPython's prompt. step: of the command that calls."""

    def __init__(self, transport: Transport, step: str) -> None:
        self._transport = transport
        self._step = step

    def enter(self) -> None:
        """Rule 1. FlashError if there is no application that could be called."""
        try:
            self._ran(_ENTER.format(root=ROOT, mark=_MARK), _ENTER_S)
        except FlashError as error:
            if "ImportError" in error.cause or "no module" in error.cause:
                cause = "no whole application on the board knows this command"
                raise FlashError(self._step, cause, "put one on it with `lightnode-flash write`") from error
            raise

    def call(self, expression: str) -> Mapping[str, Any]:
        """What an expression gives, a dict; the module is `cable`, the watchdog's feed `_feed`. Refused."""
        answer = self._ran(_CALL.format(call=expression, mark=_MARK), _CALL_S)
        refused = answer.get("refused")
        if isinstance(refused, str) and refused:
            raise Refused(self._step, f"the device says: {line_of(refused)}")
        return answer

    def _ran(self, script: str, timeout_s: float) -> Mapping[str, Any]:
        printed = self._transport.run(script, timeout_s)
        lines = [line.removeprefix(_MARK) for line in printed.splitlines() if line.startswith(_MARK)]
        try:
            answer = json.loads(lines[-1])
        except (ValueError, IndexError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise FlashError(
                self._step, "the device did not answer as a light node does", "write the application again"
            )
        return answer


@contextmanager
def prompt(transport: Transport, step: str) -> Iterator[Prompt]:
    """The prompt of a device whose application is stopped for it; rule 3."""
    made = Prompt(transport, step)
    try:
        made.enter()
        yield made
    finally:
        with suppress(FlashError):
            transport.reset()  # a board that has gone has started by itself
        transport.close()
