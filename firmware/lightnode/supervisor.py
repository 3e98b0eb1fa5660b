"""Keeps the tasks of the device alive, and says when the device itself must start again.

1. A task that ends with an error, or gives no sign of life within its bound, is started again after a pause that doubles
   from 1 s to 5 min; the reason is logged and counted. A task that ends without an error stays ended.
2. More than 16 restarts of one task within an hour start the device again. The pauses are so long that a task which dies
   at once does that after more than half an hour, and one that hangs for three minutes each time never.
3. A vital task that fails or hangs starts the device again at once; so does a task that does not end when it is told to.
4. Time in which the supervisor itself did not run is nobody's silence: who could not run could not give a sign.
"""

import asyncio

from lightwire import records

from .reason import Reset, line_of

RESTARTS_MAX = 16
_HOUR_MS = 3_600_000
_LOOK_MS = 1000
_PAUSE_MS = 1000
_PAUSE_MAX_MS = 300_000


class _Job:
    def __init__(self, number: int, name: str, work, bound_ms: int, vital: bool) -> None:  # type: ignore[no-untyped-def]
        self.number = number
        self.name = name
        self.work = work
        self.bound_ms = bound_ms
        self.vital = vital
        self.task: asyncio.Task[None] | None = None
        self.error: Exception | None = None
        self.over = False
        self.told = False  # to end, because it gave no sign
        self.heard_ms = 0
        self.due_ms = 0
        self.restarts: list[int] = []


class Supervisor:
    """`restarts`: tasks started again; `fault`: number of the task that was last."""

    def __init__(self, log, now_ms, fault: int = 0) -> None:  # type: ignore[no-untyped-def]
        """now_ms(): real monotonic time, also where slots have another; fault: the task that ended the start before."""
        self._log = log
        self._now_ms = now_ms
        self._jobs: list[_Job] = []
        self._work = asyncio.Event()
        self._looked_ms = 0
        self.restarts = 0
        self.fault = fault

    def add(self, number: int, name: str, work, bound_ms: int = 0, vital: bool = False) -> None:  # type: ignore[no-untyped-def]
        """A task before `run`. work(alive) gives its coroutine, which calls alive() at least once within bound_ms; 0: it
        may be silent for ever. number: records.TASK_*."""
        self._jobs.append(_Job(number, name, work, bound_ms, vital))

    async def run(self) -> None:
        """Until a vital task has ended by itself; then the others are ended. Raises Reset (rules 2 and 3)."""
        self._looked_ms = self._now_ms()
        try:
            while not any([job.vital and job.over for job in self._jobs]):
                self.look()
                self._work.clear()
                try:
                    await asyncio.wait_for(self._work.wait(), _LOOK_MS / 1000)
                except asyncio.TimeoutError:
                    pass
        finally:
            for job in self._jobs:
                if job.task is not None:
                    job.task.cancel()

    def look(self) -> None:
        """One look at every task: starts what is due, ends what is silent. Raises Reset."""
        now = self._now_ms()
        starved_ms = max(0, now - self._looked_ms - 2 * _LOOK_MS)
        self._looked_ms = now
        if starved_ms:
            self._log.event("blocked", ms=starved_ms)
        for job in self._jobs:
            job.heard_ms += starved_ms
            self._look_at(job, now)

    def _look_at(self, job: _Job, now: int) -> None:
        if job.over:
            return
        if job.error is not None and not job.told:
            self._again(job, now, job.error)
        elif job.task is None or (job.told and job.task.done()):
            if now >= job.due_ms:
                self._start(job, now)
        elif job.bound_ms and now - job.heard_ms > job.bound_ms:
            if job.told:
                raise Reset(records.RESET_FAILURE, job.number, "hangs and does not end")
            self._again(job, now, None)

    def _start(self, job: _Job, now: int) -> None:
        job.heard_ms = now
        job.told = False
        job.error = None
        job.task = asyncio.create_task(self._guard(job))

    async def _guard(self, job: _Job) -> None:
        def alive() -> None:
            job.heard_ms = self._now_ms()

        try:
            await job.work(alive)
            job.over = True
        except Exception as error:
            job.error = error
        self._work.set()

    def _again(self, job: _Job, now: int, error: Exception | None) -> None:
        if isinstance(error, Reset):
            raise error
        reason = f"no sign of life for {job.bound_ms} ms" if error is None else line_of(error)
        self.fault = job.number
        job.restarts = [at for at in job.restarts if now - at < _HOUR_MS] + [now]
        if job.vital or len(job.restarts) > RESTARTS_MAX:
            raise Reset(records.RESET_FAILURE, job.number, reason)
        self.restarts += 1
        pause_ms = min(_PAUSE_MS << len(job.restarts) - 1, _PAUSE_MAX_MS)
        self._log.event("restart", task=job.name, reason=reason, pause_ms=pause_ms)
        job.due_ms = now + pause_ms
        if error is None and job.task is not None:
            job.told = True
            job.heard_ms = now
            job.task.cancel()
        else:
            job.error = None
            job.task = None
