"""What is happening to each device: one line each that moves on a terminal, a line per step in a pipe."""

import threading
from collections.abc import Sequence
from typing import TextIO

_BAR = 20


class Progress:
    """Lines of the devices on a stream; any thread may tell."""

    def __init__(self, stream: TextIO, names: Sequence[str], is_terminal: bool) -> None:
        self._stream = stream
        self._names = list(names)
        self._is_terminal = is_terminal
        self._lock = threading.Lock()
        self._told: dict[str, str] = {}
        self._width = max((len(name) for name in names), default=0)
        if is_terminal:
            stream.write("".join(f"{name:{self._width}}  waiting\n" for name in self._names))
            stream.flush()

    def tell(self, name: str, step: str, at: int, of: int, note: str = "") -> None:
        """The device is in this step, `at` of `of` bytes of it; note: what a reader should know."""
        with self._lock:
            if not self._is_terminal:
                text = step + (f": {note}" if note else "")
                if self._told.get(name) != text:
                    self._told[name] = text
                    print(f"{name}: {text}", file=self._stream, flush=True)
                return
            line = f"{name:{self._width}}  {step:12} {_bar(at, of)} {note}".rstrip()[:120]
            up = len(self._names) - self._names.index(name)
            self._stream.write(f"\x1b[{up}A\r\x1b[2K{line}\x1b[{up}B\r")
            self._stream.flush()


def _bar(at: int, of: int) -> str:
    full = _BAR * at // of if of else _BAR
    return "#" * full + "." * (_BAR - full)
