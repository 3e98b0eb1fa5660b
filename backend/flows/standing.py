"""How the log stands: asked of chain and database now, nothing written. What the chain does not say now is not claimed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backend.evidence.anchoring import ANCHORED, FINAL, PENDING, REGRESSED, Commitment
from backend.flows.anchor import Terms, look
from backend.ports import Block, Ledger


@dataclass(frozen=True, slots=True)
class Standing:
    """The head and how long ago its maker made it; the account's funds, per state how many commitments, and the oldest
    epoch that is not on the chain (None if there is none)."""

    head: Block
    lag_s: int
    balance_wei: int
    states: Counter[str]
    oldest_unanchored: int | None
    refusal: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database holds: every epoch with its state as last seen, and the commitments to be looked at again."""

    states: dict[int, str]
    desired: Sequence[Commitment]


def standing(ledger: Ledger, kept: Kept, terms: Terms, now_s: int) -> Standing:
    """As of the latest block; epochs long final count as such. Raises Unavailable."""
    head = ledger.head()
    ledger.words(0, 1, head)  # is there a contract at all?
    states = dict(kept.states)
    states.update(look(ledger, head, kept.desired, kept.states, terms).states)
    unanchored = [epoch for epoch, state in states.items() if state not in (ANCHORED, FINAL)]
    waiting = sorted(row for row in kept.desired if states[row[0]] in (PENDING, REGRESSED))
    probe = waiting[:1] or [(0, bytes(32), 1)]
    return Standing(
        head, max(0, now_s - head.time_s), ledger.market(head).balance_wei, Counter(states.values()),
        min(unanchored, default=None), ledger.refusal(probe, head),
    )  # fmt: skip
