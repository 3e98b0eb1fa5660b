"""A bench: conductor, broker, chain, back end, site and light nodes of a few customers, started and stopped together.

Tests and the demo stand on it. Everything listens on loopback; every process ends with this one.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from lightwire import topics

from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.mqtt import BrokerAccess
from backend.wiring import Backend, make_identity
from edge_agent.ems_modbus import ModbusEms
from edge_agent.settings import EmsSettings
from hil.agents import VirtualAgent
from hil.broker import Broker
from hil.conductor import PHASE_AGENT, Conductor, Tick
from hil.errors import RigError
from hil.meters.truth import read_truth
from hil.nodes import NodeFailed, VirtualNode
from hil.pki import Pki
from hil.process import Child

FRAME_MS = 900_000
WAIT_S = 30.0
Facts = dict[str, Mapping[str, Any]]


class BenchError(RigError):
    """A part of the bench failed; one line that names it."""


def plain_customer(pod: str, first_frame: int) -> dict[str, Any]:
    """A customer with 50 kW of load and a battery of 40 kW, for tests."""
    der = {"lowest_w": -40_000, "highest_w": 40_000, "capacity_ws": 360_000_000, "energy_ws": 180_000_000}
    return {
        "pod": pod, "unit": 1, "ct_ratio": 20, "vt_ratio": 1, "phase_mv": 230_400, "first_frame": first_frame,
        "load_w": [50_000] * 16, "der_w": [0] * 16, "der": der,
    }  # fmt: skip


class Bench:
    """A context manager. `tick()` is one slot for everybody; `nodes` by POD; `watch` is called after each tick.

    hold_s: how long time is held after a tick while a node has no trusted time. step_backend: its part of a tick.
    """

    def __init__(
        self,
        folder: Path,
        pods: Sequence[str] = (),
        start_ms: int = 0,
        speed: float | None = None,
        customers: Sequence[Mapping[str, Any]] = (),
        seed: str = "bench",
        broker_port: int = 0,
        with_agents: bool = False,
        node_settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """node_settings: by POD, tables that its node's config.json has besides, {"ems": {"listen": ...}}."""
        self.folder = folder
        self._customers = list(customers) or [plain_customer(pod, start_ms // FRAME_MS) for pod in pods]
        self._seed = seed
        self._stack = ExitStack()
        self._children: list[Child] = []
        self.conductor = Conductor(start_ms, speed)
        self.nodes: dict[str, VirtualNode] = {}
        self.facts: Facts = {}
        self._broker_port = broker_port
        self._with_agents = with_agents
        self.hold_s = 0.25
        self._node_settings = node_settings or {}
        self.agents: dict[str, VirtualAgent] = {}
        self.agent_facts: Facts = {}
        self._produced: dict[str, list[Mapping[str, Any]]] = {}
        self.watch: Callable[[Tick], None] = lambda _done: None
        self.step_backend: Callable[[int], Mapping[str, object]] = self._step_backend

    def __enter__(self) -> "Bench":
        try:
            self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.conductor.close()
        for child in self._children:
            child.wait(2)
        for child in reversed(self._children):
            child.stop()
        self._stack.close()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pki = Pki(self.folder / "pki")
        self.broker = self._stack.enter_context(Broker(self.folder / "broker", self.pki, self._broker_port))
        deployment = os.urandom(16)
        self.identity = make_identity(self.folder / "keys", deployment)
        self.chain = EmbeddedChain(self.identity.operator.rjust(32, b"\0"))
        self._stack.callback(self.chain.close)
        mine = self.pki.client("backend")
        access = BrokerAccess(self.broker.host, self.broker.port, self.pki.ca_pem, mine.cert_pem, mine.key_pem)
        self.backend = Backend(self.folder, self.identity, access, self.chain.ledger, lambda: self.conductor.now_ms)
        self._stack.callback(lambda: self.backend.stop())  # noqa: PLW0108 - of the one that is there then
        self.backend.start()
        self.ready = self._start_site()
        self.backend.register.announce(self.identity.issuer_key.public, "issuer", self.conductor.now_ms)
        for customer in self._customers:
            self._commission(customer)
        if self._with_agents:
            self._start_agents()
        for pod in self.nodes:
            self.start_node(pod)

    def _start_site(self) -> Mapping[str, Mapping[str, Any]]:
        config = {
            "conductor": self.conductor.address,
            "seed": self._seed,
            "truth": str(self.folder / "truth.jsonl"),
            "customers": self._customers,
        }
        path = self.folder / "site.json"
        path.write_text(json.dumps(config))
        child = Child("site", [sys.executable, "-m", "hil.site", str(path)], self.folder / "site.log")
        self._children.append(child)
        line = child.line(WAIT_S)
        if line is None:
            raise BenchError(f"the site did not start: {child.last_words()}")
        return line["ready"]  # type: ignore[return-value]

    def _commission(self, customer: Mapping[str, Any]) -> None:
        pod = customer["pod"]
        folder = self.folder / "nodes" / pod
        identity = self.identity
        tls = {name: str(folder / f"{name}.der") for name in ("cert", "key")}
        settings: dict[str, Any] = {
            "state_dir": str(folder),
            "deployment": identity.deployment.hex(),
            "operator": identity.operator.hex(),
            "log_key": identity.log_key.public.hex(),
            "issuers": [{"id": identity.issuer.hex(), "role": 1, "key": identity.issuer_key.public.hex()}],
            "broker": {"host": self.broker.host, "port": self.broker.port, "ca": str(self.pki.ca_der), **tls},
            "meter": {
                "port": self.ready[pod]["meter"], "unit": customer["unit"], "map": customer.get("meter", "sdm630"),
                "ct_ratio": customer["ct_ratio"], "vt_ratio": customer["vt_ratio"],
            },
            "limits": {"max_withdrawal_w": 2_000_000, "max_injection_w": 2_000_000},
            "journal": {"path": str(folder / "journal.bin"), "bytes": 655_360},
            "conductor": self.conductor.address,
            "trace": True,
        }  # fmt: skip
        node = VirtualNode(folder, settings | dict(self._node_settings.get(pod, {})))
        node.save()
        nonce, enrolment = node.enrol()
        self.backend.register.approve(enrolment, nonce, "node", pod, self.conductor.now_ms)
        node.certify(self.pki)
        self.nodes[pod] = node

    def _start_agents(self) -> None:
        """Commissions and starts an agent per customer, several at once: each start costs half a second of CPU."""
        for customer in self._customers:
            pod = customer["pod"]
            device = self.nodes[pod].device
            station = topics.station(device)
            tls = self.pki.client(f"agent/{station}")
            self.broker.admit_agent(station)
            key = next(p.public for p in self.backend.store.parties() if p.id == device)
            nameplate_w = max(-customer["der"]["lowest_w"], customer["der"]["highest_w"])
            agent = VirtualAgent(self.folder / "agents" / pod, pod, device)
            agent.save(
                self.identity,
                key,
                self.broker,
                self.pki.ca_pem,
                tls,
                (self.ready[pod]["ems"], nameplate_w),
                self.conductor.address,
            )
            self.agents[pod] = agent
        with ThreadPoolExecutor(4) as pool:
            enrolled = list(pool.map(lambda agent: agent.enrol(), self.agents.values()))
        for agent, (nonce, enrolment) in zip(self.agents.values(), enrolled, strict=True):
            self.backend.register.approve(enrolment, nonce, "agent", agent.pod, self.conductor.now_ms)
            self._children.append(agent.start())
        names = [f"agent/{a.device.hex()}" for a in self.agents.values()]
        if missing := self.conductor.wait_for(names, WAIT_S):
            words = next(a for a in self.agents.values() if f"agent/{a.device.hex()}" in missing)
            raise BenchError(f"the agent of {words.pod} did not join: {words.last_words()}")

    def stop_agent(self, pod: str) -> None:
        """The agent of a customer goes away."""
        agent = self.agents[pod]
        self.conductor.dismiss(f"agent/{agent.device.hex()}")
        self.agent_facts.pop(pod, None)
        agent.stop()

    def release_der(self, pod: str) -> None:
        """Somebody at the site lets the DER go: what a stopped agent commanded no longer holds."""
        ems = ModbusEms(EmsSettings("127.0.0.1", self.ready[pod]["ems"], 1, 1_000_000))
        ems.release()
        ems.close()

    def start_node(self, pod: str) -> None:
        """Power on; the node takes part from the next tick, and time is held until it has trusted time."""
        node = self.nodes[pod]
        if node.child is not None and node.child.exit_code is None:
            node.child.kill()  # two processes must never share a journal
        self.produced(pod)
        self._children.append(node.start())
        name = f"node/{node.device.hex()}"
        if self.conductor.wait_for([name], WAIT_S, lambda: self._alive(node)):
            raise NodeFailed(f"{pod}: the light node did not join")

    def kill_node(self, pod: str) -> None:
        """Power off, at once."""
        node = self.nodes[pod]
        self.produced(pod)
        self.conductor.dismiss(f"node/{node.device.hex()}")
        if node.child is not None:
            node.child.kill()
        self.produced(pod)
        self.facts.pop(pod, None)

    def _alive(self, node: VirtualNode) -> None:
        if node.child is not None and node.child.exit_code is not None:
            raise NodeFailed(f"light node {node.device.hex()} ended: {node.child.last_words()}")

    def tick(self) -> Tick:
        """One slot for everybody; afterwards time is held while a node has no trusted time yet."""
        done = self.conductor.tick(self.step_backend)
        by_agent = {f"agent/{agent.device.hex()}": pod for pod, agent in self.agents.items()}
        by_part = {f"node/{node.device.hex()}": pod for pod, node in self.nodes.items()}
        for name, facts in done.facts.items():
            if name in by_part:
                self.facts[by_part[name]] = facts
            elif name in by_agent:
                self.agent_facts[by_agent[name]] = facts
        for name in done.lost:
            self.facts.pop(by_part.get(name, ""), None)
        if any(not f["trusted"] for f in self.facts.values()):
            time.sleep(self.hold_s)
        self.watch(done)
        return done

    def poll_agents(self) -> None:
        """Lets the agents act once more for the present instant, so that what they hold can be seen."""
        done = self.conductor.repeat(PHASE_AGENT)
        for pod, agent in self.agents.items():
            if (facts := done.get(f"agent/{agent.device.hex()}")) is not None:
                self.agent_facts[pod] = facts

    def _step_backend(self, utc_ms: int) -> Mapping[str, object]:
        self.backend.step(utc_ms)
        if not self.backend.anchoring.settled:
            self.chain.advance()
        return {}

    def until(self, true_of: Callable[[Facts], bool], ticks: int = 60) -> Facts:
        """Ticks with a little wall time between them until it is true of the nodes' facts; BenchError otherwise."""
        for _ in range(ticks):
            if self.facts and true_of(self.facts):
                return self.facts
            time.sleep(0.1)
            self.tick()
        raise BenchError(f"still not so after {ticks} slots: {self._where_nodes_stand()}")

    def _where_nodes_stand(self) -> str:
        words = []
        for pod in self.nodes:
            facts = self.facts.get(pod)
            if facts is None:
                words.append(f"{pod} does not answer")
            elif not facts["connected"] or not facts["trusted"]:
                words.append(f"{pod} {'has no trusted time' if facts['connected'] else 'is not connected'}")
            elif facts["pending"]:
                words.append(f"{pod} waits for {facts['pending']} acknowledgements")
        return "; ".join(words[:4]) + ("; and more" if len(words) > 4 else "") or "every node is well"

    def warm_up(self) -> None:
        """Until every node is connected and has trusted time."""
        self.until(
            lambda nodes: len(nodes) == len(self.nodes) and all(n["trusted"] and n["connected"] for n in nodes.values())
        )

    def drain(self) -> None:
        """Until everything journalled by now is acknowledged to every running node, and all journalled since is stored."""
        wanted = {pod: int(facts["seq"]) for pod, facts in self.facts.items()}
        for _ in range(60):
            self.backend.collect.deliver_all(self.conductor.now_ms)
            time.sleep(0.15)
            self.tick()
            there = {pod: int(f["seq"]) - int(f["pending"]) for pod, f in self.facts.items()}
            if all(there.get(pod, -1) >= seq for pod, seq in wanted.items()):
                return self.stored()
        raise BenchError(f"not everything was acknowledged: {self._where_nodes_stand()}; is the broker reachable?")

    def stored(self) -> None:
        """Until everything the nodes said they journalled is in the store; BenchError otherwise."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            committed = self.backend.collect.committed()
            if all(committed[self.nodes[pod].device] >= int(f["seq"]) for pod, f in self.facts.items()):
                return
            time.sleep(0.02)
        raise BenchError("the last readings did not reach the store")

    def inject(self, device: bytes, channel: str, message: bytes) -> None:
        """Publishes any bytes to a device, as somebody with the back end's access to the broker could."""
        self.backend.inject(topics.topic(device, channel), message)

    def node_is_alive(self, pod: str) -> bool:
        """Whether the light node's process runs."""
        return (child := self.nodes[pod].child) is not None and child.exit_code is None

    def close_epoch(self) -> None:
        """Commits to what is there now, under the present epoch's number, and anchors it to finality."""
        self.backend.close_epoch(self.conductor.now_ms // FRAME_MS)
        for _ in range(8):
            self.chain.advance()
            self.backend.anchor()

    def produced(self, pod: str) -> list[Mapping[str, Any]]:
        """Every reading the node said it produced, in order."""
        lines = self._produced.setdefault(pod, [])
        child = self.nodes[pod].child
        if child is not None:
            lines.extend(child.lines())
        return lines

    def truth(self, pod: str) -> dict[int, int]:
        """What the meter offered: W by slot mark."""
        return {
            offered.utc_ms: offered.power_w for offered in read_truth(self.folder / "truth.jsonl") if offered.pod == pod
        }
