"""Long computations in slices, so that nothing blocks: between two of them every other task may run.

1. A computation is a generator that yields where others may work and returns its result. It yields the garbage that it has
   made since, in KiB; None is 8.
2. No slice takes more than 10 ms of a device's time (0.7 million instructions of a Cortex-M3).
3. Collecting garbage takes nearly as long, so it is a slice of its own: before a signature, where least is alive, and when
   the free heap would be used up with the next slice, so that it does not come in the middle of one.
"""

from lightwire import ecdsa, envelope
from lightwire.errors import BadSignature

from . import compat, heap
from .compat import sleep_ms

_SLICE_KIB = 16  # of garbage: no slice makes more
_SPARE_KIB = 8  # what other tasks leave meanwhile, and what a node holds later that it does not when it is made
_MOST_KIB = 84  # of garbage: to collect more would take longer than a slice may
_TABLE_KIB = 14  # what the table of a public key takes while it is made
_garbage = [0, _MOST_KIB]  # KiB since it was collected; how much there may be


def pace() -> None:
    """Rule 3 for the heap that is free now: called when the node is made."""
    _garbage[1] = max(2 * _SLICE_KIB, min(_MOST_KIB, ((heap.free_bytes() or 1 << 30) >> 10) - _SPARE_KIB))


async def tidy() -> None:
    """Garbage is collected, in a slice of its own."""
    await sleep_ms(0)
    compat.collect()
    _garbage[0] = 0
    await sleep_ms(0)


async def sliced(steps, held_kib: int = 0):  # type: ignore[no-untyped-def]
    """The result of a generator; every other task has its turn where it yields.

    held_kib: the memory that it holds on to meanwhile."""
    while True:
        try:
            _garbage[0] += next(steps) or 8
        except StopIteration as end:
            return end.value
        if _garbage[0] + _SLICE_KIB > _garbage[1] - held_kib:
            await tidy()
        else:
            await sleep_ms(0)


async def holds(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether it is the ES256K signature of the digest (32 bytes) by the key (33 bytes)."""
    return await sliced(ecdsa.verifying(ecdsa.SECP256K1, key, digest, signature), _TABLE_KIB)  # type: ignore[no-any-return]


async def opened(message: bytes, deployment: bytes, check):  # type: ignore[no-untyped-def]
    """The record of a sealed message; `await check(digest, signature)` says whether its signature holds.

    Raises what `envelope.open_sealed` raises.
    """
    record, digest, signature = envelope.claim(message, deployment)
    await tidy()
    if not await check(digest, signature):
        raise BadSignature(f"signature of kind {record.KIND}")
    return record
