"""Records to store: a statement waits for the late records of its range, over a restart of the back end too."""

import asyncio
import hashlib
from pathlib import Path

from lightwire import envelope, records, topics

from backend.adapters.keys import SigningKey
from backend.adapters.mqtt import Incoming
from backend.adapters.sqlite import Party, SqliteStore
from backend.flows.collect import Collect
from backend.flows.ledgers import EvidenceTrees
from tests.lightnode.parts import DEPLOYMENT, DEVICE, KEY, QUARTER_MS, T0, Node, sealed

LOG = SigningKey(hashlib.sha256(b"log").digest())
OPERATOR = hashlib.sha256(LOG.public).digest()[:8]


class Link:
    """Where deliveries go; only their number matters here."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append(topic)


def start(store: SqliteStore, link: Link) -> Collect:
    """The ingest as it starts over whatever is in the store."""
    trees = EvidenceTrees(store, LOG.sign, DEPLOYMENT, OPERATOR)
    return Collect(store, link, trees, LOG, (DEPLOYMENT, OPERATOR), lambda: T0)


def sealed_records() -> list[bytes]:
    """Five readings and the statement over them, as a light node sends them."""
    node = Node()
    node.trust(T0 + QUARTER_MS - 5 * 4000)
    asyncio.run(node.slots(6))
    return [node.sealed(seq) for seq in range(1, 7)]


def take(collect: Collect, sealed: list[bytes]) -> None:
    topic = topics.topic(DEVICE, "record")
    collect.process([Incoming(topic, message, 0, 1) for message in sealed])


def test_a_statement_waits_for_a_late_record_over_a_restart_of_the_back_end(tmp_path: Path) -> None:
    messages = sealed_records()
    assert envelope.peek(messages[5]).KIND == records.STATEMENT
    store, link = SqliteStore(tmp_path / "scd.sqlite"), Link()
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    before = start(store, link)
    take(before, [*messages[:2], *messages[3:]])
    assert before.committed()[DEVICE] == 2 and store.leaves(records.TREE_READINGS) == []
    before.deliver_all(T0)
    assert len(link.sent) == 1
    after = start(store, link)
    take(after, [messages[2]])
    assert after.committed()[DEVICE] == 6 and after.refused == 0
    assert store.leaves(records.TREE_READINGS) == [messages[5]]


def test_a_record_that_comes_again_is_recognised_and_stored_once(tmp_path: Path) -> None:
    messages = sealed_records()
    store = SqliteStore(tmp_path / "scd.sqlite")
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    collect = start(store, Link())
    take(collect, messages)
    take(collect, messages)
    assert (collect.duplicates, collect.refused, store.count_readings(DEVICE)) == (6, 0, 5)
    assert store.leaves(records.TREE_READINGS) == [messages[5]]


def test_deliveries_go_on_after_the_back_end_s_clock_has_jumped_ahead_and_back(tmp_path: Path) -> None:
    messages = sealed_records()
    store, link = SqliteStore(tmp_path / "scd.sqlite"), Link()
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    collect = start(store, link)
    take(collect, messages[:1])
    collect.deliver(T0 + 3_600_000)
    take(collect, messages[1:2])
    collect.deliver(T0)
    assert len(link.sent) == 2


def test_4_a_light_node_that_has_gone_is_a_finding_once_until_it_is_there_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "scd.sqlite")
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    collect, topic = start(store, Link()), topics.topic(DEVICE, "status")
    for word in (b"online", b"offline", b"offline", b"online", b"offline"):
        collect.process([Incoming(topic, word, 0, 1)])
    assert [what for _, what in store.findings()] == [f"{DEVICE.hex()} is offline, says the broker"] * 2
    collect.process([Incoming(topic, b"", 0, 1), Incoming(topics.topic(b"another1", "status"), b"online", 0, 1)])
    assert collect.refused == 2


def test_an_energy_manager_that_failed_is_a_finding_once_and_its_report_is_kept(tmp_path: Path) -> None:
    node = Node()
    for point, state, reason in ((bytes(16), 4, 16), (b"p" * 16, 1, 0), (b"p" * 16, 4, 200)):
        asyncio.run(
            node.recorder.keep(
                lambda *whose, said=(point, state, reason): records.EmsReport(*whose, T0, 0, *said, 1, 2, 3, 4)
            )
        )
    messages = [node.sealed(seq) for seq in range(1, 4)]
    store = SqliteStore(tmp_path / "scd.sqlite")
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    collect = start(store, Link())
    take(collect, messages)
    take(collect, messages)
    assert [what for _, what in store.findings()] == [
        f"{DEVICE.hex()}: energy manager unreachable, no set-point",
        f"{DEVICE.hex()}: 200, set-point {b'p'.hex() * 16}",
    ]
    assert [one.sealed for one in store.of_kind(DEVICE, records.EMS_REPORT)] == messages


def told(node: Node, boot_alarms: list[tuple[int, int]]) -> list[bytes]:
    """Diagnostics of (boot, alarms), as a light node sends them."""
    made = []
    for seq, (boot, alarms) in enumerate(boot_alarms, 1):
        counts = (0, 0, records.RESET_POWER, 0, 0, 0, 0, 0, 0, 0, 0, 0, alarms)
        made.append(sealed(records.Diagnostics(DEVICE, 1, boot, seq, T0 + seq * QUARTER_MS, 0, *counts), KEY))
    return made


def test_7_alarms_of_a_light_node_are_a_finding_when_they_are_more_over_a_restart_of_the_back_end(
    tmp_path: Path,
) -> None:
    messages = told(Node(), [(1, 0), (1, 2), (1, 2), (1, 3), (2, 0), (2, 1)])
    store = SqliteStore(tmp_path / "scd.sqlite")
    store.register(Party(DEVICE, 1, "node", "POD", records.ES256K, KEY.public, 0, 2**62, b"", b""))
    take(start(store, Link()), messages[:3])
    collect = start(store, Link())
    take(collect, messages)
    assert collect.refused == 0
    why = "late receipts, messages that are not ours, a silent energy manager; its log names them"
    assert [what for _, what in store.findings()] == [
        f"{DEVICE.hex()}: alarms, 2 new, 2 since start 1: {why}",
        f"{DEVICE.hex()}: alarms, 1 new, 3 since start 1: {why}",
        f"{DEVICE.hex()}: alarms, 1 new, 1 since start 2: {why}",
    ]
