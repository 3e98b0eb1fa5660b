"""Composition root: settings in, adapters chosen, flows out; runs the back end's thread."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from lightwire import envelope, records, topics

from backend.adapters.chain_store import ChainStore
from backend.adapters.keys import SigningKey, open_key
from backend.adapters.kits import KitStore
from backend.adapters.mqtt import BrokerAccess, Incoming, MqttLink
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Unavailable
from backend.evidence.anchoring import ANCHORED, FINAL, spans
from backend.flows.activate import Activate
from backend.flows.anchor import Anchoring, Terms
from backend.flows.bundle import Bundles
from backend.flows.collect import Collect
from backend.flows.dispatch import Dispatching
from backend.flows.erase import Erase, Erased
from backend.flows.kits import ENROL_FILTER, KIT_TOPICS, Enrolments
from backend.flows.ledgers import EvidenceTrees
from backend.flows.register import Register
from backend.ports import Ledger

BATCH = 1000
_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this back end is."""

    deployment: bytes
    operator: bytes
    log_key: SigningKey
    issuer: bytes
    issuer_key: SigningKey


def make_identity(folder: Path, deployment: bytes) -> Identity:
    """Opens or makes the back end's keys in a folder; operator and issuer ids derive from them."""
    import hashlib

    log_key, issuer_key = open_key(folder / "log.key"), open_key(folder / "setpoint.key")
    ids = [hashlib.sha256(k.public).digest()[:8] for k in (log_key, issuer_key)]
    return Identity(deployment, ids[0], log_key, ids[1], issuer_key)


