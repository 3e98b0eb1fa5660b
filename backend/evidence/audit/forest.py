"""The trees as they were anchored, found again from three places that each hold a leaf: its hash, its data, its source.

1. The roots of genuine checkpoints decide which of the three places is right, stretch by stretch and leaf by leaf.
2. A leaf whose data is gone is in order if a Tombstone in its tree names its place and hash.
3. Behind the last genuine checkpoint a leaf is true whose data is believed, else what its hash says.
4. Where no choice gives the anchored root, the stretch between two checkpoints is named, and nothing behind it is believed
   to be anchored.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lightwire import merkle

from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.trees import Tree

_MOST_CHOICES = 4096
_MOST_SWAPPED = 96


@dataclass(slots=True)
class Grove:
    """One tree: leaf hashes and data by position; of its sources the leaf hashes by position, and those without one.

    After `resolve`: truth (leaf hashes in order), of which the first `anchored` stand on chain; where (position by hash)."""

    number: int
    nodes: Mapping[int, bytes]
    leaves: Mapping[int, bytes]
    sources: Mapping[int, bytes] = field(default_factory=dict)
    unplaced: Sequence[bytes] = ()
    truth: list[bytes] = field(default_factory=list)
    anchored: int = 0
    where: dict[bytes, int] = field(default_factory=dict)
    tree: Tree = field(default_factory=Tree)

    def candidates(self, position: int) -> list[bytes]:
        """What may stand there, likeliest first, each once."""
        data = self.leaves.get(position)
        found = [
            self.nodes.get(position),
            merkle.leaf_hash(data) if data is not None else None,
            self.sources.get(position),
        ]
        return [one for one in dict.fromkeys(found) if one]


def resolve(
    grove: Grove, genuine: Sequence[tuple[int, bytes]], is_believed: Callable[[bytes], bool], alarms: Alarms
) -> None:
    """Fills truth, anchored and where from (size, root) of genuine checkpoints, rising in size."""
    front = merkle.Frontier()
    for size, root in genuine:
        if size > len(grove.nodes) + len(grove.leaves) + len(grove.sources) + len(grove.unplaced):
            alarms.add("leaf", name(grove.number), f"has fewer leaves than the {size} that are anchored")
            break
        chosen = _stretch(grove, front, size, root)
        if chosen is None:
            first, last = front.size, size - 1
            alarms.add("leaf", f"{grove.number}/{first}..{last}", "these leaves do not give the root that is anchored")
            break
        for leaf in chosen:
            front.add(leaf)
        grove.truth += chosen
    grove.anchored = len(grove.truth)
    _tail(grove, is_believed)
    grove.where = {leaf: k for k, leaf in reversed(list(enumerate(grove.truth)))}
    grove.tree = Tree(grove.truth)


def _tail(grove: Grove, is_believed: Callable[[bytes], bool]) -> None:
    """Rule 3. What stands in one of the two places only counts if a source asks for it that has no leaf yet."""
    known, there = {*grove.sources.values(), *grove.unplaced}, set(grove.truth)
    for position in itertools.count(len(grove.truth)):
        node, data = grove.nodes.get(position), grove.leaves.get(position)
        hashed = None if data is None else merkle.leaf_hash(data)
        if node is None or hashed is None:
            alone = node or hashed
            if alone is None or alone not in known or alone in there:
                return
        true = hashed if hashed is not None and data is not None and (node is None or is_believed(data)) else node
        assert true is not None
        grove.truth.append(true)


def _stretch(grove: Grove, front: merkle.Frontier, size: int, root: bytes) -> list[bytes] | None:
    """The leaves from the front to size that give the root (rule 1); None if there is no such choice."""
    places = [grove.candidates(k) for k in range(front.size, size)]
    taken = {one for found in places for one in found}
    free = [one for one in grove.unplaced if one not in taken and one not in grove.truth[-4096:]]
    places = [found or free for found in places]
    if not all(places):
        return None
    firsts, lasts = [found[0] for found in places], [found[-1] for found in places]
    open_places = [k for k, found in enumerate(places) if len(found) > 1]
    choices: itertools.chain[list[bytes]] = itertools.chain([firsts, lasts], _mixed(places, open_places, free))
    for chosen in itertools.chain(choices, _swapped(firsts)):
        if _root(front, chosen) == root:
            return chosen
    return None


def _mixed(places: list[list[bytes]], open_places: list[int], free: list[bytes]) -> list[list[bytes]]:
    """Every choice at the open places, also what has no place of its own; [] if they are too many."""
    wider = {k: list(dict.fromkeys([*places[k], *free])) for k in open_places}
    options = [wider[k] if k in wider else places[k][:1] for k in range(len(places))]
    total = 1
    for option in options:
        total *= len(option)
        if total > _MOST_CHOICES:
            return []
    return [list(one) for one in itertools.product(*options)]


def _swapped(leaves: list[bytes]) -> list[list[bytes]]:
    """Every exchange of two leaves; [] if they are too many."""
    if len(leaves) > _MOST_SWAPPED:
        return []
    found = []
    for a, b in itertools.combinations(range(len(leaves)), 2):
        other = list(leaves)
        other[a], other[b] = other[b], other[a]
        found.append(other)
    return found


def _root(front: merkle.Frontier, more: Sequence[bytes]) -> bytes:
    grown = front.copy()
    for leaf in more:
        grown.add(leaf)
    return grown.root()


def compare(grove: Grove, buried: Mapping[int, bytes], alarms: Alarms) -> None:
    """Names each row of a tree that is not as it was anchored; buried: leaf hashes of tombstones by position (rule 2)."""
    hashed = {k: merkle.leaf_hash(data) for k, data in grove.leaves.items()}
    for table, rows in (("node", grove.nodes), ("leaf", hashed)):
        for k, true in enumerate(grove.truth):
            found = rows.get(k)
            if found == true or (found is None and table == "leaf" and buried.get(k) == true):
                continue
            alarms.add(table, name(grove.number, k), _difference(grove, found))
        for k in rows:
            if not 0 <= k < len(grove.truth):
                alarms.add(table, name(grove.number, k), "does not belong to the tree: it was put in")


def _difference(grove: Grove, found: bytes | None) -> str:
    if found is None:
        return "is missing"
    there = grove.where.get(found)
    return (
        "was changed: it is not what was anchored"
        if there is None
        else f"was exchanged: it belongs to position {there}"
    )
