"""What a contract holds, from the hash of one block alone: header, account, storage (EIP-1186). Layout in FORMAT.md.

1. The header has the hash; its fourth field is the root of the accounts.
2. The account of the contract is under that root; its third field is the root of its storage.
3. The word of an epoch is in the storage, at the place where AnchorLog keeps it: slot 5, log, epoch.
4. Everything is there once and needed: epochs in order, no node left over.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.sheet import octets, record, rows
from backend.evidence.verifier.trie import keccak, read_rlp, value_at

WORDS_SLOT = 5
FIELDS = ("block_hash", "header", "account", "storage")
_MOST_EPOCHS = 4096


@dataclass(frozen=True, slots=True)
class StateProof:
    """Words by epoch, as the contract held them in the block with this hash."""

    block_hash: bytes
    words: Mapping[int, bytes]


def slot_of(log: bytes, epoch: int) -> bytes:
    """Where AnchorLog keeps the word of an epoch (32 bytes): words[log][epoch], as Vyper lays maps out."""
    of_log = keccak(WORDS_SLOT.to_bytes(32, "big") + log)
    return keccak(of_log + epoch.to_bytes(32, "big"))


def prove(value: object, contract: bytes, log: bytes, where: str) -> StateProof:
    """The words that a state proof proves; NotValid if it proves nothing."""
    table = record(value, FIELDS, where)
    header = octets(table["header"], f"{where}, header")
    block_hash = octets(table["block_hash"], f"{where}, block_hash", 32)
    if keccak(header) != block_hash:
        raise NotValid(f"{where}, header", "is not the one whose hash is named")
    fields = read_rlp(header, f"{where}, header")
    if not isinstance(fields, list) or len(fields) < 15 or not isinstance(fields[3], bytes) or len(fields[3]) != 32:
        raise NotValid(f"{where}, header", "is no header of a block")
    account = read_rlp(
        value_at(fields[3], contract, _nodes(table["account"], f"{where}, account"), f"{where}, account"), where
    )
    if not isinstance(account, list) or len(account) != 4 or not isinstance(account[2], bytes) or len(account[2]) != 32:
        raise NotValid(f"{where}, account", "is no account")
    storage = table["storage"]
    if not isinstance(storage, dict) or not 0 < len(storage) <= _MOST_EPOCHS:
        raise NotValid(f"{where}, storage", f"is not an object of 1 to {_MOST_EPOCHS} epochs")
    words = {}
    for name, proof in storage.items():
        place = f"{where}, storage, {name}"
        words[_epoch(name, place)] = _word(account[2], log, _epoch(name, place), _nodes(proof, place), place)
    return StateProof(block_hash, words)


def _nodes(value: object, where: str) -> list[bytes]:
    return [octets(node, f"{where}[{k}]") for k, node in enumerate(rows(value, where))]


def _epoch(name: str, where: str) -> int:
    if not (name.isascii() and name.isdecimal()) or len(name) > 10 or str(int(name)) != name:
        raise NotValid(where, "is not the number of an epoch")
    return int(name)


def _word(root: bytes, log: bytes, epoch: int, nodes: list[bytes], where: str) -> bytes:
    found = read_rlp(value_at(root, slot_of(log, epoch), nodes, where), where)
    if not isinstance(found, bytes) or not 0 < len(found) <= 32 or found[0] == 0:
        raise NotValid(where, "is no word")
    return found.rjust(32, b"\0")
