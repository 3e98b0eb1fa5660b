"""The grid's limits as columns: margins and effects of every monitored element, quarter-hour by quarter-hour.

1. Elements stand as the grid names them; the first of several that bind equally is the one that is named.
2. `place` says in which column of the effects a point of the book stands; points without effect share a column of zeros.
3. Numbers that might not fit 64 bits in a sum are kept as whole numbers of any length: slower, the same result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from backend.domain.constraint import Constraint
from backend.market.book import Book, Ints

_FITS = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class FrameLimits:
    """One quarter-hour: element names, margin (ppt) of each, effect (ppt per W of withdrawal) by element and column."""

    elements: tuple[str, ...]
    margin_ppt: Ints
    effect_ppt_per_w: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """All quarter-hours that have limits; place: by point of the book, the column of its effects."""

    place: Ints
    by_frame: Mapping[int, FrameLimits]
    nothing: FrameLimits

    def at(self, frame: int) -> FrameLimits:
        """Those of a quarter-hour."""
        return self.by_frame.get(frame, self.nothing)


def limits_of(constraints: Iterable[Constraint], book: Book) -> Limits:
    """The columns of these constraints, for the points of a book."""
    table: dict[int, list[Constraint]] = {}
    for constraint in constraints:
        table.setdefault(constraint.frame, []).append(constraint)
    by_frame = {}
    for frame, mine in table.items():
        effect = [[of.get(name, 0) for name in book.points] for of in (c.effects for c in mine)]
        by_frame[frame] = frame_limits(tuple(c.element for c in mine), [c.margin_ppt for c in mine], effect, book)
    return limits_at(np.arange(len(book.points)), by_frame, len(book.points))


def limits_at(place: Ints, by_frame: Mapping[int, FrameLimits], columns: int) -> Limits:
    """Limits with any columns, say one per node."""
    nothing = FrameLimits((), np.zeros(0, dtype=np.int64), np.zeros((0, max(1, columns)), dtype=np.int64))
    return Limits(place, by_frame, nothing)


def frame_limits(elements: tuple[str, ...], margin_ppt: object, effect_ppt_per_w: object, book: Book) -> FrameLimits:
    """One quarter-hour's, in 64 bits if all sums over the book fit (rule 3)."""
    margin, effect = np.array(margin_ppt, dtype=object), np.array(effect_ppt_per_w, dtype=object)
    most_w = int(max(2 * book.full_w.sum(), book.whole_share.max(initial=1)))
    greatest = max((abs(int(e)) for e in (effect.max(initial=0), effect.min(initial=0))), default=0)
    if greatest * most_w + max((abs(m) for m in margin), default=0) < _FITS:
        return FrameLimits(elements, margin.astype(np.int64), effect.astype(np.int64))
    return FrameLimits(elements, margin, effect)