class Backend:
    """The parts of a running back end."""

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        broker: BrokerAccess,
        ledger: Ledger,
        now_ms: Callable[[], int],
        terms: Terms = _TERMS,
    ) -> None:
        self.identity = identity
        self.ledger = ledger
        self.store = SqliteStore(folder / "scd.sqlite")
        filters = [*(topics.every_filter(channel) for channel in topics.UPLINK), ENROL_FILTER]
        self._link = MqttLink(broker, "backend", filters)
        who = (identity.deployment, identity.operator)
        self.trees = EvidenceTrees(self.store, identity.log_key.sign, *who)
        self.collect = Collect(self.store, self._link, self.trees, identity.log_key, who, now_ms)
        self.activate = Activate(
            self.store, self.trees, self._link, identity.issuer_key, (identity.deployment, identity.issuer)
        )
        self.dispatching = Dispatching(self.store, self.activate, self._node_of)
        self.register = Register(self.store, self.trees, self.collect, identity.log_key, who)
        self.enrolments = Enrolments(self.store, KitStore(self.store), self.register)
        self._introductions: SimpleQueue[Incoming] = SimpleQueue()
        self.anchoring = Anchoring(ChainStore(self.store), ledger, terms, now_ms, self._alarm)
        self.store.note_fact("chain_id", ledger.chain_id.to_bytes(8, "big"))
        self.store.note_fact("contract", ledger.contract)
        self._chain_trouble = ""
        self._now_ms = now_ms
        self._epoch = 0
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._worker = threading.Thread(target=self._ingest, daemon=True)

    def start(self) -> None:
        """Connects and begins to ingest."""
        self._link.start()
        self._worker.start()

    def stop(self) -> None:
        """Stops ingest and closes the store."""
        self._stop.set()
        if self._worker.is_alive():
            self._worker.join(5)
        self._link.stop()
        self.store.close()

    def step(self, utc_ms: int) -> None:
        """What is due at this instant: deliveries, the end of an epoch, anchoring, receipts."""
        if self._failure is not None:
            raise self._failure
        self._introduce(utc_ms)
        self.collect.deliver(utc_ms)
        self.dispatching.review(utc_ms)
        epoch = utc_ms // 900_000
        if self._epoch and epoch > self._epoch:
            self.trees.close_epoch(self._epoch)
            self.anchor()
            self.dispatching.forget(epoch - 1)
        elif not self.anchoring.settled:
            self.anchor()
        self._epoch = epoch

    def _node_of(self, pod: str) -> bytes | None:
        """The light node of a POD whose key holds now."""
        now_ms = self._now_ms()
        valid = [p for p in self.store.parties() if p.role == "node" and p.pod == pod and p.valid_to_ms > now_ms]
        return max(valid, key=lambda p: (p.valid_from_ms, p.id)).id if valid else None

    def _introduce(self, utc_ms: int) -> None:
        """Takes what kits brought into the register: here, since nobody else registers meanwhile."""
        while not self._introductions.empty():
            message = self._introductions.get()
            self._link.publish(*self.enrolments.answer(message.topic, message.payload, utc_ms))
            self._link.done([message])

    def close_epoch(self, epoch: int) -> None:
        """Commits to everything so far and brings it to the chain's attention."""
        self.trees.close_epoch(epoch)
        self.anchor()

    def anchor(self) -> None:
        """One step of reconciliation; an unreachable chain is waited for, and said once."""
        try:
            states = self.anchoring.step()
        except Unavailable as reason:
            self._say_trouble(str(reason))
            return
        self._say_trouble(self.anchoring.trouble)
        ready = [epoch for epoch, (state, block) in states.items() if state in (ANCHORED, FINAL) and block]
        if ready:
            self._receipts(max(ready))

    def _say_trouble(self, what: str) -> None:
        """Once until it is another trouble: fees and block numbers in it change all the time."""
        kind = "".join(letter for letter in what if letter not in "0123456789.")
        if what and kind != self._chain_trouble:
            self._alarm(what)
        self._chain_trouble = kind

    def _alarm(self, what: str) -> None:
        self.store.add_finding(self._now_ms(), what)

    def anchor_of(self, block: int) -> list[object]:
        """Where a commitment stands: [chain id, contract, log, block]."""
        return [self.ledger.chain_id, self.ledger.contract, self.ledger.log, block]

    def bundle(self, pod: str, period_ms: tuple[int, int], epoch: int, now_ms: int) -> str:
        """A customer's bundle (see flows.bundle), sealed with the log key; receipts as of an anchored epoch."""
        block = next(b for e, _, _, _, b in self.store.epochs() if e == epoch)
        who = (self.identity.deployment, self.identity.operator)

        def seal(digest: bytes) -> bytes:
            record = records.Evidence(
                self.identity.operator, os.urandom(16), records.TREE_SETTLEMENT, bytes(16), 1, digest, now_ms
            )  # fmt: skip
            sealed: bytes = envelope.seal(record, self.identity.deployment, self.identity.log_key.sign)
            return sealed

        made = Bundles(self.store, self.trees, self.identity.log_key.public, who)
        return made.of(pod, period_ms, epoch, self.anchor_of(block), seal)

    def anchors(self) -> dict[str, object]:
        """What the chain holds for this log, as the verifier's anchors file: read from the contract, not from the store."""
        epochs = [row[0] for row in self.store.epochs()]
        head = self.ledger.head()
        held: dict[str, str] = {}
        for first, count in spans(epochs):
            words = self.ledger.words(first, count, head)
            held |= {str(first + k): word.hex() for k, word in enumerate(words) if any(word)}
        return {
            "format": "lightnode-anchors/1",
            "chain_id": self.ledger.chain_id,
            "contract": self.ledger.contract.hex(),
            "operator": self.ledger.log.hex(),
            "block": head.number,
            "commitments": held,
        }

    def erase(self, pod: str, now_ms: int) -> Erased:
        """Removes a customer; see flows.erase."""
        who = (self.identity.deployment, self.identity.operator)
        erased = Erase(self.store, self.trees, self.identity.log_key, who).customer(pod, now_ms)
        self.collect.forget(erased.devices)
        return erased

    def admit(self, party: Party) -> None:
        """Registers a key and makes it known to the ingest."""
        self.register.admit(party)

    def _receipts(self, epoch: int) -> None:
        payloads = dict(self.store.checkpoints(epoch))
        if records.TREE_READINGS not in payloads:
            return
        checkpoint = records.decode(payloads[records.TREE_READINGS])
        assert isinstance(checkpoint, records.Checkpoint)
        block = next(b for e, _, _, _, b in self.store.epochs() if e == epoch)
        for device, seq, position in self.store.unreceipted(checkpoint.size):
            made = self.trees.prove(epoch, records.TREE_READINGS, position, self.anchor_of(block))
            self.store.set_receipt(device, seq, made)
            self._link.publish(topics.topic(device, "receipt"), made)

    def inject(self, topic: str, message: bytes) -> None:
        """Publishes bytes that no flow made: for rigs that play somebody with access to the broker."""
        self._link.publish(topic, message)

    def send_receipts_again(self, device: bytes) -> None:
        """For a node that was away: all its receipts once more."""
        for made in self.store.receipts(device).values():
            self._link.publish(topics.topic(device, "receipt"), made)

    def _ingest(self) -> None:
        try:
            while not self._stop.is_set():
                batch = self._link.incoming(BATCH, 0.05)
                for message in [one for one in batch if one.topic.startswith(KIT_TOPICS)]:
                    batch.remove(message)
                    self._introductions.put(message)
                if batch:
                    self.collect.process(batch)
                    self._link.done(batch)
        except BaseException as failure:
            self._failure = failure
            raise
