"""Warnings that point at the line of the user's code, also while Keras or a thread calls this package."""

import re
import sys
import threading
import types
import warnings

PACKAGE = __name__.partition(".")[0]
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")  # Keras, its backend, and what else calls `fit` for the user


def warn_user(message: str) -> None:
    """Issue a `UserWarning` for the innermost line of the user's code that led here.

    In a thread without code of the user, such as one that loads batches, this is the line of the main thread: `fit`.
    """
    frame = _frame_of_user(sys._getframe(1))
    if frame is None and threading.current_thread() is not threading.main_thread():
        frame = _frame_of_user(sys._current_frames().get(threading.main_thread().ident))
    frame = frame or sys._getframe(1)  # never the frame of this call: a cycle would keep the objects of all callers
    warnings.warn_explicit(
        message,
        UserWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),  # of lines that have warned
    )


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
