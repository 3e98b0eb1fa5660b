"""Reconciliation over the embedded EVM: lost broadcasts, stops at any point, another writer; each epoch once, with its root."""

import random
from collections.abc import Iterator

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
        self.blocks: dict[int, int] = {}
        self.flight: tuple[int, bytes, int] | None = None

    def desired(self, watched: int) -> list[tuple[int, bytes, int]]:
        last = max(self.rows, default=0)
        return [(e, *row) for e, row in self.rows.items() if self.states.get(e) != "final" or e > last - watched]

    def anchor_states(self) -> dict[int, str]:
        return dict(self.states)

    def set_state(self, epoch: int, state: str, block: int) -> None:
        self.states[epoch] = state
        self.blocks[epoch] = block

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


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(b"L" * 32)
    yield made
    made.close()


def test_the_block_of_a_commitment_is_that_of_its_event_whenever_it_is_seen(chain: EmbeddedChain) -> None:
    store = MemoryStore()
    store.rows[2_000_000] = (b"r" * 32, 3)
    anchoring = Anchoring(store, chain.ledger, 2)
    anchoring.step()
    chain.advance()
    mined = chain.ledger.head()
    chain.advance(225)
    anchoring.step()
    assert store.states == {2_000_000: "final"} and store.blocks[2_000_000] in (mined - 1, mined)
    assert anchoring.settled


class Forgetful:
    """The real ledger, as a fork shows it that never had the commitment."""

    def __init__(self, ledger: object) -> None:
        self._ledger, self.forgets = ledger, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def words(self, first: int, count: int, block: int) -> list[bytes]:
        found: list[bytes] = self._ledger.words(first, count, block)  # type: ignore[attr-defined]
        return [bytes(32)] * count if self.forgets else found


def test_a_final_commitment_that_has_gone_is_an_alarm_after_a_restart_too(chain: EmbeddedChain) -> None:
    store, ledger, alarms = MemoryStore(), Forgetful(chain.ledger), []
    store.rows[2_000_000] = (b"r" * 32, 3)
    for _ in range(3):
        Anchoring(store, ledger, 1).step()  # type: ignore[arg-type]
        chain.advance()
    assert store.states == {2_000_000: "final"}
    ledger.forgets = True
    anchoring = Anchoring(store, ledger, 1, alarms.append)  # type: ignore[arg-type]
    anchoring.step()
    assert store.states == {2_000_000: "regressed"} and not anchoring.settled
    assert alarms == ["the commitment of epoch 2000000 has gone from the chain"]


def test_another_root_in_the_place_of_ours_is_an_alarm(chain: EmbeddedChain) -> None:
    other, store, alarms = MemoryStore(), MemoryStore(), []
    other.rows[2_000_000], store.rows[2_000_000] = (b"o" * 32, 3), (b"r" * 32, 3)
    Anchoring(other, chain.ledger, 1).step()
    chain.advance()
    Anchoring(store, chain.ledger, 1, alarms.append).step()
    assert store.states == {2_000_000: "conflict"} and "another root" in alarms[0]
