"""One writer at a time for a directory, over threads and processes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from keras_oocore.core.errors import BusyError
from keras_oocore.core.files import TEMPORARY_PREFIX, explained

LOCK_NAME = f"{TEMPORARY_PREFIX}lock"  # stays in a directory that the package wrote


@contextlib.contextmanager
def only_writer(directory: str | os.PathLike) -> Iterator[None]:
    """Lock `directory` for one writer; the operating system releases the lock when the process ends, however it ends.

    Raises:
        BusyError: if another process or thread has locked it.
        DestinationError: if the directory cannot be written to.
    """
    directory = Path(directory)
    # timeout=0: do not wait. thread_local=False: the thread that closes a store may not be the one that opened it.
    lock = filelock.FileLock(directory / LOCK_NAME, timeout=0, thread_local=False)
    with explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise BusyError(
                f"Another process is writing {os.fspath(directory)!r}. "
                "Wait for it to finish, or choose another destination."
            ) from error
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == process:  # a child forked meanwhile does not own the lock
            lock.release()
