"""Warnings that point at the line of the user's code, also while Keras or a thread calls this package."""

import contextlib
import gc
import re
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

from keras_oocore.core.forks import register_fork_aware

PACKAGE = __name__.partition(".")[0]
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")  # Keras, its backend, and what else calls `fit` for the user

_collected: ContextVar[dict[str, str] | None] = ContextVar("_collected", default=None)


@contextlib.contextmanager
def collected_warnings() -> Iterator[dict[str, str]]:
    """Within the block, `warn_user` adds its messages of this thread to the dictionary that this yields, by their kind.

    A worker process sends them to the process of the user, which shows each kind once.

    >>> with collected_warnings() as messages:
    ...     warn_user("'a.jpg' may be damaged.", kind="damaged")
    >>> messages
    {'damaged': "'a.jpg' may be damaged."}
    """
    messages = {}
    token = _collected.set(messages)
    try:
        yield messages
    finally:
        _collected.reset(token)


def warn_user(message: str, kind: str = "") -> None:
    """Issue a `UserWarning` for the innermost line of the user's code that led here.

    In a thread without code of the user, such as one that loads batches, this is the line of the main thread: `fit`.

    Args:
        message: The message.
        kind: What all warnings of this kind have in common, if several workers may issue one. One of them is shown.
    """
    if (messages := _collected.get()) is not None:
        messages.setdefault(kind or message, message)
        return
    frame = _frame_of_user(sys._getframe(1))
    if frame is None and threading.current_thread() is not threading.main_thread():
        frame = _frame_of_user(_frame_of_main_thread())
    frame = frame or sys._getframe(1)  # never the frame of this call: a cycle would keep the objects of all callers
    warnings.warn_explicit(
        message,
        UserWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),  # of lines that have warned
    )


def _frame_of_main_thread() -> types.FrameType | None:
    """Return the frame that the main thread is in.

    CPython before 3.12 waits forever if garbage is collected meanwhile and a thread ends (python/cpython#106883).
    """
    with _without_collections:
        return sys._current_frames().get(threading.main_thread().ident)


class _WithoutCollections:
    """A block in which no garbage is collected, of one thread at a time: another one would find it disabled."""

    def __init__(self) -> None:
        self._enabled = False
        self.reset_after_fork()
        register_fork_aware(self)

    def reset_after_fork(self) -> None:
        """Leave the block that a thread of the parent is in."""
        self._lock = threading.Lock()
        self._enable()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *exception: object) -> None:
        self._enable()
        self._lock.release()

    def _enable(self) -> None:
        if self._enabled:
            gc.enable()
        self._enabled = False


_without_collections = _WithoutCollections()


def _frame_of_user(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the innermost frame outside of this package, the standard library and installed packages."""
    while frame is not None and _is_of_library(frame):
        frame = frame.f_back
    return frame


def _is_of_library(frame: types.FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return (
        package == PACKAGE
        or package in sys.stdlib_module_names
        or INSTALLED.search(frame.f_code.co_filename) is not None
    )
