"""Evidence in a customer's hands: what checking it costs.

1. Computing time of one core (not of the clock on the wall), of the verifier as the command runs it, offline. Of a month also
   the clock on the wall, of the whole command with two workers and with one, by turns: of each the least of three runs, since
   whatever else the machine does adds to it.
2. A day of one light node: 21,600 readings in 96 batches, written by the back end's own flows; a month of thirty days in one
   file, in a process of its own, for its memory (month.py).
3. The peer of a receipt is the least that it can cost: its signatures checked one by one by the same library.
4. What is no evidence costs a process at most a second until its one line (badinput.py).
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import coincurve
from lightnode.batch import Batch
from lightwire import envelope, records, topics
from lightwire.receipt import commitment_word

from backend.adapters.keys import SigningKey
from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import SqliteStore
from backend.evidence.verifier.anchors import Anchors
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.sheet import MAX_FILE_BYTES
from backend.flows.bundle import Bundles
from backend.flows.collect import Collect
from backend.flows.ledgers import EvidenceTrees
from backend.flows.receipts import Issuer, ReceiptFiles
from backend.flows.register import Register
from backend.market.canonical import text
from backend.market.settled_terms import SettlementTerms
from backend.market.statement import orders_document, outcome_document, statement_document
from hil.benches import month
from hil.benches.badinput import Cost, cases, checked, refuse
from hil.benches.figure import Figure

WHAT = "evidence: a receipt, a proof of consistency, a customer's day and month through the verifier"
_POD, _PLACE = "IT001E00000001", (31337, bytes(range(20)))
_START_MS, _FRAME_MS, _SLOT_MS, _DAYS = 1_996_032 * 900_000, 900_000, 4000, 30
_MONTH_S, _MOST_MIB, _TIMES = 10, 512, 3


class _Silent:
    """A link to nobody."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends nothing."""


