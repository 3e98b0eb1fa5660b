"""An operator's kit for a technician: made, signed, and what its devices say of themselves taken into the register.

1. A kit is one JSON file: `body`, `signature` (by the log key over SHA-256 of `lightnode-kit/1`, a line feed and the body as
   JSON with sorted keys and no spaces) and `key`, the secret of the authority that vouches for its devices. It is valid for
   a time and for its PODs. Nothing else in it is secret.
2. Each nonce of it is for one POD and one device. Once answered it is that device's; the same statement again changes
   nothing and is answered as before.
3. A statement is taken from the kit that drew its nonce, for the nonce's POD, if the device's request for a certificate is
   of the TLS key that the statement names and of its station. Both fingerprints are registered in one entry.
4. Statements are taken until SYNC_MS after the kit's end, since a technician may have had no network: later ones, those of
   a closed kit and those before its beginning are refused; those that come after a kit was revoked, by that name.
5. A registered device states its next key so, too: signed by the key before it, its TLS key as it was, without a request. It
   is valid from the kit's beginning, since it cannot have been stated before.
6. A POD has one light node. A registered device that answers another kit for the same POD gets a new certificate only.
7. Any bytes are answered, with the register's sealed entry or one line that says why not.
"""

import datetime
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightwire import envelope, records, topics
from lightwire.errors import WireError

from backend.adapters.authority import make_authority, requested
from backend.adapters.keys import SigningKey
from backend.adapters.kits import KitRow, KitStore, NonceRow
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.flows.register import VALID_MS, Register
from backend.nesting import too_deep

DOMAIN = b"lightnode-kit/1\n"
SYNC_MS = 30 * 86_400_000
KIT_TOPICS = "ln/1/kit/"  # then the kit's id in hexadecimal; `enrol` to the back end, `enrolled` from it
ENROL_FILTER = KIT_TOPICS + "+/enrol"
_LARGEST = 16_384
_FIELDS = {"pod", "nonce", "enrolment", "request"}


@dataclass(frozen=True, slots=True)
class KitTerms:
    """What a kit is for. settings: what every device of the operator gets (deployment, operator, log_key, issuers, ...);
    broker: host, port and ca (hexadecimal DER); nonces: how many a POD gets."""

    settings: Mapping[str, object]
    broker: Mapping[str, object]
    pods: Sequence[str]
    from_ms: int
    to_ms: int
    nonces: int = 2


def make_kit(kits: KitStore, terms: KitTerms, log_key: SigningKey) -> tuple[bytes, bytes]:
    """(the kit's file, its authority's certificate in DER); kept before it is given out (rule 1)."""
    id = os.urandom(8)
    authority, secret = make_authority(f"lightnode kit {id.hex()}", terms.from_ms, terms.to_ms + VALID_MS)
    nonces = [NonceRow(os.urandom(16), id, pod, b"") for pod in terms.pods for _ in range(terms.nonces)]
    kits.add(KitRow(id, authority, terms.from_ms, terms.to_ms, False), nonces)
    pods: dict[str, list[str]] = {}
    for row in nonces:
        pods.setdefault(row.pod, []).append(row.nonce.hex())
    body = {
        "kit": id.hex(), "settings": dict(terms.settings), "broker": dict(terms.broker), "authority": authority.hex(),
        "from_ms": terms.from_ms, "to_ms": terms.to_ms, "pods": pods,
    }  # fmt: skip
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    signature = log_key.sign(hashlib.sha256(DOMAIN + canonical).digest())
    document = {"body": body, "signature": signature.hex(), "key": secret.hex()}
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), authority


