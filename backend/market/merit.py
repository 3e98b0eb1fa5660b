"""Candidates in order of merit, in lumps: the best first, the rest only when they are reached.

1. Merit is price per unit of relief, price x shares / effect, exactly; ties by receipt time, then id, then price step.
2. Floating point only sorts roughly; neighbours that it cannot tell apart are compared as fractions.
"""

from fractions import Fraction

import numpy as np

from backend.market.book import Book, Ints

FIRST_LUMP = 1024
_GROWTH = 4
_MOST_STEPS = 32
_NEAR = 1e-12
Merit = tuple[Fraction, int, int, int]


class Candidates:
    """Entries that may be taken, with the relief of each as effect / shares per W; effect is above 0."""

    def __init__(self, book: Book, entry: Ints, effect: Ints, shares: Ints) -> None:
        self.book, self.entry, self.effect, self.shares = book, entry, effect, shares
        self._key = book.price[entry] * (shares.astype(float) / effect.astype(float))
        self._left = np.arange(len(entry))
        self._size = FIRST_LUMP

    def merit(self, k: int) -> Merit:
        """The exact merit of a candidate: less is better."""
        entry = int(self.entry[k])
        offer = int(self.book.offer[entry])
        price = Fraction(int(self.book.price[entry]) * int(self.shares[k]), int(self.effect[k]))
        return price, int(self.book.received_ms[offer]), offer, int(self.book.step[entry])

    def lump(self) -> Ints:
        """Places of the best candidates that are left, best first; empty when none is left."""
        key = self._key[self._left]
        if len(key) > 2 * self._size:
            near = key <= np.partition(key, self._size)[self._size] * (1 + _NEAR)
            lump, self._left = self._left[near], self._left[~near]
        else:
            lump, self._left = self._left, self._left[:0]
        self._size *= _GROWTH
        return self._sorted(lump, self._key[lump])

    def rest(self) -> Ints:
        """Places of all that are left, in no order."""
        left, self._left = self._left, self._left[:0]
        return left

    def _sorted(self, lump: Ints, key: Ints) -> Ints:
        order = np.argsort(key)
        lump, key = lump[order], key[order]
        near = key[1:] - key[:-1] <= key[1:] * _NEAR
        if near.any():
            self._resolve(lump, near)
        return lump

    def _resolve(self, lump: Ints, near: Ints) -> None:
        """Sorts runs of neighbours that are nearly equal, in place: equals by their ties, the others exactly."""
        run = np.concatenate(([0], np.cumsum(~near)))
        several = np.flatnonzero(np.append(near, False) | np.append(False, near))
        entry = self.entry[lump[several]]
        tie = self.book.turn[self.book.offer[entry]] * _MOST_STEPS + self.book.step[entry]
        lump[several] = lump[several][np.argsort(run[several] * (len(self.book.ids) * _MOST_STEPS) + tie)]
        price, effect, shares = self.book.price[self.entry[lump]], self.effect[lump], self.shares[lump]
        equal = (price[1:] == price[:-1]) & (effect[1:] == effect[:-1]) & (shares[1:] == shares[:-1])
        for number in np.unique(run[1:][near & ~equal]):
            begin, end = np.searchsorted(run, (number, number + 1))
            lump[begin:end] = sorted(lump[begin:end], key=lambda k: self.merit(int(k)))
