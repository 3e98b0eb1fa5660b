"""The agent's own key, made once, and the checks of what others signed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from lightwire import envelope, records

_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 >> 1


class AgentKey:
    """Signs digests; `id` is the agent's, from its public key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "agent.key"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(coincurve.PrivateKey().secret)
        self._key = coincurve.PrivateKey(path.read_bytes())
        self.public = self._key.public_key.format()
        self.id = hashlib.sha256(self.public).digest()[:8]

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes)."""
        return self._key.sign_recoverable(digest, hasher=None)[:64]

    def enrolment(self, deployment: bytes, nonce: bytes, now_ms: int) -> bytes:
        """The key introduces itself."""
        record = records.Enrolment(self.id, 1, records.ES256K, self.public, bytes(32), nonce, now_ms)
        sealed: bytes = envelope.seal(record, deployment, self.sign)
        return sealed


def verifier(public: bytes) -> Callable[[bytes, bytes], bool]:
    """verify(digest, signature) bound to a key; low s only."""
    key = coincurve.PublicKey(public)

    def verify(digest: bytes, signature: bytes) -> bool:
        if len(signature) != 64 or int.from_bytes(signature[32:], "big") > _HALF_ORDER:
            return False
        try:
            return key.verify(cdata_to_der(deserialize_compact(signature)), digest, hasher=None)
        except ValueError:
            return False

    return verify
