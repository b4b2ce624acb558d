"""Makes batches in threads, ahead of the consumer by a limited number of batches. It does not know what a batch is.

Batches are numbered by tickets, which are consecutive integers. A request for ticket t also starts t+1, t+2, ...
"""

import atexit
import contextlib
import heapq
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from keras_oocore.core.forks import register_fork_aware

IDLE_SECONDS = 2.0  # a thread without work ends after this time; starting another takes a tenth of a millisecond
URGENT = -1  # a priority before every ticket


class Job(Protocol):
    """Makes one batch."""

    num_rows: int
    rows_per_task: int

    def fill(self, start: int, stop: int) -> None:
        """Fill rows `start` to `stop`. It is called in several threads, once for each row."""

    def finish(self) -> Any:
        """Return the batch. It is called once, after the last row was filled."""

    def prefetch_next(self) -> None:
        """Prepare for the next batches. It is called after the batch is handed over, and no thread waits for it."""


class _Started:
    """A job that was started: its future, and the number of its tasks that are not done."""

    def __init__(self, job: Job):
        self.job, self.future = job, Future()
        self.num_tasks_left = -(-job.num_rows // job.rows_per_task)


class BatchLoader:
    """Makes batches ahead of time.

    Args:
        make_job: Function from a ticket to its `Job`.
        num_workers: Number of threads. With `0`, each batch is made in the thread that asks for it.
        max_ahead: The largest number of batches to make before they are requested.

    >>> class Squares:
    ...     num_rows, rows_per_task = 4, 2
    ...     def __init__(self, ticket): self.rows = [ticket] * 4
    ...     def fill(self, start, stop): self.rows[start:stop] = [row**2 for row in self.rows[start:stop]]
    ...     def finish(self): return self.rows
    ...     def prefetch_next(self): pass
    >>> with BatchLoader(Squares, num_workers=2, max_ahead=3) as loader:
    ...     [loader.get(ticket) for ticket in range(3)]
    [[0, 0, 0, 0], [1, 1, 1, 1], [4, 4, 4, 4]]
    """

    def __init__(self, make_job: Callable[[int], Job], num_workers: int, max_ahead: int):
        self.make_job = make_job
        self.num_workers = num_workers
        self.max_ahead = max_ahead
        self.reset_after_fork()
        _loaders.add(self)
        register_fork_aware(self)

    def reset_after_fork(self) -> None:
        """Start without threads and work, in a new loader or in a forked child."""
        # reentrant, because a finalizer may call `abandon` in any line
        self._changed = threading.Condition(threading.RLock())
        self._tasks = []  # heap of (ticket, serial, started job, first row, end)
        self._ahead = {}  # ticket -> future of a batch that was not requested yet
        self._threads = set()  # threads that may take a task; a thread that is removed ends
        self._busy = set()  # threads that work on a task
        self._serial = 0

    def get(self, ticket: int) -> Any:
        """Return the batch of `ticket`. The next batches are started, and earlier ones are dropped."""
        if self.num_workers == 0:
            return self.load(ticket)
        with self._changed:
            last = ticket + self.max_ahead
            self._forget([other for other in self._ahead if not ticket <= other <= last])
            for other in range(ticket, last + 1):
                if other not in self._ahead:
                    self._ahead[other] = self._start(self.make_job(other), other)
            future = self._ahead.pop(ticket)
        return self._result(future, self.get, ticket)

    def load(self, ticket: int) -> Any:
        """Return the batch of `ticket`. It is made now, before all batches that were started."""
        return self.run(self.make_job, ticket)

    def run(self, make_job: Callable[..., Job], *arguments) -> Any:
        """Return the batch of the job `make_job(*arguments)`. It is made now, before all batches that were started."""
        if self.num_workers == 0:
            job = make_job(*arguments)
            job.fill(0, job.num_rows)
            return job.finish()
        with self._changed:
            future = self._start(make_job(*arguments), URGENT)
        return self._result(future, self.run, make_job, *arguments)

    def _result(self, future: Future, again: Callable[..., Any], *arguments) -> Any:
        try:
            return future.result()
        except CancelledError:
            if not future.cancelled():  # the job itself raised it
                raise
            return again(*arguments)  # another thread called `close`

    def _start(self, job: Job, priority: int) -> Future:
        started = _Started(job)
        for start in range(0, job.num_rows, job.rows_per_task):
            self._serial += 1
            task = (priority, self._serial, started, start, min(start + job.rows_per_task, job.num_rows))
            heapq.heappush(self._tasks, task)
        self._changed.notify(started.num_tasks_left)
        while len(self._threads) < min(self.num_workers, len(self._busy) + len(self._tasks)):
            thread = threading.Thread(target=self._work, name="keras_oocore-loader", daemon=True)
            thread.start()  # before it is added: if Ctrl-C comes between these two lines, it ends
            self._threads.add(thread)
            _started.add(thread)
        return started.future

    def _forget(self, tickets: list[int]) -> None:
        """Cancel batches that were started. Memory of batches that no thread works on is freed now."""
        for ticket in tickets:
            self._ahead.pop(ticket).cancel()
        if tickets:
            self._tasks = [task for task in self._tasks if not task[2].future.cancelled()]
            heapq.heapify(self._tasks)

    def _work(self) -> None:
        while task := self._next_task():
            finished = self._do(*task[2:])
            del task  # otherwise a thread that is idle or reads ahead would keep a batch alive
            if finished is not None:
                with contextlib.suppress(Exception):  # no thread waits for it
                    finished.prefetch_next()
            del finished

    def _do(self, started: _Started, start: int, stop: int) -> Job | None:
        """Do a task. Return its job if this was the last task of the job, else `None`."""
        job, future = started.job, started.future
        try:
            if not future.cancelled():
                job.fill(start, stop)
            with self._changed:
                started.num_tasks_left -= 1
                complete = started.num_tasks_left == 0
            if complete and future.set_running_or_notify_cancel():
                future.set_result(job.finish())
                return job
        except BaseException as error:  # any error must reach the thread that waits for the batch
            with self._changed:
                started.num_tasks_left = -1  # never complete
                if not future.done():
                    future.set_exception(error)
        return None

    def _next_task(self) -> tuple | None:
        """Return the next task, or `None` if this thread should end."""
        thread = threading.current_thread()
        with self._changed:
            self._busy.discard(thread)
            notified = True
            while thread in self._threads and not self._tasks and notified:
                notified = self._changed.wait(IDLE_SECONDS)
            if thread in self._threads and self._tasks:
                self._busy.add(thread)
                return heapq.heappop(self._tasks)
            self._threads.discard(thread)
            return None

    def abandon(self) -> set[threading.Thread]:
        """Let the threads end, without waiting, and return them. A finalizer may call it in any thread."""
        with self._changed:
            ending, self._threads, self._busy = self._threads, set(), set()
            self._changed.notify_all()
        return ending

    def close(self) -> None:
        """Stop the threads and drop batches that were started. The next `get` starts threads again."""
        with self._changed:
            ending = self.abandon()
            for task in self._tasks:
                task[2].future.cancel()  # otherwise another thread may wait for it forever
            self._tasks.clear()
            self._ahead.clear()
        for thread in ending - {threading.current_thread()}:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __reduce__(self):
        return BatchLoader, (self.make_job, self.num_workers, self.max_ahead)


_loaders = weakref.WeakSet()
_started = weakref.WeakSet()  # all threads, including those of abandoned loaders


def _close_all() -> None:
    for loader in list(_loaders):
        loader.num_workers = 0  # a daemon thread that still asks for batches makes them itself
        loader.close()
    for thread in list(_started):
        thread.join()


atexit.register(_close_all)  # a daemon thread inside C code would crash the interpreter when it exits
