"""What the agent must not forget, in one file that is always either the old or the new one.

1. boot rises at each start, seq with each execution; a command number is on disk before the set-point is acted on.
2. An execution stays in the outbox until the broker has it.
3. A damaged file stops the agent: it is never taken for "no set-points".
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.acceptance import Accepted, Refusal, Trust, open_point
from edge_agent.errors import AgentError
from edge_agent.nesting import depth

_DEEPEST = 4
_NAME = "agent-state.json"


@dataclass(slots=True)
class Held:
    """An accepted set-point and the execution states already reported for it."""

    accepted: Accepted
    reported: set[int] = field(default_factory=set)


@dataclass(slots=True)
class State:
    """boot and seq of our own records, the last command number, what is held, what is still to be sent (by seq)."""

    path: Path
    boot: int = 0
    seq: int = 0
    last_command: int = 0
    held: list[Held] = field(default_factory=list)
    outbox: dict[int, bytes] = field(default_factory=dict)

    def save(self) -> None:
        """On disk when it returns; AgentError if the disk does not take it."""
        document = {
            "boot": self.boot,
            "seq": self.seq,
            "last_command": self.last_command,
            "held": [{"setpoint": h.accepted.sealed.hex(), "reported": sorted(h.reported)} for h in self.held],
            "outbox": {str(seq): sealed.hex() for seq, sealed in self.outbox.items()},
        }
        new = self.path.with_suffix(".new")
        try:
            with new.open("w") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            new.rename(self.path)
        except OSError as error:
            raise AgentError(f"{new}: {error.strerror}: the agent needs room and the right to write there") from error


def open_state(folder: Path, trust: Trust) -> State:
    """The state in the folder, a new one if there is none; AgentError if it is damaged or not ours."""
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        document = _parsed(path.read_text())
        return State(
            path,
            int(document["boot"]),
            int(document["seq"]),
            int(document["last_command"]),
            [_held(row, trust) for row in document["held"]],
            {int(seq): bytes.fromhex(sealed) for seq, sealed in document["outbox"].items()},
        )
    except FileNotFoundError:
        return State(path)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise AgentError(f"{path} is damaged ({error}): look at the device, then remove the file") from error
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}") from error


def _parsed(text: str) -> Any:
    """JSON as the agent writes it, four deep."""
    if depth(text) > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    return json.loads(text)


def _held(row: Any, trust: Trust) -> Held:
    found = open_point(bytes.fromhex(row["setpoint"]), trust)
    if isinstance(found, Refusal):
        raise ValueError(f"held set-point: {found}")
    return Held(found, {int(v) for v in row["reported"]})
