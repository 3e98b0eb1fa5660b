"""A whole edge: broker, site with meter and DER, agent process, and a stand-in for the light node."""

import json
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from lightwire import decision, envelope, records, topics
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import ModbusSerialClient

from edge_agent.keys import verifier
from hil.broker import Broker
from hil.conductor import Conductor
from hil.pki import Pki
from hil.process import Child
from tests.edge_agent.parts import (
    AGENT_KEY,
    DEPLOYMENT,
    DEVICE,
    FRAME_MS,
    ISSUER,
    ISSUER_KEY,
    NODE_KEY,
    SLOT_MS,
    T0,
    sealed,
)

PATIENCE_S = 15.0


def until(holds: Callable[[], Any], what: str) -> Any:
    """Waits for a condition; fails naming it."""
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.005)
    return found


class Edge:
    """`order` sends a set-point as the node would pass it on; `tick` is one slot for agent and site."""

    def __init__(self, folder: Path, der: dict[str, Any]) -> None:
        self.folder = folder
        self.station = topics.station(DEVICE)
        self.conductor = Conductor(T0 - 10 * SLOT_MS, silence_s=20)
        self.pki = Pki(folder / "pki")
        self.broker = Broker(folder / "broker", self.pki)
        self.broker.admit_agent(self.station)
        self.broker.start()
        self.children: list[Child] = []
        self.executions: list[records.Execution] = []
        self.number = 0
        self._client = self._connect()
        self._start_site(der)
        self._settings = self._write_settings()
        self.agent = self.start_agent()

    def close(self) -> None:
        self.conductor.close()
        for child in self.children:
            child.stop()
        self._client.disconnect()
        self._client.loop_stop()
        self.broker.stop()

    def start_agent(self) -> Child:
        child = Child("agent", [sys.executable, "-m", "edge_agent", "run", "--config", str(self._settings)],
                      self.folder / "agent.log")  # fmt: skip
        self.children.append(child)
        missing = self.conductor.wait_for([f"agent/{DEVICE.hex()}"], PATIENCE_S)
        assert not missing, child.last_words()
        self.conductor.tick()
        return child

    def stop_agent(self) -> None:
        self.conductor.dismiss(f"agent/{DEVICE.hex()}")
        self.agent.stop()

    def events(self, name: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (self.folder / "agent.log").read_text().splitlines() if line[:1] == "{"]
        return [row for row in rows if row["event"] == name]

    def order(self, point: records.SetPoint, node: Any = NODE_KEY, issuer: Any = ISSUER_KEY, wait: bool = True) -> None:
        """The light node decides, signs and publishes Decision || SetPoint; returns when the agent has taken it."""
        state = decision.State(DEVICE, self.number, 80_000, 80_000)
        outcome, reason = decision.decide(point, records.ROLE_DSO, state, self.conductor.now_ms)
        self.number = max(self.number, point.command)
        digest = envelope.payload_digest(records.encode(point))
        decided = records.Decision(
            DEVICE, 1, 1, point.command, point.id, digest, point.command, outcome, reason, self.conductor.now_ms
        )
        before = len(self.events("held")) + len(self.events("refused"))
        self._client.publish(f"ln/1/{self.station}/decision", sealed(decided, node) + sealed(point, issuer), qos=1)
        if wait:
            until(lambda: len(self.events("held")) + len(self.events("refused")) > before, "the agent reads the order")

    def tick(self, slots: int = 1) -> dict[str, Any]:
        """The agent's facts after the last of the slots, with "meter_w" as the register says."""
        for _ in range(slots):
            done = self.conductor.tick()
        facts: dict[str, Any] = {**done.facts.get(f"agent/{DEVICE.hex()}", {}), "lost": done.lost}
        true_w = done.facts["site"]["meters"]["P1"]  # type: ignore[index]
        assert self.register_w() == true_w
        return facts | {"meter_w": true_w}

    def tick_to(self, utc_ms: int) -> dict[str, Any]:
        """Slots up to and with the one that begins at utc_ms."""
        return self.tick((utc_ms - self.conductor.now_ms) // SLOT_MS)

    def register_w(self) -> int:
        """Total power in the meter's registers, read over the pseudo terminal by a Modbus client that is not ours."""
        master = ModbusSerialClient(str(self.folder / "meter"), timeout=2)
        assert master.connect()
        words = master.read_input_registers(0x34, count=2, device_id=1).registers
        master.close()
        return round(struct.unpack(">f", struct.pack(">HH", *words))[0] * 20)

    def answers(self, count: int) -> list[tuple[int, int]]:
        """(state, reason) of the executions that arrived, at least `count` of them."""
        until(lambda: len(self.executions) >= count, f"{count} executions")
        return [(e.state, e.reason) for e in self.executions]

    def _connect(self) -> mqtt.Client:
        """Two roles in one client: the node's decisions out, the back end's executions in."""
        identity = self.pki.client("backend")
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "backend", clean_session=False)
        client.tls_set(str(self.pki.ca_pem), str(identity.cert_pem), str(identity.key_pem))
        client.on_message = lambda _client, _data, message: self._keep(bytes(message.payload))
        client.connect("localhost", self.broker.port)
        client.subscribe(f"ln/1/{self.station}/execution", qos=1)
        client.loop_start()
        return client

    def _keep(self, message: bytes) -> None:
        opened: Any = envelope.open_sealed(message, DEPLOYMENT, verifier(AGENT_KEY.public))
        self.executions.append(opened)

    def _start_site(self, der: dict[str, Any]) -> None:
        customer = {
            "pod": "P1", "tty": str(self.folder / "meter"), "ct_ratio": 20, "first_frame": T0 // FRAME_MS - 1,
            "load_w": [30_000, 30_000, 36_000, 36_000], "spans_ms": der.pop("spans_ms", {}), "der": der,
        }  # fmt: skip
        path = self.folder / "site.json"
        path.write_text(json.dumps({"conductor": self.conductor.address, "customers": [customer]}))
        child = Child("site", [sys.executable, "-m", "hil.site", str(path)], self.folder / "site.log")
        self.children.append(child)
        ready: Any = until(lambda: child.line(0.2), child.name)
        self.der_port = ready["ready"]["P1"]["ems"]
        assert not self.conductor.wait_for(["site"], PATIENCE_S)

    def _write_settings(self) -> Path:
        identity = self.pki.client(f"agent/{self.station}")
        key = self.folder / "agent" / "agent.key"
        key.parent.mkdir()
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, AGENT_KEY._key.secret)
        os.close(descriptor)
        path = self.folder / "agent.toml"
        path.write_text(
            f'deployment = "{DEPLOYMENT.hex()}"\ndevice = "{DEVICE.hex()}"\nnode_key = "{NODE_KEY.public.hex()}"\n'
            f'key_file = "agent/agent.key"\nconductor = "{self.conductor.address}"\n'
            f'[[issuers]]\nid = "{ISSUER.hex()}"\nrole = 1\nkey = "{ISSUER_KEY.public.hex()}"\n'
            f'[broker]\nhost = "localhost"\nport = {self.broker.port}\nca = "{self.pki.ca_pem}"\n'
            f'cert = "{identity.cert_pem}"\nkey = "{identity.key_pem}"\n'
            f'[ems]\nhost = "127.0.0.1"\nport = {self.der_port}\nunit = 1\nnameplate_w = 40000\n'
        )
        return path


@pytest.fixture
def edge(tmp_path: Path, mosquitto: list[str], request: pytest.FixtureRequest) -> Iterator[Edge]:
    der = {"kind": "battery", "lowest_w": -40_000, "highest_w": 40_000, "capacity_ws": 360_000_000}
    made = Edge(tmp_path, der | getattr(request, "param", {}))
    until(lambda: made.events("connected"), "the agent is at the broker")
    yield made
    made.close()
