"""Makes ecdsa.json with coincurve and cryptography. Run: python tests/vectors/make_ecdsa.py > tests/vectors/ecdsa.json

The P-256 vectors "rfc6979 sample/test" are those of RFC 6979, A.2.5 (s made low); they are checked here against the text.
"""

import hashlib
import json

import coincurve
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RFC_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_R = {
    "sample": "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
    "test": "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
}


def number(text: str, order: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % order


def k1(name: str, secret: int, digest: bytes) -> dict[str, str]:
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    signature = key.sign_recoverable(digest, hasher=None)[:64]
    return row(name, "secp256k1", secret, digest, key.public_key.format(), signature)


def p256(name: str, secret: int, digest: bytes) -> dict[str, str]:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)))
    if name.startswith("rfc6979"):
        assert f"{r:064X}" == RFC_R[name.split()[1]]
    public = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    signature = r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")
    return row(name, "p256", secret, digest, public, signature)


def row(name: str, curve: str, secret: int, digest: bytes, public: bytes, signature: bytes) -> dict[str, str]:
    return {
        "name": name,
        "curve": curve,
        "secret": f"{secret:064x}",
        "digest": digest.hex(),
        "public": public.hex(),
        "signature": signature.hex(),
    }


def bad(good: list[dict[str, str]]) -> list[dict[str, str]]:
    first = good[0]
    r, s = bytes.fromhex(first["signature"])[:32], int(first["signature"][64:], 16)
    order = K1_ORDER.to_bytes(32, "big")
    changes = {
        "the other s": {"signature": (r + (K1_ORDER - s).to_bytes(32, "big")).hex()},
        "r is zero": {"signature": (bytes(32) + s.to_bytes(32, "big")).hex()},
        "s is zero": {"signature": (r + bytes(32)).hex()},
        "s is the order": {"signature": (r + order).hex()},
        "r is the order": {"signature": (order + s.to_bytes(32, "big")).hex()},
        "too short": {"signature": first["signature"][:-2]},
        "another digest": {"digest": hashlib.sha256(b"another").hexdigest()},
        "another key": {"public": good[1]["public"]},
        "x is no point of the curve": {"public": "02" + "00" * 31 + "05"},
        "x is over the prime": {"public": "02" + "ff" * 32},
        "an uncompressed prefix": {"public": "04" + first["public"][2:]},
        "an empty key": {"public": ""},
    }
    return [{**first, "name": name, **change} for name, change in changes.items()]


def main() -> None:
    good = [
        k1(f"random {i}", number(f"key {i}", K1_ORDER), hashlib.sha256(b"digest %d" % i).digest()) for i in range(12)
    ]
    good += [k1(f"secret {name}", secret, bytes(32)) for name, secret in (("one", 1), ("n-1", K1_ORDER - 1))]
    good += [k1("digest all ones", 7, b"\xff" * 32)]
    good += [p256(f"rfc6979 {m}", RFC_SECRET, hashlib.sha256(m.encode()).digest()) for m in ("sample", "test")]
    good += [
        p256(f"p256 random {i}", number(f"p256 {i}", P256_ORDER), hashlib.sha256(b"d%d" % i).digest()) for i in range(8)
    ]
    print(json.dumps({"good": good, "bad": bad(good)}, indent=1))


if __name__ == "__main__":
    main()
