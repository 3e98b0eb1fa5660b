"""Pure: what a fleet said it produced against what the back end exports.

1. A produced line is *stored* when the export has its identity (device, boot, seq) with the same power, and the same time
   if the time was trusted; *altered* when it has the identity with another content; *lost* when it does not have it.
2. An identity is *duplicated* when it is produced or exported more than once, *foreign* when nobody produced it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lightwire.records import UNTRUSTED_CLOCK

Line = Mapping[str, Any]
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Account:
    """Counts, and the first few identities that are not as they should be, as text."""

    produced: int
    stored: int
    lost: int
    altered: int
    duplicated: int
    foreign: int
    named: tuple[str, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether every produced line is stored once, as it was, and nothing else is."""
        return self.produced == self.stored and not self.duplicated and not self.foreign


def account(produced: Iterable[Line], exported: Iterable[Line]) -> Account:
    """Every produced line accounted for (rules 1 and 2). Memory: about 300 bytes per exported line."""
    kept: dict[tuple[str, int, int], tuple[int | None, int]] = {}
    again: Counter[tuple[str, int, int]] = Counter()
    for line in exported:
        identity = line["device"], line["boot"], line["seq"]
        again[identity] += identity in kept
        kept[identity] = line["time_ms"], line["power_w"]
    seen: set[tuple[str, int, int]] = set()
    named: list[str] = []
    counts: Counter[str] = Counter()
    for line in produced:
        identity = line["device"], line["boot"], line["seq"]
        counts["produced"] += 1
        if identity in seen:
            again[identity] += 1
            continue
        seen.add(identity)
        what = _what(line, kept.get(identity))
        counts[what] += 1
        if what != "stored" and len(named) < _NAMED_AT_MOST:
            named.append(f"{what}: device {identity[0]} boot {identity[1]} seq {identity[2]}")
    duplicated = sum(again.values())
    return Account(
        counts["produced"], counts["stored"], counts["lost"], counts["altered"], duplicated,
        sum(identity not in seen for identity in kept), tuple(named),
    )  # fmt: skip


def _what(line: Line, kept: tuple[int | None, int] | None) -> str:
    if kept is None:
        return "lost"
    timed = line["flags"] & UNTRUSTED_CLOCK or kept[0] == line["time_ms"]
    return "stored" if timed and kept[1] == line["power_w"] else "altered"
