"""A pool of worker processes that starts again when one of them is killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

MOST_RESTARTS = 10  # a worker that is killed again and again will not succeed


class ProcessPool(Executor):
    """New interpreters that run tasks, as those of `ProcessPoolExecutor`.

    If a worker is killed, the calls that were not done raise `BrokenExecutor`, and the next `submit` starts new
    workers. Ctrl-C reaches this process alone. If it, or another error, ends the `with` block, the workers end at once;
    and so they do if this process is killed.

    Args:
        num_processes: Number of workers.
    """

    def __init__(self, num_processes: int):
        self._num_processes = num_processes
        self._num_restarts = 0
        self._context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
        self._alive, self._held_open = self._context.Pipe(duplex=False)  # workers live as long as it is open
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._num_processes, self._context, _begin, (self._alive,))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `function(*args, **kwargs)` in a worker.

        Raises:
            BrokenExecutor: If workers were killed too often.
        """
        outcome = Future()  # a pool of CPython 3.11 with cancelled calls prints a traceback when its workers end
        self._call(function, *args, **kwargs).add_done_callback(lambda done: _copy(done, outcome))
        return outcome

    def _call(self, *call: Any, **kwargs: Any) -> Future:
        try:
            return self._pool.submit(*call, **kwargs)
        except BrokenExecutor:
            if self._num_restarts == MOST_RESTARTS:
                raise
        self._num_restarts += 1
        self._pool.shutdown()
        self._pool = self._started()
        return self._pool.submit(*call, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers when they have done their calls."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(self, error_type: type[BaseException] | None, *exception: object) -> None:
        if error_type is not None:
            self._held_open.close()
        self._pool.shutdown()
        self._held_open.close()
        self._alive.close()


def _copy(done: Future, outcome: Future) -> None:
    if done.cancelled():
        outcome.cancel()
    elif outcome.set_running_or_notify_cancel():
        if (error := done.exception()) is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(done.result())


def _begin(alive: Connection) -> None:
    """Prepare a worker, which ends when the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(alive,), daemon=True).start()


def _end_after(alive: Connection) -> None:
    alive.poll(None)
    os._exit(1)
