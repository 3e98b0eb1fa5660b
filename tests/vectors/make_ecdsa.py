"""Makes ecdsa.json with coincurve and cryptography. Run: python tests/vectors/make_ecdsa.py > tests/vectors/ecdsa.json

Nothing of the project is imported. good: signed to these bytes and verified. accepted: verified only, by design rare cases.
bad: refused. Every row of the first two is checked here with the foreign library; the published rows against their text.
"""

import hashlib
import json

import coincurve
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

Row = dict[str, str]

K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
K1_PRIME = 2**256 - 2**32 - 977
ORDERS = {"secp256k1": K1_ORDER, "p256": P256_ORDER}
CURVES: dict[str, ec.EllipticCurve] = {"secp256k1": ec.SECP256K1(), "p256": ec.SECP256R1()}
PREHASHED = Prehashed(hashes.SHA256())

# RFC 6979, A.2.5, SHA-256 (s as printed, it may be the high one)
RFC_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_TEXT = {
    "sample": (
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    "test": (
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
}
# the deterministic secp256k1 signatures that Bitcoin libraries have shared since 2013 (Trezor, Haskoin, python-ecdsa)
SHARED_K1 = [
    (
        1,
        "Satoshi Nakamoto",
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
    ),
    (
        1,
        "All those moments will be lost in time, like tears in rain. Time to die...",
        "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
    ),
    (
        K1_ORDER - 1,
        "Satoshi Nakamoto",
        "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d06b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
    ),
    (
        0xF8B8AF8CE3C7CCA5E300D33939540C10D45CE001B8F252BFBC57BA0342904181,
        "Alan Turing",
        "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
    ),
]


def number(text: str, order: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % order


def octets(value: int) -> bytes:
    return value.to_bytes(32, "big")


def compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def k1(name: str, secret: int, digest: bytes) -> Row:
    key = coincurve.PrivateKey(octets(secret))
    signature = key.sign_recoverable(digest, hasher=None)[:64]
    return row(name, "secp256k1", digest, key.public_key.format(), signature) | {"secret": f"{secret:064x}"}


def p256(name: str, secret: int, digest: bytes) -> Row:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(PREHASHED, deterministic_signing=True)))
    if name.startswith("rfc6979"):
        assert (r, s) == RFC_TEXT[name.split()[1]]
    signature = octets(r) + octets(min(s, P256_ORDER - s))
    return row(name, "p256", digest, compressed(key.public_key()), signature) | {"secret": f"{secret:064x}"}


def row(name: str, curve: str, digest: bytes, public: bytes, signature: bytes) -> Row:
    return {
        "name": name,
        "curve": curve,
        "digest": digest.hex(),
        "public": public.hex(),
        "signature": signature.hex(),
    }


def holds(vector: Row) -> Row:
    """The row, once `cryptography` has verified it."""
    curve, signature = CURVES[vector["curve"]], bytes.fromhex(vector["signature"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, bytes.fromhex(vector["public"]))
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key.verify(der, bytes.fromhex(vector["digest"]), ec.ECDSA(PREHASHED))
    return vector


def meeting(order: int) -> list[int]:
    """Multipliers k of the base point whose comb (8 teeth, 2 blocks) adds a point to itself in its last step.

    The last entry added is T = 2^16 * (sum of +-2^(32 j)); the sum before it is k - T, which is T modulo the order if
    k = 2T + order. Whether T is also the entry that k selects is read from k's bits.
    """
    found = []
    for pattern in range(256):
        entry = sum((1 if pattern >> j & 1 else -1) << (32 * j + 16) for j in range(8))
        k = 2 * entry + order
        if 0 < k < order:
            selected = (k >> 1) | 1 << 255
            if sum((selected >> (32 * j + 16) & 1) << j for j in range(8)) == pattern:
                found.append(k)
    return found


def with_multiplier(name: str, curve: str, k: int) -> Row:
    """A valid signature for which digest / s is k: s = r d / (nonce - k), digest = k s."""
    order = ORDERS[curve]
    for attempt in range(16):
        secret, nonce = number(f"{name} secret", order), number(f"{name} nonce {attempt}", order)
        r = ec.derive_private_key(nonce, CURVES[curve]).public_key().public_numbers().x % order
        s = r * secret * pow(nonce - k, -1, order) % order
        if s <= order >> 1:
            public = compressed(ec.derive_private_key(secret, CURVES[curve]).public_key())
            return holds(row(name, curve, octets(k * s % order), public, octets(r) + octets(s)))
    raise AssertionError("no low s in 16 attempts")


def over_the_order() -> Row:
    """A signature whose point has an x over the order, so that r is x - order; the key is recovered by coincurve."""
    digest, s = hashlib.sha256(b"x over the order").digest(), 5
    for r in range(1, 1000):
        signature = octets(r) + octets(s)
        try:
            key = coincurve.PublicKey.from_signature_and_message(signature + b"\x02", digest, hasher=None)
        except Exception:
            continue
        return holds(row("x of the point is over the order", "secp256k1", digest, key.format(), signature))
    raise AssertionError("no such point")


def small_x() -> tuple[Row, Row]:
    """A valid signature of the key with x = 1, made without its secret, and the same with x written as 1 + prime.

    The point of the signature is aG + bQ, so r is its x, s = r / b and digest = a r / b.
    """
    public = b"\x02" + octets(1)
    for a in range(1, 16):
        b = number("small x", K1_ORDER)
        point = coincurve.PublicKey.combine_keys(
            [coincurve.PublicKey.from_valid_secret(octets(a)), coincurve.PublicKey(public).multiply(octets(b))]
        )
        r = int.from_bytes(point.format()[1:], "big") % K1_ORDER
        s = r * pow(b, -1, K1_ORDER) % K1_ORDER
        if s <= K1_ORDER >> 1:
            signature = octets(r) + octets(s)
            valid = holds(row("a key with x = 1", "secp256k1", octets(a * s % K1_ORDER), public, signature))
            over = valid | {"name": "a key with x = 1 + prime", "public": "02" + octets(1 + K1_PRIME).hex()}
            return valid, over
    raise AssertionError("no low s in 15 attempts")


def bad(first: Row, other: Row) -> list[Row]:
    curve, order = first["curve"], ORDERS[first["curve"]]
    r, s = bytes.fromhex(first["signature"])[:32], int(first["signature"][64:], 16)
    no_point = next(x for x in range(1, 100) if not is_x(curve, x))
    meets = meeting(order)[0]
    hostile_s = int(first["digest"], 16) * pow(meets, -1, order) % order
    changes = {
        "the other s": {"signature": (r + octets(order - s)).hex()},
        "r is zero": {"signature": (bytes(32) + octets(s)).hex()},
        "s is zero": {"signature": (r + bytes(32)).hex()},
        "s is the order": {"signature": (r + octets(order)).hex()},
        "r is the order": {"signature": (octets(order) + octets(s)).hex()},
        "r is all ones": {"signature": (b"\xff" * 32 + octets(s)).hex()},
        "too short": {"signature": first["signature"][:-2]},
        "too long": {"signature": first["signature"] + "00"},
        "no signature": {"signature": ""},
        "another digest": {"digest": hashlib.sha256(b"another").hexdigest()},
        "a digest of 31 bytes": {"digest": first["digest"][:-2]},
        "another key": {"public": other["public"]},
        "the mirrored key": {"public": f"{5 - int(first['public'][:2]):02x}" + first["public"][2:]},
        "x is no point of the curve": {"public": "02" + f"{no_point:064x}"},
        "x is over the prime": {"public": "02" + "ff" * 32},
        "an uncompressed prefix": {"public": "04" + first["public"][2:]},
        "a key of zeros": {"public": "00" * 33},
        "an empty key": {"public": ""},
        "s chosen so that the comb adds a point to itself": {
            "signature": (r + octets(min(hostile_s, order - hostile_s))).hex()
        },
    }
    kept = {k: v for k, v in first.items() if k != "secret"}
    return [kept | {"name": f"{curve}, {name}"} | change for name, change in changes.items()]


def is_x(curve: str, x: int) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve], b"\x02" + octets(x))
    except ValueError:
        return False
    return True


