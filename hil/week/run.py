"""One light node lives through a week of virtual time, as fast as it can, with the schedule of a seed.

1. Every part is real: the firmware in the MicroPython VM, a meter on a pseudo terminal, mosquitto, back end and chain.
2. Time is held a little while an answer that crossed a tick is awaited, or while more waits to be sent than drains beside a
   slot every few milliseconds: a hurry that no light node has. What passes in virtual time is the same with any speed.
3. What the rig did is kept by slot (`Story`): it says which cause a gap may truly name.
4. The week begins with the first slot of a node that knows the time, and ends on a quarter-hour with everything at rest.
   So does one that `end_early` cuts short: what was lived can be accounted for. After a failure it ends where it stands.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.bench import FRAME_MS, Bench, BenchError, plain_customer
from hil.faults.link import Link
from hil.week.schedule import SLOT_MS, Fault, schedule
from hil.week.strikes import Strikes

POD = "WEEK001"
START_MS = 1_796_040_000_000
SLOTS_PER_SECTOR = 150  # readings that a sector of the journal holds beside its state
_BACKLOG = 400
_DRAIN_S = 0.15  # of wall time in a slot while a backlog drains: some fifty records, as in the 4 s of a real one
_REST_S = 120.0
_BAUD = 115_200  # of a line that has none: only the silence between two requests depends on it
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: the seed, virtual hours, where, the journal's size, whether meters may lie."""

    seed: int
    hours: float
    out: Path
    sectors: int
    lies: bool

    @property
    def outage_slots(self) -> int:
        """How long the link stays away so that the journal overflows: a quarter longer than it holds."""
        return self.sectors * SLOTS_PER_SECTOR * 5 // 4

    @property
    def again(self) -> str:
        """The command that repeats it."""
        lies = " --lies" if self.lies else " --no-lies"
        return f"./run hil week --seed {self.seed} --hours {self.hours:g} --sectors {self.sectors}{lies}"


@dataclass(slots=True)
class Story:
    """What the rig did, by slot mark: `down`: no node answered; `blind`: it had no trusted time; `leapt`: nobody saw it;
    `meter`: the meter played a fault; `cut_off`: the link was away. alarms: the most that one start of the node counted."""

    begin_ms: int = 0
    end_ms: int = 0
    down: set[int] = field(default_factory=set)
    blind: set[int] = field(default_factory=set)
    leapt: set[int] = field(default_factory=set)
    meter: set[int] = field(default_factory=set)
    cut_off: set[int] = field(default_factory=set)
    alarms: int = 0
    counted: dict[str, int] = field(default_factory=dict)


