"""Integer quantities and the only places where something is rounded.

Active power is positive for withdrawal from the grid; flexibility up is less withdrawal or more injection.
W, Ws, micro-EUR per MWh and micro-EUR are plain integers whose names carry the unit.
"""

from collections.abc import Mapping
from typing import TypeVar

_Name = TypeVar("_Name", str, int)

FRAME_MS = 900_000
FRAME_S = 900
WS_PER_MWH = 3_600_000_000
PPM = 1_000_000


def half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded half to even; denominator above zero."""
    whole, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        return whole + 1
    return whole


def value_ueur(energy_ws: int, price_ueur_per_mwh: int) -> int:
    """Money of an energy at a price, rounded once."""
    return half_even(energy_ws * price_ueur_per_mwh, WS_PER_MWH)


def split(total: int, weights: Mapping[_Name, int]) -> dict[_Name, int]:
    """`total` (0 or more) over names by weight, largest remainder first, ties by name; the parts add up to total."""
    whole = sum(weights.values())
    if whole <= 0:
        return dict.fromkeys(weights, 0)
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(parts.values())
    by_rest = sorted(weights, key=lambda name: (-(total * weights[name] % whole), name))
    for name in by_rest[:left]:
        parts[name] += 1
    return parts


def part_of(total: int, before: int, own: int, whole: int) -> int:
    """The part of `total` (0 or more) of the one who has `own` of `whole` and before whom others have `before` of it.

    Whoever knows these numbers needs no others; over all of `whole` the parts add up to total.
    """
    return total * (before + own) // whole - total * before // whole
