"""What the contract's admin does by hand: deploys, gives and takes roles, pauses; one transaction each, waited for.

1. A transaction that the contract would refuse is not sent: Rejected with the contract's reason.
2. It is broadcast again while it is waited for; NotYet after the wait, with its hash: asking again later is safe.
3. Nothing is asked above the fee ceiling.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from backend.adapters.contract import Interface, reason
from backend.adapters.ledger import Account, Call
from backend.adapters.rpc import PARTY, Rpc, RpcError, number, octets
from backend.contract import Build
from backend.errors import BackendError, Rejected, Unavailable
from backend.evidence.anchoring import Fees, Hold, Market, fees_for

POLL_S = 0.25
_MARGIN = 1.2


class NotYet(BackendError):
    """A transaction is on its way and was not mined within the wait."""

    def __init__(self, transaction: bytes, wait_s: float) -> None:
        super().__init__(f"transaction 0x{transaction.hex()} was not mined within {wait_s:g} s")
        self.transaction = transaction


@dataclass(frozen=True, slots=True)
class Done:
    """A mined transaction. contract: what it deployed, else empty."""

    transaction: bytes
    block: int
    gas: int
    contract: bytes


class ContractAdmin:
    """An account that changes a contract."""

    def __init__(self, rpc: Rpc, account: Account, max_fee_wei: int, wait_s: float) -> None:
        self._rpc = rpc
        self._account = account
        self._max_fee_wei = max_fee_wei
        self._wait_s = wait_s

    def deploy(self, build: Build, arguments: bytes = b"") -> Done:
        """A new contract; arguments: the constructor's, encoded."""
        return self.send(b"", bytes.fromhex(build.bytecode[2:]) + arguments)

    def change(self, contract: bytes, build: Build, function: str, arguments: Sequence[object]) -> Done:
        """A call of a function of the contract."""
        return self.send(contract, Interface(build).call(function, *arguments))

    def send(self, to: bytes, data: bytes) -> Done:
        """One transaction, mined (rules 1 to 3); to: empty to deploy."""
        try:
            return self._sent(to, data)
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(PARTY, f"an answer that is none: {error}") from error

    def _sent(self, to: bytes, data: bytes) -> Done:
        call = {"from": _hex(self._account.address), "data": _hex(data), **({"to": _hex(to)} if to else {})}
        try:
            gas = int(number(self._rpc.ask("eth_estimateGas", call)) * _MARGIN)
        except RpcError as error:
            raise Rejected(f"the contract refuses: {reason(error)}") from error
        head: dict[str, Any] = self._rpc.ask("eth_getBlockByNumber", "latest", False)
        fees = self._fees(head, gas)
        nonce = number(self._rpc.ask("eth_getTransactionCount", _hex(self._account.address), "latest"))
        made = Call(nonce, to, data, gas)
        chain_id = number(self._rpc.ask("eth_chainId"))
        return self._waited(self._account.signed(chain_id, made, fees, "baseFeePerGas" in head))

    def _fees(self, head: dict[str, Any], gas: int) -> Fees:
        base = number(head.get("baseFeePerGas", "0x0"))
        price = number(self._rpc.ask("eth_gasPrice"))
        balance = number(self._rpc.ask("eth_getBalance", _hex(self._account.address), "latest"))
        fees = fees_for(Market(base, max(0, price - base), balance), gas, self._max_fee_wei, None)
        if isinstance(fees, Hold):
            raise Rejected(f"account {_hex(self._account.address)}: {fees.reason}")
        return fees

    def _waited(self, raw: bytes) -> Done:
        transaction = keccak(raw)
        end = time.monotonic() + self._wait_s
        while True:
            said = self._rpc.broadcast(raw)
            receipt = self._rpc.ask("eth_getTransactionReceipt", _hex(transaction))
            if receipt is not None:
                return _done(transaction, receipt)
            if time.monotonic() > end:
                raise NotYet(transaction, self._wait_s) from Unavailable(PARTY, "; ".join(said))
            time.sleep(POLL_S)


def _done(transaction: bytes, receipt: dict[str, Any]) -> Done:
    if number(receipt["status"]) != 1:
        raise Rejected(f"transaction {_hex(transaction)} was mined and failed")
    made = receipt.get("contractAddress")
    return Done(transaction, number(receipt["blockNumber"]), number(receipt["gasUsed"]), octets(made) if made else b"")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
