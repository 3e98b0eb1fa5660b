"""Makes receipt.json: cbor2, `cryptography` and the package scitt-cose 0.5.0 (Apache-2.0); nothing of the project is imported.

The statements are those of records.json. Every ES256 receipt is verified here by scitt-cose's own RFC 9942 verifier. Run in
the environment that make_merkle.py describes:
    /tmp/foreign/bin/python tests/vectors/make_receipt.py > tests/vectors/receipt.json
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from scitt_cose import merkle
from scitt_cose.receipt import verify_receipt

Case = dict[str, Any]

OPERATOR = bytes.fromhex("0102030405060708")
CONTRACT, LOG, CHAIN, BLOCK = b"\xc0" * 20, b"\x10" * 32, 31337, 4711
EPOCH = 1_995_600
READINGS = 1
ORDERS = {
    "ES256K": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}
NUMBERS = {"ES256K": -47, "ES256": -7}
KEYS = {
    "ES256K": ec.derive_private_key(0x1234_5678_9ABC_DEF0, ec.SECP256K1()),
    "ES256": ec.derive_private_key(0x0FED_CBA9_8765_4321, ec.SECP256R1()),
}
OTHER = ec.derive_private_key(99, ec.SECP256K1())


def cbor(value: object) -> bytes:
    return bytes(cbor2.dumps(value, canonical=True))


def sign(key: ec.EllipticCurvePrivateKey, algorithm: str, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + min(s, ORDERS[algorithm] - s).to_bytes(32, "big")


def statements() -> list[bytes]:
    vectors = json.loads((Path(__file__).parent / "records.json").read_text())["good"]
    return [bytes.fromhex(v["message"]) for v in vectors if v["record"] == "BatchStatement"]


def checkpoint(tree: int, size: int, root: bytes, operator: bytes = OPERATOR) -> bytes:
    """The payload of kind 10 as FORMAT.md has it: array(7), then fixed-width heads."""
    numbers = b"\x18" + bytes([tree]) + b"\x1a" + EPOCH.to_bytes(4, "big") + b"\x1b" + size.to_bytes(8, "big")
    return b"\x87\x18\x0a\x18\x01\x48" + operator + numbers + b"\x58\x20" + root


class Receipt:
    """The parts of one receipt; `bad` changes some and puts them together again."""

    def __init__(self, algorithm: str, size: int, position: int, kinds: int) -> None:
        sealed = statements()[0]
        leaves = [b"leaf %d" % i for i in range(size)]
        leaves[position] = sealed
        data = [leaf.hex() for leaf in leaves]
        self.algorithm, self.statement, self.key = algorithm, sealed, KEYS[algorithm]
        self.root = bytes.fromhex(merkle.merkle_root(data))
        self.proof: list[Any] = [size, position, [bytes.fromhex(h) for h in merkle.inclusion_proof(data, position)]]
        points = [checkpoint(READINGS, size, self.root)]
        points += [checkpoint(tree, 7, hashlib.sha256(b"%d" % tree).digest()) for tree in range(2, kinds + 1)]
        self.checkpoint = points[0]
        self.points = [p.hex() for p in points]
        self.place: list[Any] = [0, kinds, [bytes.fromhex(h) for h in merkle.inclusion_proof(self.points, 0)]]
        self.protected: bytes = cbor({1: NUMBERS[algorithm], 395: 1})
        self.anchor: list[Any] = [CHAIN, CONTRACT, LOG, BLOCK]
        self.payload: bytes | None = None
        self.proofs: list[bytes] | None = None
        self.extra: dict[Any, Any] = {}
        self.version: Any = 1
        self.tag = 18
        self.signature = b""

    def signed(self) -> bytes:
        if self.signature:
            return self.signature
        return sign(self.key, self.algorithm, cbor(["Signature1", self.protected, b"", self.root]))

    def cose(self) -> bytes:
        proofs = self.proofs if self.proofs is not None else [cbor(self.proof)]
        unprotected = {396: {-1: proofs}} | self.extra
        return cbor(cbor2.CBORTag(self.tag, [self.protected, unprotected, self.payload, self.signed()]))

    def octets(self) -> bytes:
        return cbor([self.version, self.cose(), self.checkpoint, *self.place, self.anchor])

    def word(self) -> bytes:
        root = bytes.fromhex(merkle.merkle_root(self.points))
        numbers = EPOCH.to_bytes(8, "big") + len(self.points).to_bytes(8, "big")
        return hashlib.sha256(b"\x02" + numbers + root).digest()


def good(algorithm: str, size: int, position: int, kinds: int) -> Case:
    made = Receipt(algorithm, size, position, kinds)
    if algorithm == "ES256":
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = made.key.public_key().public_bytes(serialization.Encoding.PEM, form)
        result = verify_receipt(made.cose(), leaf_entry_hex=made.statement.hex(), log_public_key_pem=pem)
        assert result.ok and result.root == made.root.hex(), result.errors
    return {
        "name": f"{algorithm}, leaf {position} of {size}, {kinds} kinds",
        "algorithm": algorithm,
        "statement": made.statement.hex(),
        "receipt": made.octets().hex(),
        "word": made.word().hex(),
        "tree_root": made.root.hex(),
    }


def changed(change: Callable[[Receipt], None]) -> Receipt:
    made = Receipt("ES256K", 11, 5, 5)
    change(made)
    return made


def setting(**values: Any) -> Callable[[Receipt], None]:
    def change(made: Receipt) -> None:
        for name, value in values.items():
            setattr(made, name, value)

    return change


def high_s(made: Receipt) -> None:
    made.signature = made.signed()[:32] + (ORDERS["ES256K"] - int.from_bytes(made.signed()[32:], "big")).to_bytes(
        32, "big"
    )


BASE = Receipt("ES256K", 11, 5, 5)
SIZE, POSITION, PATH = BASE.proof
OTHER_ROOT = hashlib.sha256(b"other").digest()
CHANGES: dict[str, tuple[str, Callable[[Receipt], None]]] = {
    "another version": ("UnknownVersion", setting(version=2)),
    "true for a version": ("UnknownVersion", setting(version=True)),
    "payload attached": ("OutOfRange", setting(payload=BASE.root)),
    "no inclusion proof": ("OutOfRange", setting(proofs=[])),
    "two inclusion proofs": ("OutOfRange", setting(proofs=[cbor(BASE.proof)] * 2)),
    "a consistency proof beside it": ("OutOfRange", setting(extra={396: {-1: [cbor(BASE.proof)], -2: [b""]}})),
    "another unprotected header": ("OutOfRange", setting(extra={4: b"kid"})),
    "an inclusion proof with bytes after it": ("TrailingBytes", setting(proofs=[cbor(BASE.proof) + b"\x00"])),
    "a negative leaf index": ("OutOfRange", setting(proof=[SIZE, -1, PATH])),
    "true for a leaf index": ("OutOfRange", setting(proof=[SIZE, True, PATH])),
    "a path of 65 hashes": ("OutOfRange", setting(proof=[SIZE, POSITION, PATH * 17])),
    "a hash of 31 bytes": ("OutOfRange", setting(proof=[SIZE, POSITION, [PATH[0][1:], *PATH[1:]]])),
    "another tag": ("UnknownVersion", setting(tag=17)),
    "a signature of 63 bytes": ("OutOfRange", setting(signature=b"\x01" * 63)),
    "a contract of 19 bytes": ("OutOfRange", setting(anchor=[CHAIN, CONTRACT[1:], LOG, BLOCK])),
    "no block": ("OutOfRange", setting(anchor=[CHAIN, CONTRACT, LOG])),
    "a sealed statement for a checkpoint": ("UnknownVersion", setting(checkpoint=BASE.statement)),
    "a statement's payload for a checkpoint": ("OutOfRange", setting(checkpoint=cbor2.loads(BASE.statement).value[2])),
    "a checkpoint with a byte after it": ("TrailingBytes", setting(checkpoint=BASE.checkpoint + b"\x00")),
    "a truncated checkpoint": ("Truncated", setting(checkpoint=BASE.checkpoint[:-1])),
    "another structure of trees": ("BadSignature", setting(protected=cbor({1: -47, 395: 2}))),
    "another algorithm": ("BadSignature", setting(protected=cbor({1: -7, 395: 1}))),
    "an algorithm alone": ("BadSignature", setting(protected=cbor({1: -47}))),
    "the other s": ("BadSignature", high_s),
    "another log key": ("BadSignature", setting(key=OTHER)),
    "signed over another root": ("BadSignature", setting(signature=sign(BASE.key, "ES256K", cbor(["Signature1", BASE.protected, b"", OTHER_ROOT])))),
    "signed with external data": ("BadSignature", setting(signature=sign(BASE.key, "ES256K", cbor(["Signature1", BASE.protected, b"x", BASE.root])))),
    "another leaf index": ("BadProof", setting(proof=[SIZE, POSITION - 1, PATH])),
    "a leaf index over the size": ("BadProof", setting(proof=[SIZE, SIZE, PATH])),
    "a path that is too short": ("BadProof", setting(proof=[SIZE, POSITION, PATH[:-1]])),
    "a path that is too long": ("BadProof", setting(proof=[SIZE, POSITION, [*PATH, PATH[0]]])),
    "a path in another order": ("BadProof", setting(proof=[SIZE, POSITION, PATH[::-1]])),
    "another size than the checkpoint": ("BadProof", setting(proof=[SIZE + 1, POSITION, PATH])),
    "size zero": ("BadProof", setting(proof=[0, 0, []], checkpoint=checkpoint(READINGS, 0, BASE.root))),
    "another root in the checkpoint": ("BadProof", setting(checkpoint=checkpoint(READINGS, SIZE, OTHER_ROOT))),
    "another kind of tree": ("BadProof", setting(checkpoint=checkpoint(2, SIZE, BASE.root))),
    "another operator": ("BadProof", setting(checkpoint=checkpoint(READINGS, SIZE, BASE.root, b"\xff" * 8))),
    "another statement": ("BadProof", setting(statement=statements()[1])),
    "a place over the count": ("BadProof", setting(place=[5, 5, BASE.place[2]])),
    "a count of zero": ("BadProof", setting(place=[0, 0, []])),
    "a commitment path that is too short": ("BadProof", setting(place=[0, 5, BASE.place[2][:-1]])),
    "a commitment path that is too long": ("BadProof", setting(place=[0, 5, [*BASE.place[2], OTHER_ROOT]])),
}  # fmt: skip


def bad() -> list[Case]:
    rows = []
    for name, (error, change) in CHANGES.items():
        made = changed(change)
        rows.append((name, error, made.octets(), made.statement))
    raw = BASE.octets()
    for name, error, octets in (
        ("nothing", "Truncated", b""),
        ("half of it", "Truncated", raw[: len(raw) // 2]),
        ("a byte after it", "TrailingBytes", raw + b"\x00"),
        ("an item too many", "OutOfRange", b"\x88" + raw[1:] + b"\x00"),
        ("an item too few", "OutOfRange", b"\x86" + raw[1 : -len(cbor(BASE.anchor))]),
        ("a map instead", "OutOfRange", cbor({1: 2})),
        ("an array of indefinite length", "OutOfRange", b"\x9f" + raw[1:] + b"\xff"),
        ("a number not in its shortest form", "OutOfRange", raw[:1] + b"\x18" + raw[1:]),
        ("nested without end", "OutOfRange", b"\x81" * 500),
        ("an array of 2^32 items", "OutOfRange", b"\x9a\xff\xff\xff\xff"),
        ("a byte string of 2^64 bytes", "Truncated", b"\x5b" + b"\xff" * 8),
    ):
        rows.append((name, error, octets, BASE.statement))
    return [{"name": n, "error": e, "receipt": o.hex(), "statement": s.hex()} for n, e, o, s in rows]


def main() -> None:
    form = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    shapes = [(1, 0, 1), (2, 1, 2), (3, 2, 3), (11, 5, 5), (225, 100, 4), (10_000, 6789, 5)]
    document = {
        "operator": OPERATOR.hex(),
        "log_keys": {name: key.public_key().public_bytes(*form).hex() for name, key in KEYS.items()},
        "secrets": {name: f"{key.private_numbers().private_value:064x}" for name, key in KEYS.items()},
        "anchor": [CHAIN, CONTRACT.hex(), LOG.hex(), BLOCK],
        "good": [good(algorithm, *shape) for algorithm in KEYS for shape in shapes],
        "bad": bad(),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
