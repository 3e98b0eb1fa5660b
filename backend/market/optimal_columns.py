"""The columns and rows of one program of the optimal engine: quarter-hours that something couples, requests of one buyer.

Its rules are those of market.program; here offers become columns, needs and limits rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.domain.bids import Request
from backend.domain.quantity import PPM
from backend.market.book import Ints
from backend.market.coupled import Unit, rates
from backend.market.program import Program
from backend.market.queue import Queue
from backend.market.relief import window
from backend.market.state import State

_UEUR_PER_EUR = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """Entries of one quarter-hour that stand for one request; scale: W of one of each column; block: 0 or 1 of it."""

    request: int
    frame: int
    entry: Ints
    column: Ints
    scale: Ints
    block: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Coupled:
    """A unit that stands for one request; its column is W, of a linked offer 1e-6 of it."""

    request: int
    unit: Unit
    column: int
    scale: float


@dataclass(slots=True, eq=False)
class Columns:
    """A program and what its columns mean; short: columns of unserved need with their requests."""

    state: State
    program: Program = field(default_factory=Program)
    plain: list[Plain] = field(default_factory=list)
    coupled: list[Coupled] = field(default_factory=list)
    short: list[tuple[int, int]] = field(default_factory=list)
    cost: dict[int, float] = field(default_factory=dict)

    def add_plain(self, request: int, frame: int, entry: Ints) -> None:
        """Columns of entries (rule 3 for those with a least part)."""
        book, program = self.state.book, self.program
        left = book.volume_w[entry] - self.state.taken_w[entry]
        least = np.maximum(0, book.least_w[entry] - self.state.taken_w[entry])
        entry, left, least = entry[least <= left], left[least <= left], least[least <= left]
        block = (least == left) & (least > 0)
        scale = np.where(block, left, 1)
        column = program.columns(np.where(block, 1, left), block)
        self.plain.append(Plain(request, frame, entry, column, scale, block))
        self.cost.update(zip(column.tolist(), (book.price[entry] * scale / _UEUR_PER_EUR / 1000).tolist(), strict=True))
        for k in np.flatnonzero((least > 0) & ~block):
            self._semicontinuous(int(column[k]), float(least[k]), float(left[k]))
        self._steps(entry, column, scale)

    def _semicontinuous(self, column: int, least: float, most: float) -> None:
        (taken,) = self.program.columns([1.0], [True]).tolist()
        self.program.rows.add(-np.inf, 0.0, [column, taken], [1.0, -most])
        self.program.rows.add(0.0, np.inf, [column, taken], [1.0, -least])

    def _steps(self, entry: Ints, column: Ints, scale: Ints) -> None:
        """A later step at most in the measure in which the one before is taken: it is dearer, so that is enough."""
        book = self.state.book
        place = {int(e): k for k, e in enumerate(entry)} if (book.step[entry] > 0).any() else {}
        for k in np.flatnonzero(book.step[entry] > 0):
            before = int(entry[k]) - 1
            if before in place:
                first, full = place[before], float(book.full_w[before] - self.state.taken_w[before])
                ratio = float(book.full_w[entry[k]]) / max(1.0, full)
                columns, values = [int(column[k]), int(column[first])], [1.0, -ratio * float(scale[first])]
                self.program.rows.add(-np.inf, 0.0, columns, values)
            elif self.state.taken_w[before] < book.full_w[before]:
                self.program.rows.add(0.0, 0.0, [int(column[k])], [1.0])

    def add_unit(self, request: int, unit: Unit) -> None:
        """The column of a coupled unit."""
        book = self.state.book
        entries = list(unit.entries.values())
        left = [int(book.volume_w[e] - self.state.taken_w[e]) for e in entries]
        if unit.linked:
            full = [int(book.full_w[e]) for e in entries]
            most = min(w * PPM // v for w, v in zip(left, full, strict=True))
            least, each = max(int(book.minimum_ppm[unit.offer]), -(-PPM // min(full))), [v / PPM for v in full]
        else:
            most, least, each = left[0], max(0, int(book.least_w[entries[0]] - self.state.taken_w[entries[0]])), [1.0]
            if book.step[entries[0]] and self.state.taken_w[entries[0] - 1] < book.full_w[entries[0] - 1]:
                return
        if most < max(1, least):
            return
        (column,) = self.program.columns([1.0 if least == most else most], [least == most]).tolist()
        scale = float(most) if least == most else 1.0
        if 0 < least < most:
            self._semicontinuous(column, least, most)
        price = sum(int(book.price[e]) * w for e, w in zip(entries, each, strict=True))
        self.cost[column] = price * scale / _UEUR_PER_EUR / 1000
        self.coupled.append(Coupled(request, unit, column, scale))

    def finish(
        self, requests: Sequence[Request], queues: Mapping[tuple[int, int], Queue], frames: Sequence[int]
    ) -> None:
        """Rows of volumes, needs, limits and directions in these quarter-hours."""
        self._volumes()
        for frame in frames:
            moved = _Moved(self, frame)
            for number, request in enumerate(requests):
                queue = queues.get((number, frame))
                if queue is not None and queue.need > 0:
                    self._need(moved, number, queue, request.by_volume)
            self._guard(moved)
            self._directions(frame)

    def _volumes(self) -> None:
        """One volume for all requests of an entry (rule 2)."""
        by_entry: dict[int, list[tuple[int, float]]] = {}
        if len({p.request for p in self.plain}) > 1:
            for plain in self.plain:
                for entry, column, scale in zip(
                    plain.entry.tolist(), plain.column.tolist(), plain.scale.tolist(), strict=True
                ):
                    by_entry.setdefault(entry, []).append((column, float(scale)))
        for one in self.coupled:
            by_entry.setdefault(-1 - min(one.unit.entries.values()), []).append((one.column, one.scale))
        for entry, columns in by_entry.items():
            if len(columns) > 1:
                left = self.state.book.volume_w[entry] - self.state.taken_w[entry] if entry >= 0 else 0
                most = float(left) if entry >= 0 else max(s * self.program.upper[c] for c, s in columns)
                self.program.rows.add(-np.inf, most, [c for c, _ in columns], [s for _, s in columns])

    def _need(self, moved: "_Moved", number: int, queue: Queue, by_volume: bool) -> None:
        (short,) = self.program.columns([np.inf], [False]).tolist()
        self.short.append((number, short))
        if by_volume:
            columns, values = moved.volume(number)
            scale = 1.0
        elif queue.row is not None and queue.row >= 0:
            columns, values = moved.gained(np.array([queue.row]))[0]
            scale = float(np.abs(values).max(initial=1.0))
        else:
            columns, values, scale = np.zeros(0, dtype=np.int64), np.zeros(0), 1.0
        self.program.rows.add(queue.need / scale, np.inf, np.append(columns, short), np.append(values / scale, 1.0))

    def _guard(self, moved: "_Moved") -> None:
        margin = self.state.margin(moved.frame)
        near = moved.near(margin)
        for row, (columns, values) in zip(near.tolist(), moved.gained(near), strict=True):
            if len(values) and values.min() < 0:
                scale = float(np.abs(values).max())
                self.program.rows.add(-max(0, int(margin[row])) / scale, np.inf, columns, values / scale)

    def _directions(self, frame: int) -> None:
        """A POD moves one way: where columns of both ways share a point, a whole number says which."""
        book, ways = self.state.book, (1, -1)
        by_point: dict[int, dict[int, list[int]]] = {}
        mine = [
            (e, c)
            for p in self.plain
            if p.frame == frame
            for e, c in zip(p.entry.tolist(), p.column.tolist(), strict=True)
        ]
        mine += [(u.unit.entries[frame], u.column) for u in self.coupled if frame in u.unit.entries]
        if len({int(book.sign[book.offer[e]]) for e, _ in mine}) < 2:
            return
        for entry, column in mine:
            offer = int(book.offer[entry])
            for point in book.point[book.points_of(offer)].tolist():
                by_point.setdefault(point, {}).setdefault(int(book.sign[offer]), []).append(column)
        for columns in by_point.values():
            if len(columns) == 2:
                (way,) = self.program.columns([1.0], [True]).tolist()
                for sign in ways:
                    most = sum(self.program.upper[c] for c in columns[sign])
                    lower, factor = (0.0, -most) if sign > 0 else (most, most)
                    self.program.rows.add(-np.inf, lower, [*columns[sign], way], [*[1.0] * len(columns[sign]), factor])


class _Moved:
    """What columns move in one quarter-hour."""

    def __init__(self, columns: Columns, frame: int) -> None:
        self._columns, self.frame = columns, frame
        self._plain = [p for p in columns.plain if p.frame == frame and len(p.entry)]
        self._units = [u for u in columns.coupled if frame in u.unit.touched]
        state = columns.state
        here, book = state.limits.at(frame), state.book
        self._windows = [
            window(book, state.limits, here, book.offer[p.entry], book.volume_w[p.entry] - state.taken_w[p.entry])
            for p in self._plain
        ]

    def near(self, margin: Ints) -> Ints:
        """Elements that all columns together might bring to their limit."""
        if self._units:
            return np.arange(len(margin))
        eaten = sum((w.eaten_at_most() for w in self._windows), np.zeros(len(margin)))
        return np.flatnonzero((eaten > np.maximum(0, margin).astype(float)) & (eaten > 0))

    def volume(self, number: int) -> tuple[Ints, Ints]:
        """Columns and W of one of each, of those that stand for a request."""
        columns = [p.column for p in self._plain if p.request == number]
        values = [p.scale.astype(float) for p in self._plain if p.request == number]
        for one in self._units:
            if one.request == number and self.frame in one.unit.entries:
                columns.append(np.array([one.column]))
                values.append(np.array([one.scale * self._size(one, self.frame)]))
        return (
            (np.concatenate(columns), np.concatenate(values)) if columns else (np.zeros(0, dtype=np.int64), np.zeros(0))
        )

    def _size(self, one: Coupled, frame: int) -> float:
        return float(self._columns.state.book.full_w[one.unit.entries[frame]]) / PPM if one.unit.linked else 1.0

    def gained(self, rows: Ints) -> list[tuple[Ints, Ints]]:
        """Of each of these elements: columns, and head-room (ppt) gained by one of each."""
        found: list[list[tuple[Ints, Ints]]] = [[] for _ in rows]
        for plain, one in zip(self._plain, self._windows, strict=True):
            effect = one.rows(rows)[0].astype(float) / one.shares.astype(float) * plain.scale
            for k in range(len(rows)):
                moved = np.flatnonzero(effect[k])
                found[k].append((plain.column[moved], effect[k][moved]))
        for unit in self._units:
            own = self._own(unit)
            all_rates = rates(self._columns.state, unit.unit.offer, self._columns.state.limits.at(self.frame))
            for k, row in enumerate(rows.tolist()):
                found[k].append((np.array([unit.column]), np.array([float(all_rates[row]) * own * unit.scale])))
        empty = (np.zeros(0, dtype=np.int64), np.zeros(0))
        return [tuple(np.concatenate(x) for x in zip(empty, *one, strict=True)) for one in found]  # type: ignore[misc]

    def _own(self, one: Coupled) -> float:
        """W moved in this quarter-hour by one of a unit's parts, rebounds taken off."""
        book, total = self._columns.state.book, 0.0
        for frame in one.unit.entries:
            size = self._size(one, frame)
            total += size * (frame == self.frame)
            total -= size * book.rebound_ppm.get(one.unit.offer, {}).get(self.frame - frame, 0) / PPM
        return total
