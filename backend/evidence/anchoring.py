"""Pure: desired commitments against what the contract holds: which state each epoch is in, what to send, for what fee.

1. A word at confirmation depth is final; a word at the latest block only is anchored; none is pending; one that was
   anchored or final and is gone is regressed, and sent again.
2. A word that is there and differs is a conflict: somebody wrote the epoch with other evidence.
3. One transaction carries the oldest missing epochs, at most 128 numbers from the first on.
4. The fee is twice the base fee and the tip, at most the ceiling. A transaction that was not mined for STUCK_BLOCKS blocks,
   or whose fee is below the base fee, is replaced: both fees at least 12.5 % higher, carrying everything missing by then.
5. Above the ceiling nothing new is made: it is waited for, and said. What is in flight stays.
6. Nothing is offered that the funds do not cover; without funds that is nothing, which is right on a chain without fees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightwire.receipt import commitment_word

PENDING, ANCHORED, FINAL, REGRESSED, CONFLICT = "pending", "anchored", "final", "regressed", "conflict"
EMPTY = bytes(32)
STUCK_BLOCKS = 3
BATCH = 128
GAS_ONCE, GAS_EACH = 60_000, 36_000
GWEI = 10**9

Commitment = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the chain shows: words by epoch at the latest block and at confirmation depth."""

    latest: Mapping[int, bytes]
    confirmed: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers per unit of gas, wei. Before EIP-1559 max_fee_wei is the gas price."""

    max_fee_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class Market:
    """What transactions cost now, wei per unit of gas, and the writer's funds in wei. base_fee_wei: 0 before EIP-1559."""

    base_fee_wei: int
    tip_wei: int
    balance_wei: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A signed transaction: what it offers, the epochs it carries (first and last), the head when it was made."""

    nonce: int
    raw: bytes
    fees: Fees
    first: int
    last: int
    block: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing new may be made now, and why."""

    reason: str


def state_of(epoch: int, root: bytes, count: int, before: str, picture: Picture) -> str:
    """The state of one desired commitment (rules 1 and 2); before: its state as last seen."""
    word = commitment_word(epoch, count, root)
    latest = picture.latest.get(epoch, EMPTY)
    if latest not in (EMPTY, word):
        return CONFLICT
    if latest == word:
        return FINAL if picture.confirmed.get(epoch, EMPTY) == word else ANCHORED
    return REGRESSED if before in (ANCHORED, FINAL, REGRESSED) else PENDING


def to_send(desired: Sequence[Commitment], states: Mapping[int, str]) -> list[Commitment]:
    """The rows the contract does not hold yet, oldest first (rule 3)."""
    missing = sorted(row for row in desired if states[row[0]] in (PENDING, REGRESSED))
    return [row for row in missing if row[0] < missing[0][0] + BATCH]


def spans(epochs: Sequence[int]) -> list[tuple[int, int]]:
    """(first, count) of the fewest questions of at most 128 numbers each that cover all epochs."""
    found: list[tuple[int, int]] = []
    for epoch in sorted(epochs):
        if found and epoch < found[-1][0] + BATCH:
            found[-1] = (found[-1][0], epoch - found[-1][0] + 1)
        else:
            found.append((epoch, 1))
    return found


def is_stuck(flight: Flight, head: int, base_fee_wei: int) -> bool:
    """Whether a transaction has to be replaced (rule 4); a head far from where it was made counts like time."""
    return abs(head - flight.block) >= STUCK_BLOCKS or flight.fees.max_fee_wei < base_fee_wei


def gas_limit(missing: Sequence[Commitment]) -> int:
    """Gas that a transaction with these rows may use: a third above what the most expensive one was measured to use."""
    return GAS_ONCE + GAS_EACH * (missing[-1][0] - missing[0][0] + 1)


def fees_for(market: Market, gas: int, ceiling_wei: int, before: Fees | None) -> Fees | Hold:
    """What to offer (rules 4 to 6); before: of the transaction to be replaced."""
    least = Fees(0, 0) if before is None else Fees(_raised(before.max_fee_wei), _raised(before.tip_wei))
    asked = max(market.base_fee_wei, least.max_fee_wei)
    if asked > market.balance_wei // gas:
        return Hold(f"{_gwei(market.balance_wei)} Gwei of funds do not cover {gas} gas at {_gwei(asked)} Gwei")
    if asked > ceiling_wei:
        return Hold(f"a fee of {_gwei(asked)} Gwei is above the ceiling of {_gwei(ceiling_wei)} Gwei")
    fair = min(2 * market.base_fee_wei + market.tip_wei, ceiling_wei, market.balance_wei // gas)
    offered = max(least.max_fee_wei, fair)
    return Fees(offered, min(offered, max(least.tip_wei, market.tip_wei)))


def _raised(fee_wei: int) -> int:
    """12.5 % more, rounded up."""
    return -(-fee_wei * 9 // 8)


def _gwei(wei: int) -> str:
    return f"{wei / GWEI:.3f}".rstrip("0").rstrip(".")
