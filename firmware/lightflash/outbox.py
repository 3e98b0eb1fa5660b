"""What devices said of themselves and the back end has not heard yet: a file per device, until `sync` has brought it.

1. A statement is on disk before its device gets a certificate: a device in service is always named here.
2. A nonce is used for one device. A POD has one device; another one for it is refused until the file of the first is gone.
   The next key of a device is a file of its own beside it.
3. A file is replaced whole; one that cannot be read is an error by name. None of it is secret.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lightflash.errors import FlashError
from lightflash.nesting import shallow

_STEP = "outbox"
_LARGEST = 1 << 16
WAITING, REGISTERED, REFUSED = "waiting", "registered", "refused"


@dataclass(frozen=True, slots=True)
class Statement:
    """Of one device, everything in hexadecimal: its id, public_key, fingerprint of its TLS key, the sealed statement, the
    request for a certificate (a rotation has none, the TLS key stays) and the certificate. entry: of the register, sealed;
    reason: why it was refused."""

    device: str
    name: str
    board: str
    kit: str
    pod: str
    nonce: str
    generation: int
    level: int
    public_key: str
    tls_key_sha256: str
    enrolment: str
    request: str
    certificate: str = ""
    state: str = WAITING
    reason: str = ""
    entry: str = ""

    @property
    def is_rotation(self) -> bool:
        """Of a later key, made in service."""
        return not self.request

    @property
    def line(self) -> str:
        """For a reader."""
        why = f": {self.reason}" if self.reason else ""
        key = f", key {self.generation}" if self.is_rotation else ""
        return f"{self.name} {self.device}{key}, POD {self.pod}, kit {self.kit}: {self.state}{why}"


class Outbox:
    """The files in a folder; made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def statement(self, device: str) -> Statement | None:
        """Of a device; FlashError if its file is damaged."""
        path = self._path(device)
        return _read(path) if path.exists() else None

    def statements(self) -> list[Statement]:
        """Every device's, by name."""
        found = [_read(path) for path in sorted(self.folder.glob("*.json"))]
        return sorted(found, key=lambda one: (one.name, one.device, one.is_rotation, one.generation))

    def rotations(self, device: str) -> list[Statement]:
        """Of one device, the oldest key first."""
        return [one for one in self.statements() if one.is_rotation and one.device == device]

    def free_nonce(self, kit: str, pod: str, nonces: tuple[bytes, ...]) -> bytes:
        """A nonce of a kit for a POD that no device here has (rule 2)."""
        used = {one.nonce for one in self.statements() if one.kit == kit and one.pod == pod}
        free = [nonce for nonce in nonces if nonce.hex() not in used]
        if not free:
            raise FlashError(_STEP, f"every nonce of kit {kit} for {pod} is used", "ask the operator for another kit")
        return free[0]

    def nonce_for(self, kit: str, pod: str, nonces: tuple[bytes, ...], device: str) -> str:
        """For a device's next key: a free one, else the one that the device answered before."""
        try:
            return self.free_nonce(kit, pod, nonces).hex()
        except FlashError:
            own = [one.nonce for one in self.statements() if (one.kit, one.device) == (kit, device)]
            if not own:
                raise
            return own[-1]

    def check(self, device: str, pod: str) -> None:
        """Rule 2 for a device that is to be enrolled."""
        for one in self.statements():
            if one.device == device and one.pod != pod:
                raise FlashError(_STEP, f"this device is enrolled for POD {one.pod}", "name that POD", device=one.name)
            if one.device != device and one.pod == pod and one.state != REFUSED:
                cure = f"another board? if that one is to be given up, move {self._path(one.device)} away"
                raise FlashError(_STEP, f"POD {pod} has device {one.device} ({one.name})", cure)

    def save(self, statement: Statement) -> None:
        """It is on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(statement.device, statement.generation if statement.is_rotation else 0)
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(asdict(statement), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def settle(self, statement: Statement, said: Mapping[str, str]) -> Statement:
        """The statement with what the register says to it, on disk. said: outcome, and entry or reason."""
        settled = replace(statement, state=said["outcome"], entry=said.get("entry", ""), reason=said.get("reason", ""))
        self.save(settled)
        return settled

    def _path(self, device: str, rotation: int = 0) -> Path:
        return self.folder / (f"{device}-{rotation}.json" if rotation else f"{device}.json")


def _read(path: Path) -> Statement:
    try:
        with path.open("rb") as file:
            found = Statement(**json.loads(shallow(file.read(_LARGEST))))
        for key, value in asdict(found).items():
            if not isinstance(value, int if key in ("generation", "level") else str):
                raise ValueError(f"{key} is of another kind")
        for key in ("device", "nonce", "public_key", "enrolment", "request", "certificate", "entry"):
            bytes.fromhex(getattr(found, key))
        return found
    except (ValueError, TypeError, RecursionError) as error:
        raise FlashError(_STEP, f"{path} is damaged ({error})", "move it away and enrol the device again") from error
