"""Candidates in order of merit, in lumps: the cheapest first, the rest only when they are reached.

1. Merit is price per unit of relief, price x shares / effect, exactly; ties by receipt time, then id, then price step.
2. Floating point only sorts roughly; neighbours that it cannot tell apart are compared as fractions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from backend.market.book import Book, Ints

FIRST_LUMP = 1024
_GROWTH = 4
_NEAR = 1e-12
Merit = tuple[Fraction, int, int, int]


@dataclass(slots=True, eq=False)
class Candidates:
    """Entries that may be taken, with the relief of each as effect / shares per W; effect is above 0."""

    book: Book
    entry: Ints
    effect: Ints
    shares: Ints

    def merit(self, k: int) -> Merit:
        """The exact merit of a candidate: less is better."""
        entry = int(self.entry[k])
        offer = int(self.book.offer[entry])
        price = Fraction(int(self.book.price[entry]) * int(self.shares[k]), int(self.effect[k]))
        return price, int(self.book.received_ms[offer]), offer, int(self.book.step[entry])

    def lumps(self) -> Iterator[Ints]:
        """Places of candidates, best first, until there are no more."""
        key = self.book.price[self.entry] * (self.shares.astype(float) / self.effect.astype(float))
        left = np.arange(len(key))
        size = FIRST_LUMP
        while len(left):
            if len(left) > 2 * size:
                bound = np.partition(key[left], size)[size] * (1 + _NEAR)
                near = key[left] <= bound
                lump, left = left[near], left[~near]
            else:
                lump, left = left, left[:0]
            yield self._sorted(lump, key[lump])
            size *= _GROWTH

    def _sorted(self, lump: Ints, key: Ints) -> Ints:
        book, entry = self.book, self.entry[lump]
        offer = book.offer[entry]
        order = np.lexsort((book.step[entry], offer, book.received_ms[offer], key))
        lump, key = lump[order], key[order]
        near = key[1:] - key[:-1] <= key[1:] * _NEAR
        if near.any():
            self._resolve(lump, near)
        return lump

    def _resolve(self, lump: Ints, near: Ints) -> None:
        """Sorts runs of neighbours that are nearly equal exactly, in place; runs of equals stand well already."""
        price, effect, shares = self.book.price[self.entry[lump]], self.effect[lump], self.shares[lump]
        equal = (price[1:] == price[:-1]) & (effect[1:] == effect[:-1]) & (shares[1:] == shares[:-1])
        edges = np.flatnonzero(np.diff(np.concatenate(([0], near.astype(np.int8), [0]))))
        for begin, end in zip(edges[::2], edges[1::2] + 1, strict=True):
            if not equal[begin : end - 1].all():
                lump[begin:end] = sorted(lump[begin:end], key=lambda k: self.merit(int(k)))
