"""What the tests of the agent are made of: keys, set-points, decisions, an energy manager in memory."""

import hashlib
from typing import Any

from lightwire import decision, envelope, records

from edge_agent.acceptance import Trust
from edge_agent.ems import Bounds, Command, Measured
from edge_agent.errors import EmsUnreachable
from edge_agent.keys import AgentKey, verifier

DEPLOYMENT = bytes(range(16))
ISSUER = b"issuer-1"
FRAME_MS = 900_000
T0 = 1_996_000 * FRAME_MS
SLOT_MS = 4_000
NODE_KEY, ISSUER_KEY, STRANGER, AGENT_KEY = (
    AgentKey(hashlib.sha256(name).digest()) for name in (b"n", b"i", b"s", b"a")
)
DEVICE = NODE_KEY.agent


def trust() -> Trust:
    return Trust(DEPLOYMENT, verifier(NODE_KEY.public), {ISSUER: (records.ROLE_DSO, verifier(ISSUER_KEY.public))})


def set_point(command: int = 1, **changed: Any) -> records.SetPoint:
    """Target 10 kW in the quarter-hour from T0, released afterwards."""
    values: dict[str, Any] = {
        "id": hashlib.sha256(b"%d" % command).digest()[:16], "device": DEVICE, "issuer": ISSUER, "role": records.ROLE_DSO,
        "command": command, "not_before_ms": T0, "not_after_ms": T0 + FRAME_MS, "resource": records.POD_NET,
        "control": records.TARGET, "value": 10_000, "ramp_w_per_s": 0, "fallback": records.FALLBACK_RELEASE,
        "fallback_value": 0, "reason": 0, "order": bytes(16), "nonce": bytes(16), "salt": bytes(16),
    }  # fmt: skip
    return records.SetPoint(**(values | changed))


def sealed(record: Any, key: AgentKey, deployment: bytes = DEPLOYMENT) -> bytes:
    return envelope.seal(record, deployment, key.sign)  # type: ignore[no-any-return, no-untyped-call]


def decided(point: records.SetPoint, **changed: Any) -> records.Decision:
    """What the light node says about a set-point it accepts."""
    values: dict[str, Any] = {
        "device": DEVICE, "generation": 1, "boot": 1, "seq": point.command, "setpoint": point.id,
        "digest": envelope.payload_digest(records.encode(point)), "command": point.command, "outcome": records.ACCEPTED,
        "reason": decision.NONE, "time_ms": T0,
    }  # fmt: skip
    return records.Decision(**(values | changed))


def accepted(point: records.SetPoint, **changed: Any) -> bytes:
    """The message of the decision topic for a set-point the node accepted."""
    return sealed(decided(point, **changed), NODE_KEY) + sealed(point, ISSUER_KEY)


class MemoryEms:
    """A resource of 40 kW in both directions beside a load; counts requests, can be down."""

    def __init__(self, load_w: int = 30_000, own_w: int = 0) -> None:
        self.load_w = load_w
        self.own_w = own_w
        self.held: Command | None = None
        self.down = False
        self.blips = 0
        self.local_switch = False
        self.emergency_stop = False
        self.deaf = False
        self.measures = 0
        self.commands: list[Command | None] = []

    @property
    def der_w(self) -> int:
        return self.own_w if self.held is None else self.held.der_w

    def bounds(self) -> Bounds:
        self._answer()
        return Bounds(40_000, 40_000)

    def measure(self) -> Measured:
        self._answer()
        self.measures += 1
        held_w = None if self.held is None else self.held.der_w
        return Measured(self.load_w + self.der_w, self.der_w, held_w, self.local_switch, self.emergency_stop)

    def command(self, command: Command) -> None:
        self._answer()
        self.commands.append(command)
        if not self.deaf:
            self.held = command

    def release(self) -> None:
        self._answer()
        self.commands.append(None)
        self.held = None

    def close(self) -> None:
        return

    def _answer(self) -> None:
        self.blips -= 1
        if self.down or self.blips >= 0:
            raise EmsUnreachable("down")
