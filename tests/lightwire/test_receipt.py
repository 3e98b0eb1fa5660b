"""Batch receipts: vectors of foreign implementations, foreign readers of ours, every changed byte, any bytes at all."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from lightwire import choice, ecdsa, errors, merkle, receipt, records

from backend.evidence.verifier import merkle as independent

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "receipt.json").read_text())
OPERATOR = bytes.fromhex(VECTORS["operator"])
ALGORITHMS = {
    "ES256K": (choice.ES256K, ecdsa.SECP256K1, ec.SECP256K1()),
    "ES256": (choice.ES256, ecdsa.P256, ec.SECP256R1()),
}
ANCHOR = [VECTORS["anchor"][0], *(bytes.fromhex(v) for v in VECTORS["anchor"][1:3]), VECTORS["anchor"][3]]


def log_key(name: str) -> Callable[[bytes, bytes], bool]:
    public = bytes.fromhex(VECTORS["log_keys"][name])
    return lambda digest, signature: ecdsa.verify(ALGORITHMS[name][1], public, digest, signature)


def checked(name: str, data: bytes, statement: bytes) -> bytes:
    return receipt.check(receipt.decode_receipt(data), statement, OPERATOR, log_key(name), ALGORITHMS[name][0])


def encoded_again(name: str, data: bytes) -> bytes:
    """The receipt that our encoder makes from what it reads in data."""
    number, curve, _ = ALGORITHMS[name]
    secret = int(VECTORS["secrets"][name], 16)
    found = receipt.decode_receipt(data)
    return receipt.encode_receipt(
        lambda digest: ecdsa.sign(curve, secret, digest), number, found.leaf_index, found.tree_path,
        found.checkpoint, found.index, found.count, found.path, list(found.anchor),
    )  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_a_foreign_receipt_holds_and_leads_to_its_word(vector: dict[str, Any]) -> None:
    data, statement = bytes.fromhex(vector["receipt"]), bytes.fromhex(vector["statement"])
    assert checked(vector["algorithm"], data, statement).hex() == vector["word"]


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_our_receipt_has_the_bytes_of_the_foreign_one(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["receipt"])
    assert encoded_again(vector["algorithm"], data) == data
    assert receipt.decode_receipt(data).anchor == tuple(ANCHOR)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda v: v["name"])
def test_a_broken_receipt_is_refused_with_the_true_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(errors.WireError) as refused:
        checked("ES256K", bytes.fromhex(vector["receipt"]), bytes.fromhex(vector["statement"]))
    assert type(refused.value).__name__ == vector["error"]


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_cbor2_and_cryptography_verify_our_cose_receipt(vector: dict[str, Any]) -> None:
    """RFC 9942: read and checked by libraries that are not ours, the root rebuilt by the independent verifier's code."""
    name = vector["algorithm"]
    outer = cbor2.loads(encoded_again(name, bytes.fromhex(vector["receipt"])))
    cose = cbor2.loads(outer[1])
    assert cose.tag == 18
    protected, unprotected, payload, signature = cose.value
    assert cbor2.loads(protected) == {1: {"ES256K": -47, "ES256": -7}[name], 395: 1}
    assert payload is None
    size, index, path = cbor2.loads(unprotected[396][-1][0])
    root = independent.root_of_path(independent.leaf_hash(bytes.fromhex(vector["statement"])), index, size, path)
    assert root is not None
    public = ec.EllipticCurvePublicKey.from_encoded_point(ALGORITHMS[name][2], bytes.fromhex(VECTORS["log_keys"][name]))
    numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    signed = cbor2.dumps(["Signature1", protected, b"", root])
    public.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))


def small() -> tuple[bytes, bytes, bytes]:
    vector = next(v for v in VECTORS["good"] if v["name"] == "ES256K, leaf 2 of 3, 3 kinds")
    return bytes.fromhex(vector["receipt"]), bytes.fromhex(vector["statement"]), bytes.fromhex(vector["word"])


def test_every_changed_byte_is_refused_or_leads_elsewhere_on_chain() -> None:
    """Rule 6: what the log key does not sign decides the word and the place where it must stand."""
    data, statement, word = small()
    number = ALGORITHMS["ES256K"][0]
    refused, elsewhere = 0, set()
    for at in range(len(data)):
        for value in {data[at] ^ 1, data[at] ^ 0x80, data[at] ^ 0xFF, 0, 0xF5}:
            if value == data[at]:
                continue
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                found = receipt.decode_receipt(changed)
                result = receipt.check(found, statement, OPERATOR, log_key("ES256K"), number)
            except errors.WireError:
                refused += 1
                continue
            assert (found.checkpoint.epoch, *found.anchor, result) != (VECTOR_EPOCH, *ANCHOR, word)
            elsewhere.add(at)
    assert refused > 3 * len(data)
    assert elsewhere and elsewhere.isdisjoint(signed_bytes(data))


