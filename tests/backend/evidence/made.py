"""A customer's period, made by the back end's own flows from a device in this process: every key is at hand, nothing waits.

Three quarter-hours: the first measured by 4 s readings with two orders up, the second with a power cut (registers) and an
order up that is half delivered, of both customers together, the third with an order down. The set-point of the first is
decided before the period.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightnode.batch import Batch
from lightwire import envelope, records, topics
from lightwire.receipt import commitment_word

from backend.adapters.keys import SigningKey
from backend.adapters.mqtt import Incoming
from backend.adapters.settled_meter import SettledMeter
from backend.adapters.sqlite import SqliteStore
from backend.domain.bids import Direction, Offer
from backend.domain.trade import Award, Fate, Order, Outcome, Reason, Result
from backend.evidence.verifier.anchors import Anchors
from backend.flows.activate import Activate, Target
from backend.flows.bundle import IN_FULL, Bundles
from backend.flows.collect import Collect
from backend.flows.ledgers import EvidenceTrees
from backend.flows.register import Register
from backend.market.activation import plans
from backend.market.canonical import text
from backend.market.settled import Settlement, settled
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from backend.market.statement import orders_document, outcome_document, totals_document
from hil.demo.results import statement
from tests.backend.market.settlement_case import case_of

DEPLOYMENT = bytes(range(16))
FRAME = 1_996_000
FRAMES = (FRAME, FRAME + 1, FRAME + 2)
FRAME_MS, SLOT_MS = 900_000, 4000
PERIOD = (FRAME * FRAME_MS, (FRAME + 3) * FRAME_MS)
BASE_W = 50_000
POD, OTHER = "IT001E00000001", "IT001E00000002"
TERMS = SettlementTerms(
    (
        PenaltyTable((PenaltyStep(50_000, 500_000), PenaltyStep(400_000, 1_000_000))),
        PenaltyTable((PenaltyStep(0, 1_000_000),), "TSO"),
    ),
    {"Aggregator A": 100_000, "Aggregator B": 120_000},
)
CONTRACT, CHAIN = bytes(range(20)), 31337


def key_of(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def id_of(key: SigningKey) -> bytes:
    return hashlib.sha256(key.public).digest()[:8]


def order(name: str, frame: int, pod: str, watts: int, direction: str) -> Order:
    id = hashlib.sha256(f"{name}/{pod}".encode()).hexdigest()[:32]
    return Order(id, f"A-{name}-{pod[-1]}", f"R-{name}", "DSO", frame, {pod: watts}, direction, 100_000_000)


def orders_of(pod: str) -> list[Order]:
    rows = [
        ("1", FRAME, 10_000, "up"),
        ("2", FRAME, 20_000, "up"),
        ("4", FRAME + 2, 5_000, "down"),
    ]
    return [order(name, frame, pod, watts, direction) for name, frame, watts, direction in rows]


def shared_order() -> Order:
    """One order of both customers, 15 kW each and 1 W more of the other."""
    one = order("3", FRAME + 1, "both", 0, "up")
    return replace(one, parts_w={POD: 15_000, OTHER: 15_001})


def outcome_of(orders: Iterable[Order]) -> tuple[Outcome, list[Offer]]:
    """The session in which all of it was awarded, and an offer that was not."""
    found = list(orders)
    offers = [
        Offer(
            o.offer,
            "Aggregator A",
            Direction(o.direction),
            {o.frame: sum(o.parts_w.values())},
            o.parts_w,
            100_000_000,
            0,
        )
        for o in found
    ]
    refused = Offer("A-dear", "Aggregator A", Direction.UP, {FRAME: 1000}, {POD: 1000}, 900_000_000, 0)
    awards = [Award(o.offer, o.request, o.frame, sum(o.parts_w.values()), o.parts_w) for o in found]
    results = [Result(a.offer, Fate.ACCEPTED, Reason.TAKEN, a.volume_w, a.volume_w) for a in awards]
    results.append(Result(refused.id, Fate.REJECTED, Reason.PRICE_CAP, 1000, 0))
    return Outcome("day-ahead", tuple(awards), tuple(results), {}), [*offers, refused]


class Link:
    """Where the back end sends to: nowhere."""

    def publish(self, topic: str, payload: bytes) -> None:
        pass


class Device:
    """A light node's records and statements, without its time and its journal."""

    def __init__(self, name: str, every: int) -> None:
        self.key, self.every = key_of(name), every
        self.id, self.generation = id_of(self.key), 1
        self.boot, self.seq, self.previous = 1, 0, bytes(32)
        self.energy_ws = 3_600_000_000
        self.batch = Batch()
        self.out: list[bytes] = []

    def _identity(self) -> tuple[bytes, int, int, int]:
        return self.id, self.generation, self.boot, self.seq + 1

    def put(self, kind: Any, *values: object) -> bytes:
        """Keeps a record; its sealed bytes."""
        record = kind(*self._identity(), *values)
        if not self.batch.belongs(record):
            self.close(over=self.batch.ends_before(getattr(record, "time_ms", 0)))
            record = kind(*self._identity(), *values)
        self.seq += 1
        sealed: bytes = envelope.seal(record, DEPLOYMENT, self.key.sign)
        self.out.append(sealed)
        self.batch.add(record, sealed)
        if self.batch.is_complete:
            self.close()
        return sealed

    def close(self, over: bool = False) -> None:
        """Makes the statement of the open batch."""
        made = self.batch.statement(self._identity(), self.previous, over)
        self.seq += 1
        self.previous = envelope.payload_digest(records.encode(made))
        self.out.append(envelope.seal(made, DEPLOYMENT, self.key.sign))

    def reading(self, time_ms: int, power_w: int, flags: int = 0) -> None:
        self.put(
            records.Reading, time_ms, flags, power_w, 0, self.energy_ws // 3600, 0, (230_000, 230_000, 230_000), 50_000
        )

    def live(self, slots: range, power_w: int) -> None:
        """The slots (UTC ms) one by one; with every > 1 only the first, the last and each so-many-th are read."""
        for time_ms in slots:
            if time_ms in (slots[0], slots[-1]) or time_ms // SLOT_MS % self.every == 0:
                self.reading(time_ms, power_w)
            self.energy_ws += power_w * SLOT_MS // 1000

    def begin(self, utc_ms: int) -> None:
        """Three slots of a boot before it has trusted time, then the link."""
        for k in range(3):
            self.reading(1000 + k * SLOT_MS, BASE_W, records.UNTRUSTED_CLOCK)
        self.put(records.ClockLink, 1000 + 3 * SLOT_MS, utc_ms + 3 * SLOT_MS + 700, 40)


