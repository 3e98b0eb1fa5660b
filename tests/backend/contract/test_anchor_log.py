"""AnchorLog on the embedded EVM: what is committed is built again, each refusal, each event, proofs, gas."""

from collections.abc import Iterator
from typing import Any

import pytest
from lightwire import merkle
from lightwire.receipt import commitment_word

from backend.adapters.contract import Interface
from backend.adapters.ethereum import EmbeddedChain
from backend.contract import FOLDER, anchor_log
from backend.contract.build import build
from backend.evidence.anchoring import GWEI, Fees

LOG, OTHER_LOG = b"L" * 32, b"M" * 32
EPOCH = 1_995_600
FEES = Fees(10 * GWEI, GWEI)
ZERO = "0x" + "00" * 20


@pytest.fixture(scope="module")
def chain() -> Iterator[EmbeddedChain]:
    made = EmbeddedChain(LOG)
    yield made
    made.close()


@pytest.fixture
def functions(chain: EmbeddedChain) -> Any:
    return chain.functions


def send(chain: EmbeddedChain, *rows: tuple[int, bytes, int]) -> Any:
    ledger = chain.ledger
    raw = ledger.prepare(ledger.nonce(ledger.head()), rows, FEES)
    ledger.send(raw)
    return chain.web3.eth.get_transaction_receipt(chain.web3.keccak(raw))


def events(receipt: Any) -> list[tuple[str, dict[str, Any]]]:
    interface = Interface(anchor_log())
    plain = [
        {
            "topics": ["0x" + bytes(topic).hex() for topic in log["topics"]], "data": "0x" + bytes(log["data"]).hex(),
            "blockNumber": hex(log["blockNumber"]), "logIndex": hex(log["logIndex"]), "blockHash": "0x00",
            "transactionHash": "0x00",
        }
        for log in receipt["logs"]
    ]  # fmt: skip
    found = [interface.event(entry) for entry in plain]
    return [(event.name, dict(event.facts)) for event in found]


def mined(chain: EmbeddedChain, transaction: Any) -> Any:
    return chain.web3.eth.get_transaction_receipt(transaction)


def test_the_committed_byte_code_is_a_fresh_build() -> None:
    assert (FOLDER / "build.json").read_text() == build()


def test_a_commitment_is_kept_as_the_word_of_epoch_count_and_root_for_at_most_55000_gas(chain: EmbeddedChain) -> None:
    receipt = send(chain, (EPOCH, b"r" * 32, 5))
    assert receipt["status"] == 1 and receipt["gasUsed"] <= 55_000
    assert chain.ledger.words(EPOCH, 2, chain.ledger.head()) == [commitment_word(EPOCH, 5, b"r" * 32), bytes(32)]
    facts = {"operator": "0x" + LOG.hex(), "epoch": EPOCH, "root": "0x" + (b"r" * 32).hex(), "count": 5}
    assert events(receipt) == [("Committed", facts)]


def test_an_epoch_is_written_once(chain: EmbeddedChain) -> None:
    send(chain, (EPOCH + 10, b"a" * 32, 1))
    assert send(chain, (EPOCH + 10, b"b" * 32, 1))["status"] == 0
    assert chain.ledger.words(EPOCH + 10, 1, chain.ledger.head()) == [commitment_word(EPOCH + 10, 1, b"a" * 32)]


