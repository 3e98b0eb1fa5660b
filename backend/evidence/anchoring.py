"""Pure: desired commitments against what the contract holds: which state each epoch is in, and what to send.

1. A word at confirmation depth is final; a word at the latest block only is anchored; none is pending; one that was
   anchored or final and is gone is regressed, and sent again.
2. A word that is there and differs is a conflict: somebody wrote the epoch with other evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightwire.receipt import commitment_word

PENDING, ANCHORED, FINAL, REGRESSED, CONFLICT = "pending", "anchored", "final", "regressed", "conflict"
EMPTY = bytes(32)


@dataclass(frozen=True, slots=True)
class Picture:
    """What the chain shows: words by epoch at the latest block and at confirmation depth."""

    latest: Mapping[int, bytes]
    confirmed: Mapping[int, bytes]


def state_of(epoch: int, root: bytes, count: int, before: str, picture: Picture) -> str:
    """The state of one desired commitment (rules 1 and 2); before: its state as last seen."""
    word = commitment_word(epoch, count, root)
    latest = picture.latest.get(epoch, EMPTY)
    if latest not in (EMPTY, word):
        return CONFLICT
    if picture.confirmed.get(epoch, EMPTY) == word:
        return FINAL
    if latest == word:
        return ANCHORED
    return REGRESSED if before in (ANCHORED, FINAL, REGRESSED) else PENDING


def to_send(desired: Sequence[tuple[int, bytes, int]], states: Mapping[int, str]) -> list[tuple[int, bytes, int]]:
    """The rows the contract does not hold yet, oldest first, at most 128 epochs from the first on."""
    missing = sorted(row for row in desired if states[row[0]] in (PENDING, REGRESSED))
    return [row for row in missing if row[0] < missing[0][0] + 128]
