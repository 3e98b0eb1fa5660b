"""The same vectors inside the MicroPython VM."""

from collections.abc import Callable
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors" / "records.json"

SCRIPT = """
import json, sys
from lightwire import ecdsa, envelope, errors, records
with open({path!r}) as f:
    vectors = json.load(f)
deployment = bytes.fromhex(vectors["deployment"])
CURVES = {{1: ecdsa.SECP256K1, 2: ecdsa.P256}}

def verifier(name, algorithm):
    public = bytes.fromhex(vectors["keys"][name])
    return lambda digest, signature: ecdsa.verify(CURVES[algorithm], public, digest, signature)

good = bad = 0
for v in vectors["good"]:
    forms = dict(records.fields(v["kind"]))
    values = {{}}
    for k, x in v["values"].items():
        values[k] = bytes.fromhex(x) if isinstance(forms[k], int) else tuple(x) if forms[k] == "V" else x
    record = getattr(records, v["record"])(**values)
    payload = records.encode(record)
    assert payload == bytes.fromhex(v["payload"]), v["name"]
    message = bytes.fromhex(v["message"])
    assert envelope.open_sealed(message, deployment, verifier(v["key"], v["algorithm"]), v["algorithm"]) == record, v["name"]
    assert envelope.digest(payload, deployment, v["algorithm"]) == bytes.fromhex(v["to_sign_sha256"]), v["name"]
    try:
        record.kind = 0
        raise ValueError("not frozen: " + v["name"])
    except AttributeError:
        good += 1
for v in vectors["bad"]:
    try:
        envelope.open_sealed(bytes.fromhex(v["message"]), deployment, verifier("first", 1))
    except errors.WireError as e:
        assert type(e).__name__ == v["error"], (v["name"], type(e).__name__)
        bad += 1
print(good, bad)
"""


def test_the_vectors_hold_in_the_vm(micropython: Callable[[str], str]) -> None:
    import json

    vectors = json.loads(VECTORS.read_text())
    assert micropython(SCRIPT.format(path=str(VECTORS))).split() == [
        str(len(vectors["good"])),
        str(len(vectors["bad"])),
    ]
