"""Makes the parts, runs one task for each, and is the only module that knows all of them.

`micropython -m lightnode.app config.json run` works until the power goes; `enrol NONCE` prints the enrolment and ends.
"""

import asyncio
import json
import sys

from lightwire import envelope, records

from . import board_unix as board
from . import keys, settings
from .clock import Clock
from .errors import NodeError
from .journal import Journal
from .modbus import RtuMaster
from .recorder import Recorder
from .sampler import Sampler
from .setpoint import SetPoints
from .uplink import Uplink


class Node:
    """One light node: its parts, and the facts a conductor or a console may ask for."""

    def __init__(self, config: settings.Settings) -> None:
        self._config = config
        self._key = keys.open_key(config.value("state_dir"), board.random)
        flash = board.FileFlash(config.value("journal.path"), config.value("journal.bytes"))
        self._journal = Journal(flash, self._key.device, self._key.generation, config.value("meter.vt_ratio"))
        conductor = config.value("conductor")
        self._source = board.ConductedClock(conductor) if conductor else board.SystemClock()
        self._clock = Clock(self._source, self._journal.floor_ms, board.random)
        self._recorder = Recorder(self._key, self._journal, config.value("deployment"))
        self._setpoints = SetPoints(self._recorder, self._journal, self._clock, config, self._key.device)
        self._uplink = Uplink(
            board, config, self._recorder, self._journal, self._clock, self._setpoints, self._key.device
        )
        master = RtuMaster(*board.open_serial(config.value("meter.port")))
        trace = _print_reading if config.value("trace") else _print_nothing
        self._sampler = Sampler(self._recorder, self._clock, master, config, self._journal, trace)

    async def run(self) -> None:
        """Samples until the source of time ends."""
        if self._config.value("conductor"):
            await self._source.join("node/" + self._key.device.hex())
        uplink = asyncio.create_task(self._uplink.run())
        while True:
            mark = await self._source.next_slot()
            if mark is None:
                break
            if uplink.done():
                uplink = asyncio.create_task(self._uplink.run())
            await self._sampler.slot(mark)
            self._uplink.tick()
            await self._source.done(self._facts())

    def _facts(self) -> dict[str, object]:
        return {
            "device": self._key.device.hex(),
            "trusted": self._clock.trusted,
            "connected": self._uplink.connected,
            "produced": self._sampler.produced,
            "missed": self._sampler.missed,
            "boot": self._journal.boot,
            "seq": self._journal.seq,
            "pending": self._journal.seq - self._journal.acked,
            "receipts": self._uplink.receipts,
            "awaiting": len(self._recorder.statements),
            "setpoint": self._setpoints.in_force.hex(),
            "refused": sum(self._setpoints.refused),
            "alarms": self._uplink.alarms,
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


def enrol(config: settings.Settings, nonce: bytes) -> dict[str, str]:
    """The device introduces its key, signed by itself; makes the key if there is none."""
    key = keys.open_key(config.value("state_dir"), board.random)
    enrolment = records.Enrolment(
        key.device, key.generation, records.ES256K, key.public, bytes(32), nonce, board.SystemClock().monotonic_ms()
    )
    sealed = envelope.seal(enrolment, config.value("deployment"), key.sign)
    return {"device": key.device.hex(), "public_key": key.public.hex(), "enrolment": sealed.hex()}


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 refused with one line on standard error, 2 wrong usage."""
    try:
        if len(arguments) == 2 and arguments[1] == "run":
            asyncio.run(Node(settings.load(arguments[0])).run())
            return 0
        if len(arguments) == 3 and arguments[1] == "enrol" and len(arguments[2]) == 32:
            print(json.dumps(enrol(settings.load(arguments[0]), bytes.fromhex(arguments[2]))))
            return 0
    except (NodeError, OSError) as error:
        print("lightnode: " + str(error), file=sys.stderr)
        return 1
    print("usage: lightnode.app CONFIG run | enrol NONCE (32 hexadecimal digits)", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
