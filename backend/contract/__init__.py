"""Interfaces and byte code of the contracts as they were built and committed (build.json); a test builds them again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = ("AnchorLog", "DeviceAnchor")


@dataclass(frozen=True, slots=True)
class Build:
    """What the compiler made of a contract; bytecode: hexadecimal with 0x, the constructor's arguments follow it."""

    compiler: str
    abi: list[dict[str, Any]]
    bytecode: str


def anchor_log() -> Build:
    """One commitment per operator log and epoch."""
    return _committed("AnchorLog")


def device_anchor() -> Build:
    """A device's statement, anchored by anyone; for permissioned chains and disputes."""
    return _committed("DeviceAnchor")


def _committed(name: str) -> Build:
    document = json.loads((FOLDER / "build.json").read_text())
    made = document["contracts"][name]
    return Build(document["compiler"], made["abi"], made["bytecode"])
