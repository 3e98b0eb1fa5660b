"""Events with fields, one JSON line each on standard error. Never a key, never a customer's power."""

import json
import sys
from typing import TextIO


class Log:
    """`log("refused", reason=...)` writes one line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stderr

    def __call__(self, event: str, **fields: str | int) -> None:
        """One event."""
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()
