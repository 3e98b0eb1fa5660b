"""The console of a device on a cable: a command out, its answer back, while the device goes on working.

    with Link("/dev/ttyACM0") as link:
        link.ask("key")["device"]

1. A command and its answer are one line each. An answer is waited for `timeout_s` at most and has LARGEST bytes at most,
   with all that the device prints between; what is no answer to this command is passed over.
2. Who does not answer is told apart: a port that is not there, one that went away, MicroPython's prompt in the place of the
   application, a device that does not know the command, and silence. Each is one error with its cure.
3. What the device refuses is a Refused in its own words.
4. What was typed before is erased, not sent. Only printable ASCII goes out: the prompt of MicroPython, which an interrupt
   would open, is out of reach.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import serial

from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.transport import NoAnswer, cut_off

try:
    from termios import error as TerminalError
except ImportError:  # not on Windows, where the port's errors are OSError
    TerminalError = OSError  # type: ignore[assignment, misc]

LARGEST = 65_536
ANSWER_S = 10.0
METER_S = 20.0  # the next slot's own reading is the answer
START_S = 60.0
FOUND_S = 12.0  # an application that has just started
PROMPT = "MicroPython's prompt answers, the application does not run"
BAUD = 115_200
_POLL_S = 0.1
_AGAIN_S = 0.5
_POLLED_S = 2.0
_GONE_S = 5.0  # a port that a reset takes away is back by then
_ERASE = b"\x7f" * 66  # one more than the device's longest line
_PROMPT = b">>> "
_REFUSALS = (b"no such command", b"only json may", b"only printable", b"the line is too long", b"belongs behind")
_GONE = (OSError, TerminalError, TypeError)  # pyserial raises TypeError where another thread has closed the port
_CURE = "is it the device's port, is `console` true in its settings? press its reset and run the same command again"


class Refused(FlashError):
    """The device does not do it; `cause` in its own words."""


class Wire(Protocol):
    """A port with a device: as of pyserial."""

    @property
    def in_waiting(self) -> int:
        """How many bytes have come at least."""
        ...

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" if none came within the port's timeout."""
        ...

    def write(self, data: bytes) -> object:
        """All of it."""
        ...

    def close(self) -> None:
        """Gives it back."""
        ...


def opened(port: str) -> Wire:
    """A serial port, a pseudo terminal, or a URL of pyserial's ("socket://127.0.0.1:4000"). PartMissing if it is not there."""
    try:
        wire: Wire = serial.serial_for_url(port, baudrate=BAUD, timeout=_POLL_S, write_timeout=ANSWER_S)
    except (*_GONE, ValueError) as error:
        cure = "is the cable plugged in, is another program using it?"
        raise PartMissing("open", short(error), cure, port=port) from error
    return wire


