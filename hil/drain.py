"""How the backlog of an outage drains: a node in the VM whose link was away, at the pace of its slots.

1. The outage: the firmware's sampler, recorder and journal live through it on CPython, with the node's own key and as fast as
   they can. The journal that they leave is the node's.
2. The drain: the node in the VM (started by hil.launcher), broker and back end are real, and a slot is 4 s of wall time, less
   with `speed`: the meter is read, the reading kept and signed, and beside it the backlog is sent. PUBACKs are kept back on
   the way.
3. What it was like is seen from the outside: the order of arrival at the back end, what is stored, how long each slot took,
   and the memory of the node's process.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lightnode import keys
from lightnode import settings as node_settings
from lightwire import envelope, records, topics

from backend.adapters.keys import SigningKey
from backend.adapters.mqtt import Incoming, MqttLink
from hil.bench import Bench, BenchError
from hil.faults.acks import Acks
from hil.fleet.node import FleetKey, FleetNode, RamFlash, VirtualSource

SLOT_MS = 4000
POD = "DRAIN001"
START_MS = 1_796_040_000_000 + 300_000
_HEAP = "1M"
_EAT_EVERY = 12  # slots
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """hours: of the outage. speed: virtual seconds a wall second. lost: PUBACKs kept back each time, 0 for none."""

    hours: float
    speed: float
    lost: int
    out: Path
    journal_bytes: int = 655_360
    patience_s: float = 3600.0


@dataclass(slots=True)
class Drained:
    """backlog: records that waited; seconds: until the last of them had arrived. breaks: arrivals ahead of their turn;
    repeated: arrivals of what had arrived; missing: records that are not stored; slots: while it drained; missed: those
    without a reading; start_s: of the first slot, with the open batch made again; slot_s: wall time of each other until its
    reading was kept; memory_bytes: of the node's process, each slot."""

    backlog: int = 0
    seconds: float = 0.0
    breaks: int = 0
    repeated: int = 0
    missing: int = 0
    refused: int = 0
    missed: int = 0
    start_s: float = 0.0
    eaten: int = 0
    again: int = 0
    slot_s: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)

    @property
    def grown_bytes(self) -> int:
        """How much more memory the process had at most than in its first slot."""
        return max(self.memory_bytes) - self.memory_bytes[0]

    def slowest_s(self, share: float = 1.0) -> float:
        """The longest slot of that share of all, the shortest first."""
        return sorted(self.slot_s)[max(0, int(share * len(self.slot_s)) - 1)]


def drain(plan: Plan, say: Say) -> Drained:
    """BenchError if it does not end within the plan's patience."""
    found = Drained()
    with Bench(plan.out / "work", pods=[POD], start_ms=START_MS, speed=plan.speed) as bench:
        node = bench.nodes[POD]
        bench.kill_node(POD)
        node.settings["journal"]["bytes"] = plan.journal_bytes
        node.save()
        found.backlog = _outage(plan, node.config, node.folder / "journal.bin")
        say(f"an outage of {plan.hours:g} h: {found.backlog:,} records wait")
        arrivals = _watch(bench)
        client = bench.pki.client(topics.station(node.device))
        with Acks(bench.broker.port, bench.pki.ca_pem, bench.pki.server(), client) as acks:
            node.settings["broker"]["port"] = acks.port
            node.save()
            node.is_launched, node.heap, bench.hold_s = True, _HEAP, 0.0
            bench.start_node(POD)
            _through(plan, bench, acks, found, say)
            bench.drain()
            found.eaten, found.again = acks.eaten, acks.again
        _judge(bench, arrivals, found)
    return found


class _OwnKey(FleetKey):
    """The key in a node's folder, signing in coincurve."""

    def __init__(self, folder: str) -> None:
        own = keys.open_key(folder, os.urandom)
        self._key = SigningKey(own.row()[2:])
        self.algorithm, self.generation = own.algorithm, own.generation
        self.public, self.device = own.public, own.device


