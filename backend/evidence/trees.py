"""Growing RFC 9162 trees: roots and proofs at any size, with complete subtrees hashed once."""

from collections.abc import Iterable

from lightwire import merkle


class Tree:
    """Leaf hashes in order of arrival; append and prove in O(log n) hashes."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """How many leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> int:
        """Adds a leaf hash; its position."""
        position = self.size
        node, level = leaf, 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)
            if len(self._levels[level]) % 2:
                return position
            node = merkle.node_hash(self._levels[level][-2], node)
            level += 1

    def root(self, size: int | None = None) -> bytes:
        """Root over the first `size` leaves (all by default)."""
        size = self.size if size is None else size
        return self._hash(0, size) if size else merkle.root([])

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Audit path of a leaf in the tree of the first `size` leaves; IndexError outside it."""
        if not 0 <= position < size <= self.size:
            raise IndexError(f"leaf {position} of {size} in a tree of {self.size}")
        return self._path(position, 0, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Proof that the tree of `first` leaves is the start of the one of `second`; IndexError outside."""
        if not 0 < first <= second <= self.size:
            raise IndexError(f"sizes {first} and {second} in a tree of {self.size}")
        return self._subproof(first, 0, second, True)

    def _hash(self, start: int, size: int) -> bytes:
        if size & (size - 1) == 0 and start % size == 0:
            return self._levels[size.bit_length() - 1][start // size]
        k = 1 << (size - 1).bit_length() - 1
        return merkle.node_hash(self._hash(start, k), self._hash(start + k, size - k))

    def _path(self, position: int, start: int, size: int) -> list[bytes]:
        if size == 1:
            return []
        k = 1 << (size - 1).bit_length() - 1
        if position < k:
            return [*self._path(position, start, k), self._hash(start + k, size - k)]
        return [*self._path(position - k, start + k, size - k), self._hash(start, k)]

    def _subproof(self, first: int, start: int, size: int, whole: bool) -> list[bytes]:
        if first == size:
            return [] if whole else [self._hash(start, size)]
        k = 1 << (size - 1).bit_length() - 1
        if first <= k:
            return [*self._subproof(first, start, k, whole), self._hash(start + k, size - k)]
        return [*self._subproof(first - k, start + k, size - k, False), self._hash(start, k)]
