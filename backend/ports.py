"""What the flows ask of the outside, in their own words."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Clock(Protocol):
    """Injected time."""

    def now_ms(self) -> int:
        """UTC ms."""
        ...


class Ledger(Protocol):
    """An Ethereum-compatible chain that holds the operator's log; Unavailable when it cannot be reached."""

    chain_id: int
    contract: bytes
    log: bytes

    def head(self) -> int:
        """Number of the latest block."""
        ...

    def words(self, first: int, count: int, block: int) -> list[bytes]:
        """Commitment words of epochs first.. as of a block; 32 zero bytes where there is none."""
        ...

    def block_of(self, epoch: int, head: int) -> int:
        """The block, up to head, whose event says that the epoch was committed."""
        ...

    def nonce(self, block: int) -> int:
        """The writer's next nonce as of a block."""
        ...

    def prepare(self, nonce: int, commitments: Sequence[tuple[int, bytes, int]], bump: int) -> bytes:
        """A signed raw transaction for (epoch, root, count) rows; bump raises the fees by 12.5 % each."""
        ...

    def send(self, raw: bytes) -> None:
        """Broadcasts; what the node answers does not matter, state does."""
        ...


class AnchorStore(Protocol):
    """Desired commitments and the one transaction in flight, durable."""

    def desired(self, watched: int) -> Sequence[tuple[int, bytes, int]]:
        """(epoch, root, count) of every epoch that is not final, and of those among the last `watched` that are."""
        ...

    def anchor_states(self) -> Mapping[int, str]:
        """The state of each epoch as last noted."""
        ...

    def set_state(self, epoch: int, state: str, block: int) -> None:
        """pending, anchored, final or regressed, as last seen on chain."""
        ...

    def in_flight(self) -> tuple[int, bytes, int] | None:
        """(nonce, raw transaction, bump) of the transaction in flight."""
        ...

    def save_in_flight(self, nonce: int, raw: bytes, bump: int) -> None:
        """Keeps the raw transaction before it is broadcast."""
        ...


class Link(Protocol):
    """The way to the devices."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1, never retained."""
        ...


Document = Mapping[str, object]