class _Away(FleetNode):
    """A node without a link, that knows the time."""

    def __init__(self, config: node_settings.Settings, source: VirtualSource) -> None:
        super().__init__(0, "drain", config, source, lambda _reading: None)
        self.key = _OwnKey(config.value("state_dir"))
        self._flash = RamFlash(config.value("journal.bytes"))
        self.start()
        self._clock.answer(self._clock.ask(), source.mark_ms)

    @property
    def kept(self) -> int:
        """Records in the journal."""
        return int(self._journal.seq)

    def leave(self, path: Path) -> None:
        """Its journal, as a file."""
        path.write_bytes(bytes(self._flash._cells))

    async def _keep_up(self) -> None:
        return


def _outage(plan: Plan, config: Path, journal: Path) -> int:
    """Rule 1; how many records wait."""

    async def live() -> int:
        source = VirtualSource()
        slots = int(plan.hours * 900)
        source.mark_ms = START_MS - slots * SLOT_MS
        away = _Away(node_settings.load(str(config)), source)
        for _ in range(slots):
            await away.slot()
            source.mark_ms += SLOT_MS
        away.leave(journal)
        return away.kept

    return asyncio.run(live())


def _through(plan: Plan, bench: Bench, acks: Acks, found: Drained, say: Say) -> None:
    give_up, device = time.monotonic() + plan.patience_s, bench.nodes[POD].device
    began, is_over = None, False
    while not is_over:
        if time.monotonic() > give_up:
            raise BenchError(f"still draining after {plan.patience_s:.0f} s: {dict(bench.facts.get(POD, {}))}")
        done = bench.tick()
        facts = bench.facts.get(POD)
        if facts is None:
            raise BenchError(f"the node was lost at {done.utc_ms}: {bench.nodes[POD].child and 'see node.log'}")
        if found.start_s:
            found.slot_s.append(done.took_s)
        found.start_s = found.start_s or done.took_s
        found.memory_bytes.append(_memory_bytes(bench))
        began = began or (time.monotonic() if facts["connected"] else None)
        if plan.lost and facts["connected"] and len(found.slot_s) % _EAT_EVERY == _EAT_EVERY // 2:
            acks.eat(plan.lost)
        committed = bench.backend.collect.committed()[device]
        is_over = committed >= found.backlog
        if len(found.slot_s) % 15 == 0 or is_over:
            say(f"slot {len(found.slot_s)}: {committed:,} of {found.backlog:,}")
    found.seconds = time.monotonic() - (began or time.monotonic())


def _memory_bytes(bench: Bench) -> int:
    child = bench.nodes[POD].child
    statm = Path(f"/proc/{child.pid if child else 0}/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


class _NotingLink:
    """The back end's link; `seqs`: the records in order of arrival."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link
        self.seqs: list[int] = []

    def incoming(self, limit: int, timeout_s: float) -> list[Incoming]:
        """As the link."""
        batch = self._link.incoming(limit, timeout_s)
        self.seqs += [envelope.peek(one.payload).seq for one in batch if one.topic.endswith("/record")]
        return batch

    def publish(self, topic: str, payload: bytes) -> None:
        """As the link."""
        self._link.publish(topic, payload)

    def done(self, batch: list[Incoming]) -> None:
        """As the link."""
        self._link.done(batch)

    def stop(self) -> None:
        """As the link."""
        self._link.stop()


def _watch(bench: Bench) -> _NotingLink:
    link = _NotingLink(bench.backend._link)
    bench.backend._link = link  # type: ignore[assignment]
    return link


def _judge(bench: Bench, arrivals: _NotingLink, found: Drained) -> None:
    highest = 0
    for seq in arrivals.seqs:
        found.repeated += seq <= highest
        found.breaks += seq > highest + 1
        highest = max(highest, seq)
    store, device = bench.backend.store, bench.nodes[POD].device
    kept = {seq for _, seq, _ in store.numbers(device)}
    found.missing = len(set(range(1, int(bench.facts[POD]["seq"]) + 1)) - kept)
    found.refused = bench.backend.collect.refused
    read = {line["time_ms"] for line in bench.produced(POD) if not int(line["flags"]) & records.UNTRUSTED_CLOCK}
    trusted = [mark for mark in range(START_MS, bench.conductor.now_ms, SLOT_MS) if mark >= min(read)]
    found.missed = len(set(trusted) - read)
