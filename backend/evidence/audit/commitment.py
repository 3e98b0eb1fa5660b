"""Epochs and checkpoints against what the chain holds.

1. The word of an epoch on chain decides; where the chain holds none yet, or none was given, the database's own commitment
   stands for it.
2. Checkpoints that give that word are genuine. Of others each must be what the trees give at its size; the one that must be
   another for the word to come out is named.
3. An epoch noted as anchored or final stands on chain. A pending one is younger than every final one.
4. A database that is in agreement with itself, and not with the chain, means a second commitment for one epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightwire import merkle, records
from lightwire.errors import WireError
from lightwire.receipt import checkpoint_leaf, commitment_word

from backend.evidence.anchoring import ANCHORED, CONFLICT, FINAL, PENDING, REGRESSED
from backend.evidence.audit.alarm import Alarms, name
from backend.evidence.audit.copy import Epoch, Point
from backend.evidence.audit.forest import Grove

_STATES = (PENDING, ANCHORED, FINAL, REGRESSED, CONFLICT)


@dataclass(frozen=True, slots=True)
class Chain:
    """What the chain holds: words by epoch (32 bytes), and the block of each commitment where that is known."""

    words: Mapping[int, bytes]
    blocks: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Commitments:
    """The rows by epoch of an operator (8 bytes), and the word that is true of each (rule 1)."""

    operator: bytes
    epochs: Mapping[int, Epoch]
    points: Mapping[int, Mapping[int, bytes]]
    words: Mapping[int, bytes]

    def is_genuine(self, epoch: int) -> bool:
        """Whether the checkpoints of an epoch give its word."""
        return epoch in self.words and _word_of(epoch, self.points.get(epoch, {})) == self.words[epoch]

    def genuine(self, tree: int) -> list[tuple[int, int, bytes]]:
        """(epoch, size, root) of the genuine checkpoints of a tree, by epoch."""
        found = []
        for epoch in sorted(self.points):
            if tree in self.points[epoch] and self.is_genuine(epoch):
                point = _decoded(self.points[epoch][tree])
                if point is not None and (point.epoch, point.tree) == (epoch, tree):
                    found.append((epoch, point.size, point.root))
        return found


def gather(operator: bytes, epochs: Sequence[Epoch], points: Sequence[Point], chain: Chain | None) -> Commitments:
    """The rows, put together."""
    rows = {row.epoch: row for row in epochs}
    by_epoch: dict[int, dict[int, bytes]] = {}
    for point in points:
        by_epoch.setdefault(point.epoch, {})[point.tree] = point.payload
    words = {epoch: _claimed(row) for epoch, row in rows.items()}
    return Commitments(operator, rows, by_epoch, {**words, **(chain.words if chain else {})})


def first_epoch(of_tree: Sequence[tuple[int, int, bytes]], position: int) -> int | None:
    """The first epoch whose checkpoint holds a leaf; of_tree as Commitments.genuine gives it."""
    return next((epoch for epoch, size, _ in of_tree if size > position), None)


def check_commitments(held: Commitments, chain: Chain | None, groves: Mapping[int, Grove], alarms: Alarms) -> None:
    """Names every epoch and checkpoint that is not as it should be (rules 2 to 4)."""
    for epoch in sorted({*held.epochs, *held.points, *held.words}):
        row, word = held.epochs.get(epoch), held.words.get(epoch)
        for tree in _strange(epoch, held.points.get(epoch, {})):
            alarms.add("checkpoint", name(epoch, tree), "is of another epoch or tree: it was put in or moved")
        if row is None:
            _without_row(epoch, held, alarms)
        else:
            _check_row(row, held, chain, alarms)
        if row is not None and word is not None and not held.is_genuine(epoch):
            _name_point(epoch, row, held, groves, alarms)
    _check_states(held, alarms)


def _without_row(epoch: int, held: Commitments, alarms: Alarms) -> None:
    if epoch in held.words:
        alarms.add("epoch", name(epoch), "is missing: the chain holds its commitment")
        return
    for tree in held.points.get(epoch, {}):
        alarms.add("checkpoint", name(epoch, tree), "belongs to no commitment: it was put in")


def _check_row(row: Epoch, held: Commitments, chain: Chain | None, alarms: Alarms) -> None:
    if row.state not in _STATES:
        alarms.add("epoch", name(row.epoch), f"its state is none of {', '.join(_STATES)}")
    if chain is None:
        return
    word = chain.words.get(row.epoch)
    if word is None:
        if row.state in (ANCHORED, FINAL):
            alarms.add("epoch", name(row.epoch), f"is noted as {row.state}, the chain holds nothing of it")
    elif _claimed(row) != word:
        conflict = _word_of(row.epoch, held.points.get(row.epoch, {})) == _claimed(row)
        what = (
            "the chain holds another commitment: there are two for one epoch"
            if conflict
            else "root or count was changed"
        )
        alarms.add("epoch", name(row.epoch), what)
    block = chain.blocks.get(row.epoch)
    if block is not None and row.state in (ANCHORED, FINAL) and row.block != block:
        alarms.add("epoch", name(row.epoch), f"is noted in block {row.block}, the chain has it in {block}")


def _check_states(held: Commitments, alarms: Alarms) -> None:
    last = max((row.epoch for row in held.epochs.values() if row.state == FINAL), default=-1)
    for row in held.epochs.values():
        if row.state == PENDING and row.epoch < last:
            alarms.add("epoch", name(row.epoch), f"is noted as pending, the later {last} as final")
        elif row.state == PENDING and row.block:
            alarms.add("epoch", name(row.epoch), f"is noted as pending and in block {row.block}")


def _name_point(epoch: int, row: Epoch, held: Commitments, groves: Mapping[int, Grove], alarms: Alarms) -> None:
    """Rule 2: which checkpoint is missing, was put in or changed."""
    points, word = held.points.get(epoch, {}), held.words[epoch]
    if _word_of(epoch, points) == _claimed(row) != word:
        return
    strange = _strange(epoch, points)
    points = {tree: payload for tree, payload in points.items() if tree not in strange}
    if strange and _word_of(epoch, points) == word:
        return
    for tree in sorted({*points, *groves}):
        low, high = _between(held, tree, epoch)
        options: list[bytes | None] = [*_others(groves, tree, epoch, held.operator, low, high)]
        if tree in points:
            options.append(None)
        for other in options:
            changed = {k: v for k, v in {**points, tree: other}.items() if v is not None}
            if _word_of(epoch, changed) == word:
                what = "is missing" if tree not in points else "was put in" if other is None else "was changed"
                alarms.add("checkpoint", name(epoch, tree), what)
                return
    for tree, payload in points.items():
        if not _is_right(payload, epoch, tree, held.operator, groves):
            alarms.add("checkpoint", name(epoch, tree), "is not what its tree gives")
    if _alarms_of(alarms, epoch) == 0 and not alarms.has("epoch", name(epoch)):
        alarms.add("epoch", name(epoch), "its checkpoints do not give its commitment")


def _strange(epoch: int, points: Mapping[int, bytes]) -> list[int]:
    """Trees of checkpoints that say that they are of another epoch or tree."""
    decoded = {tree: _decoded(payload) for tree, payload in points.items()}
    return [tree for tree, point in decoded.items() if point is not None and (point.epoch, point.tree) != (epoch, tree)]


def _alarms_of(alarms: Alarms, epoch: int) -> int:
    """How many checkpoints of an epoch are named."""
    return sum(one.table == "checkpoint" and one.key.startswith(f"{epoch}/") for one in alarms)


def _between(held: Commitments, tree: int, epoch: int) -> tuple[int, int]:
    """Sizes of a tree at the genuine checkpoints before and after an epoch; -1 where there is none."""
    known = held.genuine(tree)
    before = [size for e, size, _ in known if e < epoch]
    after = [size for e, size, _ in known if e > epoch]
    return before[-1] if before else 1, after[0] if after else -1


def _others(groves: Mapping[int, Grove], tree: int, epoch: int, operator: bytes, low: int, high: int) -> list[bytes]:
    """The payloads that may have stood there: the tree at each size from the checkpoint before to the one after."""
    grove = groves.get(tree)
    if grove is None:
        return []
    last = min(high if high >= 0 else len(grove.truth), len(grove.truth), low + 10_000)
    return [
        records.encode(records.Checkpoint(operator, tree, epoch, size, grove.tree.root(size)))
        for size in range(max(1, low), last + 1)
    ]


def _is_right(payload: bytes, epoch: int, tree: int, operator: bytes, groves: Mapping[int, Grove]) -> bool:
    point, grove = _decoded(payload), groves.get(tree)
    if point is None or grove is None or (point.operator, point.epoch, point.tree) != (operator, epoch, tree):
        return False
    return 0 < point.size <= len(grove.truth) and grove.tree.root(point.size) == point.root


def _claimed(row: Epoch) -> bytes:
    fits = 0 <= row.trees < 1 << 64 and 0 <= row.epoch < 1 << 64
    return commitment_word(row.epoch, row.trees, row.root) if fits else b""


def _word_of(epoch: int, points: Mapping[int, bytes]) -> bytes:
    if not points or not 0 <= epoch < 1 << 64:
        return b"none"
    return commitment_word(epoch, len(points), merkle.root([checkpoint_leaf(points[tree]) for tree in sorted(points)]))


def _decoded(payload: bytes) -> records.Checkpoint | None:
    try:
        point = records.decode(payload)
    except WireError:
        return None
    return point if isinstance(point, records.Checkpoint) else None
