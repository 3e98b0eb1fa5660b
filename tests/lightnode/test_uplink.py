"""What comes down: only what the log key signed for this device moves anything; the rest is an alarm."""

import asyncio
from typing import Any

import pytest
from lightnode.uplink import Uplink
from lightwire import envelope, records, topics

from hil.flash import NorFlash
from tests.lightnode.parts import DEPLOYMENT, DEVICE, T0, Node, Settings, key_of, sealed

LOG, STRANGER = key_of(b"log"), key_of(b"stranger")
OPERATOR, INCARNATION = b"operator", b"incarn-1"
SETTINGS = Settings(
    log_key=LOG.public, operator=OPERATOR, deployment=DEPLOYMENT, broker__host="h", broker__port=1, broker__ca="", broker__cert="",
    broker__key="", receipt_late_s=7200,
)  # fmt: skip


class Board:
    @staticmethod
    def random(count: int) -> bytes:
        return bytes(count)


class SetPoints:
    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.answers: list[Any] = []

    async def receive(self, message: bytes) -> None:
        self.taken.append(message)


@pytest.fixture
def node() -> Node:
    made = Node()
    made.trust(T0)
    asyncio.run(made.slots(6))
    return made


def uplink(node: Node) -> Uplink:
    return Uplink(Board, SETTINGS, node.recorder, node.journal, node.clock, SetPoints(), DEVICE)


def down(made: Uplink, channel: str, message: bytes, device: bytes = DEVICE) -> None:
    asyncio.run(made._received(topics.topic(device, channel), message))


def delivery(node: Node, seq: int, incarnation: bytes = INCARNATION, **changed: Any) -> records.Delivery:
    digest = node.recorder.digest(seq) or bytes(32)
    values = {
        "operator": OPERATOR, "incarnation": incarnation, "device": DEVICE, "boot": 1, "seq": seq, "digest": digest, "time_ms": T0,
    }  # fmt: skip
    return records.Delivery(**(values | changed))


def test_2_a_delivery_of_the_log_key_moves_the_cursor(node: Node) -> None:
    made = uplink(node)
    down(made, "delivery", sealed(delivery(node, 4), LOG))
    assert (node.journal.acked, node.journal.incarnation, made.alarms) == (4, INCARNATION, 0)
    down(made, "delivery", sealed(delivery(node, 2), LOG))
    assert node.journal.acked == 4


@pytest.mark.parametrize(
    "case", ["stranger", "deployment", "device", "operator", "digest", "beyond", "kind", "topic", "torn"]
)
def test_2_anything_else_moves_nothing_and_is_an_alarm(node: Node, case: str) -> None:
    made = uplink(node)
    good = delivery(node, 4)
    message = {
        "stranger": lambda: sealed(good, STRANGER),
        "deployment": lambda: sealed(good, LOG, bytes(16)),
        "device": lambda: sealed(delivery(node, 4, device=b"another1"), LOG),
        "operator": lambda: sealed(delivery(node, 4, operator=b"another1"), LOG),
        "digest": lambda: sealed(delivery(node, 4, digest=bytes(32)), LOG),
        "beyond": lambda: sealed(delivery(node, 99), LOG),
        "kind": lambda: sealed(records.TimeAnswer(OPERATOR, DEVICE, bytes(16), T0), LOG),
        "topic": lambda: sealed(good, LOG),
        "torn": lambda: sealed(good, LOG)[:-1],
    }[case]()
    down(made, "delivery", message, b"another1" if case == "topic" else DEVICE)
    assert (node.journal.acked, made.alarms) == (0, 1)


def test_4_a_restored_store_gets_again_what_is_still_held(node: Node) -> None:
    made = uplink(node)
    down(made, "delivery", sealed(delivery(node, 6), LOG))
    down(made, "delivery", sealed(delivery(node, 2, b"restored"), LOG))
    assert (node.journal.acked, made._sent) == (2, 2)


def test_time_is_taken_only_from_the_log_key_and_for_the_open_nonce(node: Node) -> None:
    made = uplink(node)
    node.restart()
    made = uplink(node)
    nonce = node.clock.ask()
    later = T0 + 10**7
    down(made, "time", sealed(records.TimeAnswer(OPERATOR, DEVICE, nonce, later), STRANGER))
    assert not node.clock.trusted and made.alarms == 1
    down(made, "time", sealed(records.TimeAnswer(OPERATOR, DEVICE, bytes(16), later), LOG))
    assert not node.clock.trusted
    down(made, "time", sealed(records.TimeAnswer(OPERATOR, DEVICE, nonce, later), LOG))
    assert node.clock.trusted and node.clock.utc_ms() == later


def test_a_set_point_is_handed_on_unread(node: Node) -> None:
    made = uplink(node)
    down(made, "setpoint", b"anything")
    assert made._setpoints.taken == [b"anything"] and made.alarms == 0


