"""What the device tells the installer: answers as names and values, none of them secret, none of them changes a setting.

1. A key is shown by its fingerprint, a password not at all: what is told is chosen here, nothing is passed through.
2. The test of the meter is the next slot's own reading, said as it came or with its error: the meter is asked no more
   often than always, and no slot waits for the installer. It says whether the meter is in doubt.
"""

import asyncio
import hashlib
import sys

from lightwire import records

from . import FIRMWARE_VERSION, keys
from .clock import SLOT_MS
from .reason import CAUSES, TASKS, Reset

_METER_WAIT_S = 3 * SLOT_MS // 1000
_PHASES = ("l1", "l2", "l3")


class Status:
    """Answers from the parts of a node; facts(): its counts. `tick()` is called at the end of each slot."""

    def __init__(self, config, board, key, sampler, clock, log, facts) -> None:  # type: ignore[no-untyped-def]
        self._value = config.value
        self._board = board
        self._key = key
        self._sampler = sampler
        self._clock = clock
        self._log = log
        self._facts = facts
        self._slot = asyncio.Event()

    def tick(self) -> None:
        """A slot has ended."""
        self._slot.set()

    def commands(self):  # type: ignore[no-untyped-def]
        """Name -> (what it does, coroutine function without arguments that gives the answer)."""
        return {
            "status": ("how the device is", self.status),
            "meter": ("reads the meter in the next slot", self.meter),
            "key": ("device, generation and fingerprint of its key", self.key),
            "network": ("link, broker, clock", self.network),
            "log": ("the last events", self.log),
            "version": ("firmware and board", self.version),
            "restart": ("starts the device again", self.restart),
        }

    async def status(self) -> dict[str, object]:
        """Counts of this start."""
        facts = dict(self._facts())
        facts["uptime_s"] = self._clock.monotonic_ms() // 1000
        facts["reset_cause"] = CAUSES[facts["reset_cause"]]
        facts["fault"] = TASKS[facts["fault"]]
        return facts

    async def meter(self) -> dict[str, object]:
        """Quantities with their unit in the name, or `error`."""
        self._slot.clear()
        try:
            await asyncio.wait_for(self._slot.wait(), _METER_WAIT_S)
        except asyncio.TimeoutError:
            return {"error": f"no slot within {_METER_WAIT_S} s"}
        found = self._sampler.answer
        told: dict[str, object] = {"map": self._value("meter.map"), "unit": self._value("meter.unit")}
        if found is None or isinstance(found, str):
            told["error"] = found or "no slot yet"
            return told
        for name in ("power_w", "reactive_var", "import_wh", "export_wh", "frequency_mhz"):
            told[name] = getattr(found, name)
        for phase, voltage_mv in zip(_PHASES, found.voltage_mv):
            told[f"voltage_{phase}_mv"] = voltage_mv
        told["suspect"] = self._sampler.in_doubt
        return told

    async def key(self) -> dict[str, object]:
        """Never the secret."""
        return {
            "device": self._key.device.hex(),
            "generation": self._key.generation,
            "key_sha256": hashlib.sha256(self._key.public).digest().hex(),
            "certificate_sha256": keys.fingerprint(self._value("broker.cert")).hex(),
        }

    async def network(self) -> dict[str, object]:
        """Link of the board, session with the broker, trust in the clock."""
        facts = self._facts()
        return {
            "link": self._board.link(),
            "broker": f"{self._value('broker.host')}:{self._value('broker.port')}",
            "connected": facts["connected"],
            "sessions": facts["sessions"],
            "pending": facts["pending"],
            "clock_trusted": facts["trusted"],
            "clock_error_ms": facts["clock_error_ms"],
            "utc_ms": self._clock.utc_ms() if facts["trusted"] else None,
        }

    async def log(self) -> dict[str, object]:
        """The lines of the log, oldest first; `before`: the last ones of the start before, if it ended in a reset."""
        return {"before": self._log.before.split("\n")[:-1], "log": self._log.lines()}

    async def version(self) -> dict[str, object]:
        """Of the application and of what runs it."""
        return {
            "firmware": FIRMWARE_VERSION,
            "platform": sys.platform,
            "python": ".".join([str(part) for part in sys.version_info[:3]]),
        }

    async def restart(self) -> dict[str, object]:
        """Reset, always."""
        raise Reset(records.RESET_COMMAND, records.TASK_CONSOLE, "asked for on the console")
