"""Keys into the registry: an enrolment is checked, approved with the log key, and becomes evidence.

1. A first key introduces itself, against a nonce; the next one is introduced by the key before it.
2. Every entry is a leaf of the tree of keys. Where a device stands is a document there, with a salt of its own: no POD code
   leaves the store but inside a salted commitment.
3. A revocation is an entry too; from then on the key brings nothing new.
"""

import hashlib
import os
from typing import Protocol

from lightwire import envelope, records
from lightwire.errors import WireError

from backend.adapters.keys import SigningKey, verifier
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.flows.ledgers import EvidenceTrees
from backend.market.canonical import text

VALID_MS = 5 * 365 * 86_400_000


class Keyring(Protocol):
    """Whoever opens messages with the registered keys."""

    def admit(self, party: Party) -> None:
        """Takes a key."""
        ...

    def retire(self, id: bytes, generation: int) -> None:
        """Takes nothing more from a key."""
        ...


class Elsewhere:
    """The keyring of a process that opens no messages: the back end beside it follows what is registered."""

    def admit(self, party: Party) -> None:
        """Nothing."""

    def retire(self, id: bytes, generation: int) -> None:
        """Nothing."""


class Register:
    """Approves keys."""

    def __init__(
        self,
        store: SqliteStore,
        trees: EvidenceTrees,
        collect: Keyring,
        log_key: SigningKey,
        identity: tuple[bytes, bytes],
    ) -> None:
        self._store = store
        self._trees = trees
        self._collect = collect
        self._log_key = log_key
        self._deployment, self._operator = identity
        store.note_fact("deployment", self._deployment)
        store.note_fact("log_key", log_key.public)

    def approve(self, sealed: bytes, nonce: bytes, role: str, pod: str, now_ms: int) -> Party:
        """Registers a key of a node or agent: the first one, introduced by itself, or the next one after a rotation,
        introduced by the registered key before it. The fingerprint of its TLS key is registered with it, as the statement has
        it: nobody can pair another. Rejected with the reason."""
        try:
            claimed = envelope.peek(sealed)
            if not isinstance(claimed, records.Enrolment):
                raise Rejected("not an enrolment")
            before = self._before(claimed, role, pod)
        except (WireError, ValueError) as error:
            raise Rejected(f"enrolment: {error}") from error
        signer = (claimed.public_key, claimed.algorithm) if before is None else (before.public, before.algorithm)
        enrolment = self._opened(sealed, nonce, *signer)
        if before is None and enrolment.device != hashlib.sha256(enrolment.public_key).digest()[:8]:
            raise Rejected("enrolment: the device id is not that of its key")
        action = records.APPROVE if before is None else records.ROTATE
        entry = records.RegistryEntry(
            self._operator, os.urandom(16), action, enrolment.device, enrolment.generation, enrolment.algorithm,
            enrolment.public_key, enrolment.tls_fingerprint, now_ms, now_ms + VALID_MS,
            envelope.payload_digest(records.encode(enrolment)), now_ms,
        )  # fmt: skip
        party = Party(
            enrolment.device, enrolment.generation, role, pod, enrolment.algorithm, enrolment.public_key,
            now_ms, now_ms + VALID_MS, envelope.seal(entry, self._deployment, self._log_key.sign), sealed,
        )  # fmt: skip
        self.admit(party)
        return party

    def check(self, sealed: bytes, nonce: bytes, party: Party) -> None:
        """Whether a registered key answers a nonce with a statement of its own. Rejected if not."""
        before = [p for p in self._store.parties() if (p.id, p.generation) == (party.id, party.generation - 1)]
        signer = next((p for p in (*before, party) if _is_of(sealed, self._deployment, p)), party)
        enrolment = self._opened(sealed, nonce, signer.public, signer.algorithm)
        if (enrolment.device, enrolment.generation, enrolment.public_key) != (party.id, party.generation, party.public):
            raise Rejected("enrolment: it is of another key than the registered one")

    def _opened(self, sealed: bytes, nonce: bytes, public: bytes, algorithm: int) -> records.Enrolment:
        try:
            enrolment: records.Enrolment = envelope.open_sealed(sealed, self._deployment, verifier(public), algorithm)
        except (WireError, ValueError) as error:
            raise Rejected(f"enrolment: {error}") from error
        if enrolment.nonce != nonce:
            raise Rejected("enrolment: answers another nonce: ask the device again")
        return enrolment

    def _before(self, enrolment: records.Enrolment, role: str, pod: str) -> Party | None:
        """The registered key that introduces this one; None for a first key. Rejected if it has no place."""
        known = {party.generation: party for party in self._store.parties() if party.id == enrolment.device}
        if enrolment.generation in known:
            raise Rejected(f"enrolment: generation {enrolment.generation} of this device is registered already")
        if enrolment.generation == 1:
            return None
        before = known.get(enrolment.generation - 1)
        if before is None:
            raise Rejected(f"enrolment: generation {enrolment.generation - 1} of this device is not registered")
        if (before.role, before.pod) != (role, pod):
            raise Rejected(f"enrolment: the key before it is of {before.role} {before.pod}")
        verifier(enrolment.public_key)
        return before

    def admit(self, party: Party) -> None:
        """Keeps a key, puts its entry into the tree of keys, makes it known."""
        with self._store.writing():
            self._store.register(party)
            self._trees.append(records.TREE_KEYS, party.entry)
            self._place(party)
        self._collect.admit(party)

    def _place(self, party: Party) -> None:
        """Says what a key is for and where its device stands (rule 2)."""
        body = text(
            {
                "format": "lightnode-placement/1", "device": party.id.hex(), "generation": party.generation,
                "role": party.role, "pod": party.pod, "salt": os.urandom(32).hex(),
            }
        )  # fmt: skip
        name, time_ms = f"{party.id.hex()}/{party.generation}", envelope.peek(party.entry).time_ms
        self._trees.add_document(records.TREE_KEYS, "placement", name, 1, body, time_ms)

    def revoke(self, id: bytes, generation: int, now_ms: int) -> bytes:
        """Ends a key (rule 3); the sealed entry. Rejected if there is no such key, or it has been revoked."""
        known = {(party.id, party.generation): party for party in self._store.parties()}
        if (id, generation) not in known:
            raise Rejected(f"revoke: no key {generation} of {id.hex()} is registered")
        approved = envelope.peek(known[id, generation].entry)
        entry = approved._replace(action=records.REVOKE, salt=os.urandom(16), time_ms=now_ms)
        sealed: bytes = envelope.seal(entry, self._deployment, self._log_key.sign)
        with self._store.writing():
            if not self._store.revoke(id, generation, now_ms, sealed):
                raise Rejected(f"revoke: key {generation} of {id.hex()} is revoked already")
            self._trees.append(records.TREE_KEYS, sealed)
        self._collect.retire(id, generation)
        return sealed

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


def _is_of(sealed: bytes, deployment: bytes, party: Party) -> bool:
    try:
        envelope.open_sealed(sealed, deployment, verifier(party.public), party.algorithm)
    except (WireError, ValueError):
        return False
    return True
