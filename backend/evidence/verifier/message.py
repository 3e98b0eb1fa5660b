"""Signed messages, read with cbor2, checked with cryptography, against the tables of FORMAT.md.

1. A message is tag 18 [protected, {}, payload, signature]; payload is an array of kind, version and fixed-width fields.
2. The bytes must be the one encoding: what was read is written again with the widths of the kind and compared; closed
   choices and intervals are checked.
3. The signature is over the Sig_structure with external_aad = kind || deployment; only low s is accepted.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from backend.evidence.verifier.cbor import decode_one
from backend.evidence.verifier.finding import NotValid

Value = int | bytes | tuple[int, int, int]

_HEAD = "device:8 generation:H boot:I seq:I "
_KINDS = {
    1: _HEAD + "time_ms:Q flags:H power_w:i reactive_var:i import_wh:Q export_wh:Q voltage_mv:V frequency_mhz:H",
    2: _HEAD + "previous:32 first_seq:I last_seq:I count:H missing:H causes:B start_ms:Q end_ms:Q import_start_wh:Q "
    "import_end_wh:Q export_start_wh:Q export_end_wh:Q root:32",
    3: _HEAD + "cause:B start_ms:Q end_ms:Q slots:I first_seq:I last_seq:I",
    4: _HEAD + "monotonic_ms:Q utc_ms:Q error_ms:I",
    6: "id:16 device:8 issuer:8 role:B command:I not_before_ms:Q not_after_ms:Q resource:B control:B value:i "
    "ramp_w_per_s:I fallback:B fallback_value:i reason:B order:16 nonce:16 salt:16",
    7: _HEAD + "setpoint:16 digest:32 command:I outcome:B reason:B time_ms:Q",
    8: "agent:8 generation:H boot:I seq:I device:8 setpoint:16 digest:32 state:B reason:B time_ms:Q commanded_w:i "
    "readback_w:i",
    10: "operator:8 tree:B epoch:I size:Q root:32",
    11: "device:8 generation:H algorithm:B public_key:33 tls_fingerprint:32 nonce:16 time_ms:Q level:B",
    12: "operator:8 salt:16 action:B device:8 generation:H algorithm:B public_key:33 tls_fingerprint:32 "
    "valid_from_ms:Q valid_to_ms:Q enrolment:32 time_ms:Q",
    13: "operator:8 salt:16 tree:B subject:16 version:H digest:32 time_ms:Q",
    15: _HEAD
    + "time_ms:Q flags:H version:I uptime_s:I reset_cause:B fault:B restarts:H heap_free_bytes:I heap_block_bytes:I "
    "meter_errors:H sessions:H pending:I fill_permille:H clock_error_ms:I alarms:H",
    16: _HEAD + "time_ms:Q flags:H sequence:I version:I outcome:B reason:B digest:32",
    18: _HEAD + "time_ms:Q flags:H setpoint:16 state:B reason:B commanded_w:i measured_w:i measured_var:i "
    "charge_permille:H",
}
_CHOICES = {
    3: {"cause": 8},
    6: {"role": 3, "control": 4, "fallback": 3},
    7: {"outcome": 2},
    8: {"state": 4},
    10: {"tree": 5},
    11: {"algorithm": 2},
    12: {"action": 3, "algorithm": 2},
    13: {"tree": 5},
    15: {"reset_cause": 6},
    16: {"outcome": 3},
    18: {"state": 4},
}
_INTERVALS = {
    2: ("start_ms", "end_ms"),
    3: ("start_ms", "end_ms"),
    6: ("not_before_ms", "not_after_ms"),
    12: ("valid_from_ms", "valid_to_ms"),
}
_LAYOUT = {k: [(n, f) for n, _, f in (w.partition(":") for w in text.split())] for k, text in _KINDS.items()}
_WIDTHS = {"B": (0x18, 1), "H": (0x19, 2), "I": (0x1A, 4), "Q": (0x1B, 8)}
_ALGORITHMS = {1: bytes.fromhex("a101382e"), 2: bytes.fromhex("a10126")}
_SEALED = {b"\xd2\x84" + bytes([0x40 + len(one)]) + one + b"\xa0\x58": one for one in _ALGORITHMS.values()}
_CURVES: dict[int, tuple[ec.EllipticCurve, int]] = {
    1: (ec.SECP256K1(), 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
    2: (ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may sign: algorithm 1 (ES256K) or 2 (ES256), 33 bytes compressed."""

    algorithm: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message whose signature holds: its bytes, kind and fields."""

    raw: bytes
    kind: int
    payload: bytes
    fields: Mapping[str, Value]

    def number(self, name: str) -> int:
        """An integer field."""
        return _integer(self.fields[name])

    def octets(self, name: str) -> bytes:
        """A byte string field."""
        value = self.fields[name]
        assert isinstance(value, bytes)
        return value

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the payload."""
        return hashlib.sha256(self.payload).digest()


