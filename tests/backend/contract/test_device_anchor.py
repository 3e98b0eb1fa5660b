"""DeviceAnchor on a real node: a sealed statement of a device, anchored by a stranger; every forgery refused; gas."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from lightwire import envelope, records
from lightwire.ecdsa import P256, SECP256K1

from backend.adapters.admin import ContractAdmin
from backend.adapters.contract import Interface, reason
from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account
from backend.adapters.rpc import RpcError
from backend.contract import device_anchor
from backend.evidence.anchoring import GWEI
from hil.anvil import DEVELOPER_KEY, Anvil

DEPLOYMENT = b"deployment-00016"
INTERFACE = Interface(device_anchor())
K1, R1 = records.ES256K, records.ES256
ORDER = {K1: SECP256K1.n, R1: P256.n}


class Device:
    """A light node's key of either algorithm; signs as the wire wants it, low s."""

    def __init__(self, algorithm: int, secret: int = 0x1234567) -> None:
        self.algorithm = algorithm
        self._key = ec.derive_private_key(secret, ec.SECP256K1() if algorithm == K1 else ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        self.x, self.y = numbers.x, numbers.y
        compressed = bytes([2 + (self.y & 1)]) + self.x.to_bytes(32, "big")
        self.fingerprint = hashlib.sha256(compressed).digest()
        self.id = self.fingerprint[:8]

    def sign(self, digest: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
        s = min(s, ORDER[self.algorithm] - s)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def statement(self, seq: int = 226, deployment: bytes = DEPLOYMENT) -> bytes:
        made = records.BatchStatement(
            self.id, 1, 3, seq, bytes(32), 1, 225, 225, 0, 0, 1_796_040_000_000, 1_796_040_900_000, 0, 900, 0, 0, b"R" * 32
        )  # fmt: skip
        sealed: bytes = envelope.seal(made, deployment, self.sign, self.algorithm)
        return sealed


class Stranger:
    """Somebody with an account and no other tie to anybody."""

    def __init__(self, node: Anvil) -> None:
        self.node = node
        account = Account(SigningKey(DEVELOPER_KEY))
        self._admin = ContractAdmin(node.rpc, account, 100 * GWEI, 10)
        self.contract = self._admin.deploy(device_anchor(), DEPLOYMENT.ljust(32, b"\0")).contract
        self._from = "0x" + account.address.hex()

    def anchor(self, message: bytes, device: Device) -> Any:
        return self._admin.change(self.contract, device_anchor(), "anchor", (message, device.x, device.y))

    def refusal(self, message: bytes, x: int, y: int) -> str:
        data = INTERFACE.call("anchor", message, x, y)
        call = {"from": self._from, "to": "0x" + self.contract.hex(), "data": "0x" + data.hex()}
        try:
            self.node.do("eth_call", call, "latest")
        except RpcError as error:
            return reason(error)
        return ""

    def block_of(self, digest: bytes) -> int:
        call = {"to": "0x" + self.contract.hex(), "data": "0x" + INTERFACE.call("blocks", digest).hex()}
        return int(INTERFACE.answer("blocks", bytes.fromhex(self.node.do("eth_call", call, "latest")[2:])))


@pytest.fixture
def stranger(anvil: Callable[..., Anvil]) -> Stranger:
    return Stranger(anvil("--hardfork", "osaka"))


def digest_of(message: bytes, algorithm: int) -> bytes:
    return envelope.digest(envelope.split(message)[0], DEPLOYMENT, algorithm)


@pytest.mark.parametrize("algorithm", [K1, R1])
def test_a_stranger_anchors_what_a_device_signed(stranger: Stranger, algorithm: int) -> None:
    device = Device(algorithm)
    message = device.statement()
    done = stranger.anchor(message, device)
    assert done.gas <= 75_000
    assert stranger.block_of(digest_of(message, algorithm)) == done.block
    receipt = stranger.node.do("eth_getTransactionReceipt", "0x" + done.transaction.hex())
    event = INTERFACE.event(receipt["logs"][0])
    assert event.name == "Anchored" and event.facts == {
        "key": "0x" + device.fingerprint.hex(), "device": "0x" + device.id.hex(),
        "digest": "0x" + digest_of(message, algorithm).hex(),
    }  # fmt: skip
    assert stranger.refusal(message, device.x, device.y) == "taken"


@pytest.mark.parametrize("algorithm", [K1, R1])
def test_each_forgery_has_its_reason(stranger: Stranger, algorithm: int) -> None:
    device, other = Device(algorithm), Device(algorithm, 0x7654321)
    good, wrong = device.statement(), "signature" if algorithm == K1 else "p256"
    assert stranger.refusal(good, device.x, device.y) == ""
    assert stranger.refusal(good, other.x, other.y) == wrong, "another key"
    assert stranger.refusal(good, device.x, device.y ^ 1) == wrong
    assert stranger.refusal(device.statement(deployment=b"another-one-0016"), device.x, device.y) == wrong
    payload, signature, _ = envelope.split(good)
    high = ORDER[algorithm] - int.from_bytes(signature[32:], "big")
    twin = envelope.wrap(payload, signature[:32] + high.to_bytes(32, "big"), algorithm)
    assert stranger.refusal(twin, device.x, device.y) == "low s"
    zero = envelope.wrap(payload, bytes(64), algorithm)
    assert stranger.refusal(zero, device.x, device.y) == wrong
    assert stranger.refusal(zero, 0, 0) == wrong
    assert stranger.refusal(good[:-1], device.x, device.y) == "form" and stranger.refusal(b"", 0, 0) == "form"


def test_another_record_of_the_device_is_no_statement(stranger: Stranger) -> None:
    device = Device(K1)
    payload = bytearray(envelope.split(device.statement())[0])
    payload[2] = 3  # a gap, of a statement's length
    sealed = envelope.wrap(bytes(payload), device.sign(envelope.digest(bytes(payload), DEPLOYMENT, K1)), K1)
    assert stranger.refusal(sealed, device.x, device.y) == "form"


def test_a_chain_without_the_precompile_refuses_es256_and_takes_es256k(anvil: Callable[..., Anvil]) -> None:
    stranger = Stranger(anvil("--hardfork", "london"))
    device = Device(R1)
    assert stranger.refusal(device.statement(), device.x, device.y) == "p256"
    assert stranger.refusal(Device(K1).statement(), Device(K1).x, Device(K1).y) == ""


@pytest.mark.parametrize("algorithm", [K1, R1])
def test_every_changed_bit_is_refused(stranger: Stranger, algorithm: int) -> None:
    device = Device(algorithm)
    good = device.statement()

    @settings(max_examples=60)
    @given(st.integers(0, len(good) * 8 - 1))
    def refused(bit: int) -> None:
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert stranger.refusal(bytes(bad), device.x, device.y) in ("form", "low s", "signature", "p256")

    refused()
