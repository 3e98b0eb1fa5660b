"""What each fault of a week does to the bench, and how it ends.

1. `begin(fault)` strikes; `end_of(fault)` puts right what can be put right. A part that is away already is left alone.
2. A node that dies, by whatever hand, is started again by `revive` when its time has come.
3. Everything sent to the node is noted here: genuine set-points, forged ones, so that the account can ask for each.
"""

import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random

from lightwire import envelope

from backend.adapters.ethereum import EmbeddedChain
from hil.bench import Bench
from hil.faults import forge
from hil.faults.clock import JumpingClock
from hil.faults.link import Link
from hil.faults.services import ChainSwitch, Crashed, another_backend, crash_before_acknowledgement, kill_backend
from hil.nodes import NodeFailed
from hil.week.schedule import SLOT_MS, Fault

_DECIDABLE = ("wrong key", "log key", "other deployment", "changed value", "other device", "unknown issuer", "other role",
              "old number", "ended", "longer than a day", "beyond the limits", "other resource", "cut short", "no record")  # fmt: skip
_LAUNCH = {"patience": 4}  # a second: on a busy computer the emulated meter itself may have to wait half of one
_HEAP = "1M"  # collecting garbage in the usual four times as much takes most of a slot
_INSIDE_S = 0.008
_TORN_BYTES = 3000
_HOUR_MS = 3_600_000


