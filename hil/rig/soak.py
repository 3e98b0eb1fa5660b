"""A soak: light nodes in real VMs live for hours of virtual time through faults that a seed chooses.

1. Faults: loss of power for up to three minutes, the broker killed and started, meters that are silent, late, noisy or
   answer for another unit, forged set-points. None of them may cost a journalled reading or make a value.
2. What must hold at the end: nothing journalled is lost, every hole lies in a signed gap, every value is what the meter
   offered at that slot, every forged set-point was refused, every statement but the youngest has its receipt.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightwire import envelope, records

from hil.bench import FRAME_MS, Bench, plain_customer
from hil.faults.forge import set_points
from hil.rig.record import FORMAT

SLOT_MS = 4000
START_MS = 1_796_040_000_000
PENDING_LIMIT = 500
_METER_FAULTS = ("silent", "late:400", "noise~40", "other_unit~40", "slow:120")
View = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens when, in virtual seconds from the start; for a meter's fault and loss of power also how long."""

    virtual_s: int
    kind: str
    pod: str
    lasts_s: int

    @property
    def what(self) -> str:
        """For the report."""
        names = {
            "power": "loses power",
            "broker": "the broker is killed and started",
            "forged": "gets a forged set-point",
        }
        what = names.get(self.kind, f"has a meter that is {self.kind}")
        return f"{self.pod} {what}".strip() + (f" for {self.lasts_s} s" if self.lasts_s else "")


def plan(seed: int, hours: float, pods: Sequence[str]) -> list[Fault]:
    """The faults of a seed, about six an hour, in order of time; the last quarter of an hour has none."""
    source, found = random.Random(seed), []
    at = 300
    while at < hours * 3600 - 900:
        kind = source.choice(("power", "broker", "forged", *_METER_FAULTS))
        lasts = 0 if kind in ("broker", "forged") else 4 * source.randrange(3, 45 if kind == "power" else 15)
        found.append(Fault(at, kind, "" if kind == "broker" else source.choice(list(pods)), lasts))
        at += 4 * source.randrange(50, 250)
    return found


