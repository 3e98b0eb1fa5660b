"""The device's signing key: made once on the device, never leaves it, signs digests.

What the application asks of any key, also of one in a secure element: `signing(digest)`, a generator that yields while it
works and returns r || s (64 bytes, low s); `public` (33 bytes), `algorithm` (records.ES256K or ES256), `generation` and
`device`.

A key file holds 02 || generation (2) || secret (32) || SHA-256 of these (first 8): a torn write is seen, and the file
takes its name only when it is whole.
"""

import hashlib
import os

from lightwire import ecdsa, records

from .errors import NodeError

_FILE = "/device.key"


class DeviceKey:
    """Signs digests; `public` (33 bytes), `generation`, `device` (the id, 8 bytes)."""

    def __init__(self, secret: int, generation: int, random) -> None:  # type: ignore[no-untyped-def]
        self._secret = secret
        self._random = random
        self.algorithm = records.ES256K
        self.generation = generation
        self.public = ecdsa.public_key(ecdsa.SECP256K1, secret)
        self.device = hashlib.sha256(self.public).digest()[:8]

    def signing(self, digest: bytes):  # type: ignore[no-untyped-def]
        """r || s (64 bytes), deterministic, blinded, in slices."""
        signature, _ = yield from ecdsa.signing(ecdsa.SECP256K1, self._secret, digest, self._random)
        return signature

    def sign(self, digest: bytes) -> bytes:
        """The same at once: for a start, where nobody waits."""
        return ecdsa.finished(self.signing(digest))  # type: ignore[no-any-return]


def _body(secret: bytes, generation: int) -> bytes:
    body = b"\x02" + generation.to_bytes(2, "big") + secret
    return body + hashlib.sha256(body).digest()[:8]


def open_key(folder: str, random) -> DeviceKey:  # type: ignore[no-untyped-def]
    """The key in the folder, made from `random` (count -> bytes) if there is none; NodeError if the file is damaged."""
    path = folder + _FILE
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        data = _make(path, random)
    if len(data) != 43 or data != _body(data[3:35], int.from_bytes(data[1:3], "big")):
        raise NodeError(path + " is damaged: enrol the device again")
    return DeviceKey(int.from_bytes(data[3:35], "big"), int.from_bytes(data[1:3], "big"), random)


def _make(path: str, random) -> bytes:  # type: ignore[no-untyped-def]
    secret = 0
    while not 0 < secret < ecdsa.SECP256K1.n:
        secret = int.from_bytes(random(32), "big")
    data = _body(secret.to_bytes(32, "big"), 1)
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
            file.flush()
    except OSError as error:
        raise NodeError(f"the key cannot be kept in {path}: {error}")
    os.rename(path + ".new", path)
    return data


def fingerprint(certificate: str) -> bytes:
    """SHA-256 of a certificate file (DER); zero if it is not there yet."""
    try:
        with open(certificate, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return bytes(32)
