"""What the device tells the installer: answers as names and values, none of them secret, none of them changes a setting.

1. A key is shown by its fingerprint, a password not at all: what is told is chosen here, nothing is passed through.
2. What the installer has it sign is a nonce behind a domain of its own, `lightnode-console/1`: it can never be taken for a
   reading, a statement or an enrolment, whose digests begin with COSE's own words.
3. The test of the meter is the next slot's own reading, said as it came or with its error: the meter is asked no more
   often than always, and no slot waits for the installer. It says whether the meter is in doubt.
"""

import asyncio
import binascii
import hashlib
import sys

from lightwire import records

from . import FIRMWARE_VERSION, keys
from .clock import SLOT_MS
from .errors import NodeError
from .reason import CAUSES, TASKS, Reset
from .slices import sliced

_METER_WAIT_S = 3 * SLOT_MS // 1000
_PHASES = ("l1", "l2", "l3")
_NONCE = 32
_DOMAIN = b"lightnode-console/1\n"


class Status:
    """Answers from the parts of a node; facts(): its counts. `tick()` is called at the end of each slot."""

    def __init__(self, config, board, key, sampler, clock, log, facts, updates) -> None:  # type: ignore[no-untyped-def]
        self._value = config.value
        self._board = board
        self._key = key
        self._sampler = sampler
        self._clock = clock
        self._log = log
        self._facts = facts
        self._updates = updates
        self._slot = asyncio.Event()

    def tick(self) -> None:
        """A slot has ended."""
        self._slot.set()

    def commands(self):  # type: ignore[no-untyped-def]
        """Name -> (what it does, coroutine function that gives the answer, and what the one word is called that it wants)."""
        return {
            "status": ("how the device is", self.status),
            "meter": ("reads the meter in the next slot", self.meter),
            "key": ("device, generation and fingerprint of its key", self.key),
            "sign": ("signs 32 bytes, as a proof of its key", self.sign, "BASE64"),
            "setpoint": ("the set-point in force, the last command, the limits", self.setpoint),
            "network": ("link, broker, clock", self.network),
            "log": ("the last events", self.log),
            "version": ("firmware and board", self.version),
            "releases": ("what the directories hold", self.releases),
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
        told: dict[str, object] = {"map": self._value("meter.map"), "unit": self._value("meter.unit")}
        self._slot.clear()
        try:
            await asyncio.wait_for(self._slot.wait(), _METER_WAIT_S)
        except asyncio.TimeoutError:
            told["error"] = f"no slot within {_METER_WAIT_S} s"
            return told
        found = self._sampler.answer
        if found is None or isinstance(found, str):
            told["error"] = found or "no slot yet"
            return told
        for name in ("power_w", "reactive_var", "import_wh", "export_wh", "frequency_mhz"):
            told[name] = getattr(found, name)
        for phase, voltage_mv in zip(_PHASES, found.voltage_mv):
            told[f"voltage_{phase}_mv"] = voltage_mv
        if found.current_ma >= 0:
            told["current_ma"] = found.current_ma
        told["suspect"] = self._sampler.in_doubt
        return told

    async def key(self) -> dict[str, object]:
        """Never the secret."""
        return {
            "device": self._key.device.hex(),
            "generation": self._key.generation,
            "public_key": self._key.public.hex(),
            "key_sha256": hashlib.sha256(self._key.public).digest().hex(),
            "tls_key_sha256": keys.tls_fingerprint(self._value("broker.key")).hex(),
            "certificate_sha256": keys.fingerprint(self._value("broker.cert")).hex(),
        }

    async def sign(self, word: str) -> dict[str, object]:
        """Of SHA-256 of the domain and the nonce (rule 2). NodeError for what is no nonce."""
        try:
            nonce = binascii.a2b_base64(word)
        except ValueError:
            nonce = b""
        if len(nonce) != _NONCE or len(word) != 44:
            raise NodeError(f"{_NONCE} bytes in base64 are signed")
        digest = hashlib.sha256(_DOMAIN + nonce).digest()
        signature = await sliced(self._key.signing(digest))
        return {"generation": self._key.generation, "signature": signature.hex()}

    async def setpoint(self) -> dict[str, object]:
        """Id in force, "" for none; the last command number that was accepted; W, magnitudes."""
        facts = self._facts()
        return {
            "setpoint": facts["setpoint"],
            "command": facts["command"],
            "max_withdrawal_w": self._value("limits.max_withdrawal_w"),
            "max_injection_w": self._value("limits.max_injection_w"),
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
            "python": ".".join([str(part) for part in sys.implementation.version[:3]]),
        }

    async def releases(self) -> dict[str, object]:
        """Sequences in the two directories, floor, trial, last outcome."""
        from .service import releases

        return releases(self._updates)

    async def restart(self) -> dict[str, object]:
        """Reset, always."""
        raise Reset(records.RESET_COMMAND, records.TASK_CONSOLE, "asked for on the console")