class _Shape:
    """The bytes of a kind whose fields stand all at fixed places behind fixed marks."""

    def __init__(self, kind: int, layout: Sequence[tuple[str, str]]) -> None:
        parts, self._marks = [], [bytes([0x80 + 2 + len(layout), 0x18, kind, 0x18, 1])]
        self._names = [name for name, _ in layout]
        for _, form in layout:
            width = int(form) if form.isdigit() else 0
            mark = bytes([0x40 + width] if width < 24 else [0x58, width]) if width else bytes([_WIDTHS[form][0]])
            self._marks.append(mark)
            parts.append(f"{len(mark)}s{f'{width}s' if width else form}")
        self._form = struct.Struct(">5s" + "".join(parts))

    def read(self, payload: bytes) -> dict[str, Value] | None:
        """The fields; None if a byte is not as it should be."""
        if len(payload) != self._form.size:
            return None
        head, *found = self._form.unpack(payload)
        if [head, *found[::2]] != self._marks:
            return None
        return dict(zip(self._names, found[1::2], strict=True))


_SHAPES = {kind: _Shape(kind, form) for kind, form in _LAYOUT.items() if not {"i", "V"} & {one for _, one in form}}


def parse_payload(payload: bytes, where: str) -> tuple[int, dict[str, Value]]:
    """Kind and fields of a payload; NotValid unless it is the one encoding of FORMAT.md."""
    shape = _SHAPES.get(payload[2]) if len(payload) > 2 else None
    found = shape.read(payload) if shape is not None else None
    kind, fields = _looked_through(payload, where) if found is None else (payload[2], found)
    _check_choices(kind, fields, where)
    return kind, fields


def _looked_through(payload: bytes, where: str) -> tuple[int, dict[str, Value]]:
    """As `parse_payload`, item by item: any kind, and what is wrong."""
    items = decode_one(payload, where)
    if not isinstance(items, list) or len(items) < 2 or type(items[0]) is not int or items[0] not in _LAYOUT:
        raise NotValid(where, "is no record of a known kind")
    kind, version, *values = items
    layout = _LAYOUT[kind]
    if type(version) is not int or version != 1 or len(values) != len(layout):
        raise NotValid(where, f"kind {kind} has another version than 1, or {len(values)} fields")
    fields: dict[str, Value] = {}
    written = bytes([0x80 + len(items), 0x18, kind, 0x18, 1])
    for (name, form), value in zip(layout, values, strict=True):
        written += _write(form, value, f"{where}, {name}")
        fields[name] = tuple(value) if form == "V" else value
    if written != payload:
        at = next((i for i, (a, b) in enumerate(zip(written, payload, strict=False)) if a != b), len(written))
        raise NotValid(where, f"byte {at} of the payload is not in its fixed-width form")
    return kind, fields


def _check_choices(kind: int, fields: Mapping[str, Value], where: str) -> None:
    """Closed choices and half-open intervals (FORMAT.md of the wire)."""
    for name, highest in _CHOICES.get(kind, {}).items():
        choice = _integer(fields[name])
        if not 1 <= choice <= highest:
            raise NotValid(f"{where}, {name}", f"{choice} is none of 1 to {highest}")
    if kind in _INTERVALS:
        first, last = _INTERVALS[kind]
        if _integer(fields[first]) >= _integer(fields[last]):
            raise NotValid(where, f"{first} is not before {last}")


