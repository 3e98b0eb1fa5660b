"""The committed vectors of foreign implementations, every one, wherever the firmware runs.

A vector is a line of its own, so that a target with a small heap holds one at a time.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(1200)
VECTORS = Path(__file__).parents[1] / "vectors"

RECORDS = """
import json
from lightwire import ecdsa, envelope, errors, records
curves = {1: ecdsa.SECP256K1, 2: ecdsa.P256}
counts = {}
for line in open("vectors"):
    kind, v = json.loads(line)
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "head":
        deployment, keys = bytes.fromhex(v["deployment"]), v["keys"]
    else:
        public = bytes.fromhex(keys[v["key"] if kind == "good" else "first"])
        algorithm = v["algorithm"] if kind == "good" else 1
        verify = lambda digest, signature: ecdsa.verify(curves[algorithm], public, digest, signature)
        message = bytes.fromhex(v["message"])
        if kind == "bad":
            try:
                envelope.open_sealed(message, deployment, verify)
                raise ValueError("accepted: " + v["name"])
            except errors.WireError as error:
                assert type(error).__name__ == v["error"], (v["name"], error)
            continue
        forms = dict(records.fields(v["kind"]))
        values = {}
        for k, x in v["values"].items():
            values[k] = bytes.fromhex(x) if isinstance(forms[k], int) else tuple(x) if forms[k] == "V" else x
        record = getattr(records, v["record"])(**values)
        payload = records.encode(record)
        assert payload == bytes.fromhex(v["payload"]), v["name"]
        assert envelope.open_sealed(message, deployment, verify, algorithm) == record, v["name"]
        assert envelope.digest(payload, deployment, algorithm) == bytes.fromhex(v["to_sign_sha256"]), v["name"]
        try:
            record.kind = 0
            raise ValueError("not frozen: " + v["name"])
        except AttributeError:
            pass
print(counts["good"], counts["bad"])
"""

ECDSA = """
import json, os
from lightwire import ecdsa
curves = {"secp256k1": ecdsa.SECP256K1, "p256": ecdsa.P256}
counts = {}
for line in open("vectors"):
    kind, v = json.loads(line)
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "head":
        continue
    curve = curves[v["curve"]]
    public, digest, signature = [bytes.fromhex(v[k]) for k in ("public", "digest", "signature")]
    if kind == "good":
        secret = int(v["secret"], 16)
        for random in (None, os.urandom):
            assert ecdsa.sign(curve, secret, digest, random) == signature, v["name"]
        assert ecdsa.public_key(curve, secret) == public, v["name"]
    assert ecdsa.verify(curve, public, digest, signature) is (kind != "bad"), v["name"]
print(counts["good"], counts["accepted"], counts["bad"])
"""

MERKLE = """
import json
from lightwire import merkle
h = bytes.fromhex
counts = {}
frontier = merkle.Frontier()
for line in open("vectors"):
    kind, v = json.loads(line)
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "certificate_transparency":
        assert merkle.root([merkle.leaf_hash(h(d)) for d in v["leaves"]]) == h(v["root"])
    elif kind == "numbered":
        while frontier.size < v["size"]:
            frontier.add(merkle.leaf_hash(b"leaf %d" % frontier.size))
        assert frontier.root() == h(v["root"])
    elif kind == "inclusion":
        path = [h(s) for s in v["path"]]
        assert merkle.verify_inclusion(h(v["leaf"]), v["index"], v["size"], path, h(v["root"])) is v["holds"], v["name"]
    elif kind == "consistency":
        path, old, new = [h(s) for s in v["path"]], h(v["first_root"]), h(v["second_root"])
        assert merkle.verify_consistency(v["first"], v["second"], old, new, path) is v["holds"], v["name"]
print(counts["certificate_transparency"], counts["numbered"], counts["inclusion"], counts["consistency"])
"""

RECEIPT = """
import json
from lightwire import choice, ecdsa, errors, receipt
curves = {"ES256K": (choice.ES256K, ecdsa.SECP256K1), "ES256": (choice.ES256, ecdsa.P256)}
counts = {}
for line in open("vectors"):
    kind, v = json.loads(line)
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "head":
        operator, keys = bytes.fromhex(v["operator"]), v["log_keys"]
        continue
    number, curve = curves[v["algorithm"] if kind == "good" else "ES256K"]
    key = bytes.fromhex(keys[v["algorithm"] if kind == "good" else "ES256K"])
    verify = lambda digest, signature: ecdsa.verify(curve, key, digest, signature)
    try:
        found = receipt.decode_receipt(bytes.fromhex(v["receipt"]))
        word = receipt.check(found, bytes.fromhex(v["statement"]), operator, verify, number)
        assert kind == "good" and word == bytes.fromhex(v["word"]), v["name"]
    except errors.WireError as error:
        assert kind == "bad" and type(error).__name__ == v["error"], (v["name"], error)
print(counts["good"], counts["bad"])
"""

_LISTS = {
    "records.json": (RECORDS, ("good", "bad")),
    "ecdsa.json": (ECDSA, ("good", "accepted", "bad")),
    "merkle.json": (MERKLE, ("certificate_transparency", "numbered", "inclusion", "consistency")),
    "receipt.json": (RECEIPT, ("good", "bad")),
}


def lines_of(document: dict[str, Any], lists: tuple[str, ...]) -> bytes:
    """[kind, vector] on each line; what is no list of vectors comes first, as "head"."""
    head = {k: v for k, v in document.items() if k not in lists}
    rows = [["head", head], *([kind, v] for kind in lists for v in document[kind])]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize("file", _LISTS)
def test_every_vector_holds(target: Target, file: str) -> None:
    script, lists = _LISTS[file]
    document = json.loads((VECTORS / file).read_text())
    printed = target.run(Job(script, {"vectors": lines_of(document, lists)}))
    assert printed.split() == [str(len(document[kind])) for kind in lists]
