"""Commitments from outside the bundle: asked from a chain's endpoint, as strangers do."""

from collections.abc import Iterator

import pytest
from lightwire.receipt import commitment_word

from backend.adapters.ethereum import EmbeddedChain
from backend.evidence.verifier.anchors import from_rpc
from backend.evidence.verifier.finding import AnchorsUnavailable

LOG = b"operator".rjust(32, b"\0")
ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(LOG)
    ledger = made.ledger
    ledger.send(ledger.prepare(ledger.nonce(ledger.head()), [(100, ROOT, 3)], 0))
    made.advance()
    yield made
    made.close()


def test_a_chain_says_which_epochs_it_holds(chain: EmbeddedChain) -> None:
    found = from_rpc(chain.serve(), chain.ledger.contract, LOG, [100, 101])
    assert (found.chain_id, found.contract, found.log) == (chain.ledger.chain_id, chain.ledger.contract, LOG)
    assert found.words == {100: commitment_word(100, 3, ROOT)}


def test_another_contract_holds_nothing_or_is_no_contract(chain: EmbeddedChain) -> None:
    with pytest.raises(AnchorsUnavailable):
        from_rpc(chain.serve(), bytes(20), LOG, [100])


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    with pytest.raises(AnchorsUnavailable, match=r"http://127\.0\.0\.1:9"):
        from_rpc("http://127.0.0.1:9", bytes(20), LOG, [100])
