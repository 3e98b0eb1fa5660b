"""State proofs from a node of the chain (EIP-1186): what makes a receipt checkable from the hash of one block alone.

1. The header is put together from the node's answer and must have the hash that the node gives: so a header of a form that
   is not known here is refused, not guessed.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from backend.errors import Rejected
from backend.evidence.verifier.anchors import STATE_FORMAT, ask
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.state import slot_of
from backend.evidence.verifier.trie import keccak
from backend.market.canonical import text

_HEADER = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
)  # fmt: skip
_LATER = ("baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
_NUMBERS = {
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas",
}  # fmt: skip


def with_state(made: str, url: str, block: str | None) -> str:
    """A receipt file with the state proof of a block; Rejected if the block does not prove it."""
    report = verify(made.encode(), None)
    if report.is_promise:
        raise Rejected("this is a promise: no epoch has committed to it yet")
    document = json.loads(made)
    document["state"] = state_proof(url, report.contract, report.log, report.epochs, block)
    found = text(document)
    verify(found.encode(), None)
    return found


def state_file(url: str, chain_id: int, contract: bytes, log: bytes, epochs: Iterable[int], block: str | None) -> str:
    """The same as a file for --anchors, with --block-hash."""
    state = state_proof(url, contract, log, epochs, block)
    where = {"chain_id": chain_id, "contract": contract.hex(), "operator": log.hex()}
    return text({"format": STATE_FORMAT, **where, "state": state})


def state_proof(url: str, contract: bytes, log: bytes, epochs: Iterable[int], block: str | None) -> dict[str, Any]:
    """Header, account and storage proofs of the words of epochs; block: its number in decimal, else the last final one."""
    tag = hex(int(block)) if block is not None else "finalized"
    head = _object(ask(url, "eth_getBlockByNumber", [tag, False]), f"block {tag}")
    wanted = {epoch: "0x" + slot_of(log, epoch).hex() for epoch in sorted(epochs)}
    asked = ["0x" + contract.hex(), list(wanted.values()), head["number"]]
    proof = _object(ask(url, "eth_getProof", asked), "the state proof")
    storage = dict(zip(wanted, proof["storageProof"], strict=True))
    return {
        "block_hash": _bytes(head["hash"]).hex(),
        "header": header(head).hex(),
        "account": [_bytes(node).hex() for node in proof["accountProof"]],
        "storage": {str(epoch): [_bytes(node).hex() for node in row["proof"]] for epoch, row in storage.items()},
    }


def header(head: Mapping[str, Any]) -> bytes:
    """The bytes whose hash the block has (rule 1)."""
    names = [*_HEADER, *(name for name in _LATER if head.get(name) is not None)]
    made = _rlp([_number(head[name]) if name in _NUMBERS else _bytes(head[name]) for name in names])
    if keccak(made) != _bytes(head["hash"]):
        raise Rejected(f"block {head['number']}: its header is of a form that is not known here")
    return made


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Rejected(f"the node does not give {what}")
    return value


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _number(value: str) -> bytes:
    number = int(value, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _rlp(items: Iterable[bytes]) -> bytes:
    """A list of byte strings in recursive length prefix."""
    body = b"".join(one if len(one) == 1 and one[0] < 0x80 else _prefix(0x80, len(one)) + one for one in items)
    return _prefix(0xC0, len(body)) + body


def _prefix(base: int, length: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(digits)]) + digits
