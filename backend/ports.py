"""What the flows ask of the outside, in their own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backend.evidence.anchoring import Fees, Flight, Market


class Clock(Protocol):
    """Injected time."""

    def now_ms(self) -> int:
        """UTC ms."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """A block by which state is pinned. time_s: UTC seconds, as its maker says; base_fee_wei: None before EIP-1559."""

    number: int
    hash: bytes
    time_s: int
    base_fee_wei: int | None


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """An event of the contract. position: its index among the block's events; facts: its fields, bytes in hexadecimal."""

    block: int
    position: int
    block_hash: bytes
    transaction: bytes
    name: str
    facts: Mapping[str, int | str | bool]


class Ledger(Protocol):
    """An Ethereum-compatible chain that holds the operator's log; Unavailable when it cannot be reached."""

    chain_id: int
    contract: bytes
    log: bytes
    first_block: int

    def head(self) -> Block:
        """The latest block."""
        ...

    def block(self, number: int) -> Block:
        """The block of this number, as the chain has it now."""
        ...

    def words(self, first: int, count: int, block: Block) -> list[bytes]:
        """Commitment words of at most 128 epochs first.. as of exactly this block; 32 zero bytes where there is none."""
        ...

    def events(self, first: int, last: int) -> list[ChainEvent]:
        """Every event of the contract that concerns the log, in blocks first..last inclusive, in order."""
        ...

    def nonce(self, block: Block) -> int:
        """The writer's next nonce as of a block."""
        ...

    def market(self, block: Block) -> Market:
        """What transactions cost after a block, and what the writer has."""
        ...

    def refusal(self, commitments: Sequence[tuple[int, bytes, int]], block: Block) -> str:
        """Why the contract would refuse (epoch, root, count) rows as of a block; empty if it would not."""
        ...

    def prepare(self, nonce: int, commitments: Sequence[tuple[int, bytes, int]], fees: Fees) -> bytes:
        """A signed raw transaction for (epoch, root, count) rows."""
        ...

    def send(self, raw: bytes) -> None:
        """Broadcasts; what the nodes answer does not matter, state does."""
        ...


class AnchorStore(Protocol):
    """Desired commitments, transactions in flight and what the chain's events said, durable."""

    def desired(self, watched: int) -> Sequence[tuple[int, bytes, int]]:
        """(epoch, root, count) of every epoch that is not final, of those among the last `watched` that are, and of those
        whose event is not in the block that was noted."""
        ...

    def anchor_states(self) -> Mapping[int, tuple[str, int]]:
        """(state, block) of each epoch as last noted; block 0 while no event named it."""
        ...

    def set_state(self, epoch: int, state: str, block: int) -> None:
        """pending, anchored, final, regressed or conflict, as last seen on chain."""
        ...

    def flight(self, nonce: int) -> Flight | None:
        """The newest transaction that was made for this nonce."""
        ...

    def flights(self) -> Sequence[Flight]:
        """Every transaction that may still matter, by nonce."""
        ...

    def save_flight(self, flight: Flight) -> None:
        """Keeps a transaction before it is broadcast."""
        ...

    def forget_flights(self, below: int) -> None:
        """Nonces that were used so deep that no reorganisation brings them back."""
        ...

    def note_look(self, block: Block, seen_ms: int) -> None:
        """The head that the states were last compared with, and when."""
        ...

    def cursors(self) -> Sequence[tuple[int, bytes]]:
        """(block, hash) up to which events were read, newest first."""
        ...

    def save_events(self, last: Block, events: Sequence[ChainEvent], keep: int) -> None:
        """Events up to `last`, and `last` as the newest of at most `keep` cursors, in one commit."""
        ...

    def forget_events(self, above: int) -> None:
        """Events and cursors of higher blocks are no longer on the chain."""
        ...

    def certification(self) -> Sequence[ChainEvent]:
        """Every event that concerns the log, in order of the chain."""
        ...

    def committed_in(self, epoch: int) -> int:
        """The block whose event says that the epoch was committed; 0 if none does."""
        ...


class Link(Protocol):
    """The way to the devices."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1, never retained."""
        ...


class FieldPort(Protocol):
    """The way from field sensors and breakers (I-19); what comes in is unchecked."""

    def receive(self, timeout_s: float) -> tuple[int, bytes] | None:
        """(whom to answer, one message), None if nothing comes in that time."""
        ...

    def answer(self, whom: int, line: bytes) -> None:
        """Tells the device what became of its message; a device that is gone is no error."""
        ...


Document = Mapping[str, object]
