"""Reconciliation over the embedded EVM: lost broadcasts, stops at any point, another writer; each epoch once, with its root."""

import random

import pytest
from lightwire.receipt import commitment_word

from backend.adapters.ethereum import EmbeddedChain
from backend.flows.anchor import Anchoring


class Stop(Exception):
    """The process ends here."""


class MemoryStore:
    """An AnchorStore in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[bytes, int]] = {}
        self.states: dict[int, str] = {}
        self.flight: tuple[int, bytes, int] | None = None

    def desired(self) -> list[tuple[int, bytes, int]]:
        return [(e, *row) for e, row in self.rows.items() if self.states.get(e) != "final"]

    def set_state(self, epoch: int, state: str, block: int) -> None:
        self.states[epoch] = state

    def in_flight(self) -> tuple[int, bytes, int] | None:
        return self.flight

    def save_in_flight(self, nonce: int, raw: bytes, bump: int) -> None:
        self.flight = (nonce, raw, bump)


class LossyLedger:
    """The real ledger behind a bad link: broadcasts get lost, and the process may stop before or after one."""

    def __init__(self, ledger: object, source: random.Random) -> None:
        self._ledger = ledger
        self._source = source

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def send(self, raw: bytes) -> None:
        fate = self._source.random()
        if fate < 0.25:
            return
        if fate < 0.35:
            raise Stop
        self._ledger.send(raw)  # type: ignore[attr-defined]
        if fate < 0.45:
            raise Stop


@pytest.mark.parametrize("seed", range(4))
def test_every_epoch_is_anchored_once_with_its_root_under_loss_and_stops(seed: int) -> None:
    source = random.Random(seed)
    chain = EmbeddedChain(b"L" * 32)
    store = MemoryStore()
    anchoring = Anchoring(store, LossyLedger(chain.ledger, source), 2)  # type: ignore[arg-type]
    for step in range(60):
        if step < 20:
            store.rows[2_000_000 + step] = (bytes([step]) * 32, 1 + step % 5)
        try:
            anchoring.step()
        except Stop:
            anchoring = Anchoring(store, LossyLedger(chain.ledger, source), 2)  # type: ignore[arg-type]
        chain.advance()
    assert set(store.states.values()) == {"final"} and len(store.states) == 20, f"seed {seed}: {store.states}"
    words = chain.ledger.words(2_000_000, 20, chain.ledger.head())
    assert words == [commitment_word(e, count, root) for e, (root, count) in sorted(store.rows.items())]
    chain.close()
