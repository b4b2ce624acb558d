"""Work in parts: in threads of this process, or as tasks of a `concurrent.futures.Executor`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from queue import SimpleQueue
from typing import Any, TypeVar

from keras_oocore.core.errors import OptionError, OutOfCoreError, ResourceError
from keras_oocore.core.text import shown
from keras_oocore.core.threads import ThreadPool

MOST_IN_FLIGHT = 512  # tasks that an executor has at a time: enough for hundreds of workers, and little memory
MOST_TRIES = 12  # of a task that the executor loses; more than `ProcessPool` starts again
FEWEST_TASKS = 64  # of a call, if there is enough work: several per worker

T = TypeVar("T")


def in_threads(work: Callable[[Iterator[T]], object], parts: Sequence[T], num_threads: int, name: str) -> None:
    """Call `work(parts)` in several threads that share one iterator, and wait for all of them.

    After an error or Ctrl-C, the iterator ends for all threads, and they finish their parts.

    Args:
        work: Function of an iterator of parts. If it returns early, the other threads end, too.
        parts: A list or a range.
        num_threads: Number of threads.
        name: Name of the threads.

    >>> found = []
    >>> in_threads(lambda parts: found.extend(part**2 for part in parts), range(5), 2, "example")
    >>> sorted(found)
    [0, 1, 4, 9, 16]
    """
    shared = iter(parts)  # `next` is atomic

    def end() -> None:
        for _ in shared:
            pass

    def run() -> None:
        try:
            work(shared)
        finally:
            end()

    with ThreadPool(num_threads, name) as threads:
        try:
            calls = [threads.submit(run) for _ in range(num_threads)]
            for call in calls:
                call.result()
        finally:
            end()  # after Ctrl-C, also before all threads have started


def in_order(function: Callable[[T], Any], parts: Iterable[T], num_threads: int, name: str) -> Iterator[Any]:
    """Iterate over `function(part)` for all parts, in their order. Threads compute it, two parts per thread ahead.

    Args:
        function: Function of a part.
        parts: The parts.
        num_threads: Number of threads.
        name: Name of the threads.

    >>> list(in_order(abs, [-1, 2, -3], 2, "example"))
    [1, 2, 3]
    """
    with ThreadPool(num_threads, name) as threads:
        ahead = deque()
        for part in parts:
            ahead.append(threads.submit(function, part))
            if len(ahead) > 2 * num_threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def as_executor(executor: Any) -> Executor:
    """Return an executor, which is checked.

    Raises:
        OptionError: If it has no method `submit`.
    """
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise OptionError(
            "`executor` should be a concurrent.futures.Executor, such as ProcessPoolExecutor(8), or None. "
            f"Received: executor={shown(executor)}"
        )
    return executor


def rows_per_task(num_rows: int, most: int) -> int:
    """Return into how many rows to cut the work for an executor: at most `most`, and fewer if that makes few tasks.

    >>> rows_per_task(1_000_000, 400), rows_per_task(1000, 400), rows_per_task(3, 400)
    (400, 16, 1)
    """
    return max(1, min(most, -(-num_rows // FEWEST_TASKS)))


def on_executor(
    executor: Executor,
    function: Callable[..., T],
    tasks: Iterable[tuple[Any, ...]],
    accept: Callable[[T], object],
    again: str,
) -> None:
    """Call `function(*task)` for each task on an executor, and `accept` with each result, in this process.

    Results come in any order. A task that the executor loses, because a worker was killed, is submitted again. After an
    error or Ctrl-C, the tasks that have not begun are cancelled, and this does not wait for the others.

    Args:
        executor: Any executor. It is neither changed nor shut down.
        function: A function at the top of a module.
        tasks: Arguments of the calls. Only as many are made at a time as the executor has.
        accept: Function of a result. It is never called by two threads at a time.
        again: What to do if the executor is broken, as a sentence.

    Raises:
        ResourceError: If the executor is broken, because a worker was killed.
        OptionError: If the executor cannot run the tasks: it was shut down, or the tasks cannot be pickled.
    """
    run = _Run(executor, function, tasks, accept, again)
    with ThreadPool(1, "keras_oocore-tasks") as thread:  # Ctrl-C would leave locks of the executor locked
        try:
            thread.submit(run).result()
        finally:
            run.stop()  # also if Ctrl-C comes before `submit` returns


class _Run:
    """Submits tasks and accepts their results, until all are done or `stop` is called by another thread."""

    def __init__(self, executor: Executor, function: Callable, tasks: Iterable[tuple], accept: Callable, again: str):
        self._executor, self._function, self._accept, self._again = executor, function, accept, again
        self._tasks = iter(tasks)
        self._lost = deque()  # tasks to submit again, with the number of tries
        self._in_flight: dict[Future, tuple[tuple, int]] = {}
        self._done: SimpleQueue[Future | None] = SimpleQueue()

    def stop(self) -> None:
        self._done.put(None)

    def __call__(self) -> None:
        try:
            self._submit()
            while self._in_flight:
                future = self._done.get()
                if future is None:
                    return
                self._take(future)
                self._submit()
        finally:
            for future in self._in_flight:
                future.cancel()

    def _submit(self) -> None:
        """Submit tasks until the executor has enough."""
        while len(self._in_flight) < MOST_IN_FLIGHT:
            if self._lost:
                task, tries = self._lost.popleft()
            elif (task := next(self._tasks, None)) is not None:
                tries = 0
            else:
                return
            try:
                future = self._executor.submit(self._function, *task)
            except BrokenExecutor as error:
                raise _broken(error, self._again) from error
            except RuntimeError as error:  # it was shut down
                raise _not_run(error) from error
            self._in_flight[future] = task, tries + 1
            future.add_done_callback(self._done.put)

    def _take(self, future: Future) -> None:
        """Accept a result, or note that its task is to be submitted again."""
        task, tries = self._in_flight.pop(future)
        try:
            result = future.result()
        except BrokenExecutor as error:
            if tries == MOST_TRIES:
                raise _broken(error, self._again) from error
            self._lost.append((task, tries))
            return
        except (OutOfCoreError, MemoryError):
            raise
        except (CancelledError, Exception) as error:
            raise _not_run(error) from error
        self._accept(result)


def _broken(error: BaseException, again: str) -> ResourceError:
    return ResourceError(
        f"The executor lost a worker, and runs no more tasks: {str(error).rstrip('.')}. A worker may have been killed "
        "because the memory was full, or it could not import a function, such as a `reader` that is defined in a "
        f"notebook: define it at the top of a module. {again}"
    )


def _not_run(error: BaseException) -> OptionError:
    what = f"{type(error).__name__}: {error}".rstrip(": .")
    return OptionError(
        f"The executor could not run a task: {what}. Workers receive the `reader` with pickle, so it should be a "
        "function at the top of a module that the workers can import, not a lambda or a function inside another one. "
        "The executor must not be shut down."
    )
