"""One writer at a time per directory, across threads and processes."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from keras_oocore.core.errors import BusyError
from keras_oocore.core.files import explained
from keras_oocore.core.temporary import TEMPORARY_PREFIX
from keras_oocore.core.threads import ThreadPool

LOCK_NAME = f"{TEMPORARY_PREFIX}lock"  # remains in every directory that the package has written to
_locked_here: dict[str, int] = {}  # real path of a locked directory → the process that locked it: a fork has a copy


@contextlib.contextmanager
def write_lock(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Lock `directory` for one writer. It is created if it does not exist.

    The operating system releases the lock when the process ends, even if it is killed. A child process that is forked
    in the meantime does not hold the lock.

    Raises:
        BusyError: If another process, or another thread or object of this process, holds the lock.
        DestinationError: If the directory cannot be written to, or its file system does not support locks.
    """
    directory = Path(directory)
    with explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            lock = _in_thread(_acquired, directory / LOCK_NAME)
        except filelock.Timeout as error:
            raise BusyError(
                f"{who_locked(directory)} is writing {os.fspath(directory)!r}. "
                "Wait for it to finish, or choose another destination."
            ) from error
    process, path = os.getpid(), os.path.realpath(directory)
    _locked_here[path] = process
    try:
        yield
    finally:
        _locked_here.pop(path, None)
        if os.getpid() == process:  # filelock has closed its file in a forked child (since version 3.30)
            _in_thread(lock.release)


def who_locked(directory: str | os.PathLike[str]) -> str:
    """Return who has locked a directory, which is locked, to begin a message.

    >>> with write_lock(getfixture("tmp_path")):
    ...     who_locked(getfixture("tmp_path"))
    'An earlier Sequence or call of this process'
    """
    here = _locked_here.get(os.path.realpath(directory)) == os.getpid()
    return "An earlier Sequence or call of this process" if here else "Another process"


def _acquired(path: Path) -> filelock.BaseFileLock:
    """Return a new lock of a file, locked."""
    lock = filelock.FileLock(
        path,
        timeout=0,  # raise instead of waiting
        thread_local=False,  # a store may be closed by another thread than the one that opened it
        fallback_to_soft=False,  # a soft lock is a file that remains if the process is killed
    )
    lock.acquire()
    return lock


def _in_thread(function: Callable[..., Any], *arguments) -> Any:
    """Call a function in a thread that Ctrl-C does not interrupt, as it would leave locks within `filelock` locked."""
    with ThreadPool(1, "keras_oocore-lock") as thread:
        return thread.submit(function, *arguments).result()
