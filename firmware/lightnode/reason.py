"""Why a device starts again, kept across the reset: cause, task, a line for people, the newest lines of the log.

1. What was kept counts before what the hardware says: the program knew why it asked for the reset.
2. Any bytes give a reason: what cannot be read is an unknown one.
3. The line has the message of the node's own errors, of any other only the type, a number and the place: the message of
   a stranger may hold a value or a key.
"""

from lightwire import records

from .compat import place_of
from .errors import NodeError

TASKS = ("none", "sampler", "uplink", "ems", "update", "console")
CAUSES = ("none", "power", "watchdog", "failure", "update", "command", "unknown")
_TAIL_BYTES = 512
_TEXT = 120


class Reset(Exception):
    """The device must start again. cause: records.RESET_*; task: records.TASK_*, 0 for none; text: one line."""

    def __init__(self, cause: int, task: int, text: str) -> None:
        super().__init__(text)
        self.cause = cause
        self.task = task
        self.text = text[:_TEXT]

    def __str__(self) -> str:
        return f"{CAUSES[self.cause]}, {TASKS[self.task]}: {self.text}"


class Reason:
    """Why this start happened: `cause`, `task`, `text`; `tail`: the last lines of the log of the start before; `kept`:
    the program had asked for it."""

    def __init__(self, cause: int, task: int = 0, text: str = "", tail: str = "", kept: bool = False) -> None:
        self.cause = cause
        self.task = task
        self.text = text
        self.tail = tail
        self.kept = kept


def line_of(error: Exception) -> str:
    """What went wrong in one line that shows no value (rule 3)."""
    name = type(error).__name__
    if isinstance(error, NodeError):
        return f"{name}: {error}"
    if isinstance(error, MemoryError):
        return name  # looking for the place wants memory
    number = error.args[0] if isinstance(error, OSError) and error.args and isinstance(error.args[0], int) else ""
    return f"{name} {number} at {place_of(error)}"


def encode(reset: Reset, tail: str) -> bytes:
    """What a board keeps: at most 640 bytes. tail: lines of the log, cut at its start."""
    return bytes((reset.cause, reset.task)) + (reset.text.replace("\n", " ") + "\n" + tail[-_TAIL_BYTES:]).encode()


def decode(data: bytes, hardware: int) -> Reason:
    """Why this start happened. data: what the board kept, b"" for nothing; hardware: the cause that it says."""
    if not data:
        task = records.TASK_SAMPLER if hardware == records.RESET_WATCHDOG else 0  # it alone feeds the watchdog
        return Reason(hardware, task)
    try:
        text, _, tail = data[2:].decode().partition("\n")
    except UnicodeError:
        return Reason(records.RESET_UNKNOWN, kept=True)
    if len(data) < 3 or not 0 < data[0] < len(CAUSES) or data[1] >= len(TASKS):
        return Reason(records.RESET_UNKNOWN, kept=True)
    return Reason(data[0], data[1], text, tail, True)
