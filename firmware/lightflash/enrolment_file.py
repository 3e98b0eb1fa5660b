"""What a device said when it was enrolled, as a file of the outbox: who signs, and with which TLS key it comes.

1. The entry of the register that `sync` brought counts with the signature of the log key.
2. Without one the enrolment counts with its own signature for this deployment, if the device id is that of its first key.
"""

import hashlib
import json
from pathlib import Path

from lightwire import envelope, records
from lightwire.errors import WireError

from lightflash.back_end import Registered
from lightflash.errors import FlashError
from lightflash.key import is_signed
from lightflash.nesting import shallow

_LARGEST = 16_384


def registered(path: Path, deployment: bytes, log_key: bytes) -> Registered:
    """What the file says of the device; FlashError if neither rule holds."""
    try:
        with path.open("rb") as file:
            document = json.loads(shallow(file.read(_LARGEST)))
        if document.get("entry"):
            return _entry(bytes.fromhex(document["entry"]), deployment, log_key)
        return _enrolment(bytes.fromhex(document["enrolment"]), deployment)
    except OSError as error:
        raise FlashError(
            "enrolment", f"{path} cannot be read ({error.strerror})", "name its file of the outbox"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, WireError) as error:
        cause = f"{path} is no enrolment of a first key in this deployment ({error})"
        raise FlashError("enrolment", cause, "name its file of the outbox, or give --database") from error


def _entry(sealed: bytes, deployment: bytes, log_key: bytes) -> Registered:
    """Rule 1."""
    made = envelope.open_sealed(sealed, deployment, lambda d, s: is_signed(log_key, d, s))
    if not isinstance(made, records.RegistryEntry):
        raise ValueError("its entry is another record")
    return Registered(made.public_key, made.generation, made.tls_fingerprint)


def _enrolment(sealed: bytes, deployment: bytes) -> Registered:
    """Rule 2."""
    claimed = envelope.peek(sealed)
    if not isinstance(claimed, records.Enrolment):
        raise ValueError("it is another record")
    made = envelope.open_sealed(sealed, deployment, lambda d, s: is_signed(claimed.public_key, d, s))
    if made.device != hashlib.sha256(made.public_key).digest()[:8]:
        raise ValueError("its id is not that of its key")
    return Registered(made.public_key, made.generation, made.tls_fingerprint, by="its enrolment, not registered yet")