class Made:
    """An operator with two customers, everything of the period settled; `bundle()` and `anchors()` are what a customer has."""

    def __init__(self, folder: Path, every: int = 1) -> None:
        self.log, self.issuer = key_of("log"), key_of("issuer")
        self.operator = id_of(self.log)
        self.now_ms = PERIOD[0] - 100 * SLOT_MS
        self.store = SqliteStore(folder / "scd.sqlite")
        who = (DEPLOYMENT, self.operator)
        self.trees = EvidenceTrees(self.store, self.log.sign, *who)
        self.collect = Collect(self.store, Link(), self.trees, self.log, who, lambda: self.now_ms)
        self.register = Register(self.store, self.trees, self.collect, self.log, who)
        self.activate = Activate(self.store, self.trees, Link(), self.issuer, (DEPLOYMENT, id_of(self.issuer)))
        self.register.announce(self.issuer.public, "issuer", self.now_ms)
        self.devices = {pod: Device(f"node {pod}", every) for pod in (POD, OTHER)}
        self.agents = {pod: key_of(f"agent {pod}") for pod in (POD, OTHER)}
        for pod in (POD, OTHER):
            self._enrol(self.devices[pod].key, "node", pod)
            self._enrol(self.agents[pod], "agent", pod)
        self.orders = [*orders_of(POD), *orders_of(OTHER), shared_order()]
        self._file_orders()
        self.close(FRAME - 1)
        for pod in (POD, OTHER):
            self._live(pod)
        self.close(FRAME + 3)
        self._settle()
        self.epoch = FRAME + 4
        self.close(self.epoch)

    def _enrol(self, key: SigningKey, role: str, pod: str) -> None:
        enrolment = records.Enrolment(id_of(key), 1, records.ES256K, key.public, bytes(32), bytes(16), self.now_ms, 1)
        sealed = envelope.seal(enrolment, DEPLOYMENT, key.sign)
        self.register.approve(sealed, bytes(16), role, pod, self.now_ms)

    def _file_orders(self) -> None:
        aggregator_of = {one.offer: "Aggregator A" for one in self.orders}
        for pod in (POD, OTHER):
            body = text(orders_document(pod, self.orders, aggregator_of, TERMS))
            self.trees.add_document(records.TREE_MARKET, "orders", pod, 1, body, self.now_ms)
            body = text(outcome_document(pod, [outcome_of(self.orders)]))
            self.trees.add_document(records.TREE_MARKET, "outcome", pod, 1, body, self.now_ms)

    def _send(self, pod: str, channel: str, messages: Iterable[bytes]) -> None:
        topic = topics.topic(self.devices[pod].id, channel)
        self.collect.process([Incoming(topic, one, 0, 1) for one in messages])
        assert self.collect.refused == 0, list(self.store.findings())

    def _order(self, pod: str, frame: int, time_ms: int) -> None:
        """The set-point of a quarter-hour, decided by the node and carried out by the agent."""
        device = self.devices[pod]
        (plan,) = [p for p in plans(self.orders, {POD: BASE_W, OTHER: BASE_W}, frame) if p.pod == pod]
        (id,) = self.activate.dispatch([Target(pod, device.id, frame, plan.target_w, "/".join(plan.orders))])
        point = next(row.sealed for row in self.store.setpoints() if row.id == id)
        digest = envelope.payload_digest(envelope.split(point)[0])
        command = envelope.peek(point).command
        decision = device.put(records.Decision, id, digest, command, records.ACCEPTED, 0, time_ms)
        self._send(pod, "decision", [decision + point])
        self._carry_out(pod, frame, envelope.peek(point), digest)

    def _carry_out(self, pod: str, frame: int, point: records.SetPoint, digest: bytes) -> None:
        """What the agent says of it."""
        device, id, command = self.devices[pod], point.id, point.command
        agent = self.agents[pod]
        execution = records.Execution(
            id_of(agent), 1, 1, command, device.id, id, digest, records.APPLIED, 0, frame * FRAME_MS, 0, 0
        )
        self._send(pod, "execution", [envelope.seal(execution, DEPLOYMENT, agent.sign)])

    def _live(self, pod: str) -> None:
        device, start = self.devices[pod], PERIOD[0]
        device.begin(start - 30 * SLOT_MS)
        device.live(range(start - 27 * SLOT_MS, start - 15 * SLOT_MS, SLOT_MS), BASE_W)
        self._order(pod, FRAME, start - 15 * SLOT_MS)
        device.live(range(start - 15 * SLOT_MS, start, SLOT_MS), BASE_W)
        device.live(range(start, start + 210 * SLOT_MS, SLOT_MS), BASE_W - 30_000)
        self._order(pod, FRAME + 1, start + 210 * SLOT_MS)
        device.live(range(start + 210 * SLOT_MS, start + FRAME_MS, SLOT_MS), BASE_W - 30_000)
        cut = start + FRAME_MS + 60 * SLOT_MS
        device.live(range(start + FRAME_MS, cut, SLOT_MS), BASE_W - 7_500)
        device.close()
        device.boot += 1
        device.energy_ws += 48 * 4 * (BASE_W - 7_500)
        device.begin(cut + 45 * SLOT_MS)
        device.put(records.Gap, records.CAUSE_POWER, cut, cut + 45 * SLOT_MS, 45, 0, 0)
        device.live(range(cut + 48 * SLOT_MS, start + 2 * FRAME_MS, SLOT_MS), BASE_W - 7_500)
        self._order(pod, FRAME + 2, start + 2 * FRAME_MS - SLOT_MS)
        device.live(range(start + 2 * FRAME_MS, start + 3 * FRAME_MS, SLOT_MS), BASE_W + 5_000)
        device.live(range(start + 3 * FRAME_MS, start + 3 * FRAME_MS + SLOT_MS, SLOT_MS), BASE_W)
        device.close()
        self._send(pod, "record", device.out)

    def settlement(self, rebound: Mapping[int, tuple[tuple[int, int], ...]] | None = None) -> Settlement:
        """All orders of both PODs; rebound: declared by the offers of a quarter-hour."""
        baseline_w = {(pod, frame): BASE_W for pod in (POD, OTHER) for frame in FRAMES}
        aggregator_of = {one.offer: "Aggregator A" for one in self.orders}
        meter = SettledMeter(self.store)
        case = case_of(self.orders, aggregator_of, baseline_w, {}, TERMS)
        awards = tuple(replace(one, rebound=(rebound or {}).get(one.frame, ())) for one in case.awards)
        rows = tuple(meter.measured(pod, f) for pod in (POD, OTHER) for f in FRAMES)
        return settled(replace(case, awards=awards, measured=rows))

    def _settle(self) -> None:
        made = self.settlement()
        self.lines = made.lines
        for one in made.orders:
            if one.members > 1:
                self.trees.add_document(
                    records.TREE_SETTLEMENT, "totals", one.order, 1, text(totals_document(one)), PERIOD[1]
                )
        for pod in (POD, OTHER):
            body = statement(self.store, pod, PERIOD, self.lines, TERMS)
            self.trees.add_document(records.TREE_SETTLEMENT, "statement", pod, 1, body, PERIOD[1])

    def close(self, epoch: int) -> None:
        """The commitment of an epoch, and a receipt for every statement in it."""
        self.trees.close_epoch(epoch)
        readings = dict(self.store.checkpoints(epoch)).get(records.TREE_READINGS)
        size = records.decode(readings).size if readings else 0  # type: ignore[attr-defined]
        for device, seq, position in self.store.unreceipted(size):
            receipt = self.trees.prove(epoch, records.TREE_READINGS, position, self.anchor)
            self.store.set_receipt(device, seq, receipt)

    @property
    def anchor(self) -> list[object]:
        return [CHAIN, CONTRACT, self.operator.rjust(32, b"\0"), 7]

    def anchors(self) -> Anchors:
        """What the chain holds."""
        words = {epoch: commitment_word(epoch, count, root) for epoch, root, count, _, _ in self.store.epochs()}
        return Anchors(CHAIN, CONTRACT, self.operator.rjust(32, b"\0"), words)

    def bundle(self, pod: str = POD, period: tuple[int, int] = PERIOD, in_full: int = IN_FULL) -> dict[str, Any]:
        """The bundle, parsed."""
        made = Bundles(self.store, self.trees, self.log.public, (DEPLOYMENT, self.operator), in_full)
        return read(made.of(pod, period, self.epoch, self.anchor, self._seal))

    def _seal(self, digest: bytes) -> bytes:
        return self.evidence(records.TREE_SETTLEMENT, bytes(16), digest)

    def evidence(self, tree: int, subject: bytes, digest: bytes) -> bytes:
        record = records.Evidence(self.operator, bytes(16), tree, subject, 1, digest, PERIOD[1])
        sealed: bytes = envelope.seal(record, DEPLOYMENT, self.log.sign)
        return sealed

    def sealed(self, document: dict[str, Any]) -> bytes:
        """A bundle of any content under a seal that holds, as the holder of the log key can make it."""
        body = {k: v for k, v in document.items() if k != "seal"}
        digest = hashlib.sha256(written(body).split("\n")[0].encode()).digest()
        return written({**body, "seal": self._seal(digest).hex()}).encode()

    def anchored(self, kind: str, tree: int, body: str, id: str = POD) -> dict[str, str]:
        """A row of documents for any body, anchored in an epoch of its own: the operator files what it likes."""
        self.epoch += 1
        version = 1 + sum(row.id == id for row in self.store.documents(kind))
        self.trees.add_document(tree, kind, id, version, body, PERIOD[1])
        row = [one for one in self.store.documents(kind) if one.id == id][-1]
        self.close(self.epoch)
        receipt = self.trees.prove(self.epoch, tree, row.position, self.anchor)
        return {"kind": kind, "body": body, "evidence": row.evidence.hex(), "receipt": receipt.hex()}

    def entry(self, **changed: object) -> dict[str, str]:
        """A row of keys: the entry of the issuer with some fields changed, signed and anchored as the operator can."""
        party = next(p for p in self.store.parties() if p.role == "issuer")
        entry = envelope.peek(party.entry)._replace(**changed)
        sealed = envelope.seal(entry, DEPLOYMENT, self.log.sign)
        position = self.trees.append(records.TREE_KEYS, sealed)
        self.epoch += 1
        self.close(self.epoch)
        receipt = self.trees.prove(self.epoch, records.TREE_KEYS, position, self.anchor)
        return {"role": "issuer", "entry": sealed.hex(), "enrolment": "", "receipt": receipt.hex()}


def read(text: str | bytes) -> dict[str, Any]:
    """A bundle with its batches in their place."""
    first, *rest = text.splitlines()
    return {**json.loads(first), "batches": [json.loads(line) for line in rest]}


def written(value: Any) -> str:
    """Canonical text; of a bundle with its batches in their place the first line and those of the batches."""
    rows = value.get("batches") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return _text(value)
    batches = [_text(row) for row in rows]
    digests = [hashlib.sha256(line.encode()).hexdigest() for line in batches]
    return "\n".join([_text({**value, "batches": digests}), *batches])


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