class Strikes:
    """Its bench has one node, of `pod`, whose way to the broker leads through `link`.

    abandoned: database files that a restore took out of use. accepted: digests of set-points that may be accepted.
    """

    def __init__(self, bench: Bench, pod: str, link: Link) -> None:
        self._bench, self._pod, self._link = bench, pod, link
        self._node = bench.nodes[pod]
        self.clock = JumpingClock(lambda: bench.conductor.now_ms)
        self._switch = ChainSwitch(bench.chain.ledger)
        self._command = 0
        self._genuine_sent: list[bytes] = []
        self._down_until_ms = 0
        self._backend_is_up = True
        self.struck: dict[str, int] = {}
        self.accepted: set[bytes] = set()
        self.forged: set[bytes] = set()
        self.abandoned: list[Path] = []
        self.kills = 0

    def start(self) -> None:
        """The node's way leads through the link, the back end's through what can be disturbed."""
        self._bench.kill_node(self._pod)
        self._node.settings["broker"]["port"] = self._link.port
        self._node.save()
        self._node.is_launched, self._node.launch, self._node.heap = True, dict(_LAUNCH), _HEAP
        kill_backend(self._bench.backend)
        self._another_backend()
        self._bench.start_node(self._pod)

    @property
    def time_can_come(self) -> bool:
        """Whether the way from the node to a back end with a true clock is open."""
        return (
            self._link.is_flowing and self._bench.broker.alive and self._backend_is_up
            and self.clock() == self._bench.conductor.now_ms
        )  # fmt: skip

    @property
    def link_is_up(self) -> bool:
        """Whether anything can pass the link."""
        return self._link.is_flowing

    @property
    def node_is_due(self) -> bool:
        """Whether a dead node may be started again."""
        return self._bench.conductor.now_ms >= self._down_until_ms

    def begin(self, fault: Fault) -> None:
        """The fault strikes, if its part is there."""
        if fault.is_meters:
            return
        act: Callable[[Fault], bool] = getattr(self, f"_{fault.kind}")
        struck = act(fault)
        self.struck[fault.kind] = self.struck.get(fault.kind, 0) + struck

    def end_of(self, fault: Fault) -> None:
        """What lasts a while is over."""
        put_right: Callable[[], None] | None = getattr(self, f"_end_{fault.kind}", None)
        if put_right is not None:
            put_right()

    def revive(self) -> None:
        """Rule 2; a flash that cuts power again at once leaves it for the next slot."""
        child = self._node.child
        if child is not None:
            child.kill()
        self._bench.facts.pop(self._pod, None)
        try:
            self._bench.start_node(self._pod)
        except NodeFailed:
            if "cut_after" not in self._node.launch:
                raise
        self._node.launch = dict(_LAUNCH)

    def crashed(self) -> None:
        """The ingest has died of a planned crash: nothing of the back end is left."""
        self._lose_backend()

    # the link

    def _cut(self, fault: Fault) -> bool:
        self._link.cut_after(*[Random(fault.dice + k).randrange(1, 6000) for k in range(fault.slots)])
        self._link.reset()
        return True

    def _stall(self, _fault: Fault) -> bool:
        self._link.stall()
        return True

    def _end_stall(self) -> None:
        self._link.reset()
        self._link.resume()

    _outage, _end_outage = _stall, _end_stall
    _end_outage_and_kill = _end_stall

    def _outage_and_kill(self, fault: Fault) -> bool:
        self._link.stall()
        return self._kill(Fault(fault.at_s, fault.kind, 3, fault.dice))

    def _lossy(self, _fault: Fault) -> bool:
        self._link.lose, self._link.jitter_ms = 0.5, 2
        self._link.reset()
        return True

    def _end_lossy(self) -> None:
        self._link.lose = self._link.jitter_ms = 0

    # the services

    def _broker(self, _fault: Fault) -> bool:
        there = self._bench.broker.alive
        self._bench.broker.kill()
        return there

    def _end_broker(self) -> None:
        if not self._bench.broker.alive:
            self._bench.broker.start()

    def _backend(self, _fault: Fault) -> bool:
        there = self._backend_is_up
        self._lose_backend()
        return there

    def _end_backend(self) -> None:
        if not self._backend_is_up and self._bench.broker.alive:
            self._another_backend()

    def _commit_crash(self, _fault: Fault) -> bool:
        if self._backend_is_up:
            crash_before_acknowledgement(self._bench.backend)
        return self._backend_is_up

    def _end_commit_crash(self) -> None:
        self._lose_backend()
        self._end_backend()

    def _lose_backend(self) -> None:
        if self._backend_is_up:
            self._backend_is_up = False
            kill_backend(self._bench.backend)

    def _another_backend(self) -> None:
        store = another_backend(self._bench, self._switch, self.clock).store
        with store._lock:  # what kill -9 leaves is what was written, with or without a word to the disk
            store._db.execute("pragma synchronous=off")
        self._backend_is_up = True

    def step(self, utc_ms: int) -> Mapping[str, object]:
        """The back end's part of a tick, if there is one."""
        self._end_backend()
        if self._backend_is_up:
            try:
                self._bench.backend.step(self.clock())
            except Crashed:
                self.crashed()
        if self._backend_is_up and self._switch.is_on and not self._bench.backend.anchoring.settled:
            self._bench.chain.advance()
        return {}

    def _wrong_clock(self, fault: Fault) -> bool:
        self.clock.jump((1 if fault.dice % 2 else -1) * _HOUR_MS)
        return self._kill(Fault(fault.at_s, "kill", 1, fault.dice))

    def _end_wrong_clock(self) -> None:
        self.clock.jump(self._bench.conductor.now_ms - self.clock())

    def _chain_away(self, _fault: Fault) -> bool:
        self._switch.is_on = False
        return True

    def _end_chain_away(self) -> None:
        self._switch.is_on = True

    def _chain_new(self, _fault: Fault) -> bool:
        """The development chain starts anew and has forgotten everything."""
        self._bench.chain.close()
        self._bench.chain = EmbeddedChain(self._bench.identity.operator.rjust(32, b"\0"))
        self._switch = ChainSwitch(self._bench.chain.ledger)
        self._lose_backend()
        return True

    def _restore(self, _fault: Fault) -> bool:
        """A copy now; when the fault ends the database is lost, and the copy goes into use."""
        _copy(self._store, self._backup)
        return True

    def _end_restore(self) -> None:
        self._lose_backend()
        self.abandoned.append(self._store.with_name(f"abandoned-{len(self.abandoned)}.sqlite"))
        _copy(self._store, self.abandoned[-1])
        for path in self._store.parent.glob(f"{self._store.name}*"):
            path.unlink()
        shutil.copy(self._backup, self._store)
        with closing(sqlite3.connect(self._store)) as there:
            there.execute("update fact set value = ? where name = 'incarnation'", (os.urandom(8),))
            there.commit()

    @property
    def _store(self) -> Path:
        return self._bench.folder / "scd.sqlite"

    @property
    def _backup(self) -> Path:
        return self._bench.folder / "backup.sqlite"

    # the node

    def _kill(self, fault: Fault) -> bool:
        there = self._bench.node_is_alive(self._pod)
        self._bench.kill_node(self._pod)
        self._stays_down(fault.slots)
        return there

    def _kill_inside(self, fault: Fault) -> bool:
        child = self._node.child
        if child is None or child.exit_code is not None:
            return False
        self._stays_down(fault.slots)
        threading.Timer(Random(fault.dice).uniform(0, _INSIDE_S), os.kill, (child.pid, signal.SIGKILL)).start()
        return True

    def _stays_down(self, slots: int) -> None:
        self.kills += 1
        self._down_until_ms = max(self._down_until_ms, self._bench.conductor.now_ms + slots * SLOT_MS)

    def _torn(self, fault: Fault) -> bool:
        self._node.launch = {**_LAUNCH, "cut_after": Random(fault.dice).randrange(20, _TORN_BYTES)}
        return self._kill(fault)

    def _slow_flash(self, fault: Fault) -> bool:
        self._node.launch = {**_LAUNCH, "program_ms": 3, "erase_ms": 400}
        return self._kill(Fault(fault.at_s, "kill", 1, fault.dice))

    def _end_slow_flash(self) -> None:
        self._kill(Fault(0, "kill", 1, 0))

    def _leap(self, fault: Fault) -> bool:
        """Slots that nobody sees: every clock goes on, no tick comes."""
        self._bench.conductor.leap(fault.slots)
        return True

    # messages

    def _forged(self, _fault: Fault) -> bool:
        now_ms, device = self._bench.conductor.now_ms, self._node.device
        kinds = forge.set_points(self._bench.identity, device, now_ms, self._command + 1000)
        for name in _DECIDABLE:
            self._say("setpoint", kinds[name].sealed)
        self.forged.update(_digest(kinds[name].sealed) for name in _DECIDABLE[:-2])
        return True

    def _genuine(self, _fault: Fault) -> bool:
        self._command += 1
        now_ms, identity = self._bench.conductor.now_ms, self._bench.identity
        point = forge.set_point(identity, self._node.device, now_ms, self._command)
        sealed = forge.sealed_by(identity.issuer_key, point, identity.deployment)
        self.accepted.add(_digest(sealed))
        self._genuine_sent.append(sealed)
        self._say("setpoint", sealed)
        return True

    def _replayed(self, fault: Fault) -> bool:
        """What went over the broker once, comes again: set-points, and with them a delivery of long ago."""
        for sealed in self._genuine_sent[-8:]:
            self._say("setpoint", sealed)
        return bool(self._genuine_sent)

    def _forged_time(self, _fault: Fault) -> bool:
        """Each forged kind of a time answer, for an instant far off, and each forged kind must be counted."""
        now_ms, device = self._bench.conductor.now_ms, self._node.device
        for sealed in forge.time_answers(self._bench.identity, device, os.urandom(16), now_ms + _HOUR_MS).values():
            self._say("time", sealed)
        return True

    def _say(self, channel: str, message: bytes) -> None:
        if self._backend_is_up:
            self._bench.inject(self._node.device, channel, message)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as copy:
        there.backup(copy)


def _digest(sealed: bytes) -> bytes:
    digest: bytes = envelope.payload_digest(envelope.split(sealed)[0])
    return digest
