"""Pure: from a quarter-hour mean to 4 s values that average to it exactly, the same for the same seed."""

import random
from functools import lru_cache

SLOTS = 225


@lru_cache(maxsize=4096)
def variation_w(seed: str, frame: int, amplitude_w: int) -> tuple[int, ...]:
    """225 deviations [W] within about +-amplitude_w whose sum is zero."""
    source = random.Random(f"{seed}/{frame}")
    raw = [source.randint(-amplitude_w, amplitude_w) for _ in range(SLOTS)]
    excess = sum(raw)
    share, rest = divmod(abs(excess), SLOTS)
    sign = 1 if excess > 0 else -1
    return tuple(v - sign * (share + (1 if k < rest else 0)) for k, v in enumerate(raw))


def slot_power_w(seed: str, frame: int, slot: int, mean_w: int) -> int:
    """Power in slot 0..224 of an epoch whose mean is mean_w; deviations are at most about 3 % of it."""
    return mean_w + variation_w(seed, frame, abs(mean_w) * 3 // 100)[slot]