def _integer(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _write(form: str, value: object, where: str) -> bytes:
    if form.isdigit():
        if not isinstance(value, bytes) or len(value) != int(form):
            raise NotValid(where, f"is not {form} bytes")
        return (bytes([0x40 + len(value)]) if len(value) < 24 else bytes([0x58, len(value)])) + value
    if form == "V":
        if not isinstance(value, list) or len(value) != 3:
            raise NotValid(where, "is not three numbers")
        return b"\x83" + b"".join(_write("I", v, where) for v in value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotValid(where, "is not an integer")
    mark, width = _WIDTHS["I" if form == "i" else form]
    if form == "i" and value < 0:
        mark, value = 0x3A, -1 - value
    limit = 1 << (31 if form == "i" else 8 * width)
    if not 0 <= value < limit:
        raise NotValid(where, f"{value} is outside its range")
    return bytes([mark]) + value.to_bytes(width, "big")


Check = Callable[[PublicKey, bytes, bytes, str], None]
"""Checks a signature: key, what it signed, signature, where it stands; NotValid if it does not hold."""


def read_message(raw: bytes, key: PublicKey, deployment: bytes, where: str, kind: int) -> Message:
    """The message in raw, of this kind, signed with this key in this deployment; NotValid with the true reason."""
    parts = split(raw, where)
    return signed(raw, parts, parse_payload(parts[1], where), (key, check_signature), deployment, where, kind)


def signed(
    raw: bytes, parts: tuple[bytes, bytes, bytes], parsed: tuple[int, dict[str, Value]], by: tuple[PublicKey, Check],
    deployment: bytes, where: str, kind: int,
) -> Message:  # fmt: skip
    """As `read_message`, of a message that has been taken apart: parts as of `split`, parsed as of `parse_payload`; by: the key
    and who checks that it signed."""
    protected, payload, signature = parts
    key, check = by
    if protected != _ALGORITHMS[key.algorithm]:
        raise NotValid(where, "is signed with another algorithm than its key has")
    found, fields = parsed
    if found != kind:
        raise NotValid(where, f"is of kind {found}, kind {kind} belongs here")
    structure = cbor2.dumps(["Signature1", protected, bytes([kind]) + deployment, payload])
    check(key, structure, signature, where)
    return Message(raw, kind, payload, fields)


def split(raw: bytes, where: str) -> tuple[bytes, bytes, bytes]:
    """(protected, payload, signature) of a COSE_Sign1 message; NotValid unless these are its only bytes."""
    return _split_at_once(raw) or _split_item(raw, where)


def _split_at_once(raw: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The parts of a message that has them where nearly all have them; None if a byte is not as it should be there."""
    start = raw.find(b"\xa0\x58", 0, 16) + 2
    protected, length = _SEALED.get(raw[:start]), raw[start] if start < len(raw) else 0
    payload, behind = raw[start + 1 : start + 1 + length], raw[start + 1 + length :]
    if protected is None or length < 24 or len(behind) != 66 or behind[:2] != b"\x58\x40":
        return None
    return protected, payload, behind[2:]


def _split_item(raw: bytes, where: str) -> tuple[bytes, bytes, bytes]:
    tagged = decode_one(raw, where)
    if not isinstance(tagged, cbor2.CBORTag) or not isinstance(tagged.value, list):
        raise NotValid(where, "is not a COSE_Sign1 message")
    parts = tagged.value
    if (
        len(parts) != 4
        or not isinstance(parts[1], dict)
        or parts[1]
        or not all(isinstance(parts[k], bytes) for k in (0, 2, 3))
    ):
        raise NotValid(where, "is not a COSE_Sign1 message with an empty unprotected header")
    protected, _, payload, signature = parts
    if len(signature) != 64:
        raise NotValid(where, f"has a signature of {len(signature)} bytes")
    if raw != cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature])):
        raise NotValid(where, "is not in its one encoding")
    return protected, payload, signature


@lru_cache(maxsize=256)
def _load(key: PublicKey) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[key.algorithm][0], key.public)


def check_signature(key: PublicKey, signed: bytes, signature: bytes, where: str) -> None:
    """NotValid unless signature (r || s, low s) is key's over SHA-256 of signed."""
    if fault := fault_of(key, signed, signature):
        raise NotValid(where, fault)


def fault_of(key: PublicKey, signed: bytes, signature: bytes) -> str:
    """Why a signature does not hold; "" if it does."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > _CURVES[key.algorithm][1] // 2:
        return "has a high s: not the one valid signature"
    try:
        _load(key).verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return "signature does not hold"
    except ValueError as error:
        return f"key is not a point of its curve ({error})"
    return ""
