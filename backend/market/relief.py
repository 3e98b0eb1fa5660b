"""What entries do to the limits of their quarter-hour: columns of a window of candidates of one direction.

1. rate: head-room (ppt) gained per W, as effect / shares; change: gained when the entry is taken whole, to the integer.
2. Volume is split over an offer's PODs by their shares, largest remainder, ties by POD: `slack` is how much head-room whole
   watts may differ from the rate by.
3. Only elements that the window could bring to their limit are looked at one entry after the other.
"""

from dataclasses import dataclass

import numpy as np

from backend.market.book import Book, Ints
from backend.market.limits import FrameLimits, Limits


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window's points one after the other: owner (entry of the window), column of the effects, share, W when taken whole.

    begin: where an entry's points begin; shares: their sum, by entry; single: whether all have one POD; sign: -1 up, +1 down.
    """

    here: FrameLimits
    sign: int
    left_w: Ints
    owner: Ints
    begin: Ints
    column: Ints
    share: Ints
    parts_w: Ints
    shares: Ints
    single: bool

    def near(self, margin: Ints) -> Ints:
        """Elements that the window might bring to their limit, in order (rule 3)."""
        eaten = self.eaten_at_most()
        return np.flatnonzero((eaten > np.maximum(0, margin).astype(float)) & (eaten > 0))

    def eaten_at_most(self) -> Ints:
        """By element, more head-room (ppt) than the whole window and its rounding can use up."""
        eats = self.sign * self.here.effect_ppt_per_w
        if self.single:
            watts, several = self.parts_w.astype(float), None
        else:
            several = (np.bincount(self.owner)[self.owner] > 1).astype(float)
            watts = self.parts_w + 2 * several
        if eats.shape[1] <= 2 * len(self.column):
            watts = np.bincount(self.column, watts, eats.shape[1])
            several = None if several is None else np.bincount(self.column, several, eats.shape[1])
        else:
            eats = eats[:, self.column]
        eaten = np.maximum(eats, 0).astype(float) @ watts
        if several is not None:
            eaten += np.abs(eats).astype(float) @ several
        return np.asarray(eaten * (1 + 1e-9))

    def rows(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Of these elements by entry: effect (numerator of the rate), change when taken whole, slack."""
        per_w = -self.sign * self.here.effect_ppt_per_w[np.ix_(rows, self.column)]
        if self.single:
            return per_w, per_w * self.left_w, np.zeros_like(per_w)
        slack = np.add.reduceat(np.abs(per_w), self.begin, axis=1)
        slack[:, np.bincount(self.owner) == 1] = 0
        change = np.add.reduceat(per_w * self.parts_w, self.begin, axis=1)
        return np.add.reduceat(per_w * self.share, self.begin, axis=1), change, slack

    def gained(self, taken: Ints) -> Ints:
        """Head-room gained on every element when these entries (a mask) are taken whole."""
        effect, column, parts = self.here.effect_ppt_per_w, self.column, np.where(taken[self.owner], self.parts_w, 0)
        if effect.shape[1] <= len(column):
            watts = np.zeros(effect.shape[1], dtype=effect.dtype)
            np.add.at(watts, column, parts)
            return np.asarray(-self.sign * (effect @ watts))
        return np.asarray(-self.sign * (effect[:, column] @ parts.astype(effect.dtype)))


def window(book: Book, limits: Limits, here: FrameLimits, offer: Ints, left_w: Ints) -> Window:
    """Of these offers, at least one, with these volumes."""
    first, count = book.first_point[offer], book.first_point[offer + 1] - book.first_point[offer]
    begin = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(offer)), count)
    at = np.arange(len(owner)) - begin[owner] + first[owner]
    single = len(owner) == len(offer)
    share, shares = book.share[at], book.whole_share[offer]
    parts = left_w if single else split_all(left_w, share, shares, owner, begin)
    sign = int(book.sign[offer[0]])
    return Window(here, sign, left_w, owner, begin, limits.place[book.point[at]], share, parts, shares, single)


def split_all(volume_w: Ints, share: Ints, shares: Ints, owner: Ints, begin: Ints) -> Ints:
    """The parts of each volume by share, largest remainder first, as domain.quantity.split does for one."""
    total = volume_w[owner]
    if int(volume_w.max(initial=0)) * int(share.max(initial=0)) >= 1 << 62:
        total = total.astype(object)
    parts, rest = total * share // shares[owner], total * share % shares[owner]
    left = volume_w - np.add.reduceat(parts, begin)
    order = np.lexsort((-rest, owner))
    rank = np.arange(len(owner)) - begin[owner[order]]
    parts[order] += rank < left[owner[order]]
    return parts.astype(np.int64)


def effect_of_all(book: Book, limits: Limits, row: Ints) -> Ints:
    """By offer: the relief of one element, numerator over `whole_share`; row: that element's effects by column."""
    per_point = row[limits.place[book.point]] * book.share
    if len(per_point) == len(book.ids):
        return np.asarray(-book.sign * per_point)
    return np.asarray(-book.sign * np.add.reduceat(per_point, book.first_point[:-1]))
