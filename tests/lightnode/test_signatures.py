"""A key whose signatures are random, as a secure element's may be: what it has signed is the same to the byte for ever.

The key here is a software key of secp256k1 that draws its nonces, through a library that is not ours.
"""

import asyncio
import hashlib
from collections.abc import Generator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from lightnode.journal import Journal
from lightnode.keys import DeviceKey
from lightnode.recorder import Recorder
from lightwire import ecdsa, envelope, merkle, records, topics

from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import Party, SqliteStore
from hil.flash import CutRecorder, NorFlash
from tests.backend.flows.test_collect import Link, start
from tests.lightnode.parts import DEPLOYMENT, QUARTER_MS, T0, Node
from tests.lightnode.test_journal import START_MS, diagnostics, opened, reading, statement

START = T0 + QUARTER_MS - 5 * 4000
SECRET = int.from_bytes(hashlib.sha256(b"element").digest(), "big")
OUTAGES = [pytest.param(640, 6), pytest.param(2048, 21, marks=pytest.mark.long)]


class ElementKey:
    """Signs with nonces of its own; `signed` counts. Behind the interface that keys.py names, and nothing more."""

    def __init__(self) -> None:
        self._key = ec.derive_private_key(SECRET, ec.SECP256K1())
        self.algorithm = records.ES256K
        self.is_deterministic = False
        self.generation = 1
        self.public = ecdsa.public_key(ecdsa.SECP256K1, SECRET)
        self.device = hashlib.sha256(self.public).digest()[:8]
        self.signed = 0

    def signing(self, digest: bytes) -> Generator[None, None, bytes]:
        yield
        self.signed += 1
        der = self._key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        yield
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + min(s, ecdsa.SECP256K1.n - s).to_bytes(32, "big")


def element_node(flash: NorFlash | None = None) -> Node:
    made = Node(flash, ElementKey)  # type: ignore[arg-type]
    return made


def sent(node: Node) -> dict[int, bytes]:
    """Every kept record as it would leave now."""
    return {record.seq: node.sealed(record.seq) for record in node.kept()}


def check_roots(node: Node, messages: dict[int, bytes]) -> None:
    for one in node.kept(records.STATEMENT):
        leaves = [merkle.leaf_hash(messages[seq]) for seq in range(one.first_seq, one.last_seq + 1)]
        assert one.root == merkle.root(leaves), f"statement {one.seq}"


def test_the_key_of_these_tests_never_signs_alike() -> None:
    key, digest = ElementKey(), hashlib.sha256(b"x").digest()
    made = {ecdsa.finished(key.signing(digest)) for _ in range(5)}
    assert len(made) == 5
    assert all(ecdsa.verify(ecdsa.SECP256K1, key.public, digest, one) for one in made)


def test_what_is_sent_again_is_the_same_to_the_byte_also_after_restarts() -> None:
    node = element_node()
    node.trust(START)
    asyncio.run(node.slots(8))
    first = sent(node)
    assert sent(node) == first
    for boot in range(3):
        node.restart()
        assert {seq: message for seq, message in sent(node).items() if seq in first} == first
        node.trust(START + (boot + 3) * 10 * 4000)
        asyncio.run(node.slots(3))
        first |= sent(node)
    check_roots(node, sent(node))
    for seq, message in first.items():
        payload, signature, algorithm = envelope.split(message)
        digest = envelope.digest(payload, DEPLOYMENT, algorithm)
        assert ecdsa.verify(ecdsa.SECP256K1, node.key.public, digest, signature), seq


def test_a_drain_in_order_makes_no_signature_and_is_what_was_sent() -> None:
    node = element_node()
    node.trust(START)
    asyncio.run(node.slots(120))
    first = sent(node)
    node.restart()
    before, seq, again = node.key.signed, 0, {}  # type: ignore[attr-defined]
    while True:
        seq, message = asyncio.run(node.recorder.following(seq))
        if not message:
            break
        again[seq] = message
    assert {seq: again[seq] for seq in first} == first
    assert node.key.signed == before  # type: ignore[attr-defined]


