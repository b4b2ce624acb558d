"""Makes batches in threads, ahead of the consumer by a limited number of batches. It does not know what a batch is.

Batches are numbered by tickets, which are consecutive integers. A request for ticket t also starts t+1, t+2, ...

Ctrl-C may come between any two lines of the thread that asks for a batch, and within any Python code that it calls. So
it waits in C only, in `SimpleQueue.get` or at `with lock`, and the state is valid after every line. (`Condition`,
`Event`, `Future` and `queue.Queue` are Python code, and Ctrl-C would leave their locks locked. CPython 3.11 to 3.13
checks for signals when a function begins, after a call, and when a loop jumps back; `with lock` is not one of these, so
Ctrl-C comes before the lock is locked, or within the block, which unlocks it.)
"""

import atexit
import contextlib
import heapq
import itertools
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol, Self

from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.threads import Thread, Unwanted, begin_exit

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
    """A job that was started, and the queue that hands over its batch.

    A thread puts `(batch, None)` or `(None, error)` into the queue, and `drop` puts `None`. The first one counts.
    """

    def __init__(self, job: Job):
        self.job = job
        self.num_tasks_left = -(-job.num_rows // job.rows_per_task)
        self.outcomes = SimpleQueue()
        self.dropped = False

    def drop(self) -> None:
        """Do no more work. A thread that waits for the batch asks again."""
        self.outcomes.put(None)
        self.dropped = True


class _Crew:
    """The threads of a loader, until it is closed or abandoned. Then the loader has another crew, and these end."""

    def __init__(self):
        self.threads = set()  # threads that may take a task; a thread that is removed ends
        self.busy = set()  # threads that work on a task
        self.wake_ups = SimpleQueue()  # an item per thread that should look for a task

    def wait(self) -> bool:
        """Wait until there may be a task. Return whether one came in time."""
        try:
            self.wake_ups.get(timeout=IDLE_SECONDS)
        except Empty:
            return False
        return True


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
        self._lock = threading.RLock()
        self._tasks = []  # heap of (ticket, serial, started job, first row, end)
        self._ahead = {}  # ticket -> started job whose batch was not requested yet
        self._crew = _Crew()
        self._serials = itertools.count()

    def get(self, ticket: int) -> Any:
        """Return the batch of `ticket`. The next batches are started, and earlier ones are dropped.

        If it raises an error, all batches that were started are dropped, because they may have been made from the file
        that the user fixes now.
        """
        if self.num_workers == 0:
            return self.load(ticket)
        with self._lock:
            ahead, last = self._ahead, ticket + self.max_ahead
            if stale := [other for other in ahead if not ticket <= other <= last]:
                self._forget(stale)
            for other in range(ticket, last + 1):
                if other not in ahead:
                    ahead[other] = self._start(self.make_job(other), other)
            self._start_threads()
            started = ahead.pop(ticket)
        return self._result(started, self.get, ticket)

    def load(self, ticket: int) -> Any:
        """Return the batch of `ticket`. It is made now, before all batches that were started."""
        return self.run(self.make_job, ticket)

    def run(self, make_job: Callable[..., Job], *arguments: Any) -> Any:
        """Return the batch of the job `make_job(*arguments)`. It is made now, before all batches that were started."""
        if self.num_workers == 0:
            job = make_job(*arguments)
            job.fill(0, job.num_rows)
            return job.finish()
        with self._lock:
            started = self._start(make_job(*arguments), URGENT)
            self._start_threads()
        return self._result(started, self.run, make_job, *arguments)

    def _result(self, started: _Started, again: Callable[..., Any], *arguments) -> Any:
        try:
            outcome = started.outcomes.get()
        except BaseException:  # Ctrl-C
            started.drop()
            raise
        if outcome is None:  # another thread called `close`
            return again(*arguments)
        batch, error = outcome
        if error is None:
            return batch
        try:
            self.forget()
            raise error
        finally:
            del started, outcome, error  # the traceback refers to this frame, which must not refer to the error

    def _start(self, job: Job, priority: int) -> _Started:
        """Start a job. After Ctrl-C some of its tasks may be done, but no thread waits for it."""
        started, crew = _Started(job), self._crew
        for start in range(0, job.num_rows, job.rows_per_task):
            stop = min(start + job.rows_per_task, job.num_rows)
            heapq.heappush(self._tasks, (priority, next(self._serials), started, start, stop))
        for _ in range(min(started.num_tasks_left, len(crew.threads) - len(crew.busy))):
            crew.wake_ups.put(None)
        return started

    def _start_threads(self) -> None:
        """Start as many threads as there is work for."""
        crew = self._crew
        while len(crew.threads) < min(self.num_workers, len(crew.busy) + len(self._tasks)):
            thread = Thread(lambda thread: self._work(thread, crew), "keras_oocore-loader")
            thread.start()  # before it is added: if Ctrl-C comes between these two lines, it ends
            crew.threads.add(thread)

    def forget(self) -> None:
        """Drop the batches that were made ahead."""
        with self._lock:
            self._forget(list(self._ahead))

    def _forget(self, tickets: list[int]) -> None:
        """Drop batches that were started. Memory of batches that no thread works on is freed now."""
        for ticket in tickets:
            self._ahead.pop(ticket).drop()
        tasks = [task for task in self._tasks if not task[2].dropped]
        heapq.heapify(tasks)
        self._tasks = tasks

    def _work(self, thread: Thread, crew: _Crew) -> None:
        while task := self._next_task(thread, crew):
            finished = self._do(*task[2:])
            del task  # otherwise a thread that is idle or reads ahead would keep a batch alive
            if finished is not None:
                with contextlib.suppress(Exception, Unwanted):  # no thread waits for it
                    finished.prefetch_next()
            del finished

    def _do(self, started: _Started, start: int, stop: int) -> Job | None:
        """Do a task. Return its job if this was the last task of the job, else `None`."""
        try:
            if not started.dropped:
                started.job.fill(start, stop)
            with self._lock:
                started.num_tasks_left -= 1
                complete = started.num_tasks_left == 0
            if complete and not started.dropped:
                started.outcomes.put((started.job.finish(), None))
                return started.job
        except Unwanted:  # another crew makes the batch, if a thread waits for it
            started.drop()
        except BaseException as error:  # any error must reach the thread that waits for the batch
            with self._lock:
                started.num_tasks_left = -1  # never complete
            started.outcomes.put((None, error))
            del started  # the traceback of the error refers to this frame, which must not refer to the error
        return None

    def _next_task(self, thread: Thread, crew: _Crew) -> tuple | None:
        """Return the next task, or `None` if this thread should end."""
        woken = True
        while True:
            with self._lock:
                crew.busy.discard(thread)
                if crew is not self._crew or thread not in crew.threads:
                    return None
                if self._tasks:
                    crew.busy.add(thread)
                    return heapq.heappop(self._tasks)
                if not woken:
                    crew.threads.discard(thread)
                    return None
            woken = crew.wait()

    def abandon(self) -> set[Thread]:
        """Let the threads end soon, and return them without waiting. A finalizer may call it at any time."""
        crew, self._crew = self._crew, _Crew()  # without a lock, which another thread may hold that waits for this one
        ending = crew.threads - {threading.current_thread()}
        for thread in ending:
            thread.wanted = False
            crew.wake_ups.put(None)
        return ending

    def close(self) -> None:
        """Stop the threads and drop batches that were started. The next `get` starts threads again."""
        with self._lock:
            for started in [*self._ahead.values(), *(task[2] for task in self._tasks)]:
                started.drop()  # otherwise another thread may wait for it forever
            self._tasks.clear()
            self._ahead.clear()
            ending = self.abandon()
        for thread in ending:
            thread.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchLoader, (self.make_job, self.num_workers, self.max_ahead)


_loaders = weakref.WeakSet()


def close_all() -> None:
    """Stop all loaders, because the interpreter exits. It waits for what their threads are doing.

    A thread of another library that still asks for a batch, and that the interpreter may wait for, makes it itself.
    """
    begin_exit()
    for loader in list(_loaders):
        loader.num_workers = 0
        loader.close()


atexit.register(close_all)  # before `core/threads`, which was imported earlier, waits for all threads
