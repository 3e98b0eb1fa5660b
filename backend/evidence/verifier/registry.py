"""The keys of a bundle: who may sign what, and when.

1. Each entry is signed with the log key, names this operator and stands in the tree of keys (5) by its receipt.
2. Approve brings generation 1 of an id; rotate brings the next generation, introduced by the key before it;
   revoke ends a key at the time of the entry. No key twice.
3. Keys of devices introduce themselves (enrolment), the issuer of set-points is the operator's own and has none.
4. The id of a device is that of its first key. There is one light node; a key signs only what its role signs.
5. A message counts only inside the validity of its key, and only if it was anchored before the key was revoked: in no later
   epoch than that of the revocation.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message, PublicKey, parse_payload, read_message, signed, split
from backend.evidence.verifier.receipt import Anchored, Receipts
from backend.evidence.verifier.sheet import octets, record

TREE_KEYS = 5
NODE, AGENT, ISSUER = "node", "agent", "issuer"
_APPROVE, _ROTATE, _REVOKE = 1, 2, 3
_ENROLMENT, _ENTRY = 11, 12
_SIGNERS = {1: NODE, 2: NODE, 3: NODE, 4: NODE, 6: ISSUER, 7: NODE, 8: AGENT, 15: NODE, 16: NODE, 18: NODE}
_ID_FIELDS = {NODE: "device", AGENT: "agent", ISSUER: "issuer"}
_TIMES = {1: "time_ms", 2: "end_ms", 6: "not_before_ms", 8: "time_ms", 15: "time_ms", 16: "time_ms", 18: "time_ms"}
_UNTRUSTED_CLOCK = 1
_EPOCH_MS = 900_000
EARLIEST_UTC_MS = 10**12
"""Below this an instant is a device's monotonic time."""


@dataclass(frozen=True, slots=True)
class _Key:
    public: PublicKey
    role: str
    valid_from_ms: int
    valid_to_ms: int
    revoked_in: int | None = None


