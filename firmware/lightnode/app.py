"""Makes the parts, runs them, and is the only module that knows all of them.

`micropython -m lightnode.app CONFIG run` works until the power goes, `console` does the same with the installer's console
on the terminal; `enrol NONCE` prints the enrolment and ends; `rotate NONCE` does so for a new key, which signs from the next
start on.

1. In a slot: what has arrived is decided as it comes, then the meter is read, the reading kept and signed, and only then
   the slot is reported as done. The uplink works whenever nothing else does.
2. Each part that waits for others has a task; the supervisor starts it again when it dies or hangs. A failure of sampling
   or of the journal, a task that cannot be kept alive and the installer's command start the device again: the reason is
   kept, and the process ends with exit code 4, which a board turns into a reset.
3. Only the sampling task feeds the watchdog: after each slot, and while it waits for one that is due within two slots. A
   timer or another task would go on feeding when sampling has stopped; sampling alone between slots would be too seldom
   for hardware that waits 8 s at most. It is armed when sampling starts, not where time is a conductor's.
"""

import asyncio
import json
import sys

from lightwire import records

from . import board as boards
from . import keys, meter_line, reason, settings, slices, uplink
from .clock import SLOT_MS, Clock
from .compat import pack_heap
from .conducted import ConductedClock
from .console import Console
from .diagnostics import Health
from .errors import NodeError
from .journal import Journal
from .log import Log
from .modbus import TIMEOUT_MS
from .reason import Reset
from .recorder import Recorder
from .sampler import Sampler
from .setpoint import SetPoints
from .status import Status
from .supervisor import Supervisor
from .update import Updates, running_slot

_CONDUCTED_PATIENCE = 20  # a conducted slot waits for us: a busy computer must not look like a silent meter
WATCHDOG_MS = 3 * SLOT_MS
SAMPLER_SILENT_MS = 6000  # the supervisor's reason says more than the watchdog's, so it comes first
_TAIL_BYTES = 512
_MOUNT_BYTES = 16_384  # garbage between two collections: a day of readings makes megabytes of it
_SERVICES = (  # name, what it does, what it wants; see service.py
    ("rotate", "makes the next key and shows its statement", ("NONCE",)),
    ("rollback", "lets the release before run again", ("SEQUENCE",)),
    ("pause", "measures nothing for ten minutes", ()),
)
# counts whose changes are events
_LOGGED = ("trusted", "connected", "alarms", "receipts_late", "times_refused", "refused")


