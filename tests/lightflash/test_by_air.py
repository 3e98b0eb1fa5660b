"""A release over a real broker to somebody who hears it like a device; rules of lightflash/by_air.py."""

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import paho.mqtt.client as mqtt
import pytest
from lightflash import by_air
from lightflash.errors import Pending
from lightflash.offer import Offer
from lightwire import envelope, records, topics, update
from paho.mqtt.enums import CallbackAPIVersion

from hil.broker import Broker, client_context
from hil.pki import Pki
from hil.updates import Terms, release
from tests.lightflash.building import DEPLOYMENT, KEY, T0

pytestmark = [pytest.mark.usefixtures("mosquitto"), pytest.mark.timeout(120)]
ID = bytes.fromhex("0123456789abcdef")
WAIT_S = 60
AGAIN_S = 0.3
DATA = b"print(1)\n"
MADE = release({"lightnode/app.mpy": DATA}, Terms(12, created_ms=T0, deployment=DEPLOYMENT), KEY)
OFFER = Offer(MADE.manifest, MADE.announcement, MADE.files)


class Heard:
    """A device's client: what came, by channel."""

    def __init__(self, broker: Broker, pki: Pki) -> None:
        self.came: queue.Queue[tuple[str, bytes]] = queue.Queue()
        mine = pki.client(f"1/{ID.hex()}")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "device")
        self._client.tls_set_context(client_context(pki, mine.cert_pem, mine.key_pem))
        subscribed: queue.Queue[bool] = queue.Queue()
        self._client.on_subscribe = lambda *_: subscribed.put(True)
        self._client.on_message = lambda _c, _d, m: self.came.put((m.topic.rsplit("/", 1)[1], bytes(m.payload)))
        self._client.connect(broker.host, broker.port)
        self._client.subscribe([(topics.topic(ID, channel), 1) for channel in ("update", "chunk")])
        self._client.loop_start()
        assert subscribed.get(timeout=WAIT_S)

    def next(self) -> tuple[str, bytes]:
        return self.came.get(timeout=WAIT_S)

    def say(self, channel: str, payload: bytes) -> None:
        self._client.publish(topics.topic(ID, channel), payload, 1).wait_for_publish(WAIT_S)

    def report(self) -> None:
        """Committed, signed."""
        said = records.UpdateReport(ID, 1, 1, 1, T0, 0, 12, 1 << 16, records.UPDATE_COMMITTED, 0, OFFER.digest)
        self.say("record", envelope.seal(said, DEPLOYMENT, KEY.sign))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[tuple[Heard, by_air.Broker]]:
    pki = Pki(tmp_path / "pki")
    with Broker(tmp_path / "broker", pki) as broker:
        heard, mine = Heard(broker, pki), pki.client("backend")
        yield heard, by_air.Broker(broker.host, broker.port, pki.ca_pem, mine.cert_pem, mine.key_pem)
        heard.close()


def session(broker: by_air.Broker) -> by_air.Session:
    device = by_air.Device(ID, KEY.public, DEPLOYMENT)
    return by_air.Session(broker, device, OFFER, lambda *_: None, AGAIN_S)


def answers(heard: Heard) -> None:
    """Loses two announcements, fetches at the third, thinks for a while, and commits."""
    for _ in range(3):
        assert heard.next() == ("update", OFFER.announcement)
    heard.say("fetch", update.encode_wish(12, "lightnode/app.mpy", 0, len(DATA)))
    while (found := heard.next())[0] != "chunk":
        pass
    assert update.decode_piece(found[1]) == (12, "lightnode/app.mpy", 0, DATA)
    while not heard.came.empty():
        heard.came.get()
    time.sleep(5 * AGAIN_S)
    heard.report()


def test_rule_3_a_device_that_fetches_nothing_is_told_again_and_one_that_does_is_left_alone(rig) -> None:
    heard, broker = rig
    with session(broker) as one:
        device = Thread(target=answers, args=(heard,))
        device.start()
        assert one.outcome(WAIT_S).outcome == records.UPDATE_COMMITTED
        device.join()
    assert heard.came.empty(), "nothing more was said once it had fetched"


def test_rule_2_a_report_that_came_while_nobody_was_here_is_read_the_next_time(rig) -> None:
    heard, broker = rig
    with session(broker) as one, pytest.raises(Pending, match="nothing was fetched; run the same command again"):
        one.outcome(1)
    heard.report()
    with session(broker) as one:
        assert one.outcome(WAIT_S).sequence == 12
        one.forget()
