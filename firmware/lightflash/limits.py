"""The limits of a commissioning, read from limits.toml: the one place where they stand.

1. Every check has a limit there, except those whose limits the installer gives.
2. A check that was not done has no value; nothing makes a value of it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lightflash.record import Check

GROUPS = ("meter", "clock", "broker", "signature", "acknowledgement", "set-point")
_FILE = Path(__file__).with_name("limits.toml")


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one check: low and high included, None where there is none; why: its reason or source."""

    name: str
    group: str
    unit: str
    low: int | None
    high: int | None
    why: str

    def measured(self, value: int, detail: str = "", cure: str = "") -> Check:
        """The check with what was measured; the cure is kept if it failed."""
        made = Check(self.name, value, self.unit, self.low, self.high, detail)
        return made if made.passed else Check(*_facts(made), cure)

    def not_done(self, reason: str, cure: str = "") -> Check:
        """The check as it stands when nothing could be measured (rule 2)."""
        return Check(self.name, None, self.unit, self.low, self.high, reason, cure)


@cache
def limits() -> Mapping[str, Limit]:
    """By name, in the order of the record."""
    rows = tomllib.loads(_FILE.read_text())["check"]
    return {
        row["name"]: Limit(row["name"], row["group"], row["unit"], row.get("low"), row.get("high"), row["why"])
        for row in rows
    }


def _facts(made: Check) -> tuple[str, int | None, str, int | None, int | None, str]:
    return made.name, made.value, made.unit, made.low, made.high, made.detail