VECTOR_EPOCH = 1_995_600


def signed_bytes(data: bytes) -> range:
    """Where the COSE Receipt stands in the receipt: nothing in it can be changed."""
    cose = cbor2.loads(data)[1]
    at = data.index(cose)
    return range(at, at + len(cose))


def test_every_changed_bit_of_the_statement_is_refused() -> None:
    data, statement, _ = small()
    for at in range(len(statement)):
        for bit in range(8):
            changed = statement[:at] + bytes([statement[at] ^ 1 << bit]) + statement[at + 1 :]
            with pytest.raises(errors.BadProof):
                checked("ES256K", data, changed)


def test_every_cut_and_every_extra_byte_is_refused() -> None:
    data, _, _ = small()
    for length in range(len(data)):
        with pytest.raises(errors.WireError):
            receipt.decode_receipt(data[:length])
    for extra in range(256):
        with pytest.raises(errors.TrailingBytes):
            receipt.decode_receipt(data + bytes([extra]))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_receipt_or_a_wire_error(data: bytes) -> None:
    with pytest.raises(errors.WireError):
        receipt.decode_receipt(data)


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 400), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=3), st.lists(ITEMS, min_size=3, max_size=3))
def test_any_item_in_any_place_is_a_receipt_or_a_wire_error(places: list[int], items: list[Any]) -> None:
    parts = cbor2.loads(small()[0])
    for place, item in zip(places, items, strict=False):
        parts[place] = item
    try:
        found = receipt.decode_receipt(cbor2.dumps(parts, canonical=True))
        checked("ES256K", cbor2.dumps(parts, canonical=True), small()[1])
    except errors.WireError:
        return
    assert isinstance(found.checkpoint, records.Checkpoint)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.lists(ITEMS, min_size=3, max_size=3))
def test_any_item_inside_the_cose_receipt_is_a_wire_error(places: list[int], items: list[Any]) -> None:
    parts = cbor2.loads(small()[0])
    cose = cbor2.loads(parts[1])
    original = list(cose.value)
    for place, item in zip(places, items, strict=False):
        cose.value[place] = item
    if cose.value == original:
        return
    parts[1] = cbor2.dumps(cose, canonical=True)
    with pytest.raises(errors.WireError):
        checked("ES256K", cbor2.dumps(parts, canonical=True), small()[1])


def test_over_64_kib_is_refused_before_it_is_read() -> None:
    with pytest.raises(errors.OutOfRange):
        receipt.decode_receipt(b"\x5a\x00\x01\x00\x00" + bytes(65536))


def test_a_receipt_is_frozen() -> None:
    found = receipt.decode_receipt(small()[0])
    with pytest.raises(AttributeError):
        found.leaf_index = 0


def test_the_word_is_the_hash_the_contract_computes() -> None:
    root = hashlib.sha256(b"root").digest()
    expected = hashlib.sha256(b"\x02" + bytes.fromhex("0000000000000007") + bytes.fromhex("0000000000000005") + root)
    assert receipt.commitment_word(7, 5, root) == expected.digest()


def test_each_checkpoint_of_an_epoch_leads_to_the_same_word() -> None:
    """The place in the commitment is proven for whichever tree: only the readings' receipt has a statement for a leaf."""
    points = [records.Checkpoint(OPERATOR, tree, 7, 1, merkle.leaf_hash(b"%d" % tree)) for tree in range(1, 6)]
    leaves = [receipt.checkpoint_leaf(records.encode(point)) for point in points]
    word = receipt.commitment_word(7, 5, merkle.root(leaves))
    number, curve, _ = ALGORITHMS["ES256K"]
    secret = int(VECTORS["secrets"]["ES256K"], 16)
    for index, point in enumerate(points):
        path = merkle.inclusion_path(leaves, index)
        made = receipt.encode_receipt(
            lambda digest: ecdsa.sign(curve, secret, digest), number, 0, [], point, index, 5, path, ANCHOR
        )
        if point.tree == choice.TREE_READINGS:
            assert checked("ES256K", made, b"1") == word
        else:
            with pytest.raises(errors.BadProof, match="tree"):
                checked("ES256K", made, b"%d" % point.tree)
