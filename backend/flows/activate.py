"""Plan to sealed set-points to link to acknowledgements.

1. One set-point per POD and quarter-hour, signed with the issuer's key, sent ahead of its window, never retained.
2. The command number rises by one per device, from the highest that the device has signed for: another issuer may have
   sent it one, or this store may be older than its last set-point.
3. A set-point is outstanding until its node has decided; the store keeps what node and agent answered.
4. A test of a device that is put into service asks for nothing that does not hold anyway: at most the withdrawal that its
   own limit allows, for two minutes, then released.
5. It is a leaf of the tree of set-points before it is sent, as its answers are when they come.
"""

import hashlib
import os
from dataclasses import dataclass

from lightwire import envelope, records, topics

from backend.adapters.keys import SigningKey
from backend.adapters.sqlite import SqliteStore
from backend.flows.ledgers import EvidenceTrees
from backend.ports import Link

FRAME_MS = 900_000
TEST_MS = 120_000
_DECISIONS = 40  # a device refuses at most 32 in a quarter-hour


@dataclass(frozen=True, slots=True)
class Target:
    """What one POD shall do in one quarter-hour: W at the POD, withdrawal positive. attempt: 1 and up for what supersedes
    an earlier target of the same POD, orders and quarter-hour."""

    pod: str
    device: bytes
    frame: int
    target_w: int
    order: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """A set-point that is kept and can be sent."""

    id: bytes
    device: bytes
    sealed: bytes


class Activate:
    """Issues set-points for the DSO's platform."""

    def __init__(
        self,
        store: SqliteStore,
        trees: EvidenceTrees,
        link: Link,
        key: SigningKey,
        identity: tuple[bytes, bytes],
    ) -> None:
        """identity: (deployment 16 bytes, issuer 8 bytes)."""
        self._store = store
        self._trees = trees
        self._link = link
        self._key = key
        self._deployment, self._issuer = identity
        self._commands: dict[bytes, int] = {}
        for row in store.setpoints():
            self._commands[row.device] = self._commands.get(row.device, 0) + 1

    def dispatch(self, targets: list[Target]) -> list[bytes]:
        """Seals, stores and sends; the ids (16 bytes) in the order of the targets."""
        made = self.keep(targets)
        self.send(made)
        return [point.id for point in made]

    def keep(self, targets: list[Target]) -> list[Sealed]:
        """Seals and stores in one commit, in the order of the targets; nothing is sent yet."""
        with self._store.writing():
            return [self._keep(self._target(target), target.pod) for target in targets]

    def send(self, made: list[Sealed]) -> None:
        """Sends what is kept."""
        for point in made:
            self._link.publish(topics.topic(point.device, "setpoint"), point.sealed)

    def send_test(self, device: bytes, pod: str, limit_w: int, now_ms: int) -> bytes:
        """Sends the set-point of rule 4 and gives its id (16 bytes); limit_w: the device's own maximum withdrawal."""
        window = (now_ms, now_ms + TEST_MS)
        point = self._point(os.urandom(16), device, window, (records.MAX_WITHDRAWAL, limit_w), bytes(16))
        self.send([self._keep(point, pod)])
        return bytes(point.id)

    def _keep(self, point: records.SetPoint, pod: str) -> Sealed:
        sealed = envelope.seal(point, self._deployment, self._key.sign)
        with self._store.writing():
            self._store.add_setpoint(point.id, point.device, pod, sealed)
            self._trees.append(records.TREE_SETPOINTS, sealed)
        return Sealed(point.id, point.device, sealed)

    def send_again(self, ids: set[bytes]) -> None:
        """Publishes set-points once more; a node that has decided answers with the same decision."""
        for row in self._store.setpoints():
            if row.id in ids:
                self._link.publish(topics.topic(row.device, "setpoint"), row.sealed)

    def outstanding(self) -> set[bytes]:
        """Ids of set-points without a decision."""
        return {row.id for row in self._store.setpoints() if not row.decision}

    def _target(self, target: Target) -> records.SetPoint:
        order = hashlib.sha256(target.order.encode()).digest()[:16]
        identity = f"{target.order}/{target.pod}/{target.frame}" + (f"/{target.attempt}" if target.attempt else "")
        id = hashlib.sha256(identity.encode()).digest()[:16]
        window = (target.frame * FRAME_MS, (target.frame + 1) * FRAME_MS)
        return self._point(id, target.device, window, (records.TARGET, target.target_w), order)

    def _point(
        self, id: bytes, device: bytes, window_ms: tuple[int, int], asked: tuple[int, int], order: bytes
    ) -> records.SetPoint:
        """asked: (control, value in W)."""
        command = max(self._commands.get(device, 0), self._accepted(device)) + 1
        self._commands[device] = command
        return records.SetPoint(
            id=id,
            device=device,
            issuer=self._issuer,
            role=records.ROLE_DSO,
            command=command,
            not_before_ms=window_ms[0],
            not_after_ms=window_ms[1],
            resource=records.POD_NET,
            control=asked[0],
            value=asked[1],
            ramp_w_per_s=0,
            fallback=records.FALLBACK_RELEASE,
            fallback_value=0,
            reason=0,
            order=order,
            nonce=bytes(16),
            salt=os.urandom(16),
        )

    def _accepted(self, device: bytes) -> int:
        """The highest command number among the device's last decisions that accept (rule 2)."""
        last = [envelope.peek(kept.sealed) for kept in self._store.last_of_kind(device, records.DECISION, _DECISIONS)]
        return max((int(record.command) for record in last if record.outcome == records.ACCEPTED), default=0)
