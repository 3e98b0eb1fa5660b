"""Fast keys of the host: coincurve for ES256K, the same bytes as lightwire.ecdsa."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import coincurve
from coincurve._libsecp256k1 import lib  # type: ignore[import-not-found, unused-ignore]
from coincurve.context import GLOBAL_CONTEXT
from coincurve.ecdsa import deserialize_compact

from backend.errors import BackendError


class SigningKey:
    """A key of the back end, kept in a file that only its owner reads; `public` is 33 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.public = self._key.public_key.format()

    @property
    def point(self) -> tuple[int, int]:
        """The public key's coordinates."""
        x, y = self._key.public_key.point()
        return x, y

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes), RFC 6979, low s."""
        return self.sign_recoverable(digest)[:64]

    def sign_recoverable(self, digest: bytes) -> bytes:
        """r || s || recovery id (65 bytes), as transactions want it."""
        return self._key.sign_recoverable(digest, hasher=None)


def open_key(path: Path) -> SigningKey:
    """The key in the file, made if there is none; BackendError if it is not 32 bytes or others may read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(coincurve.PrivateKey().secret)
    return read_key(path)


def read_key(path: Path) -> SigningKey:
    """The key in a file that is there; BackendError as `open_key`."""
    if not path.is_file():
        raise BackendError(f"{path}: no such file")
    if path.stat().st_mode & 0o077:
        raise BackendError(f"{path}: others may read this key: chmod 600 it")
    secret = path.read_bytes()
    if len(secret) != 32:
        raise BackendError(f"{path}: {len(secret)} bytes, a key has 32")
    return SigningKey(secret)


@lru_cache(maxsize=65536)
def verifier(public: bytes) -> Callable[[bytes, bytes], bool]:
    """verify(digest, signature) bound to a key; parsed once. Low s only, as libsecp256k1 itself has it.

    The library is called directly: PublicKey.verify wants the signature in DER, a detour of a tenth of the time.
    """
    key = coincurve.PublicKey(public).public_key

    def verify(digest: bytes, signature: bytes) -> bool:
        if len(signature) != 64 or len(digest) != 32:
            return False
        try:
            parsed = deserialize_compact(signature)
        except ValueError:
            return False
        return bool(lib.secp256k1_ecdsa_verify(GLOBAL_CONTEXT.ctx, parsed, digest, key))

    return verify
