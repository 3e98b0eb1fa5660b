"""Merkle trees of RFC 6962 / RFC 9162: leaf and node hashes, a frontier, inclusion and consistency proofs.

1. leaf = SHA-256(00 || data), node = SHA-256(01 || left || right); an empty tree's root is SHA-256 of nothing.
2. Trees are given by their leaf hashes in order.
3. Checks are total: any integers and any byte strings, of any size and number, give True or False. A hash of another
   length than 32 bytes is False, and work is bounded by the length of the path.
4. A frontier joins two neighbours of one height, the first two there are, when a leaf comes: no leaf costs more than another.
"""

import hashlib


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf's data (32 bytes)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (32 bytes)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows and keeps some log2(size) hashes: for a device that never needs old leaves.

    Its lists keep their length: on a device, what gives back memory makes every number that follows look for its place.
    """

    def __init__(self) -> None:
        self.size = 0
        self._count = 0
        self._peaks = [b""] * 16  # the first _count: hashes of full trees, left to right
        self._heights = bytearray(16)  # theirs; a tree is never right of a lower one

    def copy(self) -> "Frontier":
        """Another frontier of the same tree."""
        made = Frontier()
        made.size, made._count = self.size, self._count
        made._peaks, made._heights = self._peaks[:], self._heights[:]
        return made

    def add(self, leaf: bytes) -> None:
        """Appends a leaf hash. Cost: at most one hash (rule 4)."""
        at = self._count
        if at == len(self._peaks):
            self._peaks.append(leaf)
            self._heights.append(0)
        else:
            self._peaks[at] = leaf
            self._heights[at] = 0
        self._count = at + 1
        self.size += 1
        self._join()

    def root(self) -> bytes:
        """Root over all leaves so far."""
        while self._join():
            pass
        if not self.size:
            return hashlib.sha256(b"").digest()
        result = self._peaks[self._count - 1]
        for at in range(self._count - 2, -1, -1):
            result = node_hash(self._peaks[at], result)
        return result

    def _join(self) -> bool:
        """Rule 4; whether there were two."""
        peaks, heights, count = self._peaks, self._heights, self._count
        for at in range(1, count):
            if heights[at] == heights[at - 1]:
                peaks[at - 1] = node_hash(peaks[at - 1], peaks[at])
                heights[at - 1] += 1
                for right in range(at + 1, count):
                    peaks[right - 1] = peaks[right]
                    heights[right - 1] = heights[right]
                self._count = count - 1
                return True
        return False


def root(leaves: list[bytes]) -> bytes:
    """Root over leaf hashes."""
    level = leaves
    while len(level) > 1:
        above = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0] if level else hashlib.sha256(b"").digest()


def _split(size: int) -> int:
    """The largest power of two below size (RFC 9162, 2.1.1)."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def inclusion_path(leaves: list[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf (RFC 9162, 2.1.3.1), from the leaf upwards."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return inclusion_path(leaves[:k], index) + [root(leaves[k:])]
    return inclusion_path(leaves[k:], index - k) + [root(leaves[:k])]


def consistency_path(leaves: list[bytes], first: int, second: int) -> list[bytes]:
    """Proof that the tree of the first `first` leaves is the start of that of `second` leaves (RFC 9162, 2.1.4.1)."""
    if not 0 < first <= second <= len(leaves):
        raise IndexError(f"sizes {first} and {second} of {len(leaves)}")
    return _subproof(leaves[:second], first, True)


def _subproof(leaves: list[bytes], first: int, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split(len(leaves))
    if first <= k:
        return _subproof(leaves[:k], first, whole) + [root(leaves[k:])]
    return _subproof(leaves[k:], first - k, False) + [root(leaves[:k])]


def root_of_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root an inclusion path leads to (RFC 9162, 2.1.3.2); b"" if index, size and path do not fit together."""
    if not 0 <= index < size or len(leaf) != 32:
        return b""
    fn = index
    sn = size - 1
    result = leaf
    for step in path:
        if sn == 0 or len(step) != 32:
            return b""
        if fn & 1 or fn == sn:
            result = node_hash(step, result)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            result = node_hash(result, step)
        fn >>= 1
        sn >>= 1
    return result if sn == 0 else b""


def verify_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], expected: bytes) -> bool:
    """Whether the leaf hash stands at index in the tree of this size and root."""
    return len(expected) == 32 and root_of_path(leaf, index, size, path) == expected


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]) -> bool:
    """Whether the tree (first, first_root) is the start of (second, second_root) (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second or any([len(h) != 32 for h in (first_root, second_root)]):
        return False
    if first == second:
        return not path and first_root == second_root
    steps = list(path) if first & (first - 1) else [first_root] + list(path)
    if not steps or any([len(step) != 32 for step in steps]):
        return False
    fn = first - 1
    sn = second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old = node_hash(step, old)
            new = node_hash(step, new)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, step)
        fn >>= 1
        sn >>= 1
    return sn == 0 and old == first_root and new == second_root