class Node:
    """One light node: its parts, and the facts a conductor or a console may ask for."""

    def __init__(self, config: settings.Settings, board, console: bool = False) -> None:  # type: ignore[no-untyped-def]
        value = config.value
        files = [value(key) for key in ("broker.ca", "broker.cert", "broker.key", "ems.serial", "ems.ca")]
        files.append(meter_line.serial_port(value("meter.port")))
        missing = board.check_files([path for path in files if path])
        if missing:
            raise NodeError(missing + " cannot be read")
        self._board = board
        self._config = config
        self._folder = value("state_dir")
        self._real = board.SystemClock()
        self._reason = reason.decode(board.last_reason(self._folder), board.reset_cause())
        self._log = Log(self._real.monotonic_ms, self._reason.tail)
        self._log.event("start", cause=reason.CAUSES[self._reason.cause], text=self._reason.text)
        self._key = keys.open_key(self._folder, board.random)
        device = self._key.device
        flash = board.open_flash(value("journal.path"), value("journal.bytes"))
        pack_heap(True, _MOUNT_BYTES)
        self._journal = Journal(flash, device, self._key.generation, value("meter.vt_ratio"))
        pack_heap(True)
        self._conducted = value("conductor")
        self._source = ConductedClock(self._conducted) if self._conducted else self._real
        self._retire_keys()
        self._clock = Clock(self._source, self._journal.floor_ms, board.random)
        self._recorder = Recorder(self._key, self._journal, value("deployment"))
        self._setpoints = SetPoints(self._recorder, self._journal, self._clock, config, device)
        self._uplink = uplink.Uplink(board, config, self._recorder, self._journal, self._clock, self._setpoints, device)
        patience = _CONDUCTED_PATIENCE if self._conducted else 1
        master = meter_line.open_master(board, value, TIMEOUT_MS, patience)
        trace = _print_reading if value("trace") else _print_nothing
        self._sampler = Sampler(self._recorder, self._clock, master, config, self._journal, trace)
        running = running_slot(value("update.root"), sys.path[0])
        self._updates = Updates(config, self._recorder, self._clock, self._key, self._sampler, self._uplink, running)
        self._uplink.updates = self._updates  # type: ignore[assignment]
        self._supervisor = Supervisor(self._log, self._real.monotonic_ms, self._reason.task)
        self._health = Health(
            self._recorder, self._clock, self._reason, self._facts, board.largest_block_bytes, self._reported
        )
        self._logged: dict[str, object] = {}
        self._status = Status(
            config, board, self._key, self._sampler, self._clock, self._log, self._facts, self._updates
        )
        board.open_network(value)
        self._tasks: list[tuple[int, str, object, int]] = [
            (records.TASK_UPLINK, "uplink", self._uplink.run, uplink.SILENT_MS),
            (records.TASK_UPDATE, "update", self._updates.run, 0),
        ]
        self._ems = None
        if any([value(key) for key in ("ems.listen", "ems.serial", "ems.broker")]):
            from .ems import SILENT_MS, Ems  # a node without an energy manager spares its memory

            self._ems = Ems(board, config, self._recorder, self._journal, self._clock, self._setpoints, device)
            self._tasks.append((records.TASK_EMS, "ems", self._ems.run, SILENT_MS))
        if console or value("console"):
            self._tasks.append((records.TASK_CONSOLE, "console", self._converse, 0))

    def _retire_keys(self) -> None:
        try:
            keys.retire(self._folder, self._key, keys.oldest_generation(self._journal))
        except NodeError as error:
            self._log.event("key", text=str(error))  # it is tried again at the next start

    async def run(self) -> None:
        """Samples until the source of time ends. Reset, its reason kept, if the device must start again."""
        pack_heap(False)
        slices.pace()
        if self._conducted:
            await self._source.join("node/" + self._key.device.hex())
        silent_ms = 0 if self._conducted else SAMPLER_SILENT_MS
        self._supervisor.add(records.TASK_SAMPLER, "sampler", self._sample, silent_ms, vital=True)
        for number, name, work, bound_ms in self._tasks:
            self._supervisor.add(number, name, work, bound_ms)
        try:
            await self._supervisor.run()
        except Reset as reset:
            self._log.event("reset", cause=reason.CAUSES[reset.cause], text=reset.text)
            self._board.keep_reason(self._folder, reason.encode(reset, self._log.tail(_TAIL_BYTES)))
            raise

    async def _sample(self, alive) -> None:  # type: ignore[no-untyped-def]
        watchdog = None if self._conducted else self._board.watchdog(WATCHDOG_MS)

        def feed() -> None:
            alive()
            if watchdog is not None:
                watchdog.feed()

        def due() -> int:
            mark = self._clock.next_slot()
            if mark - self._source.monotonic_ms() <= 2 * SLOT_MS:
                feed()
            return mark

        await self._recorder.ready(feed)
        await self._setpoints.ready()
        feed()
        while True:
            mark = await self._source.next_slot(due)
            if mark is None:
                break
            if self._ems:
                self._ems.tick()
            await self._health.before_slot(mark)
            await self._sampler.slot(mark)
            await self._setpoints.ready()
            self._uplink.tick()
            self._updates.tick()
            self._health.after_slot()
            self._status.tick()
            facts = self._facts()
            self._log_changes(facts)
            await self._source.done(facts)
            feed()
            if self._updates.restart:
                raise Reset(records.RESET_UPDATE, records.TASK_UPDATE, "another release is to be started")
        if watchdog is not None:
            watchdog.release()

    async def _converse(self, _alive) -> None:  # type: ignore[no-untyped-def]
        commands: dict[str, object] = {name: (what, self._service(name)) + words for name, what, words in _SERVICES}
        commands.update(self._status.commands())
        await Console(self._board.open_console(), commands).run()

    def _service(self, name: str):  # type: ignore[no-untyped-def]
        async def run(*words: str) -> dict[str, object]:
            from .service import Service  # a node that no technician works on spares its memory

            made = Service(
                self._config, self._board, self._key, self._journal, self._clock, self._updates, self._sampler
            )
            return await getattr(made, name)(*words)  # type: ignore[no-any-return]

        return run

    def _log_changes(self, facts: dict[str, object]) -> None:
        answer = self._sampler.answer
        facts = {name: facts[name] for name in _LOGGED}
        facts["meter"] = answer if isinstance(answer, str) else "answers"
        for name in facts:
            if facts[name] != self._logged.get(name, 0):
                self._log.event(name, value=facts[name])
        self._logged = facts

    def _reported(self) -> None:
        self._board.keep_reason(self._folder, b"")

    def _facts(self) -> dict[str, object]:
        journal, link, setpoints = self._journal, self._uplink, self._setpoints
        return {
            "device": self._key.device.hex(),
            "trusted": self._clock.trusted,
            "connected": link.connected,
            "sessions": link.sessions,
            "produced": self._sampler.produced,
            "missed": self._sampler.missed,
            "meter_errors": self._sampler.meter_errors,
            "boot": journal.boot,
            "seq": journal.seq,
            "pending": journal.seq - journal.acked,
            "fill_permille": journal.fill_permille,
            "receipts": link.receipts,
            "awaiting": len(journal.unproven),
            "receipts_late": link.receipts_late,
            "setpoint": setpoints.in_force.hex(),
            "command": journal.command,
            "accepted": setpoints.accepted,
            "refused": sum(setpoints.refused),
            "alarms": link.alarms + setpoints.alarms + (self._ems.alarms if self._ems else 0),
            "times_refused": link.times_refused,
            "clock_error_ms": self._clock.error_ms,
            "restarts": self._supervisor.restarts,
            "fault": self._supervisor.fault,
            "reset_cause": self._reason.cause,
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


def _run(config: settings.Settings, board, console: bool) -> None:  # type: ignore[no-untyped-def]
    try:
        pack_heap(True)
        node = Node(config, board, console)
    except Exception as error:  # a start that fails has a reason too: of the journal, of what settings name, of our own
        failed = Reset(records.RESET_FAILURE, 0, reason.line_of(error))
        board.keep_reason(config.value("state_dir"), reason.encode(failed, ""))
        raise
    asyncio.run(node.run())


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 refused with one line on standard error, 2 wrong usage, 4 to be started again."""
    try:
        if len(arguments) == 2 and arguments[1] in ("run", "console"):
            _run(settings.load(arguments[0]), boards.load(), arguments[1] == "console")
            return 0
        if len(arguments) == 3 and arguments[1] in ("enrol", "rotate") and _is_nonce(arguments[2]):
            nonce, to_rotate = bytes.fromhex(arguments[2]), arguments[1] == "rotate"
            from .enrolment import enrol  # once in a device's life: a running node spares its memory

            print(json.dumps(enrol(settings.load(arguments[0]), boards.load(), nonce, to_rotate)))
            return 0
    except Reset as reset:
        print("lightnode: to be started again: " + str(reset), file=sys.stderr)
        return 4
    except (NodeError, OSError) as error:
        print("lightnode: " + str(error), file=sys.stderr)
        return 1
    print(
        "usage: lightnode.app CONFIG run | console | enrol NONCE | rotate NONCE (32 hexadecimal digits)",
        file=sys.stderr,
    )
    return 2


def _is_nonce(text: str) -> bool:
    return len(text) == 32 and all([c in "0123456789abcdef" for c in text.lower()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