class _Period:
    """A light node's days in a store of its own, with all that was made of it."""

    def __init__(self, folder: Path, days: int) -> None:
        self.frames = range(_START_MS // _FRAME_MS, _START_MS // _FRAME_MS + 96 * days)
        self.log, self.node = (SigningKey(coincurve.PrivateKey().secret) for _ in range(2))
        self.operator, self.device = (hashlib.sha256(key.public).digest()[:8] for key in (self.log, self.node))
        self.who = (os.urandom(16), self.operator)
        self.store = SqliteStore(folder / "scd.sqlite")
        self.trees = EvidenceTrees(self.store, self.log.sign, *self.who)
        self.collect = Collect(self.store, _Silent(), self.trees, self.log, self.who, lambda: _START_MS)
        self.register = Register(self.store, self.trees, self.collect, self.log, self.who)
        made = records.Enrolment(self.device, 1, records.ES256K, self.node.public, bytes(32), bytes(16), _START_MS, 1)
        sealed = envelope.seal(made, self.who[0], self.node.sign)
        self.register.approve(sealed, bytes(16), "node", _POD, _START_MS - _FRAME_MS)
        self._file()
        if days == 1:
            self._live()
        else:
            month.live(self.store, self.trees, (self.device, self.node), self.who[0], self.frames)
        self.epoch = self.frames.stop + 1
        self.trees.close_epoch(self.epoch)
        issuer = Issuer(self.who[0], self.operator, self.log.public, self.log.sign, _PLACE, _START_MS)
        self.files, self._issuer = ReceiptFiles(self.store, self.trees, issuer), issuer

    def _live(self) -> None:
        batch, seq, previous, out = Batch(), 0, bytes(32), []
        for slot in range(21_600):
            reading = records.Reading(
                self.device, 1, 1, seq + 1, _START_MS + slot * _SLOT_MS, 0, 1000 + slot % 97, 0, slot, 0, (230_000,) * 3, 50_000
            )  # fmt: skip
            seq += 1
            out.append(envelope.seal(reading, self.who[0], self.node.sign))
            batch.add(reading, out[-1])
            if slot % 225 == 224:
                seq += 1
                statement = batch.statement((self.device, 1, 1, seq), previous, True)
                previous = envelope.payload_digest(records.encode(statement))
                out.append(envelope.seal(statement, self.who[0], self.node.sign))
        self.collect.process([Incoming(topics.topic(self.device, "record"), one, 0, 1) for one in out])

    def _file(self) -> None:
        terms, period = SettlementTerms((), {}), self._period_ms
        orders, statement = orders_document(_POD, [], {}, terms), statement_document(_POD, period, [], terms, [])
        self.trees.add_document(records.TREE_MARKET, "orders", _POD, 1, text(orders), _START_MS)
        self.trees.add_document(records.TREE_MARKET, "outcome", _POD, 1, text(outcome_document(_POD, [])), _START_MS)
        self.trees.add_document(records.TREE_SETTLEMENT, "statement", _POD, 1, text(statement), _START_MS)

    @property
    def _period_ms(self) -> tuple[int, int]:
        return self.frames.start * _FRAME_MS, self.frames.stop * _FRAME_MS

    def bundle(self) -> bytes:
        """The period in one file; each statement's receipt is of the first epoch that holds it."""
        anchor = self._issuer.anchor(1)
        with self.store.writing():
            for epoch, *_ in self.store.epochs():
                tree = dict(self.store.checkpoints(epoch)).get(records.TREE_READINGS)
                size = records.decode(tree).size if tree else 0  # type: ignore[attr-defined]
                for device, seq, position in self.store.unreceipted(size):
                    self.store.set_receipt(
                        device, seq, self.trees.prove(epoch, records.TREE_READINGS, position, anchor)
                    )
        made = Bundles(self.store, self.trees, self.log.public, self.who)
        return made.of(_POD, self._period_ms, self.epoch, anchor, self._issuer.seal).encode()

    def anchors(self) -> Anchors:
        """What the chain would hold."""
        words = {epoch: commitment_word(epoch, count, root) for epoch, root, count, _, _ in self.store.epochs()}
        return Anchors(*_PLACE, self.operator.rjust(32, b"\0"), words)


@contextmanager
def _period(days: int) -> Iterator[_Period]:
    with tempfile.TemporaryDirectory() as folder:
        made = _Period(Path(folder), days)
        yield made
        made.store.close()


def measure() -> dict[str, Figure]:
    """Rules 1 to 3."""
    with _period(1) as day:
        anchors, bundle = day.anchors(), day.bundle()
        reading = day.files.record(day.device, 1000).encode()
        day.trees.close_epoch(day.epoch + 1)
        consistency = day.files.consistency(records.TREE_READINGS, day.epoch, day.epoch + 1).encode()
        whole = day.anchors()
    receipt_ms = _cost_ms(lambda: _anchored(reading, anchors), 100)
    day_s = min(_cost_ms(lambda: _anchored(bundle, anchors), 1) for _ in range(3)) / 1000
    return {
        "receipt_of_a_reading": Figure(
            round(receipt_ms, 3),
            "ms of computing",
            "its signatures alone",
            round(_signatures_ms(reading), 3),
            target=None,
        ),
        "a_signature": Figure(round(_signature_ms(), 3), "ms of computing"),
        "receipt_bytes": Figure(len(reading), "bytes"),
        "proof_of_consistency": Figure(
            round(_cost_ms(lambda: _anchored(consistency, whole), 100), 3), "ms of computing"
        ),
        "a_day": Figure(round(day_s, 3), "s of computing"),
        "readings_of_a_day": Figure(21_600, "readings"),
        "bytes_of_a_day": Figure(len(bundle), "bytes"),
        **_month(),
    }


def _month() -> dict[str, Figure]:
    """Rules 2 and 4."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
            elsewhere.submit(_write, folder).result()
        size = (folder / "month.json").stat().st_size
        took: dict[int, list[Cost]] = {2: [], 1: []}
        for _ in range(_TIMES):
            for count, runs in took.items():
                runs.append(checked(folder / "month.json", folder / "anchors.json", count))
        costs = {path.name: refuse(path) for path in sorted((folder / "bad").iterdir())}
    return {
        "a_month": Figure(_wall_s(took[2]), "s", target=_MONTH_S),
        "a_month_by_one_worker": Figure(_wall_s(took[1]), "s"),
        "computing_of_a_month": Figure(_computing_s(took[2]), "s of computing"),
        "computing_of_a_month_by_one_worker": Figure(_computing_s(took[1]), "s of computing"),
        "memory_of_a_month": Figure(round(max(cost.mib for cost in took[2])), "MiB", target=_MOST_MIB),
        "readings_of_a_month": Figure(21_600 * _DAYS, "readings"),
        "bytes_of_a_month": Figure(size, "bytes", target=MAX_FILE_BYTES),
        **{case: Figure(round(cost.seconds, 2), "s of computing", target=1) for case, cost in costs.items()},
        "memory_of_what_is_refused": Figure(round(max(cost.mib for cost in costs.values())), "MiB", target=_MOST_MIB),
    }


def _wall_s(runs: Sequence[Cost]) -> float:
    return round(min(cost.wall_s for cost in runs), 2)


def _computing_s(runs: Sequence[Cost]) -> float:
    return round(min(cost.seconds for cost in runs), 2)


def _write(folder: Path) -> None:
    """A month, its anchors, and what is no evidence."""
    with _period(_DAYS) as made:
        data = made.bundle()
        (folder / "month.json").write_bytes(data)
        (folder / "anchors.json").write_text(_anchors_file(made.anchors()))
    (folder / "bad").mkdir()
    for name, bad in cases(data).items():
        (folder / "bad" / name).write_bytes(bad)


def _anchors_file(anchors: Anchors) -> str:
    held = {str(epoch): word.hex() for epoch, word in anchors.words.items()}
    return json.dumps(
        {
            "format": "lightnode-anchors/1", "chain_id": anchors.chain_id, "contract": anchors.contract.hex(),
            "operator": anchors.log.hex(), "block": 1, "commitments": held,
        }
    )  # fmt: skip


def _anchored(data: bytes, anchors: Anchors) -> None:
    assert verify(data, anchors).anchored


def _cost_ms(run: Callable[[], Any], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - began) * 1000 / times


def _signatures_ms(reading: bytes) -> float:
    """The signatures in a reading's file, checked and nothing else."""
    document = json.loads(reading)
    signed = 4 + 3 * len(document["keys"])  # record, statement, receipt, seal; of a key entry, enrolment, receipt
    return signed * _signature_ms()


def _signature_ms() -> float:
    """One ES256K signature, checked by the verifier's library."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256K1())
    signature, public = key.sign(b"", ec.ECDSA(hashes.SHA256())), key.public_key()
    return _cost_ms(lambda: public.verify(signature, b"", ec.ECDSA(hashes.SHA256())), 100)


def versions() -> dict[str, str]:
    """Of what the verifier stands on."""
    return {name: version(name) for name in ("cryptography", "cbor2")}