class Soak:
    """Runs it; `points` by quarter-hour."""

    def __init__(self, out: Path, nodes: int, hours: float, seed: int, view: View) -> None:
        self._out, self._hours, self._seed, self._view = out, hours, seed, view
        self._pods = [f"SOAK{k:03}" for k in range(1, nodes + 1)]
        self.faults = plan(seed, hours, self._pods)
        self.points: list[dict[str, int]] = []
        self._down: dict[str, int] = {}
        self._forged: list[str] = []

    def run(self) -> dict[str, Any]:
        """The record (see hil.rig.record) with what held and what did not."""
        began = time.time()
        with Bench(self._out / "work", start_ms=START_MS, customers=self._customers(), seed=str(self._seed)) as bench:
            bench.warm_up()
            self._live(bench)
            bench.drain()
            checks = self._check(bench)
        found = [self._entry(name, reason) for name, reason in checks.items()]
        failed = sum(entry["outcome"] == "failed" for entry in found)
        device = {"name": "vm", "passed": len(found) - failed, "failed": failed, "skipped": 0, "scenarios": found}
        soak = {
            "seed": self._seed, "hours": self._hours, "nodes": len(self._pods), "points": self.points,
            "pending_limit": PENDING_LIMIT, "faults": [{**asdict(f), "what": f.what} for f in self.faults],
        }  # fmt: skip
        took = round(time.time() - began, 1)
        machine = f"{len(self._pods)} light nodes in MicroPython VMs"
        return {
            "format": FORMAT,
            "began": began,
            "seconds": took,
            "machine": machine,
            "devices": [device],
            "soak": soak,
        }

    @property
    def again(self) -> str:
        """The command that repeats it."""
        return f"./run hil soak --nodes {len(self._pods)} --hours {self._hours:g} --seed {self._seed}"

    def _entry(self, name: str, reason: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "scenario": name,
            "outcome": "failed" if reason else "passed",
            "seconds": 0.0,
            "reason": reason,
        }
        return entry | {"repeat": self.again} if reason else entry

    def _customers(self) -> list[dict[str, Any]]:
        made = []
        for pod in self._pods:
            customer = plain_customer(pod, START_MS // FRAME_MS)
            frames = int(self._hours * 4) + 8
            spans: dict[str, list[list[int]]] = {}
            for fault in self.faults:
                if fault.pod == pod and fault.kind in _METER_FAULTS:
                    begin = START_MS + fault.virtual_s * 1000
                    spans.setdefault(fault.kind, []).append([begin, begin + fault.lasts_s * 1000])
            customer |= {"load_w": [50_000] * frames, "der_w": [0] * frames, "faults": spans}
            made.append(customer)
        return made

    def _live(self, bench: Bench) -> None:
        due = list(self.faults)
        end = START_MS + int(self._hours * 3_600_000)
        while bench.conductor.now_ms < end:
            second = (bench.conductor.now_ms - START_MS) // 1000
            while due and due[0].virtual_s <= second:
                self._strike(bench, due.pop(0))
            for pod, until in list(self._down.items()):
                if second >= until:
                    del self._down[pod]
                    bench.start_node(pod)
            bench.tick()
            if bench.conductor.now_ms % FRAME_MS == 0:
                self._note(bench, second)

    def _strike(self, bench: Bench, fault: Fault) -> None:
        if fault.kind == "power" and fault.pod not in self._down:
            bench.kill_node(fault.pod)
            self._down[fault.pod] = fault.virtual_s + fault.lasts_s
        elif fault.kind == "broker":
            bench.broker.kill()
            bench.broker.start()
        elif fault.kind == "forged" and fault.pod in bench.facts:
            device = bench.nodes[fault.pod].device
            kinds = set_points(bench.identity, device, bench.conductor.now_ms, 1)
            kind = ("wrong key", "changed value", "other deployment", "other device", "old number")[
                len(self._forged) % 5
            ]
            bench.inject(device, "setpoint", kinds[kind].sealed)
            self._forged.append(fault.pod)

    def _note(self, bench: Bench, second: int) -> None:
        produced = sum(len(bench.produced(pod)) for pod in self._pods)
        stored = sum(bench.backend.store.count_readings(node.device) for node in bench.nodes.values())
        pending = max((int(f["pending"]) for f in bench.facts.values()), default=0)
        self.points.append({"virtual_s": second, "produced": produced, "stored": stored, "pending": pending})
        up = f"{len(bench.facts)} of {len(self._pods)} nodes up"
        self._view(
            f"{second / 3600:.2f} h: {up}, {produced} readings produced, {stored} stored, {pending} unacknowledged at most"
        )

    def _check(self, bench: Bench) -> dict[str, str]:
        """What must hold, and "" or why it does not."""
        found = {
            "nothing journalled is lost": "", "every hole lies in a signed gap": "", "every value is what the meter offered": "",
            "every forged set-point is refused": "", "every statement but the youngest has its receipt": "",
            "what waits for its acknowledgement stays bounded": "",
        }  # fmt: skip
        for pod in self._pods:
            for name, reason in zip(found, _checked(bench, pod, self._forged.count(pod)), strict=False):
                found[name] = found[name] or reason
        worst = max((point["pending"] for point in self.points), default=0)
        if worst > PENDING_LIMIT:
            found["what waits for its acknowledgement stays bounded"] = f"{worst} records waited"
        return found


def _checked(bench: Bench, pod: str, forged: int) -> tuple[str, str, str, str, str]:
    store, device = bench.backend.store, bench.nodes[pod].device
    lost = {line["seq"] for line in bench.produced(pod)} - {m.seq for m in store.of_kind(device, records.READING)}
    rows = store.readings(device, START_MS, 2**62)
    times = [row[0] for row in rows]
    gaps = [envelope.peek(m.sealed) for m in store.of_kind(device, records.GAP)]
    named = {slot for gap in gaps for slot in range(gap.start_ms, gap.end_ms, SLOT_MS)}
    holes = set(range(times[0], times[-1], SLOT_MS)) - set(times) - named
    truth = bench.truth(pod)
    wrong = [(t, w) for t, w, _, _ in rows if truth.get(t) != w]
    decisions = [envelope.peek(m.sealed) for m in store.of_kind(device, records.DECISION)]
    refused = sum(d.outcome == records.REFUSED for d in decisions)
    awaiting = int(bench.facts[pod]["awaiting"]) if pod in bench.facts else 0
    return (
        f"{pod}: {len(lost)} readings, first {min(lost)}" if lost else "",
        f"{pod}: {len(holes)} slots, first {min(holes)}" if holes or len(times) != len(set(times)) else "",
        f"{pod}: at {wrong[0][0]} {wrong[0][1]} W instead of {truth.get(wrong[0][0])} W" if wrong else "",
        f"{pod}: {forged} forged, {refused} refused" if not refused == forged == len(decisions) else "",
        f"{pod}: {awaiting} statements wait" if awaiting > 2 else "",
    )
