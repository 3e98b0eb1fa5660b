"""What entries do to the limits of their quarter-hour, taken whole: columns of a window of candidates.

1. rate: head-room (ppt) gained per W, as effect / shares; change: gained when the entry is taken whole, to the integer.
2. Volume is split over an offer's PODs by their shares, largest remainder first, ties by POD: `slack` is how much head-room
   whole watts may differ from the rate by.
"""

from dataclasses import dataclass

import numpy as np

from backend.market.book import Book, Ints
from backend.market.limits import FrameLimits, Limits


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Elements x entries: effect (numerators of the rate), change and slack (ppt); over entries: shares (denominators)."""

    effect: Ints
    shares: Ints
    change: Ints
    slack: Ints


def window(book: Book, limits: Limits, here: FrameLimits, offer: Ints, volume_w: Ints) -> Window:
    """Of these offers with these volumes."""
    first, count = book.first_point[offer], book.first_point[offer + 1] - book.first_point[offer]
    shares = book.whole_share[offer]
    if (count == 1).all():
        effect = -book.sign[offer] * here.effect_ppt_per_w[:, limits.place[book.point[first]]]
        return Window(effect, shares, effect * volume_w, np.zeros_like(effect))
    begin = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(offer)), count)
    at = np.arange(len(owner)) - begin[owner] + first[owner]
    per_w = -book.sign[offer][owner] * here.effect_ppt_per_w[:, limits.place[book.point[at]]]
    share = book.share[at]
    parts = split_all(volume_w, share, shares, owner, begin)
    slack = np.add.reduceat(np.abs(per_w), begin, axis=1)
    slack[:, count == 1] = 0
    return Window(
        np.add.reduceat(per_w * share, begin, axis=1), shares, np.add.reduceat(per_w * parts, begin, axis=1), slack
    )


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
    if not len(book.ids):
        return per_point
    return np.asarray(-book.sign * np.add.reduceat(per_point, book.first_point[:-1]))
