"""What a target is: something that runs a script with the project's firmware importable and says what it printed.

1. A script is written in the language that every target has: MicroPython's.
2. `files` stand in the script's working folder. With a `meter` the name METER is what the board's `open_serial` takes.
3. A script that ends with an exception is a ScriptFailed with its traceback; a target that cannot be had says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hil.errors import RigError

NETWORK, TLS, ASYNCIO, UART, FLASH, WATCHDOG, EXACT_COUNTS = (
    "network",
    "tls",
    "asyncio",
    "uart",
    "flash",
    "watchdog",
    "exact_counts",
)


class TargetError(RigError):
    """The target did not do what a target does: it is gone, silent, or speaks no raw REPL."""


class ScriptFailed(AssertionError):
    """The script ended with an exception. `traceback`: as the target printed it; `printed`: what came before."""

    def __init__(self, target: str, traceback: str, printed: str) -> None:
        super().__init__(f"on {target} the script ended with\n{traceback}\nafter printing\n{printed}")
        self.traceback = traceback
        self.printed = printed


@dataclass(frozen=True, slots=True)
class Job:
    """A script and its surroundings. meter: path of the pseudo terminal or serial port with the meter, "" for none."""

    script: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    meter: str = ""
    timeout_s: float = 170.0


class Target(Protocol):
    """A place that scripts run on. `capabilities`: of the constants above, what this place has."""

    name: str
    capabilities: frozenset[str]

    def missing(self) -> str:
        """Why it cannot be had, with the cure; "" if it can."""
        ...

    def run(self, job: Job) -> str:
        """What the script printed. ScriptFailed with its traceback, TargetError if the target failed."""
        ...


def lacks(target: Target, needed: frozenset[str]) -> str:
    """Why a body with these needs cannot run there; "" if it can."""
    absent = sorted(needed - target.capabilities)
    return f"{target.name} has no {', '.join(absent)}" if absent else ""


def with_meter(script: str, meter: str) -> str:
    """The script with METER defined, its line numbers unchanged."""
    return f"METER = {meter!r}; " + script.lstrip("\n") if meter else script
