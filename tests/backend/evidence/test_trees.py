"""Growing trees give the roots and proofs of the wire code at every size."""

import pytest
from lightwire import merkle

from backend.evidence.trees import Tree

LEAVES = [merkle.leaf_hash(b"%d" % k) for k in range(70)]


@pytest.mark.parametrize("size", range(1, 71))
def test_roots_and_proofs_are_those_of_the_wire_code(size: int) -> None:
    tree = Tree(LEAVES)
    assert tree.root(size) == merkle.root(LEAVES[:size])
    for position in range(0, size, 7):
        assert tree.inclusion(position, size) == merkle.inclusion_path(LEAVES[:size], position)
    for first in range(1, size + 1, 5):
        assert tree.consistency(first, size) == merkle.consistency_path(LEAVES[:size], first, size)


def test_a_leaf_that_is_not_in_the_tree_cannot_be_proven() -> None:
    with pytest.raises(IndexError):
        Tree(LEAVES[:5]).inclusion(4, 4)
