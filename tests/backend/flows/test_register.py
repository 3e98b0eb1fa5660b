"""Keys into the registry: first ones and rotations; what a node made under each of its keys is stored and provable."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from lightnode import keys
from lightnode.keys import DeviceKey
from lightwire import envelope, records, topics

from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.flows.collect import Collect
from backend.flows.ledgers import EvidenceTrees
from backend.flows.register import Register
from tests.backend.flows.test_collect import LOG, OPERATOR, Link
from tests.lightnode.parts import DEPLOYMENT, QUARTER_MS, T0, Node
from tests.lightnode.test_keys import counted

NONCE = bytes(range(16))
POD = "IT001E00000003"
RANDOM = counted(b"register")


@dataclass(frozen=True, slots=True)
class BackEnd:
    """Store, ingest and registry over one file."""

    store: SqliteStore
    collect: Collect
    register: Register

    def approve(self, enrolment: bytes, role: str = "node", pod: str = POD) -> Party:
        return self.register.approve(enrolment, NONCE, role, pod, T0)

    def take(self, messages: list[bytes]) -> None:
        topic = topics.topic(envelope.peek(messages[0]).device, "record")
        self.collect.process([Incoming(topic, message, 0, 1) for message in messages])


@pytest.fixture
def back_end(tmp_path: Path) -> BackEnd:
    return opened(tmp_path)


def opened(folder: Path) -> BackEnd:
    """As it starts over whatever is in the store."""
    store = SqliteStore(folder / "scd.sqlite")
    trees = EvidenceTrees(store, LOG.sign, DEPLOYMENT, OPERATOR)
    collect = Collect(store, Link(), trees, LOG, (DEPLOYMENT, OPERATOR), lambda: T0)
    return BackEnd(store, collect, Register(store, trees, collect, LOG, (DEPLOYMENT, OPERATOR)))


def enrolled(key: DeviceKey, signer: DeviceKey | None = None, nonce: bytes = NONCE) -> bytes:
    """The sealed enrolment as the device prints it, or signed by another key."""
    enrolment, own = keys.introduce(key, bytes(32), nonce, 1)
    return envelope.seal(enrolment, DEPLOYMENT, (signer or own).sign)  # type: ignore[no-any-return]


def test_what_a_rotated_node_drains_is_stored_and_its_statements_are_leaves(back_end: BackEnd, tmp_path: Path) -> None:
    folder = str(tmp_path)
    node = Node(None, lambda: keys.open_key(folder, RANDOM))
    back_end.approve(enrolled(node.key))
    node.trust(T0 + QUARTER_MS - 5 * 4000)
    asyncio.run(node.slots(9))
    second = keys.rotate(folder, RANDOM)
    node.restart()
    node.trust(T0 + QUARTER_MS + 40_000)
    asyncio.run(node.slots(4))
    asyncio.run(node.recorder.close_batch())
    messages = [node.sealed(record.seq) for record in node.kept()]
    back_end.take(messages)
    refused = back_end.collect.refused
    assert refused == sum(record.generation == 2 for record in node.kept())  # nobody knows the second key yet
    party = back_end.approve(enrolled(second))
    entry = envelope.peek(party.entry)
    assert (entry.action, entry.generation, entry.device) == (records.ROTATE, 2, node.key.device)
    assert entry.enrolment == envelope.payload_digest(envelope.split(enrolled(second))[0])
    back_end.take(messages)
    assert back_end.collect.refused == refused and back_end.collect.committed()[node.key.device] == node.journal.seq
    statements = [m for m in messages if envelope.peek(m).KIND == records.STATEMENT]
    assert back_end.store.leaves(records.TREE_READINGS) == statements
    again = opened(tmp_path)
    assert again.collect.committed() == back_end.collect.committed()
    again.take(messages)
    assert again.collect.refused == 0 and again.collect.duplicates == len(messages)


def test_a_chain_of_rotations_is_approved_in_its_order_only(back_end: BackEnd, tmp_path: Path) -> None:
    first = keys.open_key(str(tmp_path), RANDOM)
    second, third = keys.rotate(str(tmp_path), RANDOM), keys.rotate(str(tmp_path), RANDOM)
    with pytest.raises(Rejected, match="generation 1 of this device is not registered"):
        back_end.approve(enrolled(second))
    back_end.approve(enrolled(first))
    with pytest.raises(Rejected, match="generation 2 of this device is not registered"):
        back_end.approve(enrolled(third))
    back_end.approve(enrolled(second))
    back_end.approve(enrolled(third))
    assert [(p.id, p.generation, p.pod) for p in back_end.store.parties()] == [
        (first.device, g, POD) for g in (1, 2, 3)
    ]


def stranger() -> DeviceKey:
    return DeviceKey(99, 1, RANDOM)


REFUSED: list[tuple[str, Callable[[DeviceKey, DeviceKey], bytes], str, str, str]] = [
    ("signed by itself", lambda _one, two: enrolled(two, two), "node", POD, "enrolment"),
    ("signed by a stranger", lambda _one, two: enrolled(two, stranger()), "node", POD, "enrolment"),
    ("of another role", lambda _one, two: enrolled(two), "agent", POD, f"the key before it is of node {POD}"),
    ("of another POD", lambda _one, two: enrolled(two), "node", "POD2", f"the key before it is of node {POD}"),
    ("for another nonce", lambda _one, two: enrolled(two, nonce=bytes(16)), "node", POD, "answers another nonce"),
    ("of the first key again", lambda one, _two: enrolled(one), "node", POD, "generation 1 of this device is registered already"),
    ("of generation 0", lambda one, two: altered(two, one, generation=0), "node", POD, "generation -1 of this device"),
    ("that skips one", lambda one, two: altered(two, one, generation=3), "node", POD, "generation 2 of this device"),
    ("of no point", lambda one, two: altered(two, one, public_key=b"\x05" * 33), "node", POD, "enrolment"),
]  # fmt: skip


def altered(key: DeviceKey, signer: DeviceKey, **fields: object) -> bytes:
    enrolment, _ = keys.introduce(key, bytes(32), NONCE, 1)
    return envelope.seal(enrolment._replace(**fields), DEPLOYMENT, signer.sign)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("made", "role", "pod", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_rotation_is_refused(
    back_end: BackEnd,
    tmp_path: Path,
    made: Callable[[DeviceKey, DeviceKey], bytes],
    role: str,
    pod: str,
    reason: str,
) -> None:
    first = keys.open_key(str(tmp_path), RANDOM)
    back_end.approve(enrolled(first))
    second = keys.rotate(str(tmp_path), RANDOM)
    with pytest.raises(Rejected, match=reason):
        back_end.approve(made(first, second), role, pod)
    assert [party.generation for party in back_end.store.parties()] == [1]
    assert len(back_end.store.leaves(records.TREE_KEYS)) == 2  # its entry and its placement


def test_a_first_key_is_refused_under_an_id_that_is_not_its_own(back_end: BackEnd) -> None:
    other, own = stranger(), DeviceKey(98, 1, RANDOM)
    with pytest.raises(Rejected, match="the device id is not that of its key"):
        back_end.approve(altered(own, own, device=other.device))