class Enrolments:
    """Takes what the devices of kits say of themselves. Calls from one thread: the one that registers."""

    def __init__(self, store: SqliteStore, kits: KitStore, register: Register) -> None:
        self._store = store
        self._kits = kits
        self._register = register

    def answer(self, topic: str, payload: bytes, now_ms: int) -> tuple[str, bytes]:
        """(topic, payload) of the answer to a message on ENROL_FILTER (rule 7)."""
        try:
            nonce, said = "", {"outcome": "refused", "reason": "not a statement of a kit"}
            document = _document(payload)
            nonce = document["nonce"]
            party = self.take(_kit_of(topic), document, now_ms)
            said = {"outcome": "registered", "entry": party.entry.hex(), "generation": str(party.generation)}
        except Rejected as refusal:
            said = {"outcome": "refused", "reason": refusal.reason}
            self._store.add_finding(now_ms, f"refused: {refusal.reason}")
        answer = json.dumps({"nonce": nonce, **said}).encode()
        return topic.rpartition("/")[0] + "/enrolled", answer

    def take(self, kit: bytes, said: Mapping[str, str], now_ms: int) -> Party:
        """The device in the register, now or before. Rejected with the reason."""
        nonce, pod = _octets(said["nonce"], "nonce"), said["pod"]
        sealed, request = _octets(said["enrolment"], "enrolment"), _octets(said["request"], "request")
        row = self._nonce(kit, nonce, pod, now_ms)
        claimed = _claimed(sealed)
        if row.device and row.device != claimed.device:
            raise Rejected(f"enrolment: nonce {nonce.hex()} was used by device {row.device.hex()}")
        self._check_tls_key(claimed, request)
        with self._store.writing():
            party = self._registered(claimed, sealed, row, now_ms)
            self._kits.answered(nonce, claimed.device)
        return party

    def _check_tls_key(self, claimed: Any, request: bytes) -> None:
        """Rules 3 and 5."""
        if not request and claimed.generation > 1:
            known = [envelope.peek(p.entry).tls_fingerprint for p in self._store.parties() if p.id == claimed.device]
            if claimed.tls_fingerprint not in known:
                raise Rejected("rotation: the device's TLS key is not the registered one: enrol it again")
            return
        name, fingerprint = requested(request)
        if fingerprint != claimed.tls_fingerprint:
            raise Rejected("certificate request: it is of another key than the statement names")
        if name != topics.station(claimed.device):
            raise Rejected(f"certificate request: it is for {name[:40]}, not for {topics.station(claimed.device)}")

    def _nonce(self, id: bytes, nonce: bytes, pod: str, now_ms: int) -> NonceRow:
        """Rules 2 to 4."""
        kit, row = self._kits.kit(id), self._kits.nonce(nonce)
        if kit is None:
            raise Rejected(f"kit {id.hex()} is not ours")
        if kit.revoked_ms:
            raise Rejected(f"kit {id.hex()} was revoked on {_day(kit.revoked_ms)}: enrol the device with another kit")
        if kit.closed:
            raise Rejected(f"kit {id.hex()} is closed")
        if not kit.from_ms <= now_ms < kit.to_ms + SYNC_MS:
            raise Rejected(
                f"kit {id.hex()} is not valid now: its statements are taken {SYNC_MS // 86_400_000} days longer than it"
            )
        if row is None or row.kit != id:
            raise Rejected("enrolment: answers a nonce that is not of this kit")
        if row.pod != pod:
            raise Rejected(f"enrolment: answers a nonce for another POD than {pod[:40]}")
        return row

    def _since(self, row: NonceRow, claimed: Any) -> int:
        """From when a rotated key is valid (rule 5): not before the key that introduces it."""
        kit = self._kits.kit(row.kit)
        before = [p.valid_from_ms for p in self._store.parties() if p.id == claimed.device]
        return max(kit.from_ms if kit else 0, *before) if before else 0

    def _registered(self, claimed: Any, sealed: bytes, row: NonceRow, now_ms: int) -> Party:
        nonce, pod = row.nonce, row.pod
        parties = self._store.parties()
        for party in parties:
            if party.role == "node" and party.pod == pod and party.id != claimed.device:
                raise Rejected(f"enrolment: {pod} has light node {party.id.hex()}: revoke that one first")
        known = [p for p in parties if (p.id, p.generation) == (claimed.device, claimed.generation)]
        if not known:
            return self._register.approve(sealed, nonce, "node", pod, now_ms, self._since(row, claimed))
        if known[0].pod != pod or known[0].role != "node":
            raise Rejected(f"enrolment: device {claimed.device.hex()} is registered for another POD")
        self._register.check(sealed, nonce, known[0])
        return known[0]


def _claimed(sealed: bytes) -> Any:
    try:
        claimed = envelope.peek(sealed)
    except (WireError, ValueError) as error:
        raise Rejected(f"enrolment: {error}") from error
    if not isinstance(claimed, records.Enrolment):
        raise Rejected("not an enrolment")
    return claimed


def _document(payload: bytes) -> dict[str, str]:
    """Four texts; Rejected for any other bytes."""
    text = payload[:_LARGEST].decode(errors="replace")
    try:
        found = None if len(payload) > _LARGEST or too_deep(text) else json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != _FIELDS or not all(isinstance(v, str) for v in found.values()):
        raise Rejected("not a statement of a kit: exactly the texts enrolment, nonce, pod and request belong in it")
    return found


def _day(time_ms: int) -> str:
    return datetime.datetime.fromtimestamp(time_ms // 1000, datetime.UTC).date().isoformat()


def _kit_of(topic: str) -> bytes:
    return _octets(topic.split("/")[3], "kit")


def _octets(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Rejected(f"{name}: hexadecimal digits belong there") from error
