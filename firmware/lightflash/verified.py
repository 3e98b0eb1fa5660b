"""What a verification found, as a file: the beginning of a commissioning record, not signed yet.

1. A file gives what was written, or one line that names it; nothing else is taken.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightflash.errors import FlashError
from lightflash.nesting import shallow
from lightflash.record import Check, check_document, check_of
from lightflash.verify import Console, number, text, whom

FORMAT = "lightnode-verify/1"
_LARGEST = 65_536
_TEXTS = ("device", "public_key", "certificate_sha256", "firmware", "micropython", "meter_map")
_NUMBERS = ("generation", "meter_unit", "time_ms")


@dataclass(frozen=True, slots=True)
class Verified:
    """A device and its checks. device, public_key, certificate_sha256: hexadecimal; time_ms: UTC, when it was verified."""

    device: str
    public_key: str
    generation: int
    certificate_sha256: str
    firmware: str
    micropython: str
    meter_map: str
    meter_unit: int
    time_ms: int
    checks: tuple[Check, ...]

    def encode(self) -> bytes:
        """The file."""
        document: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        document["checks"] = [check_document(check) for check in self.checks]
        return (json.dumps({"format": FORMAT, **document}, indent=1) + "\n").encode()


def verified(device: Console, made: Sequence[Check], time_ms: int) -> Verified:
    """The checks with who the device says it is."""
    who, version, meter = whom(device), device.ask("version"), device.ask("meter", timeout_s=20.0)
    return Verified(
        text(who, "device"),
        text(who, "public_key"),
        number(who, "generation"),
        text(who, "certificate_sha256"),
        text(version, "firmware"),
        text(version, "python"),
        text(meter, "map"),
        number(meter, "unit"),
        time_ms,
        tuple(made),
    )


def read(path: Path) -> Verified:
    """Rule 1."""
    wrong = FlashError("record", f"{path} is no result of verify", "name the file that `verify --out` wrote")
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        document = json.loads(shallow(data)) if len(data) <= _LARGEST else None
    except OSError as error:
        cure = "name the file that `verify --out` wrote"
        raise FlashError("record", f"{path} cannot be read ({error.strerror})", cure) from error
    except ValueError as error:
        raise wrong from error
    if not isinstance(document, dict) or set(document) != {"format", *_TEXTS, *_NUMBERS, "checks"}:
        raise wrong
    if document["format"] != FORMAT or not isinstance(document["checks"], list) or not _has_forms(document):
        raise wrong
    values = {name: document[name] for name in (*_TEXTS, *_NUMBERS)}
    return Verified(**values, checks=tuple(check_of(entry) for entry in document["checks"]))


def _has_forms(document: Mapping[str, Any]) -> bool:
    texts = all(isinstance(document[name], str) for name in _TEXTS)
    return texts and all(isinstance(document[name], int) for name in _NUMBERS)
