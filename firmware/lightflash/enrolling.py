"""One device on a cable from written to enrolled: settings, its own keys, its statement, its certificate; then it starts.

1. The keys are made on the device and stay there. What is asked of it is answered again with the same keys, so every step
   can be repeated after a pulled cable: there is never a second identity.
2. What the device says is verified here before anything is made of it: statement, nonce, id, the request's key and name.
3. The order is: settings and the broker's authority on the device, its answer, the statement in the outbox, the certificate
   on the device, start. So no device is in service that the outbox does not name.
4. The device's log names it as begun before the first step changes it, and as done at the end.
5. No secret passes here but the network's password, which goes from its file to the device and is nowhere shown or kept.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lightnode import settings as device_settings
from lightwire import envelope, records, topics
from lightwire.errors import WireError

from lightflash.board import Board
from lightflash.device_log import DONE, HALF, REFUSED, UNTOUCHED, DeviceLog, Entry
from lightflash.errors import FlashError, PartMissing
from lightflash.key import is_signed
from lightflash.kit import Kit, fingerprint, read_request
from lightflash.outbox import Outbox, Statement
from lightflash.transport import Identity, Transport
from lightflash.writing import is_board

IDENTIFY, SETTINGS, KEYS, CERTIFICATE, START = "identify", "settings", "keys", "certificate", "start"
ENROL = "enrol"
CONFIG = "/config.json"
_ANSWER_S = 60.0
_MARK = "answer: "
_SCRIPT = """
import json, sys
from lightboot import state
s = state.read({root!r})[0]
sys.path.insert(0, {root!r} + '/' + state.SLOTS[s.active if s and s.active else 1])
from lightnode import board, enrolment, settings
from lightnode.errors import NodeError
try:
    a = enrolment.enrol(settings.load({config!r}), board.load(), bytes.fromhex({nonce!r}))
except (NodeError, OSError) as e:
    a = {{'refused': str(e)}}
print({mark!r} + json.dumps(a))
"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. settings: the file for the device, and the same checked; password: of the wireless network, b""
    if there is none."""

    name: str
    pod: str
    where: str
    board: Board
    kit: Kit
    content: bytes
    settings: device_settings.Settings
    password: bytes = b""

    def __repr__(self) -> str:
        return f"Order({self.name}, {self.pod})"


def enrol(order: Order, transport: Transport, log: DeviceLog, outbox: Outbox, say: Say) -> Statement:
    """The device's statement; it is in the outbox, and the device starts with its certificate. FlashError, which the log has too."""
    enrolling = _Enrolling(order, transport, log, outbox, say)
    try:
        return enrolling.run()
    except FlashError as error:
        raise enrolling.stopped(error) from error
    finally:
        transport.close()


