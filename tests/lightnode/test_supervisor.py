"""The supervisor: restarts with a reason, bounded, and the moment when the device itself must start again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from lightnode.errors import NodeError
from lightnode.log import Log
from lightnode.reason import Reset
from lightnode.supervisor import RESTARTS_MAX, Supervisor
from lightwire import records

Work = Callable[[Callable[[], None]], Awaitable[None]]
HOUR_MS = 3_600_000


class Watched:
    """A supervisor over one task, with time that the test moves."""

    def __init__(self, work: Work, bound_ms: int = 0, vital: bool = False) -> None:
        self.now = 0
        self.log = Log(lambda: self.now)
        self.supervisor = Supervisor(self.log, lambda: self.now)
        self.supervisor.add(records.TASK_UPLINK, "uplink", work, bound_ms, vital)

    async def look(self, after_ms: int = 1000) -> None:
        self.now += after_ms
        self.supervisor.look()
        for _ in range(5):
            await asyncio.sleep(0)


async def dies(_alive: Callable[[], None]) -> None:
    raise ValueError("power_w is 4711")


def test_rule_1_a_task_that_dies_is_started_again_with_its_reason_logged() -> None:
    starts = []

    async def once(alive: Callable[[], None]) -> None:
        starts.append(watched.now)
        if len(starts) < 3:
            await dies(alive)

    async def scene() -> None:
        for _ in range(8):
            await watched.look()

    watched = Watched(once)
    asyncio.run(scene())
    assert starts == [1000, 3000, 6000]  # pauses of 1 s and 2 s behind the looks that saw it
    assert watched.supervisor.restarts == 2 and watched.supervisor.fault == records.TASK_UPLINK
    first = watched.log.lines()[0]
    assert first.startswith("2.000 restart pause_ms=1000 reason=ValueError") and first.endswith("task=uplink")
    assert "test_supervisor.py:" in first and "4711" not in first


def test_rule_1_a_silent_task_is_ended_and_started_again() -> None:
    started = ended = 0

    async def hangs(_alive: Callable[[], None]) -> None:
        nonlocal started, ended
        started += 1
        try:
            await asyncio.Event().wait()
        finally:
            ended += 1

    async def scene() -> None:
        for _ in range(12):
            await watched.look()

    watched = Watched(hangs, bound_ms=5000)
    asyncio.run(scene())
    assert (started, ended) == (2, 2)  # the second was ended with the loop
    assert watched.supervisor.restarts == 1
    assert "no sign of life for 5000 ms" in watched.log.lines()[0]


def test_rule_1_a_task_that_gives_signs_or_ends_by_itself_is_left_alone() -> None:
    signs: list[Callable[[], None]] = []

    async def lives(alive: Callable[[], None]) -> None:
        signs.append(alive)
        await asyncio.Event().wait()

    async def ends(_alive: Callable[[], None]) -> None:
        return

    async def scene(watched: Watched) -> None:
        for _ in range(30):
            await watched.look()
            for sign in signs:
                sign()

    for work in (lives, ends):
        watched = Watched(work, bound_ms=2000)
        asyncio.run(scene(watched))
        assert watched.supervisor.restarts == 0 and watched.log.lines() == []
    assert len(signs) == 1


def test_rule_2_a_task_that_keeps_dying_starts_the_device_again_after_more_than_half_an_hour() -> None:
    async def scene() -> None:
        for _ in range(2 * 3600):
            await watched.look()

    watched = Watched(dies)
    with pytest.raises(Reset) as reset:
        asyncio.run(scene())
    assert (reset.value.cause, reset.value.task) == (records.RESET_FAILURE, records.TASK_UPLINK)
    assert watched.supervisor.restarts == RESTARTS_MAX
    assert HOUR_MS / 2 < watched.now < HOUR_MS


def test_rule_2_a_task_that_hangs_for_three_minutes_each_time_never_does() -> None:
    async def hangs(_alive: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        for _ in range(8 * 3600):
            await watched.look()

    watched = Watched(hangs, bound_ms=180_000)
    asyncio.run(scene())
    assert watched.supervisor.restarts > 40


def test_rule_3_a_vital_task_that_dies_or_hangs_starts_the_device_again_at_once() -> None:
    async def hangs(_alive: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def scene(watched: Watched) -> None:
        for _ in range(10):
            await watched.look()

    for work, words in ((dies, "ValueError"), (hangs, "no sign of life for 6000 ms")):
        with pytest.raises(Reset, match=words):
            asyncio.run(scene(Watched(work, bound_ms=6000, vital=True)))


def test_rule_3_a_task_that_does_not_end_when_told_starts_the_device_again() -> None:
    async def stubborn(_alive: Callable[[], None]) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if watched.now > 60_000:
                    raise

    async def scene() -> None:
        try:
            for _ in range(40):
                await watched.look()
        finally:
            watched.now = 100_000

    watched = Watched(stubborn, bound_ms=5000)
    with pytest.raises(Reset, match="does not end"):
        asyncio.run(scene())


def test_rule_3_a_reset_that_a_task_asks_for_is_passed_on() -> None:
    async def asks(_alive: Callable[[], None]) -> None:
        raise Reset(records.RESET_COMMAND, records.TASK_CONSOLE, "asked for")

    async def scene() -> None:
        await watched.look()
        await watched.look()

    watched = Watched(asks)
    with pytest.raises(Reset) as reset:
        asyncio.run(scene())
    assert reset.value.cause == records.RESET_COMMAND and watched.supervisor.restarts == 0


def test_rule_4_time_in_which_nobody_could_run_is_nobodys_silence() -> None:
    async def waits(_alive: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        await watched.look()
        await watched.look(30_000)
        await watched.look()

    watched = Watched(waits, bound_ms=6000, vital=True)
    asyncio.run(scene())
    assert [line.split(" ", 1)[1] for line in watched.log.lines()] == ["blocked ms=28000"]


def test_run_ends_with_the_vital_task_and_takes_the_others_with_it() -> None:
    ended = []

    async def lives(_alive: Callable[[], None]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("other")

    async def vital(_alive: Callable[[], None]) -> None:
        await asyncio.sleep(0)

    async def scene() -> None:
        watched.supervisor.add(records.TASK_SAMPLER, "sampler", vital, 0, vital=True)
        await watched.supervisor.run()
        await asyncio.sleep(0)

    watched = Watched(lives)
    asyncio.run(scene())
    assert ended == ["other"]


def test_the_message_of_the_nodes_own_errors_is_told() -> None:
    async def fails(_alive: Callable[[], None]) -> None:
        raise NodeError("the journal has 3 blocks")

    async def scene() -> None:
        await watched.look()
        await watched.look()

    watched = Watched(fails, vital=True)
    with pytest.raises(Reset, match="NodeError: the journal has 3 blocks"):
        asyncio.run(scene())
