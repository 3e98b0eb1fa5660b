"""Makes the parts, runs them, and is the only module that knows all of them.

`micropython -m lightnode.app CONFIG run` works until the power goes; `enrol NONCE` prints the enrolment and ends.

1. In a slot: what has arrived is decided as it comes, then the meter is read, the reading kept and signed, and only then
   the slot is reported as done. The uplink works whenever nothing else does.
2. The tasks of uplink and updates are started again when they die, and that is counted. A failure of sampling or of the
   journal ends the process with its reason, as a board resets: the journal holds what was kept.
3. An update that is ready, or rolled back, ends the process with exit code 4 at the end of a slot: what picks the
   application at the next start picks it.
"""

import asyncio
import json
import sys

from lightwire import envelope, records

from . import board as boards
from . import keys, settings
from .clock import Clock
from .compat import sleep_ms
from .conducted import ConductedClock
from .errors import NodeError, RestartNeeded
from .journal import Journal
from .modbus import TIMEOUT_MS, RtuMaster
from .recorder import Recorder
from .sampler import Sampler
from .setpoint import SetPoints
from .update import Updates, running_slot
from .uplink import Uplink

_RESTART_MS = 1000
_CONDUCTED_PATIENCE = 20  # a conducted slot waits for us: a busy computer must not look like a silent meter


class Node:
    """One light node: its parts, and the facts a conductor or a console may ask for."""

    def __init__(self, config: settings.Settings, board) -> None:  # type: ignore[no-untyped-def]
        value = config.value
        missing = board.check_files(
            [value("broker.ca"), value("broker.cert"), value("broker.key"), value("meter.port")]
        )
        if missing:
            raise NodeError(missing + " cannot be read")
        self._key = keys.open_key(value("state_dir"), board.random)
        device = self._key.device
        flash = board.open_flash(value("journal.path"), value("journal.bytes"))
        self._journal = Journal(flash, device, self._key.generation, value("meter.vt_ratio"))
        self._conducted = value("conductor")
        self._source = ConductedClock(self._conducted) if self._conducted else board.SystemClock()
        self._clock = Clock(self._source, self._journal.floor_ms, board.random)
        self._recorder = Recorder(self._key, self._journal, value("deployment"))
        self._setpoints = SetPoints(self._recorder, self._journal, self._clock, config, device)
        self._uplink = Uplink(board, config, self._recorder, self._journal, self._clock, self._setpoints, device)
        patience = _CONDUCTED_PATIENCE if self._conducted else 1
        master = RtuMaster(lambda: board.open_serial(value("meter.port")), TIMEOUT_MS, patience)
        trace = _print_reading if value("trace") else _print_nothing
        self._sampler = Sampler(self._recorder, self._clock, master, config, self._journal, trace)
        running = running_slot(value("update.root"), sys.path[0])
        self._updates = Updates(config, self._recorder, self._clock, self._key, self._sampler, self._uplink, running)
        self._uplink.updates = self._updates
        self._restarts = 0

    async def run(self) -> None:
        """Samples until the source of time ends."""
        if self._conducted:
            await self._source.join("node/" + self._key.device.hex())
        uplink = asyncio.create_task(self._keep_up("uplink", self._uplink.run))
        updates = asyncio.create_task(self._keep_up("updates", self._updates.run))
        while True:
            mark = await self._source.next_slot(self._clock.next_slot)
            if mark is None:
                break
            await self._sampler.slot(mark)
            self._uplink.tick()
            self._updates.tick()
            await self._source.done(self._facts())
            if self._updates.restart:
                raise RestartNeeded
        uplink.cancel()
        updates.cancel()

    async def _keep_up(self, name: str, work) -> None:  # type: ignore[no-untyped-def]
        while True:
            try:
                await work()
            except Exception as error:
                self._restarts += 1
                print(f"lightnode: {name} started again after {repr(error)}", file=sys.stderr)
                await sleep_ms(_RESTART_MS)

    def _facts(self) -> dict[str, object]:
        journal, uplink, setpoints = self._journal, self._uplink, self._setpoints
        return {
            "device": self._key.device.hex(),
            "trusted": self._clock.trusted,
            "connected": uplink.connected,
            "sessions": uplink.sessions,
            "produced": self._sampler.produced,
            "missed": self._sampler.missed,
            "meter_errors": self._sampler.meter_errors,
            "boot": journal.boot,
            "seq": journal.seq,
            "pending": journal.seq - journal.acked,
            "receipts": uplink.receipts,
            "awaiting": len(journal.unproven),
            "setpoint": setpoints.in_force.hex(),
            "accepted": setpoints.accepted,
            "refused": sum(setpoints.refused),
            "alarms": uplink.alarms + setpoints.alarms,
            "times_refused": uplink.times_refused,
            "restarts": self._restarts,
            "release": self._updates.sequence,
            "on_trial": self._updates.is_on_trial,
            "updates_refused": self._updates.refused,
        }


def _print_nothing(_reading: object) -> None:
    return None


def _print_reading(reading: records.Reading) -> None:
    print(
        json.dumps(
            {
                "device": reading.device.hex(),
                "boot": reading.boot,
                "seq": reading.seq,
                "time_ms": reading.time_ms,
                "flags": reading.flags,
                "power_w": reading.power_w,
            }
        )
    )


def enrol(config: settings.Settings, board, nonce: bytes) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """The device introduces its key, signed by itself; makes the key if there is none."""
    key = keys.open_key(config.value("state_dir"), board.random)
    fingerprint = keys.fingerprint(config.value("broker.cert"))
    enrolment = records.Enrolment(
        key.device, key.generation, records.ES256K, key.public, fingerprint, nonce, board.SystemClock().monotonic_ms()
    )
    sealed = envelope.seal(enrolment, config.value("deployment"), key.sign)
    return {"device": key.device.hex(), "public_key": key.public.hex(), "enrolment": sealed.hex()}


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 refused with one line on standard error, 2 wrong usage, 4 to be started again for an update."""
    try:
        if len(arguments) == 2 and arguments[1] == "run":
            asyncio.run(Node(settings.load(arguments[0]), boards.load()).run())
            return 0
        if len(arguments) == 3 and arguments[1] == "enrol" and _is_nonce(arguments[2]):
            print(json.dumps(enrol(settings.load(arguments[0]), boards.load(), bytes.fromhex(arguments[2]))))
            return 0
    except RestartNeeded:
        return 4
    except (NodeError, OSError) as error:
        print("lightnode: " + str(error), file=sys.stderr)
        return 1
    print("usage: lightnode.app CONFIG run | enrol NONCE (32 hexadecimal digits)", file=sys.stderr)
    return 2


def _is_nonce(text: str) -> bool:
    return len(text) == 32 and all([c in "0123456789abcdef" for c in text.lower()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