class Week:
    """One run. `live()` once, inside the bench. `strikes`: what struck, once it lives; `is_cut`: whether it ended early."""

    strikes: Strikes

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan, self._say = plan, say
        self.faults = schedule(plan.seed, plan.hours, plan.outage_slots, plan.lies)
        self.story = Story()
        self._refused = 0
        self.is_cut = False
        self._began_s = time.monotonic()
        self.customer = self._customer()

    def bench(self) -> Bench:
        """The bench it lives on."""
        return Bench(
            self.plan.out / "work", start_ms=START_MS, customers=[self.customer], seed=f"week {self.plan.seed}"
        )

    def end_early(self) -> None:
        """Rule 4. For handlers of signals."""
        self.is_cut = True

    def live(self, bench: Bench) -> None:
        """Start, week, rest."""
        with Link(bench.broker.port, seed=self.plan.seed) as link:
            settings = bench.nodes[POD].settings
            settings["journal"]["bytes"] = self.plan.sectors * 4096
            settings["meter"]["baud"] = _BAUD
            self._bench, self.strikes = bench, Strikes(bench, POD, link)
            bench.step_backend = self.strikes.step
            self.strikes.start()
            bench.warm_up()
            self.story.begin_ms = bench.conductor.now_ms + SLOT_MS
            try:
                self._through()
                self._rest()
            finally:
                self.story.end_ms = self.story.end_ms or bench.conductor.now_ms
                bench.kill_node(POD)

    def _customer(self) -> dict[str, Any]:
        spans: dict[str, list[list[int]]] = {}
        for fault in self.faults:
            if fault.is_meters:
                begin = START_MS + fault.at_s * 1000
                spans.setdefault(fault.kind, []).append([begin, begin + fault.slots * SLOT_MS])
                self.story.meter.update(range(begin, begin + (fault.slots + 2) * SLOT_MS, SLOT_MS))
        frames = int(self.plan.hours * 4) + 8
        load_w = [20_000 + 977 * (k * k % 61) for k in range(frames)]
        der_w = [-45_000 if k % 96 in range(40, 60) else 0 for k in range(frames)]
        der = {"kind": "pv", "lowest_w": -60_000, "highest_w": 0}
        return plain_customer(POD, START_MS // FRAME_MS) | {
            "load_w": load_w,
            "der_w": der_w,
            "faults": spans,
            "der": der,
        }

    def _through(self) -> None:
        due, running, bench = list(self.faults), list[tuple[int, Fault]](), self._bench
        end_ms = START_MS + int(self.plan.hours * 3_600_000)
        while (bench.conductor.now_ms < end_ms and not self.is_cut) or running:
            now_ms = bench.conductor.now_ms
            for entry in [one for one in running if one[0] <= now_ms or self.is_cut]:
                running.remove(entry)
                self.strikes.end_of(entry[1])
            while due and not self.is_cut and START_MS + due[0].at_s * 1000 <= now_ms:
                fault = due.pop(0)
                self.strikes.begin(fault)
                running.append((now_ms + fault.slots * SLOT_MS, fault))
                self.story.leapt.update(range(now_ms + SLOT_MS, bench.conductor.now_ms + SLOT_MS, SLOT_MS))
            self._slot()

    def _rest(self) -> None:
        """Until everything is delivered and has its receipt, then to the end of a quarter-hour (rule 4)."""
        bench, give_up = self._bench, time.monotonic() + _REST_S
        while not self._is_quiet():
            if time.monotonic() > give_up:
                raise BenchError(f"no rest after the week: {dict(bench.facts.get(POD, {}))}")
            self._slot()
            time.sleep(0.02)
        while bench.conductor.now_ms % FRAME_MS:
            self._slot()
        self.story.end_ms = bench.conductor.now_ms
        for _ in range(30):
            self._slot()
            time.sleep(0.02)
        bench.drain()

    def _is_quiet(self) -> bool:
        facts = self._bench.facts.get(POD)
        return bool(facts and facts["connected"] and facts["trusted"] and int(facts["pending"]) < 30)

    def _slot(self) -> None:
        """One slot, what it tells, and time held where rule 2 says so."""
        bench, strikes, story = self._bench, self.strikes, self.story
        if not bench.node_is_alive(POD) and strikes.node_is_due:
            strikes.revive()
        bench.hold_s = 0.05 if strikes.time_can_come else 0.0
        mark = bench.tick().utc_ms
        facts = bench.facts.get(POD)
        if not strikes.link_is_up:
            story.cut_off.add(mark)
        if facts is None or not bench.node_is_alive(POD):
            story.down.add(mark)
            bench.facts.pop(POD, None)
        else:
            self._note(mark, facts)
        if mark % 3_600_000 == 0:
            self._tell(mark)

    def _note(self, mark: int, facts: Any) -> None:
        story = self.story
        if not facts["trusted"]:
            story.blind.add(mark)
        story.alarms = max(story.alarms, int(facts["alarms"]))
        if facts["times_refused"] > self._refused and self.strikes.time_can_come:
            time.sleep(0.1)
        self._refused = int(facts["times_refused"])
        if int(facts["pending"]) > _BACKLOG and self.strikes.time_can_come:
            time.sleep(_DRAIN_S)

    def _tell(self, mark: int) -> None:
        facts, hours = self._bench.facts.get(POD, {}), (mark - START_MS) // 3_600_000
        stands = ", ".join(f"{name} {facts.get(name, '-')}" for name in ("seq", "boot", "pending", "awaiting"))
        self._say(
            f"{hours} h in {time.monotonic() - self._began_s:.0f} s: {stands}, restores {len(self.strikes.abandoned)}"
        )
