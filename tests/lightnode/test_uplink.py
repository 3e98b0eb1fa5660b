"""What comes down: only what the log key signed for this device moves anything; the rest is an alarm."""

import asyncio
from typing import Any

import pytest
from lightnode.uplink import Uplink
from lightwire import envelope, records, topics

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


def test_1_what_is_sent_are_the_sealed_records_in_order(node: Node) -> None:
    made, sent = uplink(node), []

    class Session:
        in_flight: dict[int, int] = {}

        async def publish(self, topic: str, payload: bytes, *_again: int) -> None:
            sent.append((topic, payload))

    async def drain() -> None:
        while await made._send_some(Session()):
            pass

    asyncio.run(drain())
    mine = [payload for topic, payload in sent if topic.endswith("record")]
    assert [envelope.peek(m).seq for m in mine] == list(range(1, node.journal.seq + 1))
    assert mine == [node.sealed(seq) for seq in range(1, node.journal.seq + 1)]


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
