"""Ctrl-C in a given line, or after a given time."""

import _weakrefset
import concurrent.futures._base
import concurrent.futures.thread
import contextlib
import gc
import linecache
import queue
import signal
import sys
import threading
import time
import weakref
from pathlib import Path

import keras_oocore

PACKAGE = str(Path(keras_oocore.__file__).parent)
LIBRARY = (threading, queue, concurrent.futures._base, concurrent.futures.thread, weakref, _weakrefset)
FILES = {module.__file__ for module in LIBRARY}


class InterruptAtLine:
    """Raises Ctrl-C before the n-th line that this thread runs in the package, or in Python code that waits or locks.

    Lines that begin with `with` are left out. They come twice, and the second time is the end of the block. A signal
    cannot come there, because no instruction between the last line of the block and unlocking checks for signals
    (CPython 3.11 to 3.13). The same holds for a block that is only `pass`, and for `try:`. That is a `NOP` which the
    exception table leaves out: an error that a trace raises there would leave the lock of a `with` around it locked.

    From CPython 3.12 on, lines with a comprehension are left out, too. Its loop is a part of the function, and the
    exception table leaves out the jump back, where a trace raises. A signal is handled after the jump.

    Attributes:
        came: Whether there was such a line.
    """

    def __init__(self, line):
        self.left, self.came = line, False
        self.tracing = self.trace  # one object that lives as long as it traces: CPython 3.11 may call one that is freed

    def __enter__(self):
        sys.settrace(self.tracing)
        return self

    def __exit__(self, error_type, error, traceback):
        sys.settrace(None)
        return error_type is KeyboardInterrupt

    def trace(self, frame, event, _):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) and path not in FILES:
            return None
        line = linecache.getline(path, frame.f_lineno).lstrip() if event == "line" else ""
        inlined = sys.version_info >= (3, 12) and " for " in line and not line.startswith("for ")
        if line and not inlined and not line.startswith(("with ", "pass", "try:")):
            self.left -= 1
            if self.left == 0:
                self.came = True
                raise KeyboardInterrupt
        return self.tracing


@contextlib.contextmanager
def sigint_raises():
    """Within the block, SIGINT raises `KeyboardInterrupt`. A shell starts its background jobs with SIGINT ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def came_after(seconds, function):
    """Run a function, with Ctrl-C after some seconds. Return whether it ended the function."""

    def interrupt(*_):
        if armed:
            raise KeyboardInterrupt

    armed = [True]
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        function()
        armed.clear()
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return False


@contextlib.contextmanager
def interrupts_in_finalizers_are_ignored():
    """CPython prints an exception that is raised in a finalizer, and continues. It is `KeyboardInterrupt` here.

    The block receives a list, which has an entry for each `KeyboardInterrupt` that was ignored.

    A progress bar whose constructor was interrupted cannot be deleted cleanly (tqdm 4.67), which does no harm.
    """
    ignored, others, before = [], [], sys.unraisablehook

    def ignore(unraisable):
        name = getattr(unraisable.object, "__qualname__", "")
        if unraisable.exc_type is KeyboardInterrupt:
            ignored.append(name)
        elif name != "tqdm.__del__":
            others.append((name, repr(unraisable.exc_value)))

    sys.unraisablehook = ignore
    try:
        yield ignored
    finally:
        gc.collect()  # a progress bar in a cycle would be deleted later, and its error would count
        sys.unraisablehook = before
    assert others == []


def in_another_thread(function):
    """Return the result of a function that runs in a thread, where it waits for a lock that this thread has kept."""
    results = []

    def run():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert results, "it waits for a lock or a thread"
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def assert_no_thread_is_left(name="keras_oocore-loader"):
    """All threads of this name end soon."""
    ends = time.monotonic() + 60
    while [thread for thread in threading.enumerate() if thread.name == name]:
        assert time.monotonic() < ends
        time.sleep(0.001)
