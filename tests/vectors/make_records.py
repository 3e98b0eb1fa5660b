"""Makes records.json: FORMAT.md's tables, struct, `cryptography` for keys and signatures; checked with cbor2 and cwt.

Nothing of the project is imported. Run: python tests/vectors/make_records.py > tests/vectors/records.json
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import cwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

FORMAT = Path(__file__).parents[2] / "firmware" / "lightwire" / "FORMAT.md"
DEPLOYMENT = bytes(range(0xD0, 0xE0))
ORDER_K1 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
QUARTER = 1_796_040_000_000  # a quarter-hour mark


class Key:
    def __init__(self, name: str, secret: int, curve: ec.EllipticCurve) -> None:
        self.name, self.secret = name, secret
        self.private = ec.derive_private_key(secret, curve)
        self.k1 = isinstance(curve, ec.SECP256K1)
        self.order = ORDER_K1 if self.k1 else ORDER_P256
        form = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        self.public = self.private.public_key().public_bytes(*form)

    def sign(self, message: bytes) -> bytes:
        der = self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return r.to_bytes(32, "big") + min(s, self.order - s).to_bytes(32, "big")


FIRST = Key(
    "first", int.from_bytes(hashlib.sha256(b"lightnode vector key 1").digest(), "big") % ORDER_K1, ec.SECP256K1()
)
SECOND = Key(
    "second", int.from_bytes(hashlib.sha256(b"lightnode vector key 2").digest(), "big") % ORDER_K1, ec.SECP256K1()
)
HARDWARE = Key(
    "hardware", int.from_bytes(hashlib.sha256(b"lightnode vector key 3").digest(), "big") % ORDER_P256, ec.SECP256R1()
)
LOG = Key("log", int.from_bytes(hashlib.sha256(b"lightnode vector log key").digest(), "big") % ORDER_K1, ec.SECP256K1())
DEVICE = hashlib.sha256(FIRST.public).digest()[:8]
OPERATOR = hashlib.sha256(LOG.public).digest()[:8]


def tables() -> dict[int, tuple[str, list[tuple[int, str, str]]]]:
    """kind -> (name, [(offset, field, form)]) as FORMAT.md states them."""
    found: dict[int, tuple[str, list[tuple[int, str, str]]]] = {}
    kind = 0
    for line in FORMAT.read_text().splitlines():
        if title := re.match(r"### (\d+) (\w+)$", line):
            kind = int(title[1])
            found[kind] = (title[2], [])
        elif line.startswith("## "):
            kind = 0  # the tables of other sections are not of a kind
        elif kind and (row := re.match(r"\| (\d+) \| (\w+) \| ([^|]+) \|", line)):
            found[kind][1].append((int(row[1]), row[2], row[3].strip()))
    return found


TABLES = tables()


def item(form: str, value: Any) -> bytes:
    match form.split():
        case ["u8"]:
            return b"\x18" + value.to_bytes(1, "big")
        case ["u16"]:
            return b"\x19" + value.to_bytes(2, "big")
        case ["u32"]:
            return b"\x1a" + value.to_bytes(4, "big")
        case ["u64"]:
            return b"\x1b" + value.to_bytes(8, "big")
        case ["i32"]:
            return (b"\x1a" + value.to_bytes(4, "big")) if value >= 0 else (b"\x3a" + (-1 - value).to_bytes(4, "big"))
        case ["u32", "x", "3"]:
            return b"\x83" + b"".join(item("u32", v) for v in value)
        case ["bytes", n]:
            assert len(value) == int(n), (form, value)
            return (bytes([0x40 + int(n)]) if int(n) < 24 else bytes([0x58, int(n)])) + value
    raise AssertionError(form)


def payload_of(kind: int, values: dict[str, Any]) -> bytes:
    rows = TABLES[kind][1]
    data = bytes([0x80 + len(rows) + 2, 0x18, kind, 0x18, 1])
    for offset, name, form in rows:
        assert len(data) == offset, (kind, name, len(data), offset)
        data += item(form, values[name])
    read = cbor2.loads(data)
    assert read[:2] == [kind, 1] and read[2:] == [list(v) if isinstance(v, tuple) else v for v in values.values()]
    return data


def message_of(payload: bytes, key: Key, deployment: bytes = DEPLOYMENT) -> tuple[bytes, bytes]:
    protected = bytes.fromhex("a101382e" if key.k1 else "a10126")
    aad = payload[2:3] + deployment
    structure = cbor2.dumps(["Signature1", protected, aad, payload])
    signature = key.sign(structure)
    message = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))
    verifier = cwt.COSEKey.new(cose_key(key))
    assert cwt.COSE.new().decode(message, verifier, external_aad=aad) == payload
    return structure, message


def cose_key(key: Key) -> dict[int, Any]:
    numbers = key.private.public_key().public_numbers()
    algorithm, curve = (-47, 8) if key.k1 else (-7, 1)
    return {1: 2, 3: algorithm, -1: curve, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: straight from the text."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


GOOD: list[dict[str, Any]] = []


def good(name: str, kind: int, key: Key, **values: Any) -> bytes:
    values = {field: values[field] for _, field, _ in TABLES[kind][1]}
    payload = payload_of(kind, values)
    structure, message = message_of(payload, key)
    shown = {k: v.hex() if isinstance(v, bytes) else list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    GOOD.append(
        {
            "name": name,
            "kind": kind,
            "record": TABLES[kind][0],
            "algorithm": 1 if key.k1 else 2,
            "key": key.name,
            "values": shown,
            "payload": payload.hex(),
            "payload_sha256": hashlib.sha256(payload).hexdigest(),
            "to_sign_sha256": hashlib.sha256(structure).hexdigest(),
            "message": message.hex(),
        }
    )
    return message


def reading(
    name: str, key: Key, boot: int, seq: int, time_ms: int, flags: int = 0, power_w: int = 1234, generation: int = 1
) -> bytes:
    return good(
        name, 1, key, device=DEVICE, generation=generation, boot=boot, seq=seq, time_ms=time_ms, flags=flags, power_w=power_w,
        reactive_var=-56, import_wh=1_000_000 + seq, export_wh=2_000, voltage_mv=(230_100, 229_900, 231_000), frequency_mhz=49_990,
    )  # fmt: skip


def statement(
    name: str,
    key: Key,
    boot: int,
    seq: int,
    leaves: list[bytes],
    first: int,
    previous: bytes,
    start: int,
    end: int,
    missing: int,
    causes: int,
    generation: int = 1,
) -> bytes:
    return good(
        name, 2, key, device=DEVICE, generation=generation, boot=boot, seq=seq, previous=previous, first_seq=first,
        last_seq=first + len(leaves) - 1, count=len(leaves), missing=missing, causes=causes, start_ms=start, end_ms=end,
        import_start_wh=1_000_000, import_end_wh=1_000_100, export_start_wh=2_000, export_end_wh=2_000, root=root(leaves),
    )  # fmt: skip


def last_payload_digest() -> bytes:
    return bytes.fromhex(GOOD[-1]["payload_sha256"])


def gap(
    name: str,
    key: Key,
    boot: int,
    seq: int,
    cause: int,
    start: int,
    slots: int,
    dropped: tuple[int, int] = (0, 0),
    generation: int = 1,
) -> bytes:
    return good(
        name, 3, key, device=DEVICE, generation=generation, boot=boot, seq=seq, cause=cause, start_ms=start,
        end_ms=start + 4000 * slots, slots=slots, first_seq=dropped[0], last_seq=dropped[1],
    )  # fmt: skip


def device_story() -> None:
    """One device: a batch, a reboot without trusted time, a dropped range, a new key, a statement that arrives late."""
    q = QUARTER
    good("first key introduces itself", 11, FIRST, device=DEVICE, generation=1, algorithm=1, public_key=FIRST.public,
         tls_fingerprint=bytes(32), nonce=bytes(range(16)), time_ms=q - 60_000, level=1)  # fmt: skip
    batch = [reading(f"reading {n}", FIRST, 1, n, q + 4000 * (n - 1), 4 if n == 1 else 0, -5000 * n) for n in (1, 2, 3)]
    statement("first statement", FIRST, 1, 4, batch, 1, bytes(32), q, q + 900_000, 222, 1)
    previous = last_payload_digest()
    batch = [reading("reboot: monotonic time, clock untrusted", FIRST, 2, 5, 4_000, 1 | 4)]
    batch += [
        good(
            "reboot: clock link",
            4,
            FIRST,
            device=DEVICE,
            generation=1,
            boot=2,
            seq=6,
            monotonic_ms=6_500,
            utc_ms=q + 906_500,
            error_ms=40,
        )
    ]
    statement(
        "reboot: clock trust changes, batch closes", FIRST, 2, 7, batch, 5, previous, q + 900_000, q + 908_000, 0, 0
    )
    late = GOOD.pop()
    previous = bytes.fromhex(late["payload_sha256"])
    batch = [gap("reboot: power gap", FIRST, 2, 8, 1, q + 12_000, 222)]
    batch += [gap("journal full: dropped records are named", FIRST, 2, 9, 4, q + 908_000, 100, (10, 109))]
    statement(
        "batch before the dropped range", FIRST, 2, 110, batch, 8, previous, q + 908_000, q + 1_308_000, 100, 1 | 4
    )
    previous = last_payload_digest()
    good("late arrival: the statement before it comes after it", **{k: v for k, v in again(late).items()})
    good("second key, introduced by the first", 11, FIRST, device=DEVICE, generation=2, algorithm=1, public_key=SECOND.public,
         tls_fingerprint=bytes(range(32)), nonce=bytes(16), time_ms=q + 1_400_000, level=3)  # fmt: skip
    batch = [reading("after rotation", SECOND, 2, 111, q + 1_404_000, 0, 0, generation=2)]
    statement(
        "after rotation, chained to the old key's statement",
        SECOND,
        2,
        112,
        batch,
        111,
        previous,
        q + 1_400_000,
        q + 1_800_000,
        98,
        2,
        generation=2,
    )


def again(vector: dict[str, Any]) -> dict[str, Any]:
    forms = {field: form for _, field, form in TABLES[vector["kind"]][1]}
    values = {k: bytes.fromhex(v) if forms[k].startswith("bytes") else v for k, v in vector["values"].items()}
    return {"kind": vector["kind"], "key": FIRST, **values}


def other_kinds() -> None:
    q = QUARTER
    point: dict[str, Any] = dict(
        id=bytes(range(16)), device=DEVICE, issuer=OPERATOR, role=1, command=7, not_before_ms=q, not_after_ms=q + 900_000,
        resource=0, control=1, value=-250_000, ramp_w_per_s=1000, fallback=2, fallback_value=0, reason=0, order=bytes(range(16, 32)),
        nonce=bytes(16), salt=bytes(range(32, 48)),
    )  # fmt: skip
    good("set-point", 6, LOG, **point)
    digest = last_payload_digest()
    good(
        "decision",
        7,
        FIRST,
        device=DEVICE,
        generation=1,
        boot=2,
        seq=113,
        setpoint=point["id"],
        digest=digest,
        command=7,
        outcome=1,
        reason=0,
        time_ms=q - 5000,
    )
    good("execution", 8, SECOND, agent=hashlib.sha256(SECOND.public).digest()[:8], generation=1, boot=1, seq=1, device=DEVICE, setpoint=point["id"], digest=digest,
         state=1, reason=0, time_ms=q, commanded_w=-300_000, readback_w=-299_000)  # fmt: skip
    good("time answer", 5, LOG, operator=OPERATOR, device=DEVICE, nonce=bytes(range(16)), utc_ms=q + 1)
    good(
        "delivery",
        9,
        LOG,
        operator=OPERATOR,
        incarnation=bytes(range(8)),
        device=DEVICE,
        boot=2,
        seq=112,
        digest=digest,
        time_ms=q + 60_000,
    )
    good("checkpoint", 10, LOG, operator=OPERATOR, tree=1, epoch=q // 900_000, size=12, root=bytes(range(32)))
    good("registry entry", 12, LOG, operator=OPERATOR, salt=bytes(range(16)), action=1, device=DEVICE, generation=1, algorithm=1, public_key=FIRST.public,
         tls_fingerprint=bytes(32), valid_from_ms=q, valid_to_ms=q + 10**11, enrolment=bytes(range(32)), time_ms=q)  # fmt: skip
    good(
        "evidence",
        13,
        LOG,
        operator=OPERATOR,
        salt=bytes(range(16)),
        tree=3,
        subject=bytes(range(16)),
        version=1,
        digest=digest,
        time_ms=q,
    )
    good("tombstone", 14, LOG, operator=OPERATOR, salt=bytes(range(16)), tree=1, index=5, leaf=digest, time_ms=q)
    device: dict[str, Any] = dict(device=DEVICE, generation=1, boot=2)
    good("diagnostics", 15, FIRST, **device, seq=114, time_ms=q, flags=0, version=1 << 16 | 2 << 8 | 3, uptime_s=86_400, reset_cause=2, fault=1,
         restarts=3, heap_free_bytes=41_000, heap_block_bytes=17_000, meter_errors=12, sessions=4, pending=225, fill_permille=31,
         clock_error_ms=140, alarms=1)  # fmt: skip
    good(
        "update report",
        16,
        FIRST,
        **device,
        seq=115,
        time_ms=q,
        flags=1,
        sequence=12,
        version=1 << 16,
        outcome=2,
        reason=0,
        digest=digest,
    )
    good("manifest", 17, SECOND, hardware=b"esp32s3".ljust(16, b"\0"), sequence=12, floor=9, version=1 << 16, created_ms=q, expires_ms=q + 10**9,
         files=31, total_bytes=94_300, listing=digest, key_generation=2, next_key=FIRST.public)  # fmt: skip
    good("ems report", 18, FIRST, **device, seq=116, time_ms=q, flags=0, setpoint=point["id"], state=1, reason=0, commanded_w=-250_000,
         measured_w=-248_500, measured_var=1_200, charge_permille=640)  # fmt: skip
    good("extremes", 1, FIRST, device=b"\xff" * 8, generation=0xFFFF, boot=0xFFFFFFFF, seq=0xFFFFFFFF, time_ms=2**64 - 1, flags=0xFFFF, power_w=-(2**31),
         reactive_var=2**31 - 1, import_wh=0, export_wh=2**64 - 1, voltage_mv=(0, 2**32 - 1, 1), frequency_mhz=0xFFFF)  # fmt: skip
    good("hardware key", 1, HARDWARE, device=DEVICE, generation=1, boot=1, seq=1, time_ms=q, flags=0, power_w=0, reactive_var=0, import_wh=0, export_wh=0,
         voltage_mv=(230_000, 230_000, 230_000), frequency_mhz=50_000)  # fmt: skip


def bad() -> list[dict[str, str]]:
    """Broken messages of the reading `reading 1` with the error each must give."""
    message = bytes.fromhex(next(v for v in GOOD if v["name"] == "reading 1")["message"])
    start = message.index(bytes([0x8E]))  # the payload's array head
    payload, signature = message[start : start + 86], message[-64:]

    def with_byte(at: int, value: int) -> str:
        return (message[:at] + bytes([value]) + message[at + 1 :]).hex()

    s = ORDER_K1 - int.from_bytes(signature[32:], "big")
    high = message[:-32] + s.to_bytes(32, "big")
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), s)
    FIRST.private.public_key().verify(
        der,
        cbor2.dumps(["Signature1", bytes.fromhex("a101382e"), b"\1" + DEPLOYMENT, payload]),
        ec.ECDSA(hashes.SHA256()),
    )
    _, elsewhere = message_of(payload, FIRST, bytes(16))
    shortest = cbor2.dumps(cbor2.loads(payload))
    return [
        {"name": "truncated", "message": message[:-1].hex(), "error": "Truncated"},
        {"name": "empty", "message": "", "error": "Truncated"},
        {"name": "trailing byte", "message": (message + b"\0").hex(), "error": "TrailingBytes"},
        {"name": "another tag", "message": with_byte(0, 0xD1), "error": "UnknownVersion"},
        {"name": "unknown algorithm", "message": with_byte(6, 0x2F), "error": "UnknownVersion"},
        {"name": "unprotected header not empty", "message": with_byte(7, 0xA1), "error": "OutOfRange"},
        {"name": "unknown kind", "message": with_byte(start + 2, 99), "error": "UnknownVersion"},
        {"name": "unknown version", "message": with_byte(start + 4, 2), "error": "UnknownVersion"},
        {"name": "field with another head", "message": with_byte(start + 14, 0x18), "error": "OutOfRange"},
        {
            "name": "CBOR's shortest form",
            "message": (message[: start - 1] + bytes([len(shortest)]) + shortest + message[-66:]).hex(),
            "error": "UnknownVersion",
        },
        {
            "name": "one changed bit of the value",
            "message": with_byte(start + 43, message[start + 43] ^ 1),
            "error": "BadSignature",
        },
        {
            "name": "one changed bit of the signature",
            "message": with_byte(len(message) - 1, message[-1] ^ 1),
            "error": "BadSignature",
        },
        {"name": "the other s", "message": high.hex(), "error": "BadSignature"},
        {"name": "another deployment", "message": elsewhere.hex(), "error": "BadSignature"},
    ]


def main() -> None:
    device_story()
    other_kinds()
    keys = {k.name: k.public.hex() for k in (FIRST, SECOND, HARDWARE, LOG)}
    print(json.dumps({"deployment": DEPLOYMENT.hex(), "keys": keys, "good": GOOD, "bad": bad()}, indent=1))


if __name__ == "__main__":
    main()
