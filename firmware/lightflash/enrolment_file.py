"""The enrolment of a device as a file, as the device printed it: who signs, and with which certificate it comes.

1. It counts only with its own signature for this deployment, and only if the device id is that of its first key.
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


def registered(path: Path, deployment: bytes) -> Registered:
    """What is registered with it: of a first key. FlashError by rule 1."""
    try:
        with path.open("rb") as file:
            document = json.loads(shallow(file.read(_LARGEST)))
        sealed = bytes.fromhex(document["enrolment"])
        claimed = envelope.peek(sealed)
        if not isinstance(claimed, records.Enrolment):
            raise ValueError("it is another record")
        made = envelope.open_sealed(sealed, deployment, lambda d, s: is_signed(claimed.public_key, d, s))
        if made.device != hashlib.sha256(made.public_key).digest()[:8]:
            raise ValueError("its id is not that of its key")
    except OSError as error:
        raise FlashError(
            "enrolment", f"{path} cannot be read ({error.strerror})", "name the device's enrolment"
        ) from error
    except (ValueError, KeyError, TypeError, WireError) as error:
        cause = f"{path} is no enrolment of a first key in this deployment ({error})"
        raise FlashError("enrolment", cause, "name the device's enrolment, or give --database") from error
    return Registered(made.public_key, made.generation, made.tls_fingerprint)
