"""The interface and byte code of AnchorLog as they were built and committed (build.json); a test builds them again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Build:
    """What the compiler made of the contract."""

    compiler: str
    abi: list[dict[str, Any]]
    bytecode: str


def anchor_log() -> Build:
    """The committed build."""
    document = json.loads((FOLDER / "build.json").read_text())
    return Build(document["compiler"], document["abi"], document["bytecode"])
