"""Write whole or not at all, or a row in its place; one writer at a time; enough disk first."""

import contextlib
import errno
import math
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from keras_oocore.core.errors import DataError, DestinationError, SampleError
from keras_oocore.core.sizes import format_bytes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SPARE_BYTES = 16 * 10**6  # left free on a disk that is written to: directory entries and journals need some
CHUNK_BYTES = 2**20
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
def write_whole(path: str | os.PathLike, overwrite: bool = True, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the name `path` only once it is complete and on disk.

    A reader sees the old file or the whole new one, never a part; an exception or a kill leaves the old one.

    Args:
        path: the file to write; its folder is made when missing.
        overwrite: whether a file of that name may be replaced.
        durable: whether to wait until the disk holds it, so that it outlives a power cut too. Thousands of small
            files that can be made again are written much faster without.

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
                if durable:
                    os.fsync(file.fileno())
            publish(temporary, path, overwrite)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    if durable:
        sync_folder(path.parent)


def temporary_name(path: str | os.PathLike) -> Path:
    """A hidden name beside `path` that nobody else uses."""
    return Path(path).parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"


def remove_leftovers(directory: str | os.PathLike) -> int:
    """How many temporary files and folders of killed runs were removed from `directory`; call it as its one writer."""
    with os.scandir(directory) as entries:
        leftovers = [e for e in entries if re.fullmatch(rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{16}}", e.name)]
    for leftover in leftovers:
        if leftover.is_dir(follow_symlinks=False):
            shutil.rmtree(leftover.path, ignore_errors=True)  # of one that is in use the rest goes, and it next time
            continue
        with contextlib.suppress(FileNotFoundError):  # not left over: a reader was saving labels
            os.unlink(leftover.path)
    return len(leftovers)


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


def sync_folder(directory: str | os.PathLike) -> None:
    """Wait until the disk holds the names in `directory`, where the system can say so (Windows cannot)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def reserve_array(path: str | os.PathLike, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Make a `.npy` file of zeros to be filled by `write_at`; the disk gives it room as it fills.

    Raises:
        DestinationError: when it cannot be written, or exists.
    """
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with write_whole(path, overwrite=False) as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)


def write_at(file: IO[bytes], data: np.ndarray, offset_bytes: int) -> None:
    """Write an array's bytes into an open, unbuffered file; threads may do so at once, each at its own place.

    Raises:
        DestinationError: when the disk is full, or the file as large as it may be.
    """
    left = memoryview(np.ascontiguousarray(data).reshape(-1).view(np.uint8))
    with explained(file.name):
        while left:
            num_written = _pwrite(file, left, offset_bytes)
            left, offset_bytes = left[num_written:], offset_bytes + num_written


if hasattr(os, "pwrite"):

    def _pwrite(file: IO[bytes], data: memoryview, offset_bytes: int) -> int:
        return os.pwrite(file.fileno(), data, offset_bytes)

else:  # Windows
    _seek_and_write = threading.Lock()

    def _pwrite(file: IO[bytes], data: memoryview, offset_bytes: int) -> int:
        with _seek_and_write:
            file.seek(offset_bytes)
            return file.write(data)


def sync_data(file: IO[bytes]) -> None:
    """Wait until the disk holds what was written to an open file."""
    with explained(file.name):
        getattr(os, "fdatasync", os.fsync)(file.fileno())


def load_array(path: str | os.PathLike) -> np.ndarray:
    """The array in one `.npy` file, never unpickled.

    Raises:
        DataError: when there is no such file, or it is damaged, or holds pickled Python objects.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise DataError(f"Cannot read {name!r}: {error.strerror or error}.") from error
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{name!r} holds pickled Python objects, which could run any code and are not loaded. Save it again as "
                f"plain text or numbers: np.save({name!r}, np.asarray(values.tolist()))"
            ) from error
        raise DataError(f"{name!r} is not a whole .npy file ({error}). Save it again with numpy.save.") from error


def read_chunks(path: str | os.PathLike) -> Iterator[bytes]:
    """A file's bytes in pieces, for copying; a file that cannot be read is named as the source that it is.

    Raises:
        SampleError: when it cannot be read. Not an OSError, which `write_whole` would take for the destination's.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise SampleError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.") from error


def leaves_folder(name: str, any_system: bool = False) -> bool:
    r"""Whether `name`, joined to a folder, lands outside it: it is absolute, or climbs above through `..`.

    Args:
        name: a path meant to be relative, with forward slashes.
        any_system: judge it by Windows' rules too (backslashes, drive letters), as names that come from afar need.

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


def require_disk(directory: str | os.PathLike, needed_bytes: int, what: str) -> None:
    """Raise before the first byte when the disk under `directory` cannot hold `needed_bytes` of `what`."""
    folder = Path(directory).absolute()
    existing = next((folder for folder in (folder, *folder.parents) if folder.exists()), folder)
    with explained(directory):
        free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise DestinationError(
            f"Not enough disk for {what}: {format_bytes(needed_bytes)} needed, {format_bytes(free_bytes)} free at "
            f"{os.fspath(existing)!r}. Free some space, or choose a destination on another disk."
        )