class Link:
    """A device's console; a context manager. device: its id, once it is known, for the errors."""

    def __init__(self, port: str, open_wire: Callable[[str], Wire] = opened) -> None:
        self.port = port
        self.device = ""
        self._open = open_wire
        self._wire: Wire | None = None

    def ask(self, command: str, *words: str, timeout_s: float = ANSWER_S) -> Mapping[str, Any]:
        """The answer's names and values. Refused, NoAnswer, PartMissing, Pending; each names port, device and step."""
        line = " ".join((command, *words, "json"))
        if not line.isascii() or not line.isprintable():
            raise FlashError(command, "only printable ASCII goes to the console", port=self.port, device=self.device)
        self._pass_over(command)
        self._send(command, _ERASE + line.encode() + b"\r")
        answer = self._answer(command, timeout_s)
        if isinstance(answer.get("refused"), str):  # a count of that name is no refusal
            raise Refused(command, f"the device says: {line_of(answer['refused'])}", port=self.port, device=self.device)
        if isinstance(answer.get("device"), str):
            self.device = line_of(answer["device"])[:16]
        return answer

    def until(
        self, command: str, true: Callable[[Mapping[str, Any]], bool], timeout_s: float = START_S
    ) -> Mapping[str, Any]:
        """What it says to a command as soon as that is true of it, also after a start, while the port may be gone. FlashError
        of the last try otherwise."""
        end, gone = time.monotonic() + timeout_s, time.monotonic() + _GONE_S
        while True:
            error: FlashError = Pending(command, f"not yet after {timeout_s:g} s", "run the same command again later")
            try:
                answer = self.ask(command, timeout_s=_POLLED_S)
                if true(answer):
                    return answer
            except Refused:
                raise
            except FlashError as silent:
                self.close()
                error = silent
                if PROMPT in silent.cause or (isinstance(silent, PartMissing) and time.monotonic() > gone):
                    end = 0.0
            if time.monotonic() > end:
                raise error.at(port=self.port, device=self.device) from None
            time.sleep(_AGAIN_S)

    def found(self, timeout_s: float = FOUND_S) -> Mapping[str, Any] | None:
        """What it says to `key`; None if its application does not answer: not running, no console, no such port."""
        try:
            return self.until("key", lambda _: True, timeout_s)
        except FlashError:
            self.close()
            return None

    def read(self) -> bytes:
        """What came since; b"" if nothing did within a tenth of a second."""
        return self._read("console")

    def write(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._send("console", data)

    def close(self) -> None:
        """Gives the port back; it is opened again when it is needed."""
        wire, self._wire = self._wire, None
        if wire is not None:
            try:
                wire.close()
            except _GONE:
                return  # the other end is gone, and the port with it

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, command: str, timeout_s: float) -> Mapping[str, Any]:
        """Rule 1."""
        heard, took, refusal = b"", 0, b""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and took < LARGEST:
            piece = self._read(command)
            took += len(piece)
            *lines, heard = (heard + piece).split(b"\n")
            for line in lines:
                found = _parsed(line, command)
                if found is not None:
                    return found
                refusal = line if any(words in line for words in _REFUSALS) else refusal
            if refusal or heard.endswith(_PROMPT):
                break
        raise self._no_answer(command, refusal, heard, took).at(self.port, self.device)

    def _no_answer(self, command: str, refusal: bytes, heard: bytes, took: int) -> FlashError:
        """Rule 2."""
        if refusal:
            said = line_of(refusal.decode(errors="replace"))
            return FlashError(command, f"the device says: {said}", "its firmware is older than this tool: update it")
        if heard.endswith(_PROMPT):
            return NoAnswer(command, PROMPT, "press the board's reset; if that does not help, write or update it")
        if took >= LARGEST:
            return NoAnswer(command, f"{took} bytes came and no answer", _CURE)
        return NoAnswer(
            command, "the device does not answer" + (f", {took} bytes of other text came" if took else ""), _CURE
        )

    def _pass_over(self, step: str) -> None:
        """What came before the command is no answer to it."""
        took = 0
        try:
            while took < LARGEST and self._opened().in_waiting:
                took += len(self._read(step))
        except _GONE as error:
            self.close()
            raise cut_off(step, self.port, short(error)).at(device=self.device) from error

    def _read(self, step: str) -> bytes:
        wire = self._opened()
        try:
            first = wire.read(1)
            return first + wire.read(wire.in_waiting) if first else first
        except _GONE as error:
            self.close()
            raise cut_off(step, self.port, short(error)).at(device=self.device) from error

    def _send(self, step: str, data: bytes) -> None:
        wire = self._opened()
        try:
            wire.write(data)
        except _GONE as error:
            self.close()
            raise cut_off(step, self.port, short(error)).at(device=self.device) from error

    def _opened(self) -> Wire:
        if self._wire is None:
            self._wire = self._open(self.port)
        return self._wire


def _parsed(line: bytes, command: str) -> Mapping[str, Any] | None:
    """The answer in a line that is one; echoes, logs and answers to others are none."""
    at = line.find(b'{"')
    if at < 0:
        return None
    try:
        said = json.loads(line[at:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("command") != command or not isinstance(said.get("answer"), dict):
        return None
    answer: Mapping[str, Any] = said["answer"]
    return answer


def line_of(said: object) -> str:
    """What a device says, on one line and printable."""
    return "".join(c if c.isprintable() else " " for c in str(said)).strip()[:200]


def short(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