def test_5_bytes_that_are_no_receipt_are_an_alarm_and_a_late_receipt_too(node: Node) -> None:
    made = uplink(node)
    down(made, "receipt", b"no receipt")
    assert (made.alarms, made.receipts) == (1, 0)
    asyncio.run(node.recorder.close_batch())
    node.source.now += 3 * 3_600_000
    made.tick()
    made.tick()
    assert made.alarms == 2


def test_5_a_late_receipt_is_one_alarm_a_minute_after_it_is_due_and_a_later_one_another(node: Node) -> None:
    made = uplink(node)
    asyncio.run(node.recorder.close_batch())
    due_ms = 7_200_000 - 3_600_000
    for after_ms, wanted in ((3_600_000, 0), (due_ms + 90_000, 1), (60_000, 1), (3_600_000, 1)):
        node.source.now += after_ms
        made.tick()
        assert (made.alarms, made.receipts_late) == (wanted, wanted)
    asyncio.run(node.slots(2))
    asyncio.run(node.recorder.close_batch())
    node.source.now += 8_000_000
    made.tick()
    assert (made.alarms, made.receipts_late) == (2, 2)


def test_5_each_of_many_late_receipts_is_an_alarm_in_whatever_order_they_are_held(node: Node) -> None:
    made = uplink(node)
    node.journal.unproven = {seq: T0 for seq in (452, 226, 678, 7)}  # MicroPython's dictionaries have no order
    node.source.now += 8_000_000
    made.tick()
    assert (made.alarms, made.receipts_late) == (4, 4)


def test_5_a_receipt_that_came_in_time_is_no_alarm(node: Node) -> None:
    made = uplink(node)
    asyncio.run(node.recorder.close_batch())
    for seq in list(node.journal.unproven):
        node.recorder.proven(seq)
    node.source.now += 8_000_000
    made.tick()
    assert made.alarms == 0


def test_5_a_statement_that_never_knew_the_time_is_late_from_when_the_time_is_known() -> None:
    node = Node()
    asyncio.run(node.slots(3))
    node.restart()
    assert [end_ms for end_ms in node.journal.unproven.values()] == [12_000]
    node.trust(T0)
    made = uplink(node)
    for after_ms, wanted in ((61_000, 0), (7_100_000, 0), (200_000, 1)):
        node.source.now += after_ms
        made.tick()
        assert made.alarms == wanted


class Session:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.in_flight: dict[int, int] = {}
        self.sent: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes, *_again: int) -> None:
        self.sent.append((topic, payload))


def drained(made: Uplink) -> list[bytes]:
    """The records that a session sends until there is nothing left."""
    session = Session()

    async def drain() -> None:
        while await made._send_some(session):
            pass

    asyncio.run(drain())
    return [payload for topic, payload in session.sent if topic.endswith("record")]


def test_1_what_is_sent_are_the_sealed_records_in_order(node: Node) -> None:
    mine = drained(uplink(node))
    assert [envelope.peek(m).seq for m in mine] == list(range(1, node.journal.seq + 1))
    assert mine == [node.sealed(seq) for seq in range(1, node.journal.seq + 1)]


def test_6_the_gap_that_names_what_was_dropped_goes_where_that_would_have_been() -> None:
    node = Node(NorFlash(4))
    node.trust(T0)
    asyncio.run(node.slots(700))
    seqs = [envelope.peek(m).seq for m in drained(uplink(node))]
    held = [record.seq for record in node.kept()]
    named = max(r.seq for r in node.kept(records.GAP) if r.cause == records.CAUSE_OVERRUN)
    assert seqs == [named, *(seq for seq in held if seq != named)]
    assert node.journal.find(named).last_seq == held[0] - 1


def test_6_each_session_says_it_again_and_a_range_that_is_acknowledged_is_not_told_first() -> None:
    node = Node(NorFlash(4))
    node.trust(T0)
    asyncio.run(node.slots(700))
    made = uplink(node)
    first = drained(made)
    assert drained(made) == []
    made._from_the_cursor()
    assert drained(made) == first
    node.journal.acknowledge(node.kept()[10].seq, INCARNATION)
    made._from_the_cursor()
    seqs = [envelope.peek(m).seq for m in drained(made)]
    assert seqs == list(range(node.journal.acked + 1, node.journal.seq + 1))


def test_6_after_a_restart_the_gap_still_goes_first() -> None:
    node = Node(NorFlash(4))
    node.trust(T0)
    asyncio.run(node.slots(700))
    node.restart()
    found = [envelope.peek(m) for m in drained(uplink(node))]
    assert (found[0].KIND, found[0].last_seq) == (records.GAP, min(r.seq for r in found) - 1)


def test_a_broker_that_takes_the_connection_and_says_nothing_is_left_and_tried_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightnode.uplink._OPEN_S", 0.01)
    made = uplink(node)
    signs, tried = [], []

    async def silent() -> None:
        tried.append(1)
        await asyncio.Event().wait()

    async def scene() -> None:
        running = asyncio.create_task(made.run(lambda: signs.append(1)))
        while len(tried) < 3:
            await asyncio.sleep(0)
        running.cancel()

    made._connect = silent
    asyncio.run(scene())
    assert len(signs) >= 3 and not made.connected
