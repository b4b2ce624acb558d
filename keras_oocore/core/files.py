"""Files that are written whole or not at all, and the checks around them: enough disk, allowed names."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from keras_oocore.core.errors import DestinationError, OptionError, SampleError
from keras_oocore.core.faults import REMEDIES
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.temporary import finish, temporary_file
from keras_oocore.core.text import shown

SPARE_BYTES = 16 * 10**6  # left free on the disk, for directory entries and journals
CHUNK_BYTES = 2**20


@contextlib.contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError about writing `path` into a DestinationError that says what to do."""
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
            remedy = REMEDIES.get(error.errno, "Choose another destination.")  # too many open files, for example
        raise DestinationError(f"Cannot write {os.fspath(path)!r}: {error.strerror or error}. {remedy}") from error


@contextlib.contextmanager
def write_whole(path: str | os.PathLike[str], overwrite: bool = True, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file for writing; it gets the name `path` once it is complete.

    A reader sees the old file or the complete new one. An exception or a kill leaves the old one.

    Args:
        path: The file to write. Its folder is created if it does not exist.
        overwrite: Whether to replace an existing file.
        durable: Whether to wait until the file is on disk, where it survives a power cut. Thousands of small files
            that can be recreated are written much faster without waiting.

    Raises:
        DestinationError: If the file cannot be written, or if it exists and `overwrite` is `False`.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path) as file:
            yield file
            finish(file, durable)
            publish(file.name, path, overwrite)
    if durable:
        sync_folder(path.parent)


def publish(temporary: str | os.PathLike[str], path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Give a finished temporary file its final name, atomically.

    Raises:
        DestinationError: If the name exists and `overwrite` is `False`.
    """
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike rename, this fails if the name exists
    except OSError:
        if os.path.lexists(path):
            raise DestinationError(
                f"{os.fspath(path)!r} already exists and is not overwritten. Move it away, or choose another name."
            ) from None
        os.rename(temporary, path)  # a file system without hard links
    else:
        os.unlink(temporary)


def sync_folder(directory: str | os.PathLike[str]) -> None:
    """Wait until new and renamed entries of `directory` are on disk. This does nothing on Windows."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_array(path: str | os.PathLike[str], array: np.ndarray) -> Path:
    """Save an array as a `.npy` file, whole or not at all, and return its path.

    Raises:
        DestinationError: If the file cannot be written.
        ValueError: If the array contains Python objects, which would require pickle.
    """
    path = Path(path)
    with write_whole(path) as file:
        np.save(file, array, allow_pickle=False)
    return path


def read_chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Read a file in chunks, for copying it.

    Raises:
        SampleError: If the file cannot be read. (`write_whole` would report an OSError as one of the destination.)
    """
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise SampleError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.") from error


def as_path(path: str | os.PathLike[str], name: str) -> Path:
    """Return an argument as a `Path`, with `~` expanded: otherwise, a folder called `~` would be written.

    Args:
        path: The value of the argument.
        name: The name of the argument.

    Raises:
        OptionError: If it is not a path.

    >>> as_path("prepared/cache", "cache").parts
    ('prepared', 'cache')
    >>> as_path(True, "cache")
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `cache` should be a path, such as a string. Received: cache=True
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"`{name}` should be a path, such as a string. Received: {name}={shown(path)}")
    return Path(os.path.expanduser(path))


def absolute_path(path: str | os.PathLike[str], name: str = "directory") -> Path:
    """Return an argument as a path that stays valid after `os.chdir`, with `~` expanded.

    Raises:
        OptionError: If it is not a path.
    """
    return Path(os.path.abspath(as_path(path, name)))


def leaves_folder(name: str, any_system: bool = False) -> bool:
    r"""Whether `name`, joined to a folder, is a path outside that folder: it is absolute, or leaves it through `..`.

    Args:
        name: A relative path with forward slashes.
        any_system: Whether to apply the rules of Windows too (backslashes, drive letters). Names in archives and
            manifests may come from another system.

    >>> leaves_folder("cats/001.png"), leaves_folder("cats/../../001.png"), leaves_folder("/etc/passwd")
    (False, True, True)
    >>> leaves_folder(r"C:\001.png", any_system=True)
    True
    """
    if any_system or os.name == "nt":
        name = name.replace("\\", "/")
        if name[1:2] == ":":
            return True
    depth = 0
    for part in name.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return name.startswith("/")


def require_disk(directory: str | os.PathLike[str], needed_bytes: int, what: str) -> None:
    """Check that the disk of `directory` has room for `needed_bytes`, before the first byte is written.

    Args:
        directory: A folder, which may not exist yet.
        needed_bytes: The number of bytes to be written.
        what: What will be written, for the message.

    Raises:
        DestinationError: If the disk has less room.
    """
    folder = Path(directory).absolute()
    existing = next((folder for folder in (folder, *folder.parents) if folder.exists()), folder)
    with explained(directory):
        free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise DestinationError(
            f"Not enough disk for {what}: {format_bytes(needed_bytes)} needed, {format_bytes(free_bytes)} free at "
            f"{os.fspath(existing)!r}, where {format_bytes(SPARE_BYTES)} must stay free. Free some space, or choose a "
            "destination on another disk."
        )
