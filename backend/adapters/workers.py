"""Processes that compute beside the one that reads: an executor (concurrent.futures' interface) for the time of a block.

1. One worker is the reader alone: there is no executor then. N workers are the reader and N - 1 processes, which start when
   the first work is handed over; what is small never starts one.
2. None is left behind: they end with the block, and by themselves when the reader dies, however it dies. An interrupt from
   the keyboard is the reader's business.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

MOST = 64


def sensible() -> int:
    """Two, if this process may use two cores: the reader is busy about as long as one process with signatures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, cores)


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
    """An executor for the time of the block; None for one worker."""
    if count == 1:
        yield None
        return
    executor = ProcessPoolExecutor(count - 1, multiprocessing.get_context("spawn"), _begin)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _begin() -> None:
    """In the worker (rule 2)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_reader, daemon=True).start()


def _end_with_the_reader() -> None:
    reader = multiprocessing.parent_process()
    if reader is not None:
        reader.join()
    os._exit(1)
