"""Ledger over JSON-RPC: the operator's log in an AnchorLog contract on any Ethereum-compatible chain.

1. State is asked as of a block's hash (EIP-1898), so that an endpoint with another view refuses instead of mixing.
2. Fees are those of EIP-1559 where blocks have a base fee, a gas price where they have none.
3. The key signs here; it is never handed out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from backend.adapters.contract import Interface, reason
from backend.adapters.keys import SigningKey
from backend.adapters.rpc import PARTY, Rpc, RpcError, number, octets
from backend.contract import anchor_log
from backend.errors import Unavailable
from backend.evidence.anchoring import Commitment, Fees, Market, gas_limit
from backend.ports import Block, ChainEvent

_DYNAMIC_FEE = b"\x02"
_NOBODY = "0x" + "00" * 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log stands: contract (20 bytes), the operator's log (32 bytes), the block of the contract's deployment, or
    any before it."""

    contract: bytes
    log: bytes
    first_block: int = 0


class Account:
    """A key that writes on a chain."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self.address = bytes(keccak(b"".join(part.to_bytes(32, "big") for part in key.point))[12:])

    def signed(self, chain_id: int, call: "Call", fees: Fees, is_dynamic: bool) -> bytes:
        """A raw transaction; is_dynamic: with both fees (EIP-1559), else with a gas price (EIP-155)."""
        if is_dynamic:
            fields = [chain_id, call.nonce, fees.tip_wei, fees.max_fee_wei, call.gas, call.to, 0, call.data, []]
            v, r, s = self._sign(keccak(_DYNAMIC_FEE + rlp.encode(fields)))
            return bytes(_DYNAMIC_FEE + rlp.encode([*fields, v, r, s]))
        fields = [call.nonce, fees.max_fee_wei, call.gas, call.to, 0, call.data]
        v, r, s = self._sign(keccak(rlp.encode([*fields, chain_id, 0, 0])))
        return bytes(rlp.encode([*fields, v + 35 + 2 * chain_id, r, s]))

    def _sign(self, digest: bytes) -> tuple[int, int, int]:
        made = self._key.sign_recoverable(digest)
        return made[64], int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big")


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does. to: empty to deploy."""

    nonce: int
    to: bytes
    data: bytes
    gas: int


