"""Talks to the raw REPL of MicroPython 1.14 or later over any line of bytes.

1. Sources go in raw-paste mode, whose windows say how much the board can take: no byte is lost on a slow board.
2. Every wait has an end: a silent board is a TargetError, never a test that hangs.
Protocol: MicroPython's reference manual, "Raw mode and raw-paste mode".
"""

import time
from typing import Protocol

from hil.targets.target import ScriptFailed, TargetError

_INTERRUPT, _RAW, _FRIENDLY, _END, _PASTE = b"\x03", b"\x01", b"\x02", b"\x04", b"\x05A\x01"
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_ANSWER_S = 5.0
_WAKING_S = 0.5


class Line(Protocol):
    """Bytes both ways."""

    def read(self, timeout_s: float) -> bytes:
        """What came, at least one byte; b"" if nothing came in time. TargetError if the other end is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Sends all of it."""
        ...


class Repl:
    """A raw REPL. name: of its target, for messages."""

    def __init__(self, name: str, line: Line) -> None:
        self._name = name
        self._line = line
        self._buffer = bytearray()

    def enter(self, timeout_s: float = 10.0) -> None:
        """Stops what runs and enters raw mode. TargetError if there is no MicroPython."""
        end = time.monotonic() + timeout_s
        attempts = 0
        while time.monotonic() < end:
            self._line.write(b"\r" + _INTERRUPT + _INTERRUPT + _RAW)
            attempts += 1
            if self._heard_banner():
                while attempts > 1 and self._heard_banner():  # answers to earlier attempts, however late
                    attempts -= 1
                while self._line.read(0.05):
                    pass
                self._buffer.clear()
                return
        raise TargetError(f"{self._name}: no raw REPL within {timeout_s:g} s, heard {bytes(self._buffer[-80:])!r}")

    def leave(self) -> None:
        """Back to the friendly REPL."""
        self._line.write(b"\r" + _FRIENDLY)

    def run(self, script: str, timeout_s: float) -> str:
        """What the script printed; ScriptFailed with its traceback."""
        self._paste(script.encode())
        end = time.monotonic() + timeout_s
        printed = self._until(_END, timeout_s)
        traceback = self._until(_END, max(_ANSWER_S, end - time.monotonic()))
        self._until(b">", _ANSWER_S)
        text = printed.decode(errors="replace").replace("\r\n", "\n")
        if traceback:
            raise ScriptFailed(self._name, traceback.decode(errors="replace").replace("\r\n", "\n"), text)
        return text

    def _heard_banner(self) -> bool:
        try:
            self._until(_BANNER, _WAKING_S)
        except TargetError:
            return False
        return True

    def _paste(self, source: bytes) -> None:
        self._line.write(_PASTE)
        head = self._exactly(2)
        if head != b"R\x01":
            raise TargetError(f"{self._name}: no raw-paste mode, it answered {head!r}")
        window = int.from_bytes(self._exactly(2), "little")
        left = window
        while source:
            while not left or self._buffer:
                word = self._exactly(1)
                if word == _END:
                    raise TargetError(f"{self._name}: the board broke off the transfer")
                left += window
            self._line.write(source[:left])
            left, source = max(0, left - len(source)), source[left:]
        self._line.write(_END)
        while (word := self._exactly(1)) != _END:
            if word != _RAW:
                raise TargetError(f"{self._name}: {word!r} instead of the end of the transfer")

    def _exactly(self, count: int) -> bytes:
        end = time.monotonic() + _ANSWER_S
        while len(self._buffer) < count:
            self._more(end, f"{count} bytes")
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _until(self, mark: bytes, timeout_s: float) -> bytes:
        """What came before the mark; both are taken."""
        end = time.monotonic() + timeout_s
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            searched = max(0, len(self._buffer) - len(mark))
            self._more(end, repr(mark))
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    def _more(self, end: float, wanted: str) -> None:
        found = self._line.read(max(0.0, end - time.monotonic()))
        if not found and time.monotonic() >= end:
            raise TargetError(f"{self._name}: {wanted} did not come in time, heard {bytes(self._buffer[-200:])!r}")
        self._buffer += found
