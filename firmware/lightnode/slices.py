"""Long computations in slices, so that nothing blocks: between two of them every other task may run.

1. A computation is a generator that yields where others may work and returns its result.
2. No slice takes more than 10 ms of a device's time (about 0.7 million instructions of a Cortex-M3).
"""

from lightwire import ecdsa, envelope
from lightwire.errors import BadSignature

from .compat import sleep_ms


async def sliced(steps):  # type: ignore[no-untyped-def]
    """The result of a generator; every other task has its turn where it yields."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        await sleep_ms(0)


async def holds(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether it is the ES256K signature of the digest (32 bytes) by the key (33 bytes)."""
    return await sliced(ecdsa.verifying(ecdsa.SECP256K1, key, digest, signature))  # type: ignore[no-any-return]


async def opened(message: bytes, deployment: bytes, check):  # type: ignore[no-untyped-def]
    """The record of a sealed message; `await check(digest, signature)` says whether its signature holds.

    Raises what `envelope.open_sealed` raises.
    """
    record, digest, signature = envelope.claim(message, deployment)
    await sleep_ms(0)
    if not await check(digest, signature):
        raise BadSignature(f"signature of kind {record.KIND}")
    return record
