"""The device's signing keys: made on the device, never leave it, sign digests.

What the application asks of any key, also of one in a secure element: `signing(digest)`, a generator that yields while it
works and returns r || s (64 bytes, low s); `is_deterministic`: whether the same digest has the same signature each time;
`public` (33 bytes), `algorithm` (records.ES256K or ES256), `level` (how it is kept: records.LEVEL_*), `generation` and
`device`; and, once there was a rotation, `of(generation)`: the key that signs what was recorded under an older one. The
signatures of a key that is not deterministic are kept in the journal, so that what is sent again is the same to the byte.

1. The key file is the old one or the new one after a cut at any step, and a torn one is seen: it is written whole under
   another name and then takes its own.
2. A rotation makes the next generation. The key before it introduces it; the device id stays that of the first key.
3. An older key stays while the journal holds a record made under it, and until the back end has signed for a record made
   under a later one. At most KEPT keys are held: with so many none is made.

A file of a first key alone holds 02 || generation (2) || secret (32), any other 03 || device (8) || generation (2) and
secret (32) of each key, the present one first; both end with SHA-256 of what is before (first 8).
"""

import hashlib
import os

from lightwire import ecdsa, records

from .errors import NodeError

KEPT = 4
_FILE = "/device.key"
_CHECK = 8
_ROW = 34
SPKI = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"  # of P-256


class DeviceKey:
    """Signs digests; `public` (33 bytes), `generation`, `device` (the id, 8 bytes), `older`: the keys before it."""

    def __init__(self, secret: int, generation: int, random, device: bytes = b"", older=()) -> None:  # type: ignore[no-untyped-def]
        """device: b"" for a first key, whose id is its own; older: newest first."""
        self._secret = secret
        self._random = random
        self.algorithm = records.ES256K
        self.is_deterministic = True
        self.level = records.LEVEL_FILE
        self.generation = generation
        self.public = ecdsa.public_key(ecdsa.SECP256K1, secret)
        self.device = device or hashlib.sha256(self.public).digest()[:8]
        self.older = tuple(older)

    def signing(self, digest: bytes):  # type: ignore[no-untyped-def]
        """r || s (64 bytes), deterministic, blinded, in slices."""
        signature = yield from ecdsa.signing(ecdsa.SECP256K1, self._secret, digest, self._random)
        return signature

    def sign(self, digest: bytes) -> bytes:
        """The same at once: for a start, where nobody waits."""
        return ecdsa.finished(self.signing(digest))  # type: ignore[no-any-return]

    def of(self, generation: int) -> "DeviceKey":
        """The key of a generation, this one or an older one; NodeError if it is not held."""
        for key in (self,) + self.older:
            if key.generation == generation:
                return key
        raise NodeError(f"key generation {generation} is not in the key file: put the newer file back")

    def row(self) -> bytes:
        """As it stands in a key file: holds the secret."""
        return self.generation.to_bytes(2, "big") + self._secret.to_bytes(32, "big")


def open_key(folder: str, random) -> DeviceKey:  # type: ignore[no-untyped-def]
    """The present key in the folder, with the older ones; a first one made from `random` (count -> bytes) if there is
    none; NodeError if the file is damaged."""
    path = folder + _FILE
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        first = DeviceKey(_secret(random), 1, random)
        _keep(path, first)
        return first
    return _decoded(path, data, random)


def rotate(folder: str, random) -> DeviceKey:  # type: ignore[no-untyped-def]
    """The key of the next generation, kept; signs from the next start on. NodeError if KEPT keys are still needed."""
    before = open_key(folder, random)
    if len(before.older) + 1 >= KEPT:
        raise NodeError(f"{KEPT} key generations are still in use: rotate when the journal no longer needs the oldest")
    key = DeviceKey(_secret(random), before.generation + 1, random, before.device, (before,) + before.older)
    _keep(folder + _FILE, key)
    return key


def oldest_generation(journal) -> int:  # type: ignore[no-untyped-def]
    """The oldest key generation that a held record was made under; 0 while the back end has signed for none of it."""
    for record in journal.after(0):
        return int(record.generation) if record.seq <= journal.acked else 0
    return 0


def retire(folder: str, key: DeviceKey, oldest: int) -> None:
    """Drops the keys older than generation `oldest` (rule 3), from the file too."""
    held = tuple([one for one in key.older if one.generation >= oldest])
    if held != key.older:
        key.older = held
        _keep(folder + _FILE, key)


def introduce(key: DeviceKey, tls: bytes, nonce: bytes, time_ms: int):  # type: ignore[no-untyped-def]
    """(the enrolment of the present key, the key that signs it): the key before it while that is held, else itself.

    tls: fingerprint of the TLS key; nonce: 16 bytes; time_ms: of the device."""
    enrolment = records.Enrolment(key.device, key.generation, key.algorithm, key.public, tls, nonce, time_ms, key.level)
    return enrolment, key.older[0] if key.older else key


def _secret(random) -> int:  # type: ignore[no-untyped-def]
    secret = 0
    while not 0 < secret < ecdsa.SECP256K1.n:
        secret = int.from_bytes(random(32), "big")
    return secret


def _sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()[:_CHECK]


def _decoded(path: str, data: bytes, random) -> DeviceKey:  # type: ignore[no-untyped-def]
    body = data[:-_CHECK]
    start = {2: 1, 3: 9}.get(body[0] if body else 0, 0)
    count, rest = divmod(len(body) - start, _ROW)
    if not start or data != _sealed(body) or rest or not 1 <= count <= (1 if start == 1 else KEPT):
        raise NodeError(path + " is damaged: enrol the device again")
    key: DeviceKey | None = None
    device = body[1:start]
    for at in range(len(body) - _ROW, 0, -_ROW):
        older = (key,) + key.older if key else ()
        row = body[at : at + _ROW]
        key = DeviceKey(int.from_bytes(row[2:], "big"), int.from_bytes(row[:2], "big"), random, device, older)
    return key  # type: ignore[return-value]


def _keep(path: str, key: DeviceKey) -> None:
    """Rule 1."""
    if key.generation == 1:
        body = b"\x02" + key.row()
    else:
        body = b"\x03" + key.device + b"".join([one.row() for one in (key,) + key.older])
    try:
        with open(path + ".new", "wb") as file:
            file.write(_sealed(body))
            file.flush()
        os.rename(path + ".new", path)
    except OSError as error:
        raise NodeError(f"the key cannot be kept in {path}: {error}")


def fingerprint(certificate: str) -> bytes:
    """SHA-256 of a certificate file (DER); zero if it is not there yet."""
    data = _content(certificate)
    return hashlib.sha256(data).digest() if data else bytes(32)


def tls_fingerprint(path: str) -> bytes:
    """SHA-256 of the public key (DER SubjectPublicKeyInfo) of a TLS key's file; zero if there is none or it is of another kind."""
    data = _content(path)
    return hashlib.sha256(SPKI + data[-65:]).digest() if is_tls_key(data) else bytes(32)


def is_tls_key(data: bytes) -> bool:
    """Whether it is a P-256 key with its public key as RFC 5915 has it."""
    return len(data) == 121 and data[:7] == b"\x30\x77\x02\x01\x01\x04\x20" and data[-68:-64] == b"\x03\x42\x00\x04"


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
