"""Who may write what at the rig's broker, seen from the wire."""

import queue
import ssl
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hil.broker import Broker
from hil.pki import Pki

pytestmark = [pytest.mark.usefixtures("mosquitto"), pytest.mark.timeout(60)]
STATION = "1/0123456789abcdef"
WAIT_S = 10


def joined(broker: Broker, pki: Pki, user: str, topic: str) -> tuple[mqtt.Client, "queue.Queue[tuple[str, str]]"]:
    """A client in session, subscribed to a topic; the queue: ("subscribed", ""), then topics heard and ("left", why)."""
    mine = pki.client(user)
    context = ssl.create_default_context(cafile=str(pki.ca_pem))
    context.load_cert_chain(mine.cert_pem, mine.key_pem)
    said: queue.Queue[tuple[str, str]] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, user)
    client.tls_set_context(context)
    client.on_connect = lambda client, *_: client.subscribe(topic, 1)
    client.on_subscribe = lambda *_: said.put(("subscribed", ""))
    client.on_message = lambda _c, _d, message: said.put(("heard", message.topic))
    client.on_disconnect = lambda _c, _d, _f, code, _p: said.put(("left", str(code)))
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert said.get(timeout=WAIT_S) == ("subscribed", "")
    return client, said


def test_what_a_node_may_not_write_reaches_nobody_and_its_session_stays(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    with Broker(tmp_path / "broker", pki) as broker:
        back_end, heard = joined(broker, pki, "backend", "ln/1/#")
        node, said = joined(broker, pki, STATION, f"ln/1/{STATION}/setpoint")
        for topic in (f"ln/1/{STATION}/setpoint", "ln/1/1/ffffffffffffffff/record", f"ln/1/{STATION}/record"):
            node.publish(topic, b"\0", 1).wait_for_publish(WAIT_S)
        assert heard.get(timeout=WAIT_S) == ("heard", f"ln/1/{STATION}/record")
        assert said.empty() and heard.empty()
        for client in (node, back_end):
            client.disconnect()
            client.loop_stop()
