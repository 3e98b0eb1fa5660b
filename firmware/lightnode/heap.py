"""What is free on the heap, and how much of it in one piece."""

import gc

_STEP = 256
_MOST = 1 << 20


def free_bytes() -> int:
    """Free bytes of the heap after a collection; 0 where memory is not counted (CPython)."""
    if not hasattr(gc, "mem_free"):
        return 0
    gc.collect()
    return gc.mem_free()  # type: ignore[no-any-return]


def largest_block_bytes(most: int = _MOST) -> int:
    """The largest block that can be had now, within 256 bytes, looked for up to `most`; 0 where memory is not counted.

    Cost: about twelve allocations, each of which is given back at once.
    """
    low, high = 0, min(free_bytes(), most)
    while high - low > _STEP:
        middle = (low + high + 1) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
    return low