class ContractLedger:
    """The operator's log on a chain; the account pays and writes."""

    def __init__(self, rpc: Rpc, account: Account, place: Place) -> None:
        """Asks for the chain's id; Unavailable if nobody answers."""
        self._rpc = rpc
        self._account = account
        self._interface = Interface(anchor_log())
        self.contract, self.log, self.first_block = place.contract, place.log, place.first_block
        self.last_answer = ""
        self.chain_id = self._asked(lambda: number(rpc.ask("eth_chainId")))

    @property
    def address(self) -> bytes:
        """Of the account that writes."""
        return self._account.address

    def head(self) -> Block:
        """The latest block."""
        return self._block("latest")

    def block(self, number: int) -> Block:
        """The block of this number, as the chain has it now."""
        return self._block(hex(number))

    def words(self, first: int, count: int, block: Block) -> list[bytes]:
        """Commitment words of at most 128 epochs first.. as of exactly this block."""
        found = self.read("commitments", (self.log, first, count), block)
        if found is None:
            return [bytes(32)] * count
        if len(found) != count:
            raise Unavailable(PARTY, f"the contract gives {len(found)} words where {count} were asked")
        return [bytes(word) for word in found]

    def read(self, function: str, arguments: Sequence[object], block: Block) -> Any:
        """What a view of the contract returns as of a block; None before the contract was there."""
        data = self._interface.call(function, *arguments)
        call = {"to": _hex(self.contract), "data": _hex(data), "from": _hex(self.address)}

        def asked() -> Any:
            raw = octets(self._rpc.ask("eth_call", call, _pinned(block)))
            if not raw and self._is_deployed():
                return None
            return self._interface.answer(function, raw)

        return self._asked(asked)

    def admins(self, block: Block) -> tuple[bytes, bytes]:
        """As of a block the contract's admin and to whom it is offered (20 bytes each; empty for nobody)."""
        said = [self.read(name, (), block) or _NOBODY for name in ("admin", "pending_admin")]
        admin, offered = (b"" if one == _NOBODY else octets(one) for one in said)
        return admin, offered

    def _is_deployed(self) -> bool:
        if octets(self._rpc.ask("eth_getCode", _hex(self.contract), "latest")):
            return True
        raise Unavailable(PARTY, f"chain {self.chain_id} has no contract at {_hex(self.contract)}")

    def events(self, first: int, last: int) -> list[ChainEvent]:
        """Every event of the contract that concerns the log, in blocks first..last inclusive, in order."""
        span = {"address": _hex(self.contract), "fromBlock": hex(first), "toBlock": hex(last)}

        def asked() -> list[ChainEvent]:
            found = [self._interface.event(entry) for entry in self._rpc.ask("eth_getLogs", span)]
            ours = [event for event in found if event.facts.get("operator", _hex(self.log)) == _hex(self.log)]
            return sorted(ours, key=lambda event: (event.block, event.position))

        return self._asked(asked)

    def nonce(self, block: Block) -> int:
        """The account's next nonce as of a block."""
        return self._asked(lambda: number(self._rpc.ask("eth_getTransactionCount", _hex(self.address), _pinned(block))))

    def market(self, block: Block) -> Market:
        """What transactions cost after a block, and what the account has."""
        base = block.base_fee_wei
        tip = self._asked(lambda: self._tip(base))
        balance = self._asked(lambda: number(self._rpc.ask("eth_getBalance", _hex(self.address), _pinned(block))))
        return Market(base or 0, tip, balance)

    def _tip(self, base_fee_wei: int | None) -> int:
        if base_fee_wei is not None:
            try:
                return number(self._rpc.ask("eth_maxPriorityFeePerGas"))
            except RpcError:
                pass  # a node from before EIP-1559's methods: what its gas price says beyond the base fee
        return max(0, number(self._rpc.ask("eth_gasPrice")) - (base_fee_wei or 0))

    def refusal(self, commitments: Sequence[Commitment], block: Block) -> str:
        """Why the contract would refuse these rows as of a block; empty if it would not."""
        call = {"to": _hex(self.contract), "from": _hex(self.address), "data": _hex(self._data(commitments))}
        try:
            self._asked(lambda: self._rpc.ask("eth_call", call, _pinned(block)))
        except RpcError as error:
            return reason(error) or "without a reason"
        return ""

    def prepare(self, nonce: int, commitments: Sequence[Commitment], fees: Fees) -> bytes:
        """A signed raw transaction: `commit` for one row, `commit_many` for more."""
        call = Call(nonce, self.contract, self._data(commitments), gas_limit(commitments))
        is_dynamic = self.head().base_fee_wei is not None
        return self._account.signed(self.chain_id, call, fees, is_dynamic)

    def _data(self, commitments: Sequence[Commitment]) -> bytes:
        if len(commitments) == 1:
            return self._interface.call("commit", self.log, *commitments[0])
        first, last = commitments[0][0], commitments[-1][0]
        rows = {epoch: (root, count) for epoch, root, count in commitments}
        span = [rows.get(epoch, (bytes(32), 0)) for epoch in range(first, last + 1)]
        return self._interface.call("commit_many", self.log, first, [r for r, _ in span], [c for _, c in span])

    def send(self, raw: bytes) -> None:
        """Broadcasts, whatever the nodes answer."""
        self.last_answer = "; ".join(self._rpc.broadcast(raw))

    def _block(self, which: str) -> Block:
        def asked() -> Block:
            found: Mapping[str, object] = self._rpc.ask("eth_getBlockByNumber", which, False)
            if found is None:
                raise ValueError(f"no block {which}")
            base = found.get("baseFeePerGas")
            return Block(
                number(found["number"]), octets(found["hash"]), number(found["timestamp"]),
                None if base is None else number(base),
            )  # fmt: skip

        return self._asked(asked)

    def _asked(self, question: Callable[[], _T]) -> _T:
        try:
            return question()
        except RpcError as error:
            if error.is_revert:
                raise
            raise Unavailable(PARTY, str(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(PARTY, f"an answer that is none: {error}") from error


def checksummed(address: bytes) -> str:
    """An address as people read it (EIP-55)."""
    return str(to_checksum_address(address))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _pinned(block: Block) -> dict[str, object]:
    return {"blockHash": _hex(block.hash), "requireCanonical": True}
