"""A time for work that may not come to its end: what becomes of the work and of who waits for it, on each target."""

import pytest

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(600)

SCRIPT = """
import asyncio
from lightnode.compat import sleep_ms, within
ended = []
async def work(ms):
    try:
        await sleep_ms(ms)
        ended.append("done")
        return ms
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
async def fails():
    raise ValueError("broken")
async def waits(ms, most):
    try:
        return await within(work(ms), most)
    except asyncio.TimeoutError:
        return "over"
async def main():
    print(await waits(1, 2000), await waits(2000, 5), ended)
    try:
        await within(fails(), 2000)
    except ValueError as error:
        print(error)
    task = asyncio.create_task(waits(2000, 1000))
    await sleep_ms(5)
    task.cancel()
    try:
        print(await task)
    except asyncio.CancelledError:
        print("cancelled from outside", ended)
    await sleep_ms(20)
    print(await waits(1, 2000), len(ended))
asyncio.run(main())
"""


def test_work_is_done_over_broken_or_cancelled_and_nothing_stays_behind(target: Target) -> None:
    assert target.run(Job(SCRIPT)).splitlines() == [
        "1 over ['done', 'cancelled']",
        "broken",
        "cancelled from outside ['done', 'cancelled', 'cancelled']",
        "1 4",
    ]
