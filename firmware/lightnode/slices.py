"""Long computations in slices, so that nothing blocks: between two of them every other task may run.

1. A computation is a generator that yields where others may work and returns its result.
2. No slice takes more than 10 ms of a device's time (0.7 million instructions of a Cortex-M3).
3. Collecting garbage takes nearly as long, so it is a slice of its own: before a signature, where least is alive, and
   after so many slices as fit into the free heap, so that it does not come in the middle of one.
"""

from lightwire import ecdsa, envelope
from lightwire.errors import BadSignature

from . import compat, heap
from .compat import sleep_ms

_GARBAGE_BYTES = 7680  # of a slice
_SPARE_BYTES = 10240  # what a computation holds on to meanwhile, and what other tasks leave
_TABLE_SLICES = 2  # what the table of a public key takes while it is made
_slices = [0, 12]  # since garbage was collected; how many may be


def pace() -> None:
    """Rule 3 for the heap that is free now: called when the node is made."""
    _slices[1] = max(2, ((heap.free_bytes() or 1 << 30) - _SPARE_BYTES) // _GARBAGE_BYTES)


async def tidy() -> None:
    """Garbage is collected, in a slice of its own."""
    await sleep_ms(0)
    compat.collect()
    _slices[0] = 0
    await sleep_ms(0)


async def sliced(steps, held: int = 0):  # type: ignore[no-untyped-def]
    """The result of a generator; every other task has its turn where it yields.

    held: the memory that it holds on to meanwhile, in slices' garbage."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        _slices[0] += 1
        if _slices[0] >= _slices[1] - held:
            await tidy()
        else:
            await sleep_ms(0)


async def holds(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether it is the ES256K signature of the digest (32 bytes) by the key (33 bytes)."""
    return await sliced(ecdsa.verifying(ecdsa.SECP256K1, key, digest, signature), _TABLE_SLICES)  # type: ignore[no-any-return]


async def opened(message: bytes, deployment: bytes, check):  # type: ignore[no-untyped-def]
    """The record of a sealed message; `await check(digest, signature)` says whether its signature holds.

    Raises what `envelope.open_sealed` raises.
    """
    record, digest, signature = envelope.claim(message, deployment)
    await tidy()
    if not await check(digest, signature):
        raise BadSignature(f"signature of kind {record.KIND}")
    return record
