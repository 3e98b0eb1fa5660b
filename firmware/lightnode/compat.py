"""What MicroPython has and CPython has not: the only module that asks which Python runs it."""

import asyncio
import gc
import io
import select
import sys

try:
    from asyncio import core  # type: ignore[attr-defined]
    from asyncio import sleep_ms as sleep_ms  # type: ignore[attr-defined]

    async def heard(reader, duration: int):  # type: ignore[no-untyped-def]
        """What a stream has said when so many milliseconds are over, at most 256 bytes; None if it was silent, b"" at its end.

        A read with a time limit would be a task of its own: four times the instructions.
        """
        await sleep_ms(duration)
        poll = select.poll()
        poll.register(reader.s, select.POLLIN)
        return reader.s.read(256) if poll.poll(0) else None

    async def within(work, duration: int):  # type: ignore[no-untyped-def]
        """What a coroutine returns; asyncio.TimeoutError, and it is cancelled, if it takes more milliseconds.

        asyncio.wait_for makes two tasks where one does, that of the time.
        """
        task = core.cur_task  # pyright: ignore[reportOptionalMemberAccess]
        over: list[bool] = []

        async def end() -> None:
            await sleep_ms(duration)
            over.append(True)
            task.cancel()

        timer = asyncio.create_task(end())
        try:
            return await work
        except asyncio.CancelledError:
            if over:
                raise asyncio.TimeoutError
            raise
        finally:
            timer.cancel()

    def close(writer) -> None:  # type: ignore[no-untyped-def]
        """The connection is over; in MicroPython the writer's own close() does nothing, and a TLS socket whose handshake
        failed lets go of the one below it and leaves it open."""
        for port in (writer.s, writer.e.get("port")):
            try:
                if port is not None:
                    port.close()
            except OSError:
                continue

    async def said(writer, data: bytes) -> None:  # type: ignore[no-untyped-def]
        """Everything is sent; it waits for what the stream does not take at once."""
        writer.write(data)
        if writer.out_buf:
            await writer.drain()

except ImportError:
    core = None

    async def sleep_ms(duration: int) -> None:  # type: ignore[no-redef]
        """Sleeps for milliseconds."""
        await asyncio.sleep(duration / 1000)

    async def heard(reader, duration: int):  # type: ignore[no-untyped-def,no-redef]
        """The same, as soon as it says something."""
        try:
            return await asyncio.wait_for(reader.read(256), duration / 1000)
        except asyncio.TimeoutError:
            return None

    async def within(work, duration: int):  # type: ignore[no-untyped-def,no-redef]
        """The same."""
        return await asyncio.wait_for(work, duration / 1000)

    def close(writer) -> None:  # type: ignore[no-untyped-def,no-redef]
        """The same."""
        writer.close()

    async def said(writer, data: bytes) -> None:  # type: ignore[no-untyped-def,no-redef]
        """The same."""
        writer.write(data)
        await writer.drain()


SCARCE = hasattr(gc, "mem_free")  # memory is: garbage is collected where that costs least


# A number's place is looked for from the first free block on, which only what takes one block moves. So a few tuples, garbage
# at once, fill the first holes after a collection: a reading costs a hundredth less.
_HOLES = 8
_modules: tuple = ()  # type: ignore[type-arg]


def collect() -> None:
    """Collects garbage where memory is scarce.

    MicroPython marks depth first and keeps 64 objects in mind; with more it looks through the whole heap once again, which
    doubles the cost. So the widest modules come first, and the tasks, through which all that a node holds is reached, only
    when all code is marked: they hang on this function meanwhile, not on asyncio.
    """
    if SCARCE and core is not None:
        tasks, running = core._task_queue, core.cur_task
        core._task_queue = core.cur_task = None
        try:
            gc.collect()
        finally:
            core._task_queue, core.cur_task = tasks, running
        all(zip(range(_HOLES)))


def pack_heap(on: bool, every_bytes: int = 1024) -> None:
    """While a node is made: collects often, so that what stays lies together and leaves no holes.

    Every number that is computed later looks for its place behind them: a signature costs a seventh less without holes.
    every_bytes: more where much is looked at and little stays, as when a full journal is mounted.
    """
    if SCARCE:
        global _modules
        _modules = ()
        if not on:
            for name in sorted(sys.modules, key=lambda name: len(sys.modules[name].__dict__)):
                _modules = _modules, sys.modules[name]
        gc.collect()
        gc.threshold(every_bytes if on else -1)  # type: ignore[attr-defined, unused-ignore]


def place_of(error: Exception) -> str:
    """File, line and function where it was raised, "?" if that is not known."""
    if not hasattr(sys, "print_exception"):
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    text = io.StringIO()
    sys.print_exception(error, text)  # type: ignore[arg-type]
    found = "?"
    for line in text.getvalue().split("\n"):  # type: ignore[attr-defined]
        if line.startswith('  File "'):
            name, _, rest = line[8:].partition('", line ')
            found = name.split("/")[-1] + ":" + rest.split(",")[0]
    return found
