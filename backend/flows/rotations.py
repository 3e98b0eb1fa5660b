"""The next key of a device, stated offline, into the register.

1. The operator draws a nonce for a registered light node. What answers it is signed by the key before it, which the register
   checks; the entry is signed by the log key.
2. A statement is handed in by any process of the database and taken by the back end that runs: nobody else registers. So it
   waits until one does. The same statement again changes nothing and is answered as before.
3. The new key is valid from when its nonce was drawn, since it cannot have been stated before: what the device measured with
   it before the register heard of it counts. The key before it stays valid: what was recorded under it still drains.
4. Any bytes are answered with one line that says why not.
"""

import json
import os
from dataclasses import replace
from typing import Any

from lightwire import envelope, records
from lightwire.errors import WireError

from backend.adapters.rotations import REFUSED, REGISTERED, WAITING, Rotation, RotationStore
from backend.adapters.sqlite import Party, SqliteStore
from backend.errors import Rejected
from backend.flows.register import Register
from backend.nesting import too_deep

FORMAT = "lightnode-rotation/1"
_FIELDS = {"format", "device", "generation", "nonce", "public_key", "deployment", "enrolment"}
_LARGEST = 1 << 16


def drawn(store: SqliteStore, rotations: RotationStore, device: bytes, now_ms: int) -> Rotation:
    """A nonce for the next key of a light node (rule 1). Rejected if it is not registered, or its last key is revoked."""
    newest(store, device)
    rotation = Rotation(os.urandom(16), device, now_ms)
    rotations.save(rotation)
    return rotation


def newest(store: SqliteStore, device: bytes) -> Party:
    """The registered key that signs for a light node. Rejected if there is none, or it was revoked."""
    keys = [party for party in store.parties() if (party.id, party.role) == (device, "node")]
    if not keys:
        raise Rejected(f"rotation: no light node {device.hex()} is registered")
    last = max(keys, key=lambda party: party.generation)
    if (device, last.generation) in store.revocations():
        raise Rejected(f"rotation: key {last.generation} of {device.hex()} is revoked: enrol the device again")
    return last


def handed_in(rotations: RotationStore, content: bytes) -> Rotation:
    """The rotation of a statement's file, which waits from now on, or what came of it (rule 2). Rejected."""
    nonce, sealed = _statement(content)
    found = rotations.rotation(nonce)
    if found is None:
        raise Rejected("rotation: answers a nonce that was not drawn here: `lightnode nodes nonce` draws one")
    if found.statement == sealed or (found.state == REGISTERED and _is_same(found.statement, sealed)):
        return found
    if found.state == REGISTERED:
        raise Rejected("rotation: another statement has answered this nonce and is registered")
    claimed = envelope.peek(sealed)
    if claimed.device != found.device:
        raise Rejected(f"rotation: the nonce is for device {found.device.hex()}, not for {claimed.device.hex()}")
    waiting = replace(found, statement=sealed, state=WAITING, reason="")
    rotations.save(waiting)
    return waiting


class Rotations:
    """Takes what was handed in. Calls from one thread: the one that registers."""

    def __init__(self, store: SqliteStore, rotations: RotationStore, register: Register) -> None:
        self._store = store
        self._rotations = rotations
        self._register = register

    def take(self, now_ms: int) -> list[Rotation]:
        """What came of each that waited."""
        return [self._taken(rotation, now_ms) for rotation in self._rotations.waiting()]

    def _taken(self, rotation: Rotation, now_ms: int) -> Rotation:
        try:
            with self._store.writing():
                last = newest(self._store, rotation.device)
                since = max(rotation.drawn_ms, last.valid_from_ms)
                self._register.approve(rotation.statement, rotation.nonce, "node", last.pod, now_ms, since)
            done = replace(rotation, state=REGISTERED)
        except Rejected as refusal:
            self._store.add_finding(now_ms, f"refused: {refusal.reason}")
            done = replace(rotation, state=REFUSED, reason=refusal.reason)
        self._rotations.save(done)
        return done


def _statement(content: bytes) -> tuple[bytes, bytes]:
    """(nonce, sealed enrolment) of a file; Rejected for any other bytes (rule 4)."""
    text = content[:_LARGEST].decode(errors="replace")
    try:
        found: Any = None if len(content) > _LARGEST or too_deep(text) else json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not set(found) >= _FIELDS:
        raise Rejected(f"rotation: no statement of the format {FORMAT}: `lightnode-flash rotate-key` makes it")
    try:
        nonce, sealed = bytes.fromhex(found["nonce"]), bytes.fromhex(found["enrolment"])
        claimed = envelope.peek(sealed)
    except (WireError, ValueError, TypeError) as error:
        raise Rejected(f"rotation: {error}") from error
    if not isinstance(claimed, records.Enrolment) or claimed.generation < 2:
        raise Rejected("rotation: it is no enrolment of a later key")
    return nonce, sealed


def _is_same(before: bytes, again: bytes) -> bool:
    """Whether both state the same key; the device's clock has gone on between them."""
    first, second = envelope.peek(before), envelope.peek(again)
    return bool(
        (first.device, first.generation, first.public_key) == (second.device, second.generation, second.public_key)
    )
