"""Write whole or not at all; one writer at a time; enough disk first."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from keras_oocore.errors import DestinationError
from keras_oocore.memory import format_bytes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

SPARE_BYTES = 16 * 10**6  # left free on a disk that is written to: directory entries and journals need some
TEMPORARY_PREFIX = ".keras_oocore-"


@contextlib.contextmanager
def explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into a DestinationError that says what to do."""
    try:
        yield
    except DestinationError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Free some space, or choose a destination on another disk."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "Choose a destination that you may write to."
        else:
            remedy = "Choose another destination."
        raise DestinationError(f"Cannot write {os.fspath(path)!r}: {error.strerror or error}. {remedy}") from error


@contextlib.contextmanager
def write_whole(path: str | os.PathLike, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the name `path` only once it is complete and on disk.

    A reader sees the old file or the whole new one, never a part; an exception or a kill leaves the old one.

    Args:
        path: the file to write; its folder is made when missing.
        overwrite: whether a file of that name may be replaced.

    Raises:
        DestinationError: when it cannot be written, or exists and `overwrite` is `False`.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(path)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            publish(temporary, path, overwrite)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def temporary_name(path: str | os.PathLike) -> Path:
    """A hidden name beside `path` that nobody else uses."""
    return Path(path).parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"


def publish(temporary: str | os.PathLike, path: str | os.PathLike, overwrite: bool = False) -> None:
    """Give a finished temporary file its name, atomically; without `overwrite`, only while that name is free."""
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike rename, fails where the name is taken
    except OSError:
        if os.path.lexists(path):
            raise DestinationError(
                f"{os.fspath(path)!r} exists and is kept. Move it away, or choose another name."
            ) from None
        os.rename(temporary, path)  # a file system without hard links
    else:
        os.unlink(temporary)


def save_array(path: str | os.PathLike, array: np.ndarray) -> Path:
    """Save one array as `.npy`, whole or not at all, and never as a pickle.

    Raises:
        DestinationError: when it cannot be written.
        ValueError: when the array holds Python objects.
    """
    path = Path(path)
    with write_whole(path) as file:
        np.save(file, array, allow_pickle=False)
    return path


def require_disk(directory: str | os.PathLike, needed_bytes: int, what: str) -> None:
    """Raise before the first byte when the disk under `directory` cannot hold `needed_bytes` of `what`."""
    existing = next(folder for folder in (Path(directory).absolute(), *Path(directory).absolute().parents) if folder.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise DestinationError(
            f"Not enough disk for {what}: {format_bytes(needed_bytes)} needed, {format_bytes(free_bytes)} free at "
            f"{os.fspath(existing)!r}. Free some space, or choose a destination on another disk."
        )


@contextlib.contextmanager
def only_writer(directory: str | os.PathLike) -> Iterator[None]:
    """Hold `directory` as its one writer; the operating system lets go when the process ends, however it ends.

    Raises:
        DestinationError: when another process (or thread) holds it.
    """
    directory = Path(directory)
    with explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
        file = open(directory / f"{TEMPORARY_PREFIX}lock", "ab")
    with file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise DestinationError(
                f"Another process is writing {os.fspath(directory)!r}. Wait for it to finish, or choose another destination."
            ) from error
        yield
