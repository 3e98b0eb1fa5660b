"""Keys into the registry: a self-signed enrolment is checked, approved with the log key, and becomes evidence."""

import hashlib
import os

from lightwire import envelope, records
from lightwire.errors import WireError

from backend.adapters.keys import SigningKey, verifier
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.flows.collect import Collect
from backend.flows.ledgers import EvidenceTrees

VALID_MS = 5 * 365 * 86_400_000


class Register:
    """Approves keys."""

    def __init__(
        self,
        store: SqliteStore,
        trees: EvidenceTrees,
        collect: Collect,
        log_key: SigningKey,
        identity: tuple[bytes, bytes],
    ) -> None:
        self._store = store
        self._trees = trees
        self._collect = collect
        self._log_key = log_key
        self._deployment, self._operator = identity

    def approve(self, sealed: bytes, nonce: bytes, role: str, pod: str, tls_fingerprint: bytes, now_ms: int) -> Party:
        """Registers the first key of a node or agent; Rejected if the enrolment is not its own or the nonce another."""
        try:
            claimed = envelope.peek(sealed)
            if not isinstance(claimed, records.Enrolment):
                raise Rejected("not an enrolment")
            enrolment = envelope.open_sealed(sealed, self._deployment, verifier(claimed.public_key), claimed.algorithm)
        except (WireError, ValueError) as error:
            raise Rejected(f"enrolment: {error}") from error
        if enrolment.nonce != nonce:
            raise Rejected("enrolment: answers another nonce: ask the device again")
        if enrolment.device != hashlib.sha256(enrolment.public_key).digest()[:8]:
            raise Rejected("enrolment: the device id is not that of its key")
        entry = records.RegistryEntry(
            self._operator, os.urandom(16), records.APPROVE, enrolment.device, enrolment.generation, enrolment.algorithm,
            enrolment.public_key, tls_fingerprint, now_ms, now_ms + VALID_MS,
            envelope.payload_digest(records.encode(enrolment)), now_ms,
        )  # fmt: skip
        party = Party(
            enrolment.device, enrolment.generation, role, pod, enrolment.algorithm, enrolment.public_key,
            now_ms, now_ms + VALID_MS, envelope.seal(entry, self._deployment, self._log_key.sign), sealed,
        )  # fmt: skip
        self.admit(party)
        return party

    def admit(self, party: Party) -> None:
        """Keeps a key, puts its entry into the tree of keys, makes it known."""
        with self._store.writing():
            self._store.register(party)
            self._trees.append(records.TREE_KEYS, party.entry)
        self._collect.admit(party)

    def announce(self, public: bytes, role: str, now_ms: int) -> Party:
        """Registers a key of the back end itself: the issuer of set-points."""
        device = hashlib.sha256(public).digest()[:8]
        entry = records.RegistryEntry(
            self._operator, os.urandom(16), records.APPROVE, device, 1, records.ES256K, public, bytes(32), now_ms,
            now_ms + VALID_MS, bytes(32), now_ms,
        )  # fmt: skip
        sealed = envelope.seal(entry, self._deployment, self._log_key.sign)
        party = Party(device, 1, role, "", records.ES256K, public, now_ms, now_ms + VALID_MS, sealed, b"")
        self.admit(party)
        return party
