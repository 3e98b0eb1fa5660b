"""What the contracts cost, measured on a real node: gas per function, and for the evidence of so many devices.

1. The evidence is real: statements of one epoch in a tree, checkpoints of five kinds, their root. Only the log grows with
   the devices; what goes on chain does not.
2. The naive way is one transaction per reading whose data is the reading's digest, to nobody: nothing on a chain costs less.
"""

import hashlib
from collections.abc import Iterable

from lightwire import envelope, merkle, receipt, records

from backend.adapters.admin import ContractAdmin
from backend.adapters.contract import Interface
from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account
from backend.contract import anchor_log, device_anchor
from backend.evidence.anchoring import GWEI
from backend.evidence.trees import Tree
from hil.anvil import DEVELOPER_KEY, Anvil

READINGS = 225
KINDS = 5
DEVICES = (1, 100, 10_000, 1_000_000)
CATCH_UP = 96
EPOCH = 2_000_000
_LOG = hashlib.sha256(b"operator").digest()
_OPERATOR = bytes(8)
_NOBODY = b"\x22" * 20


class GasMeter:
    """AnchorLog on a node, and an account with every right."""

    def __init__(self, anvil: Anvil) -> None:
        self._anvil = anvil
        self._account = Account(SigningKey(DEVELOPER_KEY))
        self._admin = ContractAdmin(anvil.rpc, self._account, 1000 * GWEI, 30)
        self._build = anchor_log()
        made = self._admin.deploy(self._build)
        self.contract, self.deploy = made.contract, made.gas
        self._epoch = EPOCH

    @property
    def address(self) -> bytes:
        """Of the account."""
        return self._account.address

    def change(self, function: str, *arguments: object) -> int:
        """Gas of one call by the admin."""
        return self._admin.change(self.contract, self._build, function, arguments).gas

    def commit(self, root: bytes) -> int:
        """Gas of the commitment of another epoch."""
        self._epoch += 1
        return self.change("commit", _LOG, self._epoch, root, KINDS)

    def commit_many(self, count: int) -> int:
        """Gas of a catch-up of so many epochs."""
        first, self._epoch = self._epoch + 1, self._epoch + count
        roots = [hashlib.sha256(first.to_bytes(8, "big") + bytes([k])).digest() for k in range(count)]
        return self.change("commit_many", _LOG, first, roots, [KINDS] * count)

    def verify(self) -> int:
        """Gas of a proof of one of five checkpoints, as a transaction of its own."""
        leaves = [merkle.leaf_hash(bytes([k])) for k in range(KINDS)]
        self.commit(merkle.root(leaves))
        path = merkle.inclusion_path(leaves, 1)
        data = Interface(self._build).call("verify", _LOG, self._epoch, KINDS, leaves[1], 1, path)
        call = {"from": "0x" + self._account.address.hex(), "to": "0x" + self.contract.hex(), "data": "0x" + data.hex()}
        return int(str(self._anvil.do("eth_estimateGas", call)), 16)

    def device_anchor(self) -> int:
        """Gas of a device's own statement in DeviceAnchor."""
        key, deployment = SigningKey(DEVELOPER_KEY), bytes(16)
        device = hashlib.sha256(key.public).digest()[:8]
        statement = records.BatchStatement(
            device, 1, 1, READINGS + 1, hashlib.sha256(b"").digest(), 1, READINGS, READINGS, 0, 0, EPOCH * 900_000,
            (EPOCH + 1) * 900_000, 1_000_000, 1_000_250, 5_000, 5_000, hashlib.sha256(device).digest(),
        )  # fmt: skip
        sealed = envelope.seal(statement, deployment, key.sign)
        contract = self._admin.deploy(device_anchor(), deployment.ljust(32, b"\0")).contract
        return self._admin.change(contract, device_anchor(), "anchor", (sealed, *key.point)).gas

    def naive(self, readings: int) -> int:
        """Gas of so many readings, one transaction each."""
        digests = [hashlib.sha256(bytes([k])).digest() for k in range(readings)]
        return sum(self._admin.send(_NOBODY, digest).gas for digest in digests)


def functions(meter: GasMeter) -> dict[str, int]:
    """Gas by function, each as it is used first."""
    own, other = "0x" + meter.address.hex(), "0x" + _NOBODY.hex()
    return {
        "deploy": meter.deploy,
        "grant": meter.change("grant", _LOG, own, True),
        "commit": meter.commit(epoch_root(1)),
        f"commit_many of {CATCH_UP}": meter.commit_many(CATCH_UP),
        "verify": meter.verify(),
        "set_paused": meter.change("set_paused", True),
        "offer_admin": meter.change("offer_admin", other),
        "DeviceAnchor.anchor": meter.device_anchor(),
    }


def epoch_root(devices: int) -> bytes:
    """The root of an epoch's commitment with a statement of each of so many devices."""
    return merkle.root([receipt.checkpoint_leaf(point) for point in _checkpoints(devices)])


def _checkpoints(devices: int) -> Iterable[bytes]:
    tree = Tree(hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(devices))
    for kind in range(1, KINDS + 1):
        size, root = (tree.size, tree.root()) if kind == records.TREE_READINGS else (1, bytes([kind]) * 32)
        yield records.encode(records.Checkpoint(_OPERATOR, kind, EPOCH, size, root))