def test_the_back_end_takes_the_same_message_twice_and_its_statement(tmp_path: Path) -> None:
    node = element_node()
    node.trust(START)
    asyncio.run(node.slots(4))
    first = sent(node)
    node.restart()
    node.trust(START + 40_000)
    asyncio.run(node.slots(3))
    store = SqliteStore(tmp_path / "scd.sqlite")
    store.register(Party(node.key.device, 1, "node", "POD", records.ES256K, node.key.public, 0, 2**62, b"", b""))
    collect, topic = start(store, Link()), topics.topic(node.key.device, "record")
    for messages in (first, sent(node)):
        collect.process([Incoming(topic, message, 0, 1) for message in messages.values()])
    assert (collect.refused, collect.duplicates) == (0, len(first)), list(store.findings())
    assert len(store.leaves(records.TREE_READINGS)) == len(node.kept(records.STATEMENT)) > 0


def test_who_asks_while_another_signs_the_same_record_gets_the_same_message() -> None:
    node = element_node()
    node.trust(START)
    asyncio.run(node.slots(1))
    node.journal.append(node.kept()[0]._replace(seq=2))  # a cut came before its signature
    key = ElementKey()
    journal = Journal(node.flash, key.device)
    recorder = Recorder(key, journal, DEPLOYMENT)

    async def at_once() -> list[bytes]:
        _, first, second = await asyncio.gather(recorder.ready(), recorder.sealed(2), recorder.following(1))
        return [first, second[1], await recorder.sealed(2)]

    messages = asyncio.run(at_once())
    assert len(set(messages)) == 1 and messages[0]


def test_after_a_cut_at_any_write_what_was_sent_before_is_the_same_and_every_root_holds() -> None:
    """Cuts before, inside and at the end of each write."""
    was_sent: dict[int, bytes] = {}
    cut: list[tuple[NorFlash, dict[int, bytes]]] = []

    def wanted(_operation: int, steps: int) -> list[int]:
        return sorted({0, steps // 2, steps - 1})

    flash = CutRecorder(8, 5, wanted)
    node = element_node(flash)
    node.trust(START)
    flash.on_cut = lambda image, _operation: cut.append((image, was_sent))
    for _ in range(6):
        asyncio.run(node.slots(1))
        was_sent = was_sent | sent(node)
    assert len(cut) > 40
    for image, before in cut:
        revived = element_node(image)
        again = sent(revived)
        assert {seq: again[seq] for seq in before} == before
        revived.restart()
        once_more = sent(revived)
        assert {seq: once_more[seq] for seq in again} == again
        check_roots(revived, once_more)


def test_a_second_cut_in_the_recovery_changes_nothing_either() -> None:
    node = element_node()
    node.trust(START)
    asyncio.run(node.slots(3))
    before = sent(node)
    cells = bytes(node.flash.cells)
    for left in range(0, 400, 13):
        flash = NorFlash(16, left)
        flash.cells[:] = cells
        flash.left = left
        try:
            element_node(flash)
        except Exception:  # noqa: BLE001, S110 - wherever the power went
            pass
        flash.left = None
        again = sent(element_node(flash))
        assert {seq: again[seq] for seq in before} == before, left


@pytest.mark.parametrize(("kib", "hours"), OUTAGES)
def test_it_costs_three_slots_a_record_and_shortens_the_outage(kib: int, hours: int) -> None:
    """The outage of README: readings, a statement and diagnostics each quarter-hour, all with their signatures."""
    flash = NorFlash(kib // 4)
    journal, slot = opened(flash), 0
    while not journal.take_dropped():
        for make in (reading, statement, diagnostics) if slot % 225 == 224 else (reading,):
            journal.append(make(journal, slot))
            journal.sign(journal.seq, bytes(64))
        slot += 1
    assert slot * 4 // 3600 == hours
    assert START_MS and opened(flash).signature(journal.seq) == bytes(64)


def test_a_deterministic_key_keeps_none() -> None:
    node = Node()
    node.trust(START)
    asyncio.run(node.slots(3))
    assert isinstance(node.key, DeviceKey) and node.key.is_deterministic
    assert [node.journal.signature(seq) for seq in (1, 2, 3)] == [b""] * 3
