"""A device introduces itself: its two keys, a request for a TLS certificate, and a statement that binds them.

1. Both keys are made here, once, and never leave the device: the signing key (`keys`) and the one of TLS, P-256, in the
   file that `broker.key` names (RFC 5915, DER, as the board's TLS reads it). Asked again it answers with the same keys. A
   file is written whole under another name and then takes its own.
2. The request is PKCS#10 (RFC 2986) with the station as common name, signed with the TLS key, so it proves that the device
   holds it. A rotation of the signing key leaves the TLS key as it is.
3. The statement holds the operator's nonce, SHA-256 of the TLS public key and the level that the keys are kept at. It is
   signed by the signing key, a later one's by the key before it.
"""

import hashlib
import os

from lightwire import ecdsa, envelope, topics

from . import keys
from .errors import NodeError

_SECRET, _CURVE = (
    b"\x30\x77\x02\x01\x01\x04\x20",
    b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00",
)
_SECRET_END = 39
_VERSION, _NO_ATTRIBUTES = b"\x02\x01\x00", b"\xa0\x00"
_COMMON_NAME = b"\x06\x03\x55\x04\x03"
_ECDSA_SHA256 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
_SEQUENCE, _SET, _INTEGER, _BITS, _TEXT = 0x30, 0x31, 0x02, 0x03, 0x0C


def enrol(config, board, nonce: bytes, to_rotate: bool = False) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """The device's answer to a nonce (16 bytes), none of it secret; makes what keys there are not yet, the next signing key
    if it is to rotate. NodeError if a key file is damaged or cannot be kept."""
    folder = config.value("state_dir")
    try:
        os.mkdir(folder)
    except OSError:
        pass  # it is there, or the key cannot be kept either, and that says why
    key = keys.rotate(folder, board.random) if to_rotate else keys.open_key(folder, board.random)
    tls = open_tls_key(config.value("broker.key"), board.random)
    fingerprint = hashlib.sha256(keys.SPKI + tls[-65:]).digest()
    statement, signer = keys.introduce(key, fingerprint, nonce, board.SystemClock().monotonic_ms())
    sealed = envelope.seal(statement, config.value("deployment"), signer.sign, signer.algorithm)
    return {
        "device": key.device.hex(),
        "generation": key.generation,
        "public_key": key.public.hex(),
        "level": key.level,
        "enrolment": sealed.hex(),
        "request": request(tls, topics.station(key.device), board.random).hex(),
    }


def open_tls_key(path: str, random) -> bytes:  # type: ignore[no-untyped-def]
    """The TLS key's file (121 bytes, holds the secret), made if it is not there. NodeError if it is not one of ours."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        data = _tls_key(random)
        try:
            with open(path + ".new", "wb") as file:
                file.write(data)
                file.flush()
            os.rename(path + ".new", path)
        except OSError as error:
            raise NodeError(f"the TLS key cannot be kept in {path}: {error}")
    if not keys.is_tls_key(data):
        raise NodeError(path + " is damaged or holds another kind of key: remove it and enrol the device again")
    return data


def _tls_key(random) -> bytes:  # type: ignore[no-untyped-def]
    secret = 0
    while not 0 < secret < ecdsa.P256.n:
        secret = int.from_bytes(random(32), "big")
    x, y = ecdsa.decompress(ecdsa.P256, ecdsa.public_key(ecdsa.P256, secret))
    point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    return _SECRET + secret.to_bytes(32, "big") + _CURVE + point


def request(tls: bytes, name: str, random) -> bytes:  # type: ignore[no-untyped-def]
    """Rule 2: the request of the key in a file's content, in DER."""
    attribute = _der(_SEQUENCE, _COMMON_NAME + _der(_TEXT, name.encode()))
    subject = _der(_SEQUENCE, _der(_SET, attribute))
    body = _der(_SEQUENCE, _VERSION + subject + keys.SPKI + tls[-65:] + _NO_ATTRIBUTES)
    secret = int.from_bytes(tls[len(_SECRET) : _SECRET_END], "big")
    signature = ecdsa.sign(ecdsa.P256, secret, hashlib.sha256(body).digest(), random)
    pair = _der(_SEQUENCE, _integer(signature[:32]) + _integer(signature[32:]))
    return _der(_SEQUENCE, body + _ECDSA_SHA256 + _der(_BITS, b"\x00" + pair))


def _der(tag: int, content: bytes) -> bytes:
    """At most 65,535 bytes of content."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    if size < 256:
        return bytes((tag, 0x81, size)) + content
    return bytes((tag, 0x82)) + size.to_bytes(2, "big") + content


def _integer(number: bytes) -> bytes:
    while len(number) > 1 and number[0] == 0 and number[1] < 128:
        number = number[1:]
    return _der(_INTEGER, (b"\x00" if number[0] >= 128 else b"") + number)