class _Enrolling:
    def __init__(self, order: Order, transport: Transport, log: DeviceLog, outbox: Outbox, say: Say) -> None:
        self._order = order
        self._transport = transport
        self._log = log
        self._outbox = outbox
        self._say = say
        self._step = IDENTIFY
        self._entry = Entry("", order.name, order.board.name, order.where)

    def run(self) -> Statement:
        """Rule 3."""
        order, value = self._order, self._order.settings.value
        self._begin(IDENTIFY)
        self._entry = self._identified(self._transport.identify())
        self._begin(SETTINGS)
        self._save(self._entry.with_begun(ENROL))
        files = {value("broker.ca"): order.kit.ca, CONFIG: order.content}
        if order.password:
            files[value("network.password_file")] = order.password
        self._write(files)
        self._begin(KEYS)
        statement = self._stated()
        self._outbox.save(statement)
        self._entry = replace(self._entry, pod=order.pod)
        self._begin(CERTIFICATE)
        if not statement.certificate:
            station = topics.station(bytes.fromhex(statement.device))
            certificate = order.kit.certify(bytes.fromhex(statement.request), station)
            statement = replace(statement, certificate=certificate.hex())
            self._outbox.save(statement)
        self._write({value("broker.cert"): bytes.fromhex(statement.certificate)})
        self._begin(START)
        self._transport.reset()
        digest = hashlib.sha256(order.content + bytes.fromhex(statement.certificate)).hexdigest()
        self._save(replace(self._entry.with_done(ENROL, digest), state=DONE, begun="", cause="", cure=""))
        return statement

    def stopped(self, error: FlashError) -> FlashError:
        """The error with port and device; the log has it (rule 4)."""
        found = error.at(port=self._order.where, device=self._order.name)
        if self._entry.begun:
            cure = found.cure or "run the same command again"
            self._save(replace(self._entry, state=HALF, step=f"{ENROL}: {self._step}", cause=found.cause, cure=cure))
        elif self._entry.state != DONE:
            state = UNTOUCHED if isinstance(error, PartMissing) or error.exit_code in (3, 4) else REFUSED
            self._log.note(replace(self._entry, state=state, step=found.step, cause=found.cause, cure=found.cure))
        return found

    def _begin(self, step: str) -> None:
        self._step = step
        self._say(step)

    def _save(self, entry: Entry) -> None:
        self._entry = entry
        self._log.save(entry)

    def _identified(self, identity: Identity) -> Entry:
        order = self._order
        if not is_board(order.board, identity):
            cause = f"this is {identity.what or 'no known board'}, not {order.board.name}"
            raise FlashError(IDENTIFY, cause, "name the right --board")
        device = identity.unique_id or f"at-{order.where}"
        known = self._log.entry(device)
        if known is not None and known.name != order.name:
            cause = f"device {device} is {known.name} in the log"
            raise FlashError(IDENTIFY, cause, "are two cables exchanged? else give that name")
        if known is not None and known.pod not in ("", order.pod):
            raise FlashError(IDENTIFY, f"{order.name} is for POD {known.pod} in the log", "name that POD")
        entry = known or Entry(device, order.name, order.board.name)
        return replace(entry, port=order.where)

    def _write(self, files: Mapping[str, bytes]) -> None:
        """Those that differ, read back."""
        found = self._transport.hashes(list(files))
        for path, content in files.items():
            if found.get(path) != hashlib.sha256(content).hexdigest():
                self._transport.write_file(path, content, lambda _at, _of: None)

    def _stated(self) -> Statement:
        """Rule 2. The device that is known here answers its own nonce again, another one a nonce that is free."""
        order = self._order
        nonce = self._nonce_of_name() or self._outbox.free_nonce(order.kit.id, order.pod, order.kit.pods[order.pod])
        said = self._asked(nonce)
        known = self._outbox.statement(said["device"])
        self._outbox.check(said["device"], order.pod)
        if known is not None and known.kit == order.kit.id and known.nonce != nonce.hex():
            nonce = bytes.fromhex(known.nonce)
            said = self._asked(nonce)
        statement = checked(said, nonce, order)
        if known is None or known.kit != order.kit.id:
            return statement
        same = (known.public_key, known.tls_key_sha256) == (statement.public_key, statement.tls_key_sha256)
        return known if same else statement

    def _nonce_of_name(self) -> bytes:
        order = self._order
        mine = [
            one
            for one in self._outbox.statements()
            if (one.kit, one.pod, one.name) == (order.kit.id, order.pod, order.name)
        ]
        return bytes.fromhex(mine[0].nonce) if mine else b""

    def _asked(self, nonce: bytes) -> Mapping[str, Any]:
        root = self._order.settings.value("update.root")
        script = _SCRIPT.format(root=root, config=CONFIG, nonce=nonce.hex(), mark=_MARK)
        try:
            printed = self._transport.run(script, _ANSWER_S)
        except FlashError as error:
            if "ImportError" in error.cause or "no module" in error.cause:
                raise FlashError(KEYS, "the application is not on the board", "run `write` first") from error
            raise
        lines = [line.removeprefix(_MARK) for line in printed.splitlines() if line.startswith(_MARK)]
        try:
            said = json.loads(lines[-1])
            if "refused" in said:
                raise FlashError(
                    KEYS,
                    f"the device says: {str(said['refused'])[:200]}",
                    "correct that and run the same command again",
                )
            if not isinstance(said, dict) or not isinstance(said["device"], str):
                raise ValueError("no answer")
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise FlashError(
                KEYS, "the device did not answer as one that enrols", "write the application again"
            ) from error
        found: Mapping[str, Any] = said
        return found


def checked(said: Mapping[str, Any], nonce: bytes, order: Order) -> Statement:
    """What a device answered, verified (rule 2). FlashError if any of it does not hold."""
    try:
        sealed, request = bytes.fromhex(said["enrolment"]), bytes.fromhex(said["request"])
        claimed = envelope.peek(sealed)
        if not isinstance(claimed, records.Enrolment):
            raise _wrong("it is no enrolment")
        if claimed.generation == 1:
            verify = lambda digest, signature: is_signed(claimed.public_key, digest, signature)  # noqa: E731
            envelope.open_sealed(sealed, order.kit.deployment, verify)
    except (WireError, ValueError, KeyError, TypeError) as error:
        raise _wrong("its signature does not hold") from error
    key, name = read_request(request)
    if claimed.nonce != nonce:
        raise _wrong("it answers another nonce")
    if claimed.generation == 1 and hashlib.sha256(claimed.public_key).digest()[:8] != claimed.device:
        raise _wrong("its id is not that of its key")
    if claimed.device.hex() != said["device"] or name != topics.station(claimed.device):
        raise _wrong("it names two devices")
    if claimed.tls_fingerprint != fingerprint(key):
        raise _wrong("its certificate request is of another key")
    return Statement(
        said["device"], order.name, order.board.name, order.kit.id, order.pod, nonce.hex(), claimed.generation,
        claimed.level, claimed.public_key.hex(), claimed.tls_fingerprint.hex(), sealed.hex(), request.hex(),
    )  # fmt: skip


def _wrong(cause: str) -> FlashError:
    return FlashError(
        KEYS, f"the device's statement is refused: {cause}", "write the application again, then the same command"
    )