def test_many_epochs_in_one_transaction_skip_what_is_taken(chain: EmbeddedChain) -> None:
    send(chain, (EPOCH + 21, b"a" * 32, 1))
    receipt = send(chain, *[(EPOCH + 20 + k, b"b" * 32, 2) for k in range(96) if k != 40])
    assert receipt["status"] == 1 and receipt["gasUsed"] / 94 <= 30_000
    words = chain.ledger.words(EPOCH + 20, 96, chain.ledger.head())
    assert words[1] == commitment_word(EPOCH + 21, 1, b"a" * 32)
    assert words[2] == commitment_word(EPOCH + 22, 2, b"b" * 32)
    assert words[40] == bytes(32), "a row of count 0 is no commitment"
    assert [facts["epoch"] - EPOCH - 20 for _, facts in events(receipt)] == [k for k in range(96) if k not in (1, 40)]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda f, own, other: f.commit(LOG, 1, b"r" * 32, 1).call({"from": other}), "role"),
        (lambda f, own, other: f.commit_many(LOG, 1, [b"r" * 32], [1]).call({"from": other}), "role"),
        (lambda f, own, other: f.commit(OTHER_LOG, 1, b"r" * 32, 1).call({"from": own}), "role"),
        (lambda f, own, other: f.commit(LOG, 1, b"r" * 32, 0).call({"from": own}), "count"),
        (lambda f, own, other: f.commit_many(LOG, 1, [b"r" * 32], []).call({"from": own}), "length"),
        (lambda f, own, other: f.commit_many(LOG, 2**64 - 1, [b"r" * 32], [1]).call({"from": own}), "epoch"),
        (lambda f, own, other: f.commitments(LOG, 1, 129).call(), "count"),
        (lambda f, own, other: f.commitments(LOG, 2**64 - 1, 1).call(), "epoch"),
        (lambda f, own, other: f.grant(LOG, other, True).call({"from": other}), "admin"),
        (lambda f, own, other: f.grant(LOG, other, True).call({"from": own}), "admin"),
        (lambda f, own, other: f.offer_admin(other).call({"from": other}), "admin"),
        (lambda f, own, other: f.accept_admin().call({"from": other}), "admin"),
        (lambda f, own, other: f.set_paused(True).call({"from": other}), "admin"),
        (lambda f, own, other: f.verify(LOG, 1, 0, b"r" * 32, 0, []).call(), "index"),
        (lambda f, own, other: f.verify(LOG, 1, 1, b"r" * 32, 1, []).call(), "index"),
        (lambda f, own, other: f.verify(LOG, 1, 2, b"r" * 32, 1, []).call(), "path"),
        (lambda f, own, other: f.verify(LOG, 1, 1, b"r" * 32, 0, [b"r" * 32]).call(), "path"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_reason(chain: EmbeddedChain, functions: Any, call: Any, reason: str) -> None:
    own = chain.web3.to_checksum_address(chain.ledger.address)
    with pytest.raises(Exception, match=rf"\b{reason}\b") as refused:
        call(functions, own, chain.web3.eth.accounts[3])
    assert len(reason) <= 10 and "Traceback" not in str(refused.value)


def test_a_batch_is_at_most_128_epochs(chain: EmbeddedChain, functions: Any) -> None:
    own = {"from": chain.web3.to_checksum_address(chain.ledger.address)}
    functions.commit_many(LOG, 1, [b"r" * 32] * 128, [1] * 128).call(own)
    with pytest.raises(Exception, match="revert"):
        functions.commit_many(LOG, 1, [b"r" * 32] * 129, [1] * 129).call(own)


def test_pausing_stops_writing_and_not_reading(chain: EmbeddedChain, functions: Any) -> None:
    bank = {"from": chain.admin}
    assert events(mined(chain, functions.set_paused(True).transact(bank))) == [("Paused", {"state": True})]
    assert send(chain, (EPOCH + 300, b"p" * 32, 1))["status"] == 0
    assert send(chain, (EPOCH + 300, b"p" * 32, 1), (EPOCH + 301, b"p" * 32, 1))["status"] == 0
    assert functions.commitment(LOG, EPOCH + 300).call() == bytes(32)
    assert events(mined(chain, functions.set_paused(False).transact(bank))) == [("Paused", {"state": False})]
    assert send(chain, (EPOCH + 300, b"p" * 32, 1))["status"] == 1


def test_a_role_is_for_one_log_and_can_be_taken_away(chain: EmbeddedChain, functions: Any) -> None:
    bank, other = {"from": chain.admin}, chain.web3.eth.accounts[4]
    given = events(mined(chain, functions.grant(OTHER_LOG, other, True).transact(bank)))
    assert given == [("Granted", {"operator": "0x" + OTHER_LOG.hex(), "account": other.lower(), "allowed": True})]
    functions.commit(OTHER_LOG, 7, b"r" * 32, 1).transact({"from": other})
    with pytest.raises(Exception, match="role"):
        functions.commit(LOG, 7, b"r" * 32, 1).call({"from": other})
    functions.grant(OTHER_LOG, other, False).transact(bank)
    with pytest.raises(Exception, match="role"):
        functions.commit(OTHER_LOG, 8, b"r" * 32, 1).call({"from": other})
    assert functions.commitment(OTHER_LOG, 7).call() == commitment_word(7, 1, b"r" * 32)


def test_the_admin_changes_in_two_steps(chain: EmbeddedChain, functions: Any) -> None:
    first, second, third = chain.admin, chain.web3.eth.accounts[5], chain.web3.eth.accounts[6]
    offered = events(mined(chain, functions.offer_admin(third).transact({"from": first})))
    assert offered == [("AdminOffered", {"account": third.lower()})]
    functions.offer_admin(second).transact({"from": first})
    with pytest.raises(Exception, match="admin"):
        functions.accept_admin().call({"from": third})
    assert functions.admin().call() == first, "an offer changes nothing"
    taken = events(mined(chain, functions.accept_admin().transact({"from": second})))
    assert taken == [("AdminChanged", {"account": second.lower()})]
    assert (functions.admin().call(), functions.pending_admin().call()) == (second, ZERO)
    with pytest.raises(Exception, match="admin"):
        functions.set_paused(True).call({"from": first})
    functions.offer_admin(first).transact({"from": second})
    functions.accept_admin().transact({"from": first})


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_the_contract_proves_what_the_wire_code_proves(chain: EmbeddedChain, functions: Any, count: int) -> None:
    leaves = [merkle.leaf_hash(b"checkpoint %d" % k) for k in range(count)]
    epoch = EPOCH + 400 + count
    send(chain, (epoch, merkle.root(leaves), count))
    for index in range(count):
        path = merkle.inclusion_path(leaves, index)
        assert functions.verify(LOG, epoch, count, leaves[index], index, path).call()
        assert not functions.verify(LOG, epoch, count, bytes(32), index, path).call()
        assert not functions.verify(LOG, epoch + 1, count, leaves[index], index, path).call()
        if path:
            broken = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
            assert not functions.verify(LOG, epoch, count, leaves[index], index, broken).call()
