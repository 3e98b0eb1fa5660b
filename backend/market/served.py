"""The orders of a quarter-hour while they are served: what stands at each POD, who is out and why; and its text, to be kept.

1. The text holds everything that serving goes on from: after `text_of` and `serving_of` the same set-points follow.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from backend.domain.trade import Plan
from backend.market.dispatch import Ability, Call, Dispatched, Part


class Why(StrEnum):
    """Why a POD is out."""

    NO_NODE = "it has no light node"
    REFUSED = "its light node refused"
    FAILED = "its energy manager failed"
    SILENT = "no answer in time"


@dataclass(frozen=True, slots=True)
class Outage:
    """A POD that does not deliver in a quarter-hour. lost_w: what it had (W, positive); detail: the node's reason."""

    pod: str
    why: Why
    detail: str
    lost_w: int
    noticed_ms: int


@dataclass(slots=True)
class Serving:
    """A quarter-hour under way. sent: id (16 bytes) and instant of the set-point that stands at each POD; attempts: the number
    of the last one, from 0; outages: in order of notice."""

    abilities: Mapping[str, Ability]
    now: Dispatched
    sent: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)


def text_of(serving: Serving) -> str:
    """Everything of it as one line of JSON (rule 1)."""
    document = {
        "abilities": [asdict(ability) for ability in serving.abilities.values()],
        "now": asdict(serving.now),
        "sent": {pod: [id.hex(), sent_ms] for pod, (id, sent_ms) in serving.sent.items()},
        "attempts": serving.attempts,
        "outages": [asdict(outage) for outage in serving.outages],
    }
    return json.dumps(document, separators=(",", ":"))


def serving_of(text: str) -> Serving:
    """What `text_of` wrote."""
    row = json.loads(text)
    now = row["now"]
    plans = tuple(Plan(**{**plan, "orders": tuple(plan["orders"])}) for plan in now["plans"])
    return Serving(
        abilities={one["pod"]: Ability(**one) for one in row["abilities"]},
        now=Dispatched(now["frame"], tuple(_part(part) for part in now["parts"]), plans, tuple(now["out"])),
        sent={pod: (bytes.fromhex(id), sent_ms) for pod, (id, sent_ms) in row["sent"].items()},
        attempts=row["attempts"],
        outages=[Outage(**{**one, "why": Why(one["why"])}) for one in row["outages"]],
    )


def _part(row: Mapping[str, Any]) -> Part:
    return Part(Call(**row["call"]), row["parts_w"], row["short_w"])
