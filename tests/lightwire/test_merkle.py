"""Merkle trees: published vectors of RFC 6962 and RFC 9162, all sizes against the independent verifier, hostile input."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import merkle

from backend.evidence.verifier import merkle as independent

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle.json").read_text())
HASHES = st.binary(min_size=32, max_size=32)

# the eight leaves and roots that Certificate Transparency's implementations share, here too for the reader
CT_ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"leaf %d" % i) for i in range(count)]


def octets(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(v) for v in values]


@pytest.mark.parametrize("vector", VECTORS["certificate_transparency"], ids=lambda v: str(len(v["leaves"])))
def test_the_roots_are_those_of_certificate_transparency(vector: dict[str, Any]) -> None:
    assert merkle.root([merkle.leaf_hash(data) for data in octets(vector["leaves"])]).hex() == vector["root"]
    assert CT_ROOTS.get(len(vector["leaves"]), vector["root"]) == vector["root"]


@pytest.mark.parametrize("vector", VECTORS["numbered"], ids=lambda v: str(v["size"]))
def test_the_roots_of_larger_trees_are_those_of_a_foreign_implementation(vector: dict[str, Any]) -> None:
    assert merkle.root(leaves_of(vector["size"])).hex() == vector["root"]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda v: v["name"])
def test_a_published_inclusion_proof_holds_or_not(vector: dict[str, Any]) -> None:
    leaf, root, path = bytes.fromhex(vector["leaf"]), bytes.fromhex(vector["root"]), octets(vector["path"])
    assert merkle.verify_inclusion(leaf, vector["index"], vector["size"], path, root) is vector["holds"]


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda v: v["name"])
def test_a_published_consistency_proof_holds_or_not(vector: dict[str, Any]) -> None:
    roots = octets([vector["first_root"], vector["second_root"]])
    path = octets(vector["path"])
    assert merkle.verify_consistency(vector["first"], vector["second"], *roots, path) is vector["holds"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["inclusion"] if v["name"].startswith("made")], ids=lambda v: v["name"]
)
def test_our_inclusion_paths_are_those_of_a_foreign_implementation(vector: dict[str, Any]) -> None:
    assert merkle.inclusion_path(leaves_of(vector["size"]), vector["index"]) == octets(vector["path"])


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["consistency"] if v["name"].startswith("made")], ids=lambda v: v["name"]
)
def test_our_consistency_paths_are_those_of_a_foreign_implementation(vector: dict[str, Any]) -> None:
    path = merkle.consistency_path(leaves_of(vector["second"]), vector["first"], vector["second"])
    assert path == octets(vector["path"])


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == merkle.Frontier().root() == hashlib.sha256(b"").digest()


def test_a_frontier_has_the_root_of_every_size_and_keeps_few_hashes() -> None:
    frontier = merkle.Frontier()
    for size, leaf in enumerate(leaves_of(300), start=1):
        frontier.add(leaf)
        assert frontier.size == size
        assert frontier._count <= 2 * size.bit_length()
        assert frontier.copy().root() == independent.root(leaves_of(size))
    assert frontier.root() == frontier.root() == independent.root(leaves_of(300))
    assert frontier._count == (300).bit_count()


def test_4_no_leaf_costs_a_frontier_more_than_one_hash() -> None:
    """Each hash makes one peak of two."""
    frontier = merkle.Frontier()
    for leaf in leaves_of(300):
        before = frontier._count
        frontier.add(leaf)
        assert before <= frontier._count <= before + 1


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 130])
def test_every_inclusion_path_leads_to_the_root_of_the_independent_code(size: int) -> None:
    leaves = leaves_of(size)
    root = independent.root(leaves)
    for index in range(size):
        path = merkle.inclusion_path(leaves, index)
        assert merkle.verify_inclusion(leaves[index], index, size, path, root)
        assert independent.root_of_path(leaves[index], index, size, path) == root
        assert not merkle.verify_inclusion(leaves[index], index, size, path + [root], root)
        assert not path or not merkle.verify_inclusion(leaves[index], index, size, path[:-1], root)
        assert not any(
            merkle.verify_inclusion(leaves[index], other, size, path, root)
            for other in range(-1, size + 1)
            if other != index
        )


@pytest.mark.parametrize("second", range(1, 24))
def test_every_size_is_consistent_with_every_later_one(second: int) -> None:
    leaves = leaves_of(second)
    for first in range(1, second + 1):
        old, new = merkle.root(leaves[:first]), merkle.root(leaves)
        path = merkle.consistency_path(leaves, first, second)
        assert merkle.verify_consistency(first, second, old, new, path)
        other = merkle.root(leaves_of(first)[:-1] + [merkle.leaf_hash(b"other")])
        assert not merkle.verify_consistency(first, second, other, new, path)
        assert not merkle.verify_consistency(first, second, old, other, path)
        assert not merkle.verify_consistency(first, second, old, new, path + [new])
        for at in range(len(path)):
            assert not merkle.verify_consistency(first, second, old, new, path[:at] + path[at + 1 :])
            assert not merkle.verify_consistency(first, second, old, new, path[:at] + [other] + path[at + 1 :])


@given(st.integers(-5, 2**70), st.integers(-5, 2**70), st.lists(st.binary(max_size=33), max_size=70), HASHES)
def test_hostile_numbers_and_paths_give_false(index: int, size: int, path: list[bytes], leaf: bytes) -> None:
    root = hashlib.sha256(b"no tree has this root").digest()
    assert merkle.verify_inclusion(leaf, index, size, path, root) is False
    assert merkle.verify_consistency(index, size, leaf, root, path) is False


@given(st.binary(max_size=70), st.binary(max_size=70), st.integers(0, 3), st.lists(st.binary(max_size=70), max_size=4))
def test_hashes_of_another_length_give_false(leaf: bytes, root: bytes, index: int, path: list[bytes]) -> None:
    wrong = len(leaf) != 32 or len(root) != 32 or any(len(step) != 32 for step in path)
    if wrong:
        assert merkle.verify_inclusion(leaf, index, 4, path, root) is False
        assert merkle.verify_consistency(index, 4, leaf, root, path) is False


def test_a_path_is_refused_even_with_the_root_it_would_lead_to() -> None:
    """Rule 3: a step too many, a step or a leaf of another length, each with a root made to fit."""
    leaf, step, short = *leaves_of(2), bytes(31)
    assert merkle.verify_inclusion(leaf, 0, 2, [step], merkle.node_hash(leaf, step))
    above = merkle.node_hash(step, merkle.node_hash(leaf, step))
    assert not merkle.verify_inclusion(leaf, 0, 2, [step, step], above)
    assert not merkle.verify_inclusion(leaf, 0, 1, [step], merkle.node_hash(step, leaf))
    assert not merkle.verify_inclusion(leaf, 0, 2, [short], merkle.node_hash(leaf, short))
    assert not merkle.verify_inclusion(short, 0, 2, [step], merkle.node_hash(short, step))


def test_a_consistency_path_is_refused_even_with_roots_made_to_fit() -> None:
    old, step, short = *leaves_of(2), bytes(31)
    new = merkle.node_hash(old, step)
    assert merkle.verify_consistency(1, 2, old, new, [step])
    assert not merkle.verify_consistency(1, 2, old, merkle.node_hash(step, new), [step, step])
    four = leaves_of(4)
    longer = merkle.consistency_path(four, 3, 4) + [step]
    fitting = (merkle.node_hash(step, merkle.root(four[:3])), merkle.node_hash(step, merkle.root(four)))
    assert not merkle.verify_consistency(3, 4, *fitting, longer)
    assert not merkle.verify_consistency(1, 2, old, merkle.node_hash(old, short), [short])
    assert not merkle.verify_consistency(1, 2, short, merkle.node_hash(short, step), [step])
    assert not merkle.verify_consistency(3, 3, short, short, [])


def test_an_inner_node_is_no_leaf() -> None:
    """Rule 1: without the two prefixes the concatenation of two leaf hashes would pass for a leaf's data."""
    left, right = leaves_of(2)
    assert merkle.leaf_hash(left + right) != merkle.root([left, right])


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_there_is_no_path_to_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_path(leaves_of(size), index)


@pytest.mark.parametrize(("first", "second"), [(0, 4), (5, 4), (1, 5)])
def test_there_is_no_consistency_path_outside_the_tree(first: int, second: int) -> None:
    with pytest.raises(IndexError):
        merkle.consistency_path(leaves_of(4), first, second)
