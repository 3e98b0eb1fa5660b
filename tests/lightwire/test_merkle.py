"""Merkle trees: the well-known vectors of RFC 6962 implementations, all sizes against the independent verifier, both interpreters."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import merkle

from backend.evidence.verifier import merkle as independent

# the eight leaves and roots that Certificate Transparency's implementations share (RFC 6962 reference tests)
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"leaf %d" % i) for i in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    leaves = [merkle.leaf_hash(bytes.fromhex(data)) for data in LEAVES[:size]]
    assert merkle.root(leaves).hex() == ROOTS[size - 1]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 130])
def test_every_inclusion_path_leads_to_the_root_of_the_independent_code(size: int) -> None:
    leaves = leaves_of(size)
    root = independent.root(leaves)
    assert merkle.root(leaves) == root
    for index in range(size):
        path = merkle.inclusion_path(leaves, index)
        assert merkle.verify_inclusion(leaves[index], index, size, path, root)
        assert independent.root_of_path(leaves[index], index, size, path) == root
        assert not merkle.verify_inclusion(leaves[index], index, size, path + [root], root)
        assert not path or not merkle.verify_inclusion(leaves[index], index, size, path[:-1], root)


@pytest.mark.parametrize("second", range(1, 20))
def test_every_size_is_consistent_with_every_later_one(second: int) -> None:
    leaves = leaves_of(second)
    for first in range(1, second + 1):
        old, new = merkle.root(leaves[:first]), merkle.root(leaves)
        path = merkle.consistency_path(leaves, first)
        assert merkle.verify_consistency(first, second, old, new, path)
        other = merkle.root(leaves_of(first)[:-1] + [merkle.leaf_hash(b"other")])
        assert not merkle.verify_consistency(first, second, other, new, path)


@given(st.integers(-5, 2**70), st.integers(-5, 2**70), st.lists(st.binary(max_size=33), max_size=70))
def test_hostile_numbers_and_paths_give_false(index: int, size: int, path: list[bytes]) -> None:
    root = hashlib.sha256(b"root").digest()
    assert not merkle.verify_inclusion(root, index, size, path, bytes(32))
    assert not merkle.verify_consistency(index, size, root, bytes(32), path) or index == size


def test_the_same_holds_in_the_vm(micropython: Callable[[str], str]) -> None:
    script = (
        "from lightwire import merkle\n"
        "leaves = [merkle.leaf_hash(b'leaf %d' % i) for i in range(65)]\n"
        "root = merkle.root(leaves)\n"
        "print(root.hex(), all([merkle.verify_inclusion(leaves[i], i, 65, merkle.inclusion_path(leaves, i), root) for i in range(65)]),"
        " merkle.verify_consistency(33, 65, merkle.root(leaves[:33]), root, merkle.consistency_path(leaves, 33)))"
    )
    assert micropython(script).split() == [independent.root(leaves_of(65)).hex(), "True", "True"]
