"""Recursive length prefix (RLP) and Merkle Patricia tries, as the Ethereum yellow paper has them (appendices B and D), read.

1. RLP in its one form: the shortest length, no byte alone behind a length, nothing behind the item; nesting at most 4.
2. A proof is the list of nodes from the root to the key, each the one whose hash the node before names (a node of less than
   32 bytes stands inside it), none of them left over.
"""

from collections.abc import Sequence

from backend.evidence.verifier.finding import NotValid

Item = bytes | list["Item"]
_DEEPEST = 4
_MOST_NODES = 64


def keccak(data: bytes) -> bytes:
    """Keccak-256 (32 bytes)."""
    from Crypto.Hash import keccak as algorithm  # late: a file without a state proof needs none of it

    return algorithm.new(digest_bits=256, data=data).digest()


def read_rlp(data: bytes, where: str) -> Item:
    """The one item in data (rule 1)."""
    item, end = _read(data, 0, len(data), 0, where)
    if end != len(data):
        raise NotValid(where, f"{len(data) - end} bytes follow the item")
    return item


def _read(data: bytes, at: int, end: int, depth: int, where: str) -> tuple[Item, int]:
    if at >= end or depth > _DEEPEST:
        raise NotValid(where, "is not RLP (it ends early, or is nested too deep)")
    head = data[at]
    if head < 0x80:
        return data[at : at + 1], at + 1
    start, length = _span(data, at, end, where)
    stop = start + length
    if stop > end:
        raise NotValid(where, "is not RLP (it ends early)")
    if head < 0xC0:
        if length == 1 and data[start] < 0x80:
            raise NotValid(where, "is not RLP in its one form")
        return data[start:stop], stop
    items: list[Item] = []
    while start < stop:
        item, start = _read(data, start, stop, depth + 1, where)
        items.append(item)
    return items, stop


def _span(data: bytes, at: int, end: int, where: str) -> tuple[int, int]:
    """(start of the content, its length)."""
    offset = data[at] - (0x80 if data[at] < 0xC0 else 0xC0)
    if offset < 56:
        return at + 1, offset
    width = offset - 55
    digits = data[at + 1 : at + 1 + width]
    if at + 1 + width > end or not digits or digits[0] == 0 or int.from_bytes(digits, "big") < 56:
        raise NotValid(where, "is not RLP in its one form")
    return at + 1 + width, int.from_bytes(digits, "big")


def value_at(root: bytes, key: bytes, nodes: Sequence[bytes], where: str) -> bytes:
    """What a trie with this root holds under keccak(key); NotValid unless the proof says so (rule 2)."""
    path = [digit for octet in keccak(key) for digit in (octet >> 4, octet & 15)]
    if not 0 < len(nodes) <= _MOST_NODES or keccak(nodes[0]) != root:
        raise NotValid(where, "does not begin with the node of the root")
    used, node = 1, read_rlp(nodes[0], f"{where}[0]")
    while True:
        below, path = _step(node, path, where)
        if not path and isinstance(below, bytes) and _is_end(node):
            break
        if isinstance(below, list):
            node = below
            continue
        if used == len(nodes) or len(below) != 32 or keccak(nodes[used]) != below:
            raise NotValid(where, f"node {used} is not the one that the node before it names")
        node = read_rlp(nodes[used], f"{where}[{used}]")
        used += 1
    if used != len(nodes):
        raise NotValid(where, "has nodes that lead nowhere")
    return below


def _is_end(node: Item) -> bool:
    """Whether a node holds a value where its path ends: a leaf, for keys of one length."""
    return isinstance(node, list) and len(node) == 2 and isinstance(node[0], bytes) and node[0][:1] >= b"\x20"


def _step(node: Item, path: list[int], where: str) -> tuple[Item, list[int]]:
    """What a node says to a path, and the path that is left."""
    if isinstance(node, list) and len(node) == 17 and path:
        below = node[path[0]]
        if below == b"":
            raise NotValid(where, "there is nothing under this key")
        return below, path[1:]
    if isinstance(node, list) and len(node) == 2 and isinstance(node[0], bytes) and node[0]:
        digits = [digit for octet in node[0] for digit in (octet >> 4, octet & 15)]
        if digits[0] > 3 or (digits[0] % 2 == 0 and digits[1]):
            raise NotValid(where, "has a path of another form")
        mine = digits[1:] if digits[0] % 2 else digits[2:]
        if path[: len(mine)] != mine or (digits[0] >= 2 and len(mine) != len(path)):
            raise NotValid(where, "there is nothing under this key")
        return node[1], path[len(mine) :]
    raise NotValid(where, "has a node of another form")
