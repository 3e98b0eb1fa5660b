"""Day-ahead profiles per POD (I-03): what a BRP hands in, what it is answered, which stands when the baselines freeze.

1. A profile has one W (withdrawal positive) for every quarter-hour of its session, no other. One that has not is refused.
2. A POD has one BRP: the one it is registered with, else the first whose profile of it was taken.
3. Until the freeze a later profile takes the place of the one before. From then on every one is refused, whoever sends it;
   what stands is what offers are made from and settlement uses.
4. Every row of a file is answered; one that is wrong takes no other with it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.errors import Rejected
from backend.market.form import by_frame, fields, identity, numbers, read, rows, written

PROFILES, BASELINES = "lightnode-profiles/1", "lightnode-baselines/1"
_MOST_W = 10**12


class ProfileAnswer(StrEnum):
    """What a BRP is told of a profile."""

    TAKEN = "taken"
    AMENDED = "amended"
    FROZEN = "the baselines are frozen"
    NOT_OPEN = "the session takes no baselines"
    OUTSIDE = "a quarter-hour outside the session"
    INCOMPLETE = "a quarter-hour of the session is missing"
    NOT_THEIRS = "the POD is another BRP's"
    UNKNOWN = "the POD is not registered"
    MALFORMED = "malformed"


STANDS = (ProfileAnswer.TAKEN, ProfileAnswer.AMENDED)


@dataclass(frozen=True, slots=True)
class Profile:
    """I-03. W at one POD by quarter-hour, withdrawal positive."""

    pod: str
    frame_w: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """A profile that was taken: whose it is, the how manieth of its POD, and when it came (UTC ms)."""

    pod: str
    brp: str
    version: int
    received_ms: int
    frame_w: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Baselines:
    """All profiles that stand in a session, by POD; frozen_ms: from when on (UTC ms) nothing changes them any more."""

    session: str
    frozen_ms: int
    frozen: bool
    standing: tuple[Standing, ...]

    @property
    def w(self) -> dict[tuple[str, int], int]:
        """W by POD and quarter-hour, as settlement reads it."""
        return {(one.pod, frame): w for one in self.standing for frame, w in one.frame_w.items()}


def answer(profile: Profile, frames: Sequence[int], whose: str | None, brp: str) -> ProfileAnswer:
    """What a profile is told before the freeze (rules 1 and 2); whose: the POD's BRP, "" if it has none yet."""
    if whose is None:
        return ProfileAnswer.UNKNOWN
    if whose not in ("", brp):
        return ProfileAnswer.NOT_THEIRS
    if not profile.frame_w.keys() <= set(frames):
        return ProfileAnswer.OUTSIDE
    return ProfileAnswer.TAKEN if len(profile.frame_w) == len(frames) else ProfileAnswer.INCOMPLETE


def profiles_of(text: str) -> tuple[list[Profile], list[tuple[str, str]]]:
    """(profiles, (POD, why) of each row that is none) of a JSON text; Rejected if it is no file of profiles at all."""
    document = fields(read(text, PROFILES, "profiles"), "profiles", {"format": str, "profiles": list})
    given = []
    for number, row in enumerate(rows(document, "profiles"), 1):
        pod = row.get("pod") if isinstance(row, dict) else None
        given.append((f"profile {number}", pod if isinstance(pod, str) else "", row))
    return _sorted_out(given)


def profiles_of_csv(text: str) -> tuple[list[Profile], list[tuple[str, str]]]:
    """The same of a CSV text with a line for each POD and quarter-hour: pod, frame, w."""
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise Rejected(f"profiles: not CSV: {error}") from error
    columns = [cell.strip() for cell in lines[0]] if lines else []
    if sorted(columns) != ["frame", "pod", "w"]:
        raise Rejected("profiles: line 1, expected the columns pod, frame, w")
    tables: dict[str, dict[str, Any]] = {}
    first: dict[str, int] = {}
    bad: list[tuple[str, str]] = []
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) != len(columns):
            bad.append(("", f"line {number}: {len(cells)} cells, expected {len(columns)}"))
            continue
        cell = {key: value.strip() for key, value in zip(columns, cells, strict=True)}
        first.setdefault(cell["pod"], number)
        table = tables.setdefault(cell["pod"], {})
        digits = cell["w"].removeprefix("-")
        whole = digits.isascii() and digits.isdigit() and len(digits) <= 13
        if cell["frame"] in table:
            cell["frame"] += " twice"
        table[cell["frame"]] = int(cell["w"]) if whole else cell["w"]
    made, wrong = _sorted_out([(f"line {first[pod]}", pod, {"pod": pod, "frames": tables[pod]}) for pod in tables])
    return made, [*wrong, *bad]


def _sorted_out(given: Iterable[tuple[str, str, object]]) -> tuple[list[Profile], list[tuple[str, str]]]:
    """Rule 4. A POD that stands twice is refused both times: nobody can tell which was meant."""
    found: list[Profile] = []
    wrong: list[tuple[str, str]] = []
    every = list(given)
    pods = [pod for _, pod, _ in every]
    for where, pod, row in every:
        try:
            if pods.count(pod) > 1:
                raise Rejected(f"{where}: {pod[:64]} stands twice")
            taken = fields(row, where, {"pod": str, "frames": dict})
            frame_w = by_frame(taken["frames"], f"{where} frames", -_MOST_W, _MOST_W)
            found.append(Profile(identity(taken["pod"], f"{where} pod"), frame_w))
        except Rejected as refused:
            wrong.append((pod, refused.reason))
    return found, wrong


def baselines_text(made: Baselines) -> str:
    """What stands in a session as a document."""
    found = [
        {
            "pod": one.pod, "brp": one.brp, "version": one.version, "received_ms": one.received_ms,
            "frames": {str(at): w for at, w in sorted(one.frame_w.items())},
        }
        for one in made.standing
    ]  # fmt: skip
    return written(
        {
            "format": BASELINES, "session": made.session, "frozen": made.frozen, "frozen_ms": made.frozen_ms,
            "baselines": found,
        }
    )  # fmt: skip


def baselines_of(text: str) -> Baselines:
    """The same read; Rejected in one line."""
    kinds = {"format": str, "session": str, "frozen": bool, "frozen_ms": int, "baselines": list}
    document = fields(read(text, BASELINES, "baselines"), "baselines", kinds)
    of_row = {"pod": str, "brp": str, "version": int, "received_ms": int, "frames": dict}
    found: dict[str, Standing] = {}
    for number, row in enumerate(rows(document, "baselines"), 1):
        taken = fields(row, f"baseline {number}", of_row)
        table = by_frame(numbers(taken.pop("frames"), f"baseline {number}"), f"baseline {number}", -_MOST_W, _MOST_W)
        if taken["pod"] in found:
            raise Rejected(f"baseline {number}: {taken['pod']} stands twice")
        found[taken["pod"]] = Standing(**taken, frame_w=table)
    standing = tuple(found[pod] for pod in sorted(found))
    return Baselines(document["session"], document["frozen_ms"], document["frozen"], standing)
