"""Signatures, trees and receipts inside the MicroPython VM: the committed vectors, every one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"

ECDSA = """
import json, os
from lightwire import ecdsa
with open({path!r}) as f:
    vectors = json.load(f)
curves = {{"secp256k1": ecdsa.SECP256K1, "p256": ecdsa.P256}}

def verified(v):
    fields = [bytes.fromhex(v[k]) for k in ("public", "digest", "signature")]
    return ecdsa.verify(curves[v["curve"]], fields[0], fields[1], fields[2])

for v in vectors["good"]:
    curve, digest, secret = curves[v["curve"]], bytes.fromhex(v["digest"]), int(v["secret"], 16)
    for random in (None, os.urandom):
        assert ecdsa.sign(curve, secret, digest, random) == bytes.fromhex(v["signature"]), v["name"]
    assert ecdsa.public_key(curve, secret) == bytes.fromhex(v["public"]), v["name"]
for v in vectors["good"] + vectors["accepted"]:
    assert verified(v) is True, v["name"]
for v in vectors["bad"]:
    assert verified(v) is False, v["name"]
print("held", len(vectors["good"]), len(vectors["accepted"]), len(vectors["bad"]))
"""

MERKLE = """
import json
from lightwire import merkle
with open({path!r}) as f:
    vectors = json.load(f)
h = bytes.fromhex
for v in vectors["certificate_transparency"]:
    assert merkle.root([merkle.leaf_hash(h(d)) for d in v["leaves"]]) == h(v["root"])
frontier = merkle.Frontier()
roots = dict([(v["size"], v["root"]) for v in vectors["numbered"]])
for i in range(max(roots)):
    frontier.add(merkle.leaf_hash(b"leaf %d" % i))
    assert frontier.size not in roots or frontier.root() == h(roots[frontier.size])
for v in vectors["inclusion"]:
    path = [h(s) for s in v["path"]]
    assert merkle.verify_inclusion(h(v["leaf"]), v["index"], v["size"], path, h(v["root"])) is v["holds"], v["name"]
for v in vectors["consistency"]:
    path, old, new = [h(s) for s in v["path"]], h(v["first_root"]), h(v["second_root"])
    assert merkle.verify_consistency(v["first"], v["second"], old, new, path) is v["holds"], v["name"]
leaves = [merkle.leaf_hash(b"leaf %d" % i) for i in range(33)]
for v in vectors["inclusion"]:
    if v["name"].startswith("made") and v["size"] <= 33:
        assert merkle.inclusion_path(leaves[:v["size"]], v["index"]) == [h(s) for s in v["path"]], v["name"]
print("held", len(vectors["certificate_transparency"]), len(vectors["numbered"]), len(vectors["inclusion"]), len(vectors["consistency"]))
"""

RECEIPT = """
import json
from lightwire import choice, ecdsa, errors, receipt
with open({path!r}) as f:
    vectors = json.load(f)
operator = bytes.fromhex(vectors["operator"])
curves = {{"ES256K": (choice.ES256K, ecdsa.SECP256K1), "ES256": (choice.ES256, ecdsa.P256)}}

def checked(name, data, statement):
    number, curve = curves[name]
    key = bytes.fromhex(vectors["log_keys"][name])
    verify = lambda digest, signature: ecdsa.verify(curve, key, digest, signature)
    return receipt.check(receipt.decode_receipt(bytes.fromhex(data)), bytes.fromhex(statement), operator, verify, number)

for v in vectors["good"]:
    assert checked(v["algorithm"], v["receipt"], v["statement"]) == bytes.fromhex(v["word"]), v["name"]
for v in vectors["bad"]:
    try:
        checked("ES256K", v["receipt"], v["statement"])
        raise Exception("accepted: " + v["name"])
    except errors.WireError as e:
        assert type(e).__name__ == v["error"], (v["name"], type(e).__name__)
print("held", len(vectors["good"]), len(vectors["bad"]))
"""


@pytest.mark.parametrize(
    ("file", "script"),
    [("ecdsa.json", ECDSA), ("merkle.json", MERKLE), ("receipt.json", RECEIPT)],
    ids=["ecdsa", "merkle", "receipt"],
)
def test_every_vector_holds_in_the_vm(micropython: Callable[[str], str], file: str, script: str) -> None:
    path = VECTORS / file
    vectors: dict[str, Any] = json.loads(path.read_text())
    counts = [str(len(vectors[name])) for name in _LISTS[file]]
    assert micropython(script.format(path=str(path))).split() == ["held", *counts]


_LISTS = {
    "ecdsa.json": ("good", "accepted", "bad"),
    "merkle.json": ("certificate_transparency", "numbered", "inclusion", "consistency"),
    "receipt.json": ("good", "bad"),
}

HOSTILE = """
import hashlib
from lightwire import errors, merkle, receipt
path = [bytes(32)] * 70
for index, size in ((-1, 1), (0, 0), (0, -5), (2**70, 2**71), (2**64 - 1, 2**64), (5, 5)):
    assert merkle.verify_inclusion(bytes(32), index, size, path, bytes(32)) is False
    assert merkle.verify_consistency(index, size, bytes(32), bytes(32), path) is False
good = bytes.fromhex("{receipt}")
state = b"hostile"
seen = 0
for i in range({count}):
    state = hashlib.sha256(state).digest()
    at = int.from_bytes(state[:4], "big") % len(good)
    try:
        receipt.decode_receipt(good[:at] + state[4 : 5 + state[5] % 8] + good[at + state[6] % 8 :])
    except errors.WireError:
        seen += 1
print(seen)
"""


def test_hostile_bytes_are_wire_errors_in_the_vm(micropython: Callable[[str], str]) -> None:
    good = json.loads((VECTORS / "receipt.json").read_text())["good"][3]["receipt"]
    refused = int(micropython(HOSTILE.format(receipt=good, count=2000)))
    assert refused > 500
