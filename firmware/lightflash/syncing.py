"""What the outbox holds, brought to the operator's back end over its broker, and what the register says, brought back.

1. The technician's session has a key that is made for it and a certificate of the kit; the broker lets it speak for its
   kit only.
2. Each statement is sent and answered on its own; what was answered is in the outbox before the next is sent. So it goes on
   where it was cut, and once all is answered it sends nothing.
3. `registered` is believed only with the register's entry: signed by the operator's log key, over both fingerprints and the
   device's own statement.
4. Every wait ends: a statement that is not answered in time stays as it is, which is Pending.
"""

import json
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lightwire import envelope, records
from lightwire.errors import WireError

from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.key import is_signed
from lightflash.kit import Kit
from lightflash.nesting import shallow
from lightflash.outbox import REFUSED, REGISTERED, Outbox, Statement

_STEP = "sync"
_ROOT = "ln/1/kit/"
_LARGEST = 16_384
_CONNECT_S = 15.0
_CURE = "run sync again later; the devices go on meanwhile"


def sync(kit: Kit, outbox: Outbox, timeout_s: float, say: Callable[[Statement], None]) -> list[Statement]:
    """Every statement of the kit, settled as far as it was answered. PartMissing without a broker, Pending without answers."""
    mine = [one for one in outbox.statements() if one.kit == kit.id]
    waiting = [one for one in mine if one.state != REGISTERED]
    settled = {(one.device, one.is_rotation, one.generation): one for one in mine}
    if waiting:
        with _session(kit) as ask:
            for statement in waiting:
                said = ask(statement, timeout_s)
                if said.get("outcome") == REGISTERED:
                    check_entry(statement, said.get("entry", ""), kit)
                done = outbox.settle(statement, said)
                settled[done.device, done.is_rotation, done.generation] = done
                say(done)
    return list(settled.values())


def check_entry(statement: Statement, entry: str, kit: Kit) -> None:
    """Rule 3. FlashError if the entry is not the register's, of this device."""
    try:
        found = envelope.open_sealed(
            bytes.fromhex(entry), kit.deployment, lambda digest, signature: is_signed(kit.log_key, digest, signature)
        )
        is_it = isinstance(found, records.RegistryEntry) and (
            found.device.hex(), found.public_key.hex(), found.tls_fingerprint.hex(), found.operator.hex()
        ) == (statement.device, statement.public_key, statement.tls_key_sha256, kit.settings["operator"])  # fmt: skip
    except (WireError, ValueError) as error:
        raise FlashError(_STEP, "what answers is not the operator's register", _CURE, device=statement.name) from error
    if not is_it:
        raise FlashError(_STEP, "the register's entry is of another key", _CURE, device=statement.name)


@contextmanager
def _session(kit: Kit) -> Iterator[Callable[[Statement, float], Mapping[str, str]]]:
    """Rule 1: ask(statement, timeout_s) over a session that is there meanwhile."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    said: SimpleQueue[bytes] = SimpleQueue()
    ready: SimpleQueue[int] = SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"kit-{kit.id}-{os.urandom(4).hex()}")
    client.tls_set_context(_context(kit))
    client.on_message = lambda _client, _data, message: said.put(bytes(message.payload))
    client.on_connect = lambda client, *_: client.subscribe(f"{_ROOT}{kit.id}/enrolled", 1)
    client.on_subscribe = lambda *_: ready.put(1)
    try:
        client.connect(kit.host, kit.port, keepalive=30)
        client.loop_start()
        ready.get(timeout=_CONNECT_S)
    except (OSError, Empty) as error:
        client.loop_stop()
        where = f"{kit.host}:{kit.port}"
        raise PartMissing(
            _STEP, f"the broker {where} cannot be reached ({str(error)[:80] or 'no session'})", _CURE
        ) from error

    def ask(statement: Statement, timeout_s: float) -> Mapping[str, str]:
        fields = {key: getattr(statement, key) for key in ("pod", "nonce", "enrolment", "request")}
        client.publish(f"{_ROOT}{kit.id}/enrol", json.dumps(fields), 1)
        try:
            while True:
                answer = _answer(said.get(timeout=timeout_s))
                if answer.get("nonce") == statement.nonce:
                    return answer
        except Empty:
            cause = f"the back end has not answered within {timeout_s:g} s"
            raise Pending(_STEP, cause, _CURE, device=statement.name) from None

    try:
        yield ask
    finally:
        client.disconnect()
        client.loop_stop()


def _answer(payload: bytes) -> Mapping[str, Any]:
    """Texts by name; empty for anything that is no answer."""
    try:
        found = json.loads(shallow(payload)) if len(payload) <= _LARGEST else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return {}
    return found if found.get("outcome") in (REGISTERED, REFUSED) else {}


def _context(kit: Kit) -> ssl.SSLContext:
    """TLS with a key that nobody has after this (rule 1); its file, readable by the owner only, is gone at once."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = kit.vouch(key.public_key(), f"kit/{kit.id}")
    context = ssl.create_default_context(cadata=kit.ca)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        path = Path(folder) / "session.pem"
        path.touch(0o600)
        path.write_bytes(ssl.DER_cert_to_PEM_cert(certificate).encode() + secret)
        context.load_cert_chain(path)
    return context
