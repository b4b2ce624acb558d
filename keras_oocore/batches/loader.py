"""Make batches in threads and stay ahead of the consumer, at most so many batches. It does not know what a batch is.

Batches are numbered by tickets, integers that go up by one. Whoever asks for ticket t gets t+1, t+2, ... started.
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

IDLE_SECONDS = 2.0  # after which a thread without work ends; starting one again costs a tenth of a millisecond
URGENT = -1  # goes before every ticket


class Job(Protocol):
    """One batch in the making."""

    num_rows: int
    rows_per_task: int

    def fill(self, start: int, stop: int) -> None:
        """Fill rows `start` to `stop`; called in threads, each row once."""

    def finish(self) -> Any:
        """The batch; called once, after the last row."""

    def prefetch_next(self) -> None:
        """What the thread may do once the batch is handed over, for those to come; nobody waits for it."""


class BatchLoader:
    """Makes batches ahead of time.

    Args:
        make_job: ticket → `Job`.
        num_workers: threads; 0 makes each batch when it is asked for, in the thread that asks.
        max_ahead: batches made before they are asked for.

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
        """No threads, no work: a new loader, or one that woke up in a forked child."""
        self._changed = threading.Condition(threading.RLock())  # reentrant: `abandon` may run inside any line
        self._tasks = []  # heap of (ticket, serial, job, future, start, stop)
        self._ahead = {}  # ticket -> future of a batch that nobody asked for yet
        self._threads = set()  # that may take a task; one that is not in it ends
        self._busy = set()  # those of them that are at one
        self._serial = 0

    def get(self, ticket: int) -> Any:
        """The batch of `ticket`; the ones after it are started, those before it forgotten."""
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
        """The batch of `ticket`, made now and before all others, whatever was started."""
        return self.run(self.make_job, ticket)

    def run(self, make_job: Callable[..., Job], *arguments) -> Any:
        """What `make_job(*arguments)` makes, now and before all others."""
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
        future = Future()
        job.num_tasks_left = -(-job.num_rows // job.rows_per_task)
        for start in range(0, job.num_rows, job.rows_per_task):
            self._serial += 1
            task = (priority, self._serial, job, future, start, min(start + job.rows_per_task, job.num_rows))
            heapq.heappush(self._tasks, task)
        self._changed.notify(job.num_tasks_left)
        while len(self._threads) < min(self.num_workers, len(self._busy) + len(self._tasks)):
            thread = threading.Thread(target=self._work, name="keras_oocore-loader", daemon=True)
            thread.start()  # before it is counted: Ctrl-C may come between the two, and then it ends
            self._threads.add(thread)
            _started.add(thread)
        return future

    def _forget(self, tickets: list[int]) -> None:
        """Give up batches that were started; those that no thread is at leave their memory now."""
        for ticket in tickets:
            self._ahead.pop(ticket).cancel()
        if tickets:
            self._tasks = [task for task in self._tasks if not task[3].cancelled()]
            heapq.heapify(self._tasks)

    def _work(self) -> None:
        while task := self._next_task():
            finished = self._do(*task[2:])
            del task  # or a thread that is idle, or reads ahead, would keep a batch alive
            if finished is not None:
                with contextlib.suppress(Exception):  # nobody waits for it
                    finished.prefetch_next()
            del finished

    def _do(self, job: Job, future: Future, start: int, stop: int) -> Job | None:
        """Do a task; returns its job when that is finished by it."""
        try:
            if not future.cancelled():
                job.fill(start, stop)
            with self._changed:
                job.num_tasks_left -= 1
                complete = job.num_tasks_left == 0
            if complete and future.set_running_or_notify_cancel():
                future.set_result(job.finish())
                return job
        except BaseException as error:  # whatever it is, it must reach the one who waits
            with self._changed:
                job.num_tasks_left = -1  # never complete
                if not future.done():
                    future.set_exception(error)
        return None

    def _next_task(self) -> tuple | None:
        """The task to do next, or `None` when this thread should end."""
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
        """End the threads without waiting for them; safe in a finaliser, on any thread. Returns them."""
        with self._changed:
            ending, self._threads, self._busy = self._threads, set(), set()
            self._changed.notify_all()
        return ending

    def close(self) -> None:
        """End the threads and forget what was started. The next `get` starts anew."""
        with self._changed:
            ending = self.abandon()
            for task in self._tasks:
                task[3].cancel()  # or another thread may wait for it forever
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
_started = weakref.WeakSet()  # threads, those of abandoned loaders too


def _close_all() -> None:
    for loader in list(_loaders):
        loader.num_workers = 0  # who still asks, such as another daemon thread, makes its batch itself
        loader.close()
    for thread in list(_started):
        thread.join()


atexit.register(_close_all)  # a daemon thread inside C code crashes a dying interpreter