class Registry:
    """The registered keys; `open` is the only way from bytes to a message of a device, an agent or an issuer."""

    def __init__(self, deployment: bytes, receipts: Receipts, takes_promises: bool = False) -> None:
        self._deployment = deployment
        self._receipts = receipts
        self._check = receipts.check_or_promise if takes_promises else receipts.check
        self._keys: dict[tuple[bytes, int], _Key] = {}

    def read(self, rows: Sequence[Any]) -> list[Anchored]:
        """Takes the rows of a bundle; what their receipts prove."""
        anchored = []
        for k, row in enumerate(rows):
            where = f"keys[{k}]"
            record(row, ("role", "entry", "enrolment", "receipt"), where)
            if row["role"] not in (NODE, AGENT, ISSUER):
                raise NotValid(f"{where}, role", "is none of node, agent, issuer")
            raw = octets(row["entry"], f"{where}, entry")
            entry = read_message(raw, self._receipts.log_key, self._deployment, f"{where}, entry", _ENTRY)
            if entry.octets("operator") != self._receipts.operator:
                raise NotValid(f"{where}, entry", "is another operator's")
            self._take(entry, row["role"], octets(row["enrolment"], f"{where}, enrolment"), where)
            receipt = octets(row["receipt"], f"{where}, receipt")
            one = self._check(receipt, raw, TREE_KEYS, f"{where}, receipt")
            anchored += [one] if one is not None else []
        return anchored

    def node(self) -> bytes:
        """The id of the one light node."""
        found = {device for (device, _), key in self._keys.items() if key.role == NODE}
        if len(found) != 1:
            raise NotValid("keys", f"name {len(found)} light nodes, a POD has one")
        return found.pop()

    def open(self, raw: bytes, kind: int, where: str) -> Message:
        """The message in raw, signed by the registered key it names, in its role and inside its validity."""
        parts = split(raw, where)
        found, fields = parsed = parse_payload(parts[1], where)
        if found != kind:
            raise NotValid(where, f"is of kind {found}, kind {kind} belongs here")
        role = _SIGNERS[kind]
        identity = fields[_ID_FIELDS[role]], fields.get("generation", 1)
        key = self._keys.get(identity)  # type: ignore[arg-type]
        if key is None:
            raise NotValid(where, "its key is not registered in this bundle")
        if key.role != role:
            raise NotValid(where, f"is signed with the key of a {key.role}, that of a {role} belongs here")
        by = key.public, self._receipts.signature
        message = signed(raw, parts, parsed, by, self._deployment, where, kind)
        _check_validity(message, key, where)
        return message

    def placed(self) -> list[tuple[bytes, int, str]]:
        """(id, generation, role) of every key that was approved or rotated, in the order of the rows."""
        return [(id, generation, key.role) for (id, generation), key in self._keys.items()]

    def key_of(self, statement: Message) -> PublicKey:
        """The key that signed a statement which was opened."""
        return self._keys[statement.octets("device"), statement.number("generation")].public

    def check_times(self, statement: Message, first_ms: int, last_ms: int, where: str) -> None:
        """NotValid unless both instants are inside the validity of a statement's key."""
        key = self._keys[statement.octets("device"), statement.number("generation")]
        for time_ms in (first_ms, last_ms):
            if not key.valid_from_ms <= time_ms <= key.valid_to_ms:
                raise NotValid(where, _outside(key, time_ms))

    def check_anchored(self, message: Message, anchored: Anchored | None, where: str) -> None:
        """NotValid if a message was anchored after its key was revoked, or is not yet (rule 5)."""
        identity = message.octets(_ID_FIELDS[_SIGNERS[message.kind]]), message.fields.get("generation", 1)
        key = self._keys.get(identity)  # type: ignore[arg-type]
        if key is None or key.revoked_in is None:
            return
        if anchored is None or anchored.epoch > key.revoked_in:
            raise NotValid(where, f"is not anchored before epoch {key.revoked_in}, in which its key was revoked")

    def _take(self, entry: Message, role: str, enrolled: bytes, where: str) -> None:
        action, device, generation = entry.number("action"), entry.octets("device"), entry.number("generation")
        public = PublicKey(entry.number("algorithm"), entry.octets("public_key"))
        there = self._keys.get((device, generation))
        if action == _REVOKE:
            self._revoke(entry, role, there, enrolled, where)
            return
        if there is not None:
            raise NotValid(where, "brings a key a second time")
        before = self._keys.get((device, generation - 1))
        if (action == _APPROVE) != (generation == 1) or (action == _ROTATE and (before is None or before.role != role)):
            raise NotValid(where, "approves a later key, or rotates from a key that is not here")
        if generation == 1 and hashlib.sha256(public.public).digest()[:8] != device:
            raise NotValid(where, "the id is not that of its first key")
        self._check_enrolment(entry, role, enrolled, before, where)
        self._keys[device, generation] = _Key(public, role, entry.number("valid_from_ms"), entry.number("valid_to_ms"))

    def _revoke(self, entry: Message, role: str, key: _Key | None, enrolled: bytes, where: str) -> None:
        if key is None or key.role != role or enrolled or key.public.public != entry.octets("public_key"):
            raise NotValid(where, "revokes a key that is not here before it")
        time_ms = entry.number("time_ms")
        ended = replace(key, valid_to_ms=min(key.valid_to_ms, time_ms), revoked_in=time_ms // _EPOCH_MS)
        self._keys[entry.octets("device"), entry.number("generation")] = ended

    def _check_enrolment(self, entry: Message, role: str, raw: bytes, before: _Key | None, where: str) -> None:
        if (role == ISSUER) == bool(raw):
            raise NotValid(f"{where}, role", "is issuer with an enrolment, or a device's without one")
        if not raw:
            if any(entry.octets("enrolment")):
                raise NotValid(where, "the enrolment that the entry approves is missing")
            return
        place = f"{where}, enrolment"
        own = PublicKey(entry.number("algorithm"), entry.octets("public_key"))
        enrolment = read_message(raw, own if before is None else before.public, self._deployment, place, _ENROLMENT)
        same = all(enrolment.fields[n] == entry.fields[n] for n in ("device", "generation", "algorithm", "public_key"))
        if enrolment.payload_digest != entry.octets("enrolment") or not same:
            raise NotValid(where, "the entry approves another enrolment")


def _check_validity(message: Message, key: _Key, where: str) -> None:
    if message.kind not in _TIMES or ("flags" in message.fields and message.number("flags") & _UNTRUSTED_CLOCK):
        return
    time_ms = message.number(_TIMES[message.kind])
    if message.kind == 2 and time_ms < EARLIEST_UTC_MS:
        return
    if not key.valid_from_ms <= time_ms <= key.valid_to_ms:
        raise NotValid(where, _outside(key, time_ms))


def _outside(key: _Key, time_ms: int) -> str:
    return f"its key is valid from {key.valid_from_ms} to {key.valid_to_ms}, the message is of {time_ms}"
