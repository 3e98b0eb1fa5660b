"""Random and extreme keys and digests, signed on the host by coincurve and cryptography: the same bytes wherever we sign."""

import hashlib
import json

import coincurve
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from lightwire.ecdsa import P256, SECP256K1, Curve

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(1200)
SEED = b"random keys 1"
RANDOM_KEYS = 6

SCRIPT = """
import hashlib, json
from lightwire import ecdsa
state = [b"blinding"]
def random(count):
    state[0] = hashlib.sha256(state[0]).digest()
    return state[0][:count]
curves = {"secp256k1": ecdsa.SECP256K1, "p256": ecdsa.P256}
with open("rows.json") as file:
    rows = json.load(file)
for name, secret, digest, expected in rows:
    curve, digest = curves[name], bytes.fromhex(digest)
    found = ecdsa.sign(curve, int(secret, 16), digest, random)
    assert found == bytes.fromhex(expected), (name, secret, digest)
    print(name)
public = ecdsa.public_key(curve, int(secret, 16))
assert ecdsa.verify(curve, public, digest, found)
assert not ecdsa.verify(curve, public, digest, found[:63] + bytes((found[63] ^ 1,)))
"""


def _expected(curve: Curve, secret: int, digest: bytes) -> bytes:
    if curve is SECP256K1:
        key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
        return key.sign_recoverable(digest, hasher=None)[:64]
    signer = ec.derive_private_key(secret, ec.SECP256R1())
    der = signer.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + min(s, curve.n - s).to_bytes(32, "big")


def rows() -> list[tuple[str, str, str, str]]:
    """(curve, secret, digest, signature): random ones by the seed, then the edges of both ranges."""
    made = []
    for curve in (SECP256K1, P256):
        cases = [
            (
                int.from_bytes(hashlib.sha256(SEED + b"/%d" % k).digest(), "big") % curve.n,
                hashlib.sha256(b"%d" % k).digest(),
            )
            for k in range(RANDOM_KEYS)
        ]
        edges = [number.to_bytes(32, "big") for number in (0, 1, curve.n - 1, curve.n, curve.n + 1, 2**256 - 1)]
        cases += [(12345, digest) for digest in edges]
        cases += [(secret, hashlib.sha256(b"edge").digest()) for secret in (1, 2, curve.n - 2, curve.n - 1)]
        for secret, digest in cases:
            made.append((curve.name, f"{secret:x}", digest.hex(), _expected(curve, secret, digest).hex()))
    return made


def test_every_row_is_signed_to_the_bytes_of_the_foreign_libraries(target: Target) -> None:
    wanted = rows()
    printed = target.run(Job(SCRIPT, {"rows.json": json.dumps(wanted).encode()}, timeout_s=600))
    assert printed.split() == [name for name, *_ in wanted]
