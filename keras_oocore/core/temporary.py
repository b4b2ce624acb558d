"""Temporary files: they have hidden names, are locked while they are written, and are removed after a kill."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import filelock

TEMPORARY_PREFIX = ".keras_oocore-"
COMMIT_NAME = f"{TEMPORARY_PREFIX}commit"  # the record of `core/commit.py`
TEMPORARY_NAME = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{16}}")


def temporary_name(path: str | os.PathLike[str]) -> Path:
    """Return a new hidden name in the folder of `path`."""
    return Path(path).parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"


@contextlib.contextmanager
def temporary_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file with a hidden name in the folder of `path`, and remove it at the end, unless it was renamed.

    It is locked until the end, so `remove_leftovers` of another process does not take it for the file of a killed one.
    """
    file, lock = _new_locked_file(path)
    try:
        with file:
            yield file
    finally:
        try:
            if os.path.lexists(file.name) and not _is_committed(file.name):
                os.unlink(file.name)
        finally:
            if lock is not None:
                lock.close()


def _new_locked_file(path: str | os.PathLike[str]) -> tuple[IO[bytes], IO[bytes] | None]:
    """A new file, and a copy that keeps it locked after it was closed, if the file system has locks.

    Both are objects, so that Ctrl-C leaves no lock behind.
    """
    while True:
        file = open(temporary_name(path), "xb")  # noqa: SIM115 - the caller closes it
        try:
            locked = lock_file(file.fileno())
            if locked is None:
                return file, None
            if locked and os.path.exists(file.name):
                return file, os.fdopen(os.dup(file.fileno()), "rb")
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise
        file.close()  # another process locked it first, and removes it


def finish(file: IO[bytes], durable: bool = True) -> None:
    """Close a file that was written. If it is `durable`, wait until it is on disk, where it survives a power cut."""
    file.flush()
    if durable:
        os.fsync(file.fileno())
    file.close()  # a file system on a network may report an error only now


def lock_file(descriptor: int) -> bool | None:
    """Lock an open file until all copies of its descriptor are closed, as the end of the process does.

    Returns:
        Whether it is locked by this descriptor now. `None` if there are no such locks: on some file systems, and on
        Windows, where an open file cannot be removed.
    """
    if os.name == "nt":
        return None
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:
        return None


def remove_leftovers(directory: str | os.PathLike[str], folders: bool = False) -> int:
    """Remove the temporary files that killed processes left in `directory`, and return their number.

    A file that another process is writing is left alone, and so is what cannot be listed or removed.

    Args:
        directory: A folder, which may not exist.
        folders: Whether to remove temporary folders, too. They are not locked, so pass `True` only while you hold the
            lock of the directory (`core/locks.py`).
    """
    try:
        with os.scandir(directory) as entries:
            leftovers = [entry for entry in entries if TEMPORARY_NAME.fullmatch(entry.name)]
    except OSError:
        return 0
    num_removed = 0
    for leftover in leftovers:
        with contextlib.suppress(OSError):  # it is gone, or in use: it is left for the next time
            if leftover.is_dir(follow_symlinks=False):
                if folders:
                    shutil.rmtree(leftover.path, ignore_errors=True)
                    num_removed += 1
            else:
                num_removed += _remove_if_abandoned(leftover.path)
    return num_removed


def _remove_if_abandoned(path: str) -> bool:
    """Remove a temporary file, unless a process is writing it, or a commit names it."""
    with contextlib.ExitStack() as stack:
        if os.name != "nt" and not os.path.islink(path):
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
            stack.callback(os.close, descriptor)
            if not lock_file(descriptor):
                return False
        if _is_committed(path):  # looked up after the lock: its process, which is dead, will not name it any more
            return False
        os.unlink(path)
        return True


def _is_committed(path: str | os.PathLike[str]) -> bool:
    """Whether a commit (`core/commit.py`) names a temporary file, which then is the only copy of a saved file."""
    folder, name = os.path.split(path)
    try:
        return name.encode() in Path(folder, COMMIT_NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # unknown, so it is kept
