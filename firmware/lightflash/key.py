"""Signing keys of the release and of the kit: a file with 32 bytes, readable by its owner only. Never printed, never an argument.

1. A key is made once and never over another; what is opened is refused if others can read it or it is no key.
"""

import hashlib
import os
from pathlib import Path

import coincurve

from lightflash.errors import FlashError

_SECRET_BYTES = 32


class Key:
    """Signs digests, deterministically. `public`: 33 bytes; `id`: first 8 of its SHA-256, as an issuer's."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.public: bytes = self._key.public_key.format()
        self.id: bytes = hashlib.sha256(self.public).digest()[:8]

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes) of a digest (32 bytes)."""
        return self._key.sign_recoverable(digest, hasher=None)[:64]


def make_key(path: Path) -> Key:
    """A new key in a new file. FlashError if there is a file (rule 1)."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FlashError("key", f"{path} cannot be made ({error.strerror})", "name a file that is not there") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(coincurve.PrivateKey().secret)
    return open_key(path)


def open_key(path: Path) -> Key:
    """The key in a file. FlashError if it cannot be read, others can read it, or it is no key."""
    try:
        if path.stat().st_mode & 0o077:
            raise FlashError("key", f"{path} can be read by others", f"chmod 600 {path}")
        with path.open("rb") as file:
            secret = file.read(_SECRET_BYTES + 1)
        if len(secret) != _SECRET_BYTES:
            raise FlashError("key", f"{path} has not 32 bytes", "name a key that `lightnode-flash key` made")
        return Key(secret)
    except OSError as error:
        raise FlashError("key", f"{path} cannot be read ({error.strerror})", "name a key file that is there") from error
    except ValueError as error:
        raise FlashError(
            "key", f"{path} is no key of secp256k1", "name a key that `lightnode-flash key` made"
        ) from error


def is_public(data: bytes) -> bool:
    """Whether it is a compressed public key of secp256k1."""
    try:
        return coincurve.PublicKey(data).format() == data
    except ValueError:
        return False


def is_signed(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether r || s (64 bytes) over the digest is of this public key (33 bytes)."""
    try:
        der = coincurve.ecdsa.cdata_to_der(coincurve.ecdsa.deserialize_compact(signature))
        return coincurve.PublicKey(public).verify(der, digest, hasher=None)
    except ValueError:
        return False
