"""The ledger over JSON-RPC: its transactions are those of a foreign signer, its questions are pinned to a block."""

from collections.abc import Callable

import pytest
from eth_account import Account as Foreign
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.keys import SigningKey
from backend.adapters.ledger import Account, Call, ContractLedger, Place, checksummed
from backend.errors import Unavailable
from backend.evidence.anchoring import GWEI, Fees
from backend.ports import Block
from hil.anvil import DEVELOPER_KEY, Anvil
from hil.faults.chain import deploy

SECRET = b"\x11" * 32
WEI = st.integers(0, 10**15)
CALLS = st.builds(
    Call,
    st.integers(0, 2**40),
    st.binary(min_size=20, max_size=20),
    st.binary(max_size=300),
    st.integers(21_000, 10**8),
)


@given(st.integers(1, 2**40), CALLS, WEI, WEI, st.booleans())
def test_a_transaction_is_that_of_a_foreign_signer(
    chain_id: int, call: Call, high: int, low: int, is_dynamic: bool
) -> None:
    fees = Fees(max(high, low), min(high, low))
    prices = (
        {"type": 2, "maxFeePerGas": fees.max_fee_wei, "maxPriorityFeePerGas": fees.tip_wei}
        if is_dynamic
        else {"gasPrice": fees.max_fee_wei}
    )
    fields = {
        "nonce": call.nonce,
        "to": checksummed(call.to),
        "data": call.data,
        "gas": call.gas,
        "value": 0,
        "chainId": chain_id,
    }
    expected = Foreign.sign_transaction({**fields, **prices}, SECRET)
    assert Account(SigningKey(SECRET)).signed(chain_id, call, fees, is_dynamic) == bytes(expected.raw_transaction)


def test_an_address_is_that_of_a_foreign_library() -> None:
    assert checksummed(Account(SigningKey(SECRET)).address) == Foreign.from_key(SECRET).address


@pytest.fixture
def ledger(anvil: Callable[..., Anvil]) -> ContractLedger:
    node = anvil()
    account = Account(SigningKey(SECRET))
    return ContractLedger(node.rpc, account, deploy(node, b"L" * 32, account.address))


def test_state_is_that_of_the_asked_block_and_of_no_other_branch(ledger: ContractLedger) -> None:
    node_rpc, before = ledger._rpc, ledger.head()
    ledger.send(ledger.prepare(0, [(7, b"r" * 32, 5)], Fees(10 * GWEI, GWEI)))
    node_rpc.ask("evm_mine")
    after = ledger.head()
    assert not any(ledger.words(7, 1, before)[0]) and any(ledger.words(7, 1, after)[0])
    assert (ledger.nonce(before), ledger.nonce(after)) == (0, 1)
    node_rpc.ask("anvil_reorg", after.number - before.number, [])
    for question in (lambda: ledger.words(7, 1, after), lambda: ledger.nonce(after), lambda: ledger.market(after)):
        with pytest.raises(Unavailable):
            question()


def test_before_the_contract_was_there_no_epoch_has_a_word(ledger: ContractLedger) -> None:
    assert ledger.words(7, 3, ledger.block(0)) == [bytes(32)] * 3


def test_a_block_that_is_not_there_and_an_address_without_a_contract_are_said(ledger: ContractLedger) -> None:
    with pytest.raises(Unavailable, match="no block 0x3b9aca00"):
        ledger.block(10**9)
    with pytest.raises(Unavailable):
        ledger.words(7, 1, Block(1, b"\x01" * 32, 0, None))
    nowhere = ContractLedger(ledger._rpc, Account(SigningKey(SECRET)), Place(b"\x33" * 20, b"L" * 32))
    with pytest.raises(Unavailable, match="chain 31337 has no contract at 0x3333"):
        nowhere.words(7, 1, nowhere.head())


def test_events_are_those_of_the_log_in_order(ledger: ContractLedger) -> None:
    account = Account(SigningKey(DEVELOPER_KEY))
    other = ContractLedger(ledger._rpc, account, Place(ledger.contract, b"M" * 32))
    names = [event.name for event in ledger.events(0, ledger.head().number)]
    assert names == ["AdminChanged", "Granted"]
    assert [event.name for event in other.events(0, ledger.head().number)] == ["AdminChanged"]