def main() -> None:
    good = [
        k1(f"random {i}", number(f"key {i}", K1_ORDER), hashlib.sha256(b"digest %d" % i).digest()) for i in range(12)
    ]
    for secret, message, text in SHARED_K1:
        made = k1(f"shared {message[:16]}, key {secret:x}", secret, hashlib.sha256(message.encode()).digest())
        assert made["signature"] == text
        good.append(made)
    good += [k1(f"secret {name}", secret, bytes(32)) for name, secret in (("one", 1), ("n-1", K1_ORDER - 1))]
    good += [k1("digest all ones", 7, b"\xff" * 32), k1("digest is the order", 7, octets(K1_ORDER))]
    good += [k1(f"the comb meets itself {k:x}", k, hashlib.sha256(b"meets").digest()) for k in meeting(K1_ORDER)]
    first_p256 = len(good)
    good += [p256(f"rfc6979 {m}", RFC_SECRET, hashlib.sha256(m.encode()).digest()) for m in ("sample", "test")]
    good += [
        p256(f"p256 random {i}", number(f"p256 {i}", P256_ORDER), hashlib.sha256(b"d%d" % i).digest()) for i in range(8)
    ]
    good += [p256("p256 digest all ones", 7, b"\xff" * 32), p256("p256 digest is the order", 7, octets(P256_ORDER))]
    good += [p256(f"p256 the comb meets itself {k:x}", k, bytes(32)) for k in meeting(P256_ORDER)]
    valid, over = small_x()
    accepted = [over_the_order(), valid]
    for curve, order in ORDERS.items():
        for k in meeting(order):
            accepted.append(with_multiplier(f"{curve}, the comb adds a point to itself", curve, k))
            accepted.append(with_multiplier(f"{curve}, and for its negative", curve, order - k))
    refused = [over] + bad(good[0], good[1]) + bad(good[first_p256 + 2], good[first_p256 + 3])
    print(json.dumps({"good": [holds(v) for v in good], "accepted": accepted, "bad": refused}, indent=1))


if __name__ == "__main__":
    main()
