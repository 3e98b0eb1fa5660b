"""Which entries differ in nothing but their price and their name: market.clearing, rule 14.

1. Alike are entries with the same effect per W on every limit of the quarter-hour (of a group: POD by POD, with the same
   shares), the same W left and the same least part.
2. They are told by a number of 64 bits made of these; its chance to be wrong is that of meeting one of 2^64 by accident.
"""

import numpy as np

from backend.market.book import Ints
from backend.market.relief import Window

_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def alike(columns: Window, least_w: Ints) -> Ints:
    """By entry of a window the number of rule 2."""
    effect = columns.here.effect_ppt_per_w[:, columns.column]
    salts = _mixed(np.arange(1, len(effect) + 1, dtype=np.uint64))
    point = _mixed(_bits(effect) + salts[:, None]).sum(axis=0, dtype=np.uint64)
    if columns.single:
        whole = _mixed(point)
    else:
        count = np.bincount(columns.owner)[columns.owner]
        share = np.where(count > 1, columns.share, 1)
        whole = np.add.reduceat(_mixed(point + _mixed(_bits(share))), columns.begin)
    return np.asarray(_mixed(_mixed(whole + _bits(columns.left_w)) + _bits(least_w)))


def _bits(numbers: Ints) -> Ints:
    """The low 64 bits of whole numbers of any length."""
    if numbers.dtype == object:
        return np.asarray((numbers % (1 << 64)).astype(np.uint64))
    return np.asarray(numbers.astype(np.uint64))


def _mixed(bits: Ints) -> Ints:
    """SplitMix64 (Steele, Lea, Flood 2014), its output function."""
    bits = bits * _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return np.asarray(bits ^ (bits >> np.uint64(31)))
