"""AnchorLog on the embedded EVM: what is committed is built again, each refusal, proofs, gas."""

from collections.abc import Iterator
from typing import Any

import pytest
from lightwire import merkle
from lightwire.receipt import commitment_word

from backend.adapters.ethereum import EmbeddedChain
from backend.contract import FOLDER
from backend.contract.build import build

LOG = b"L" * 32
EPOCH = 1_995_600


@pytest.fixture(scope="module")
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(LOG)
    yield made
    made.close()


@pytest.fixture
def functions(chain: EmbeddedChain) -> Any:
    return chain.ledger._functions


def send(chain: EmbeddedChain, *rows: tuple[int, bytes, int]) -> Any:
    ledger = chain.ledger
    raw = ledger.prepare(ledger.nonce(ledger.head()), rows, 0)
    ledger.send(raw)
    web3 = ledger._web3
    return web3.eth.get_transaction_receipt(web3.keccak(raw))


def test_the_committed_byte_code_is_a_fresh_build() -> None:
    assert (FOLDER / "build.json").read_text() == build()


def test_a_commitment_is_kept_as_the_word_of_epoch_count_and_root_for_at_most_55000_gas(chain: EmbeddedChain) -> None:
    receipt = send(chain, (EPOCH, b"r" * 32, 5))
    assert receipt["status"] == 1 and receipt["gasUsed"] <= 55_000
    assert chain.ledger.words(EPOCH, 2, chain.ledger.head()) == [commitment_word(EPOCH, 5, b"r" * 32), bytes(32)]


def test_an_epoch_is_written_once(chain: EmbeddedChain) -> None:
    send(chain, (EPOCH + 10, b"a" * 32, 1))
    assert send(chain, (EPOCH + 10, b"b" * 32, 1))["status"] == 0
    assert chain.ledger.words(EPOCH + 10, 1, chain.ledger.head()) == [commitment_word(EPOCH + 10, 1, b"a" * 32)]


def test_many_epochs_in_one_transaction_skip_what_is_taken(chain: EmbeddedChain) -> None:
    send(chain, (EPOCH + 21, b"a" * 32, 1))
    receipt = send(chain, *[(EPOCH + 20 + k, b"b" * 32, 2) for k in range(96)])
    assert receipt["status"] == 1 and receipt["gasUsed"] / 96 <= 30_000
    words = chain.ledger.words(EPOCH + 20, 96, chain.ledger.head())
    assert words[1] == commitment_word(EPOCH + 21, 1, b"a" * 32)
    assert words[2] == commitment_word(EPOCH + 22, 2, b"b" * 32)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda f, other: f.commit(LOG, 1, b"r" * 32, 1).call({"from": other}), "role"),
        (lambda f, other: f.grant(LOG, other, True).call({"from": other}), "admin"),
        (lambda f, other: f.offer_admin(other).call({"from": other}), "admin"),
        (lambda f, other: f.accept_admin().call({"from": other}), "admin"),
        (lambda f, other: f.set_paused(True).call({"from": other}), "admin"),
        (lambda f, other: f.verify(LOG, 1, 1, b"r" * 32, 1, []).call(), "index"),
        (lambda f, other: f.verify(LOG, 1, 2, b"r" * 32, 1, []).call(), "path"),
    ],
)
def test_each_refusal_has_its_reason(chain: EmbeddedChain, functions: Any, call: Any, reason: str) -> None:
    other = chain.ledger._web3.eth.accounts[3]
    with pytest.raises(Exception, match=reason):
        call(functions, other)


def test_pausing_stops_writing_and_not_reading(chain: EmbeddedChain, functions: Any) -> None:
    bank = {"from": chain.ledger._web3.eth.accounts[0]}
    functions.set_paused(True).transact(bank)
    assert send(chain, (EPOCH + 300, b"p" * 32, 1))["status"] == 0
    functions.set_paused(False).transact(bank)
    assert send(chain, (EPOCH + 300, b"p" * 32, 1))["status"] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_the_contract_proves_what_the_wire_code_proves(chain: EmbeddedChain, functions: Any, count: int) -> None:
    leaves = [merkle.leaf_hash(b"checkpoint %d" % k) for k in range(count)]
    epoch = EPOCH + 400 + count
    send(chain, (epoch, merkle.root(leaves), count))
    for index in range(count):
        path = merkle.inclusion_path(leaves, index)
        assert functions.verify(LOG, epoch, count, leaves[index], index, path).call()
        assert not functions.verify(
            LOG, epoch, count, leaves[index - 1] if count > 1 else bytes(32), index, path
        ).call()
