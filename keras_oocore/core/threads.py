"""Threads that are started and awaited in C, so that Ctrl-C cannot leave them half started, or their locks locked."""

import _thread
import atexit
import contextlib
import functools
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Self

from keras_oocore.core.forks import register_fork_aware

NOTICE_SECONDS = 1.0  # until Ctrl-C is noticed, if CPython missed to wake the thread that waits


class Unwanted(BaseException):
    """Ends long work in a thread whose results are not needed. Like `KeyboardInterrupt`, it is not an `Exception`."""


class Thread(threading.Thread):
    """A daemon thread that the thread which is interrupted by Ctrl-C can start and await.

    `threading.Thread.start` waits in `Event`, which is Python code: if Ctrl-C comes within it, the new thread waits
    forever for a lock that no thread releases. Here another thread, which Ctrl-C does not interrupt, runs that code.

    Args:
        function: Function of this thread, which it runs.
        name: Name of the thread.

    Attributes:
        wanted: Whether the results of the thread are needed. Other threads may set it to `False`.

    >>> given = []
    >>> thread = Thread(lambda thread: given.append(thread.name), "example")
    >>> thread.start()
    >>> thread.wait()
    >>> given, thread.is_alive()
    (['example'], False)
    """

    def __init__(self, function: Callable[["Thread"], None], name: str):
        super().__init__(name=name, daemon=True)
        self.wanted = True
        self._function = function
        self._not_ended = _thread.allocate_lock()
        self._not_ended.acquire()
        register_fork_aware(self)

    def reset_after_fork(self) -> None:
        """Have ended. A forked child has only the thread that forked."""
        if threading.get_ident() != self.ident:
            self._not_ended = _thread.allocate_lock()

    def start(self) -> None:
        """Start the thread. It may begin to run later."""
        _thread.start_new_thread(self._launch, ())

    def _launch(self) -> None:
        try:
            super().start()
        except RuntimeError:  # there is no room for another thread, so this one does its work
            self.run()

    def run(self) -> None:
        _threads.add(self)
        try:
            self._function(self)
        finally:
            del self._function  # it may refer to what refers to this thread
            self._not_ended.release()

    def wait(self) -> None:
        """Wait until the thread has ended. It must have been started."""
        with self._not_ended:  # `join` calls a thread ended when Ctrl-C interrupts it (CPython 3.11 and 3.12)
            pass
        if self.ident is not None:
            self.join()


def end_if_unwanted() -> None:
    """Raise `Unwanted` in a thread that is no longer wanted. Long work calls it between two steps."""
    if not getattr(threading.current_thread(), "wanted", True):
        raise Unwanted


def begin_exit() -> None:
    """Let `is_exiting` return `True` from now on."""
    global _is_exiting
    _is_exiting = True


def is_exiting() -> bool:
    """Return whether the interpreter exits, so that a daemon thread should do no work ahead."""
    return _is_exiting


class Call:
    """A call of a function that a `ThreadPool` makes."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]):
        self._function, self._arguments = function, arguments
        self._outcomes = SimpleQueue()

    def make(self) -> None:
        """Call the function."""
        try:
            self._outcomes.put((self._function(*self._arguments), None))
        except BaseException as error:  # any error must reach the thread that waits for the result
            self._outcomes.put((None, error))

    def drop(self) -> None:
        """Let `result` raise an error."""
        self._outcomes.put((None, RuntimeError("The pool of threads was closed before this call.")))

    @property
    def is_done(self) -> bool:
        """Whether `result` would return, or raise, at once."""
        return not self._outcomes.empty()

    def result(self) -> Any:
        """Wait for the call, and return what the function returned, or raise its error. It can be called once."""
        result, error = self._outcome()
        if error is None:
            return result
        try:
            raise error
        finally:
            del error  # the traceback refers to this frame, which must not refer to the error

    def _outcome(self) -> tuple[Any, BaseException | None]:
        """Wait for the call. Ctrl-C that comes just before this thread waits in C is noticed at the next attempt."""
        while True:
            with contextlib.suppress(Empty):
                return self._outcomes.get(timeout=NOTICE_SECONDS)


class ThreadPool:
    """Calls functions in threads, as `ThreadPoolExecutor` does, which Ctrl-C may leave waiting forever.

    Args:
        num_threads: The largest number of threads.
        name: Name of the threads.

    >>> with ThreadPool(2, "example") as threads:
    ...     calls = [threads.submit(pow, 2, exponent) for exponent in range(4)]
    ...     [call.result() for call in calls]
    [1, 2, 4, 8]
    """

    def __init__(self, num_threads: int, name: str):
        self.num_threads: int = num_threads
        self.name: str = name
        self.reset_after_fork()
        register_fork_aware(self)
        _pools.add(self)

    def reset_after_fork(self) -> None:
        """Start without threads and calls, in a new pool or in a forked child."""
        self._calls = SimpleQueue()
        self._threads = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Call:
        """Call `function(*arguments)` in a thread, after the calls that were submitted before."""
        call = Call(function, arguments)
        if len(self._threads) < self.num_threads:
            thread = Thread(functools.partial(_make_calls, self._calls), self.name)
            try:
                thread.start()
                self._threads.append(thread)
            except RuntimeError:  # such as at exit, since CPython 3.12
                if not self._threads:
                    call.make()
                    return call
        self._calls.put(call)
        return call

    def shutdown(self) -> None:
        """Drop the calls that have not begun, and wait for the others."""
        with contextlib.suppress(Empty):
            while True:
                if call := self._calls.get_nowait():
                    call.drop()
        self._calls.put(None)
        for thread in self._threads:
            thread.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # of a pool that was never made
            self._calls.put(None)  # ends the threads, if Ctrl-C came before the line of `shutdown` that does


def _make_calls(calls: SimpleQueue, thread: Thread) -> None:
    """Make the calls of a pool. Its threads do not refer to the pool itself, so that it can be deleted."""
    while call := calls.get():
        call.make()
        del call  # an idle thread must not keep a result alive
    calls.put(None)  # for the next thread


_is_exiting = False
_threads = weakref.WeakSet()  # all threads that run
_pools = weakref.WeakSet()


def _wait_for_all() -> None:
    for pool in list(_pools):
        pool.shutdown()
    for thread in list(_threads):
        thread.wait()


atexit.register(_wait_for_all)  # a daemon thread inside C code would crash the interpreter when it exits
