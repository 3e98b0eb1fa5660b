"""The account of a week, from the outside: what the node printed before it sent, what the store holds, what the meter offered,
what the rig did. Pure but for reading the files.

1. Every reading the node printed is stored as it was, unless a signed gap for overrun names its number.
2. No identity (device, boot, seq) has two payloads, in all databases that ever were in use, and no slot two readings.
3. Every stored value is what the meter offered at that slot, within the resolution of register and record; a reading that
   is flagged SUSPECT says itself that it is not.
4. Every slot of the week has a reading or lies in a signed gap whose cause the rig confirms: it was so in its first slot, for
   a loss of power in any, since that takes with it what had not been named yet; for overrun at some time since the last
   reading before what was dropped. A gap for anything but overrun names no slot that has a reading.
5. The statements tile the time: none overlaps another, what none covers lies in gaps, each says truly how many slots it
   misses, and each names its predecessor. Each has its receipt, or the node counted an alarm.
6. Set-points: nothing forged was accepted, everything refused or accepted was asked.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from lightwire import envelope, records

from backend.adapters.sqlite import SqliteStore
from hil.meters.catalogue import MeterMap, meter_map
from hil.meters.truth import Offered, offers
from hil.week.run import POD, Story
from hil.week.schedule import SLOT_MS

_QUANTITIES = {"power_w": "power_total", "reactive_var": "reactive_total", "import_wh": "import", "export_wh": "export",
               "frequency_mhz": "frequency"}  # fmt: skip
_CAUSES = {
    records.CAUSE_POWER: "power", records.CAUSE_METER: "meter", records.CAUSE_OVERRUN: "overrun", records.CAUSE_CLOCK: "clock",
}  # fmt: skip
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is held against each other. customer: of the bench, for model and transformer ratios."""

    device: bytes
    produced: Sequence[Mapping[str, Any]]
    store: Path
    abandoned: Sequence[Path]
    truth: Path
    customer: Mapping[str, Any]
    story: Story
    accepted: frozenset[bytes]
    forged: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must hold: how many were looked at, and what does not hold (the first few, and how many)."""

    name: str
    looked_at: int
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    @property
    def reason(self) -> str:
        """The first few that are wrong, on one line."""
        more = f"; and {len(self.wrong) - _SHOWN} more" if len(self.wrong) > _SHOWN else ""
        return "; ".join(self.wrong[:_SHOWN]) + more


def account(evidence: Evidence) -> list[Claim]:
    """Every claim."""
    store = SqliteStore(evidence.store)
    try:
        kept = [envelope.peek(sealed) for _, _, sealed in store.numbers(evidence.device)]
        times = {one.seq: one.time_ms for one in store.of_kind(evidence.device, records.READING)}
        receipts = set(store.receipts(evidence.device))
        findings = [what for _, what in store.findings()]
    finally:
        store.close()
    book = _Book(evidence, kept, times)
    return [
        book.nothing_lost(), _no_identity_twice(evidence, findings), book.no_slot_twice(), book.values_are_true(),
        book.gaps_are_true(), book.every_slot_is_told(), book.statements_tile(), book.receipts_came(receipts),
        book.set_points_are_authentic(),
    ]  # fmt: skip


def _no_identity_twice(evidence: Evidence, findings: Sequence[str]) -> Claim:
    digests: dict[tuple[int, int], bytes] = {}
    wrong = [what for what in findings if "equivocation" in what]
    looked_at = 0
    for path in (evidence.store, *evidence.abandoned):
        store = SqliteStore(path)
        for _, seq, sealed in store.numbers(evidence.device):
            looked_at += 1
            payload = envelope.split(sealed)[0]
            identity = (envelope.peek(sealed).boot, seq)
            if digests.setdefault(identity, sha256(payload).digest()) != sha256(payload).digest():
                wrong.append(f"boot {identity[0]} seq {seq} has two payloads")
        store.close()
    return Claim("no identity has two payloads", looked_at, tuple(wrong))


class _Book:
    """The stored records of one device, sorted by what is asked of them."""

    def __init__(self, evidence: Evidence, kept: Sequence[Any], times: Mapping[int, int]) -> None:
        self._evidence, self._story = evidence, evidence.story
        self._readings = [r for r in kept if r.KIND == records.READING]
        self._gaps = [r for r in kept if r.KIND == records.GAP]
        self._statements = [r for r in kept if r.KIND == records.STATEMENT]
        self._decisions = [r for r in kept if r.KIND == records.DECISION]
        self._seqs = {r.seq for r in kept}
        self._times = times
        self._slots: dict[int, list[Any]] = defaultdict(list)
        for reading in self._readings:
            if times[reading.seq] >= 0:
                self._slots[times[reading.seq]].append(reading)
        self._overrun = {
            seq
            for gap in self._gaps
            if gap.cause == records.CAUSE_OVERRUN
            for seq in range(gap.first_seq, gap.last_seq + 1)
        }

    def nothing_lost(self) -> Claim:
        stored = {r.seq: r for r in self._readings}
        wrong = []
        for line in self._evidence.produced:
            seq = line["seq"]
            there = stored.get(seq)
            if there is None and seq not in self._overrun:
                wrong.append(f"boot {line['boot']} seq {seq} is not stored")
            elif there is not None and (there.boot, there.power_w) != (line["boot"], line["power_w"]):
                wrong.append(f"seq {seq} is stored otherwise than it was produced")
        return Claim("no journalled reading is lost", len(self._evidence.produced), tuple(wrong))

    def no_slot_twice(self) -> Claim:
        wrong = [f"slot {slot} has {len(found)} readings" for slot, found in self._slots.items() if len(found) > 1]
        return Claim("no slot has two readings", len(self._slots), tuple(wrong))

    def values_are_true(self) -> Claim:
        wrong, looked_at = [], 0
        tolerance = Tolerance(self._evidence.customer)
        offered: dict[int, list[Offered]] = defaultdict(list)
        for one in offers(self._evidence.truth):
            if one.pod == POD and one.utc_ms in self._slots:
                offered[one.utc_ms].append(one)
        for slot, readings in self._slots.items():
            for reading in readings:
                if reading.flags & records.SUSPECT:
                    continue
                looked_at += 1
                found = [tolerance.difference(reading, one) for one in offered[slot]]
                if all(found):
                    wrong.append(f"slot {slot}: {found[0] if found else 'nothing was offered'}")
        return Claim("every value that is not flagged is what the meter offered", looked_at, tuple(wrong))

    def gaps_are_true(self) -> Claim:
        story, wrong = self._story, []
        powerless = story.down | story.blind
        true = {
            records.CAUSE_POWER: powerless, records.CAUSE_METER: story.meter, records.CAUSE_CLOCK: story.leapt,
        }  # fmt: skip
        for gap in self._gaps:
            cause = _CAUSES[gap.cause]
            slots = range(gap.start_ms, gap.end_ms, SLOT_MS)
            if gap.cause == records.CAUSE_OVERRUN:
                if not any(slot in story.cut_off for slot in self._while_it_filled(gap)):
                    wrong.append(f"gap {gap.seq} of {gap.start_ms}..{gap.end_ms} for overrun, the link was there")
                continue
            read = [slot for slot in slots if slot in self._slots]
            if read:
                wrong.append(f"gap {gap.seq} for {cause} names slot {read[0]}, which has a reading")
            elif slots and slots[0] >= story.begin_ms and not self._is_true(gap.cause, slots, true[gap.cause]):
                wrong.append(f"gap {gap.seq} from {gap.start_ms} for {cause}, which was not so")
            known = powerless | story.meter | story.leapt
            strange = [slot for slot in slots if slot not in known and story.begin_ms <= slot]
            if strange:
                wrong.append(f"gap {gap.seq} for {cause} names slot {strange[0]}, when all was well")
        return Claim("every gap has its true cause", len(self._gaps), tuple(wrong))

    def _while_it_filled(self, gap: Any) -> range:
        """From the last reading before what a gap for overrun names, if its time is known, to the first one behind the gap."""
        before = [time for seq, time in self._times.items() if seq < gap.first_seq and time >= 0]
        made_ms = next((self._times[seq] for seq in sorted(self._times) if seq > gap.seq), self._story.end_ms)
        end_ms = self._story.end_ms if made_ms < 0 else made_ms
        return range(min(gap.start_ms, max(before, default=gap.start_ms)), end_ms, SLOT_MS)

    def _is_true(self, cause: int, slots: range, true: set[int]) -> bool:
        return not true.isdisjoint(slots) if cause == records.CAUSE_POWER else slots[0] in true

    def every_slot_is_told(self) -> Claim:
        named = {slot for gap in self._gaps for slot in range(gap.start_ms, gap.end_ms, SLOT_MS)}
        week = range(self._story.begin_ms, self._story.end_ms, SLOT_MS)
        wrong = [
            f"slot {slot} has neither reading nor gap" for slot in week if slot not in self._slots and slot not in named
        ]
        return Claim("every slot is a reading or in a signed gap", len(week), tuple(wrong))

    def statements_tile(self) -> Claim:
        wrong: list[str] = []
        named = {slot for gap in self._gaps for slot in range(gap.start_ms, gap.end_ms, SLOT_MS)}
        previous, timed, end_ms = None, None, 0
        for one in self._statements:
            if previous is not None and not self._follows(one, previous) and not self._dropped_between(previous, one):
                wrong.append(f"statement {one.seq} does not name statement {previous.seq}")
            previous = one
            if one.start_ms < 1 << 40:
                continue
            if one.start_ms < end_ms:
                wrong.append(f"statement {one.seq} begins at {one.start_ms}, the one before ends at {end_ms}")
            elif timed is not None and not self._dropped_between(timed, one):
                holes = [slot for slot in range(end_ms, one.start_ms, SLOT_MS) if slot not in named]
                if holes:
                    wrong.append(f"statement {one.seq} leaves out {len(holes)} slots from {holes[0]}")
            timed, end_ms = one, max(end_ms, one.end_ms)
            wrong += self._miscounted(one)
        return Claim("the statements tile the time", len(self._statements), tuple(wrong))

    def _follows(self, one: Any, previous: Any) -> bool:
        named: bool = one.previous == sha256(records.encode(previous)).digest()
        return named

    def _dropped_between(self, previous: Any, one: Any) -> bool:
        """Whether a full journal dropped records between them, and perhaps statements."""
        return any(seq in self._overrun for seq in range(previous.seq, one.first_seq))

    def _miscounted(self, one: Any) -> list[str]:
        if any(seq in self._overrun for seq in range(one.first_seq, one.last_seq + 1)):
            return []
        there = sum(seq in self._times for seq in range(one.first_seq, one.last_seq + 1))
        missing = (one.end_ms - one.start_ms + SLOT_MS // 2) // SLOT_MS - there
        return [f"statement {one.seq} misses {one.missing} slots, {missing} are missing"] * (missing != one.missing)

    def receipts_came(self, receipts: set[int]) -> Claim:
        due = [one.seq for one in self._statements if one.end_ms < self._story.end_ms - 3_600_000]
        missing = [seq for seq in due if seq not in receipts and self._is_whole(seq)]
        wrong = [f"statement {seq} has no receipt and no alarm says so" for seq in missing if not self._story.alarms]
        return Claim("every statement has its receipt, or an alarm says so", len(due), tuple(wrong))

    def _is_whole(self, seq: int) -> bool:
        one = next(one for one in self._statements if one.seq == seq)
        return all(k in self._seqs for k in range(one.first_seq, one.last_seq + 1))

    def set_points_are_authentic(self) -> Claim:
        wrong = []
        for one in self._decisions:
            if one.outcome == records.ACCEPTED and one.digest not in self._evidence.accepted:
                wrong.append(f"decision {one.seq} accepts what its issuer did not send")
            elif one.digest not in self._evidence.accepted | self._evidence.forged:
                wrong.append(f"decision {one.seq} answers what nobody sent")
        accepted = [one.digest for one in self._decisions if one.outcome == records.ACCEPTED]
        if len(set(accepted)) != len(accepted):
            wrong.append("a set-point was accepted twice")
        return Claim("only authentic set-points were accepted, each decided once", len(self._decisions), tuple(wrong))


class Tolerance:
    """How far a true reading may be from what a meter of this customer offered."""

    def __init__(self, customer: Mapping[str, Any]) -> None:
        self._model: MeterMap = meter_map(customer.get("meter", "sdm630"))
        self._ct, self._vt = customer["ct_ratio"], customer["vt_ratio"]

    def difference(self, reading: Any, offered: Offered) -> str:
        """What is not within it, or ""."""
        pairs = [(name, getattr(reading, field)) for field, name in _QUANTITIES.items()]
        pairs += [(f"voltage_l{k + 1}", reading.voltage_mv[k]) for k in range(self._model.phases)]
        for name, value in pairs:
            if name in offered.values and abs(value - offered.values[name]) > self._allowed(name, offered.values[name]):
                return f"{name} is {value}, {offered.values[name]} was offered"
        return ""

    def _allowed(self, name: str, value: int) -> Fraction:
        """Half a step of the register, what float32 loses (2**-23 of the value), and half a step of the record."""
        quantity = self._model.quantity(name)
        ratio = {"voltage": self._vt, "frequency": 1}.get(quantity.kind, self._ct * self._vt)
        recorded = {"voltage": 100 * self._vt, "frequency": 10}.get(quantity.kind, 1)
        step = Fraction(quantity.resolution * quantity.factor * ratio)
        return step / 2 + Fraction(abs(value), 1 << 23) + Fraction(recorded, 2)
