"""Reconciliation over the embedded EVM: lost broadcasts, stops at any point, another writer; each epoch once, with its root."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightwire.receipt import commitment_word

from backend.adapters.chain_store import ChainStore
from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.sqlite import SqliteStore
from backend.flows.anchor import Anchoring, Terms

TWO, ONE = Terms(2), Terms(1)


class Stop(Exception):
    """The process ends here."""


class Desk:
    """A database with commitments, and whoever anchors them; `restart` makes another of what is stored."""

    def __init__(self, path: Path, ledger: object, terms: Terms = ONE) -> None:
        self.sqlite = SqliteStore(path)
        self.store = ChainStore(self.sqlite)
        self.ledger, self.terms = ledger, terms
        self.alarms: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.anchoring = Anchoring(self.store, self.ledger, self.terms, lambda: 0, self.alarms.append)  # type: ignore[arg-type]

    def want(self, epoch: int, root: bytes, count: int) -> None:
        self.sqlite.save_epoch(epoch, root, count, [])

    @property
    def states(self) -> dict[int, str]:
        return {epoch: state for epoch, (state, _) in self.store.anchor_states().items()}

    def block(self, epoch: int) -> int:
        return self.store.anchor_states()[epoch][1]


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


@pytest.mark.parametrize("seed", range(2))
def test_every_epoch_is_anchored_once_with_its_root_under_loss_and_stops(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    chain = EmbeddedChain(b"L" * 32)
    desk = Desk(tmp_path / "scd.sqlite", LossyLedger(chain.ledger, source), TWO)
    wanted = {2_000_000 + step: (bytes([step]) * 32, 1 + step % 5) for step in range(10)}
    for step in range(36):
        if step < 10:
            desk.want(2_000_000 + step, *wanted[2_000_000 + step])
        try:
            desk.anchoring.step()
        except Stop:
            desk.restart()
        chain.advance()
    assert set(desk.states.values()) == {"final"} and len(desk.states) == 10, f"seed {seed}: {desk.states}"
    words = chain.ledger.words(2_000_000, 10, chain.ledger.head())
    assert words == [commitment_word(e, count, root) for e, (root, count) in sorted(wanted.items())]
    chain.close()


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(b"L" * 32)
    yield made
    made.close()


def test_the_block_of_a_commitment_is_that_of_its_event_whenever_it_is_seen(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "scd.sqlite", chain.ledger, TWO)
    desk.want(2_000_000, b"r" * 32, 3)
    desk.anchoring.step()
    mined = chain.ledger.head().number
    chain.advance(225)
    desk.anchoring.step()
    assert desk.states == {2_000_000: "final"} and desk.block(2_000_000) == mined
    assert desk.anchoring.settled


class Forgetful:
    """The real ledger, as a fork shows it that never had the commitment."""

    def __init__(self, ledger: object) -> None:
        self._ledger, self.forgets = ledger, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def words(self, first: int, count: int, block: object) -> list[bytes]:
        found: list[bytes] = self._ledger.words(first, count, block)  # type: ignore[attr-defined]
        return [bytes(32)] * count if self.forgets else found


def test_a_final_commitment_that_has_gone_is_an_alarm_after_a_restart_too(chain: EmbeddedChain, tmp_path: Path) -> None:
    ledger = Forgetful(chain.ledger)
    desk = Desk(tmp_path / "scd.sqlite", ledger)
    desk.want(2_000_000, b"r" * 32, 3)
    for _ in range(3):
        desk.restart()
        desk.anchoring.step()
        chain.advance()
    assert desk.states == {2_000_000: "final"}
    ledger.forgets = True
    desk.restart()
    desk.anchoring.step()
    assert desk.states == {2_000_000: "regressed"} and not desk.anchoring.settled
    assert desk.alarms == ["the commitment of epoch 2000000 has gone from the chain"]


def test_another_root_in_the_place_of_ours_is_an_alarm(chain: EmbeddedChain, tmp_path: Path) -> None:
    other, ours = Desk(tmp_path / "other.sqlite", chain.ledger), Desk(tmp_path / "ours.sqlite", chain.ledger)
    other.want(2_000_000, b"o" * 32, 3)
    ours.want(2_000_000, b"r" * 32, 3)
    other.anchoring.step()
    chain.advance()
    ours.anchoring.step()
    assert ours.states == {2_000_000: "conflict"} and "another root" in ours.alarms[0]


def test_what_the_contract_would_refuse_is_not_sent_and_is_said(chain: EmbeddedChain, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "scd.sqlite", chain.ledger)
    desk.want(2_000_000, b"r" * 32, 3)
    chain.functions.set_paused(True).transact({"from": chain.admin})
    nonce = chain.ledger.nonce(chain.ledger.head())
    for _ in range(3):
        desk.anchoring.step()
    assert desk.anchoring.trouble == "the contract refuses: paused"
    assert desk.states == {2_000_000: "pending"} and chain.ledger.nonce(chain.ledger.head()) == nonce
    chain.functions.set_paused(False).transact({"from": chain.admin})
    desk.anchoring.step()
    desk.anchoring.step()
    assert desk.anchoring.trouble == "" and desk.states == {2_000_000: "anchored"}


def test_a_day_without_a_chain_is_caught_up_in_one_transaction(chain: EmbeddedChain, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "scd.sqlite", chain.ledger)
    for k in range(96):
        desk.want(2_000_000 + k, bytes([k]) * 32, 5)
    nonce = chain.ledger.nonce(chain.ledger.head())
    desk.anchoring.step()
    chain.advance()
    desk.anchoring.step()
    assert set(desk.states.values()) == {"final"} and chain.ledger.nonce(chain.ledger.head()) == nonce + 1
