"""Pure: from a quarter-hour mean to 4 s values that average to it exactly, the same for the same seed anywhere."""

import hashlib
from functools import lru_cache

SLOTS = 225
SLOT_MS = 4_000
FRAME_MS = SLOTS * SLOT_MS
VARIATION_PER_MILLE = 30


@lru_cache(maxsize=1024)
def _deviations_per_mille(seed: str, frame: int) -> tuple[int, ...]:
    """225 numbers in -1000..1000 from SHA-256 in counter mode."""
    stream = b"".join(hashlib.sha256(f"{seed}/{frame}/{k}".encode()).digest() for k in range(15))
    return tuple(int.from_bytes(stream[2 * k : 2 * k + 2], "big") * 2001 // 65536 - 1000 for k in range(SLOTS))


@lru_cache(maxsize=1024)
def frame_power_w(seed: str, frame: int, mean_w: int) -> tuple[int, ...]:
    """Power [W] in each slot of an epoch: within about 3 % of mean_w, sum exactly 225 x mean_w."""
    amplitude_w = abs(mean_w) * VARIATION_PER_MILLE // 1000
    raw = [d * amplitude_w // 1000 for d in _deviations_per_mille(seed, frame)]
    share, rest = divmod(sum(raw), SLOTS)
    return tuple(mean_w + v - share - (1 if k < rest else 0) for k, v in enumerate(raw))


def slot_power_w(seed: str, utc_ms: int, mean_w: int) -> int:
    """Power [W] in the slot that holds utc_ms, mean_w being the mean of its quarter-hour."""
    frame, rest_ms = divmod(utc_ms, FRAME_MS)
    return frame_power_w(seed, frame, mean_w)[rest_ms // SLOT_MS]
