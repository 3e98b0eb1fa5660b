"""Plan to sealed set-points to link to acknowledgements.

1. One set-point per POD and quarter-hour, signed with the issuer's key, sent ahead of its window, never retained.
2. The command number rises by one per device.
3. A set-point is outstanding until its node has decided; the store keeps what node and agent answered.
4. It is a leaf of the tree of set-points before it is sent, as its answers are when they come.
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


@dataclass(frozen=True, slots=True)
class Target:
    """What one POD shall do in one quarter-hour: W at the POD, withdrawal positive."""

    pod: str
    device: bytes
    frame: int
    target_w: int
    order: str


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
        sent = []
        for target in targets:
            point = self._point(target)
            sealed = envelope.seal(point, self._deployment, self._key.sign)
            with self._store.writing():
                self._store.add_setpoint(point.id, target.device, target.pod, sealed)
                self._trees.append(records.TREE_SETPOINTS, sealed)
            self._link.publish(topics.topic(target.device, "setpoint"), sealed)
            sent.append(point.id)
        return sent

    def send_again(self, ids: set[bytes]) -> None:
        """Publishes set-points once more; a node that has decided answers with the same decision."""
        for row in self._store.setpoints():
            if row.id in ids:
                self._link.publish(topics.topic(row.device, "setpoint"), row.sealed)

    def outstanding(self) -> set[bytes]:
        """Ids of set-points without a decision."""
        return {row.id for row in self._store.setpoints() if not row.decision}

    def _point(self, target: Target) -> records.SetPoint:
        command = self._commands.get(target.device, 0) + 1
        self._commands[target.device] = command
        order = hashlib.sha256(target.order.encode()).digest()[:16]
        return records.SetPoint(
            id=hashlib.sha256(f"{target.order}/{target.pod}/{target.frame}".encode()).digest()[:16],
            device=target.device,
            issuer=self._issuer,
            role=records.ROLE_DSO,
            command=command,
            not_before_ms=target.frame * FRAME_MS,
            not_after_ms=(target.frame + 1) * FRAME_MS,
            resource=records.POD_NET,
            control=records.TARGET,
            value=target.target_w,
            ramp_w_per_s=0,
            fallback=records.FALLBACK_RELEASE,
            fallback_value=0,
            reason=0,
            order=order,
            nonce=bytes(16),
            salt=os.urandom(16),
        )
