"""A pool of worker processes that starts again when one of them is killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

MOST_RESTARTS = 10  # a worker that is killed again and again will not succeed


class ProcessPool(Executor):
    """New interpreters that run tasks, as those of `ProcessPoolExecutor`.

    If a worker is killed, the calls that were not done raise `BrokenExecutor`, and the next `submit` starts new
    workers. Ctrl-C in the terminal ends the workers, and so does the end of this process, even if it is killed.

    Args:
        num_processes: Number of workers.
    """

    def __init__(self, num_processes: int):
        self._num_processes = num_processes
        self._num_restarts = 0
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
        return ProcessPoolExecutor(self._num_processes, context, _begin)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call `function(*args, **kwargs)` in a worker.

        Raises:
            BrokenExecutor: If workers were killed too often.
        """
        try:
            return self._pool.submit(function, *args, **kwargs)
        except BrokenExecutor:
            if self._num_restarts == MOST_RESTARTS:
                raise
        self._num_restarts += 1
        self._pool.shutdown()
        self._pool = self._started()
        return self._pool.submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers when they have done their calls."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def _begin() -> None:
    """Prepare a worker: let Ctrl-C end it without a traceback, and end it with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
