"""The agent's own signing key (ES256K): made once on this machine, readable by its owner only, never leaves it."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from edge_agent.errors import AgentError

Verify = Callable[[bytes, bytes], bool]


class AgentKey:
    """`public` (33 bytes), `agent` (the id, first 8 bytes of its SHA-256), `sign`."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.public = self._key.public_key.format()
        self.agent = hashlib.sha256(self.public).digest()[:8]

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes) of a digest (32 bytes): RFC 6979, low s."""
        return self._key.sign_recoverable(digest, hasher=None)[:64]


def make_key(path: Path) -> AgentKey:
    """The key in the file, made first if there is none; AgentError if it cannot be."""
    try:
        if not path.exists():
            _write(path, coincurve.PrivateKey().secret)
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}: the agent needs room and the right to write there") from error
    return open_key(path)


def _write(path: Path, secret: bytes) -> None:
    """The file takes its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(descriptor)
    new.rename(path)


def open_key(path: Path) -> AgentKey:
    """The key in the file; AgentError if there is none, it is not 32 bytes, or others may read it."""
    try:
        secret = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}: enrol the agent first") from error
    if mode & 0o077:
        raise AgentError(f"{path}: others may read this key: chmod 600 it")
    if len(secret) != 32:
        raise AgentError(f"{path}: {len(secret)} bytes, a key has 32: enrol the agent again")
    return AgentKey(secret)


def verifier(public: bytes) -> Verify:
    """verify(digest, signature) bound to a public key; low s only. AgentError if the bytes are no key."""
    try:
        key = coincurve.PublicKey(public)
    except ValueError as error:
        raise AgentError(f"{public.hex()} is no public key") from error

    def verify(digest: bytes, signature: bytes) -> bool:
        try:
            return key.verify(cdata_to_der(deserialize_compact(signature)), digest, hasher=None)
        except ValueError:
            return False

    return verify
