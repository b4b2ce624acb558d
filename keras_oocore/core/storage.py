"""Reads the files of a data set: open, list and inspect them. No other module touches the paths of data.

All data is on local file systems today. To add a remote one, write its class with these functions as methods, and let
each function call the class that a path's scheme (such as `s3://`) names. Recognize the scheme with one slash too:
`Manifest.directory` is a `Path`, which turns `s3://` into `s3:/`. Files that the package writes (stores, checkpoints,
manifests) are always local: see `core/files.py`.

The functions are thin on purpose: training opens about 10,000 small files per second.
"""

import errno
import glob
import os
import stat
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

from keras_oocore.core.faults import fault_of, retried
from keras_oocore.core.text import did_you_mean

GONE = (-1, -1)  # the stamp of a file that does not exist
UNKNOWN = (-2, -2)  # the stamp of a file whose status cannot be read now


class FileStatus(NamedTuple):
    """What a file system knows about a path.

    Attributes:
        size_bytes: The size of the file.
        changed_ns: When the file was last modified, in nanoseconds.
        is_file: Whether it is an ordinary file, or a link to one.
        is_directory: Whether it is a folder, or a link to one.
    """

    size_bytes: int
    changed_ns: int
    is_file: bool
    is_directory: bool


def open_file(path: str | os.PathLike[str], buffered: bool = True) -> BinaryIO:
    """Open a file for reading, in binary mode; it can seek. Without a buffer, large reads save a copy.

    Raises:
        OSError: If it cannot be opened.
    """
    return open(path, "rb", -1 if buffered else 0)


def first_bytes(path: str | os.PathLike[str], num_bytes: int) -> bytes:
    """Return the first bytes of a file, or all of them if it is shorter. Faults that may pass are tried again.

    Raises:
        OSError: If it cannot be read.
    """

    def read() -> bytes:
        with open_file(path) as file:
            return file.read(num_bytes)

    return retried(read)


def status(path: str | os.PathLike[str]) -> FileStatus:
    """Return the status of a path. Links are followed.

    Raises:
        OSError: If the path does not exist, or a folder on its way cannot be searched.
    """
    try:
        found = os.stat(path)
    except ValueError as error:  # a null character, or half of a surrogate pair
        raise FileNotFoundError(errno.ENOENT, "no file can have this name", path) from error
    return FileStatus(found.st_size, found.st_mtime_ns, stat.S_ISREG(found.st_mode), stat.S_ISDIR(found.st_mode))


def stamp(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return `(size_bytes, changed_ns)` of a file, which show whether it changed.

    `GONE` is the stamp of a missing file, and `UNKNOWN` that of a file on a disk or network that fails.
    """
    try:
        found = os.stat(path)
    except ValueError:
        return GONE
    except OSError as error:
        return UNKNOWN if fault_of(error, implicit=False).passes else GONE
    return found.st_size, found.st_mtime_ns


def identity(path: str | os.PathLike[str]) -> Hashable:
    """Return a value that is equal for two paths of the same file or folder.

    Raises:
        OSError: If the path does not exist.
    """
    found = os.stat(path)
    return found.st_dev, found.st_ino


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether a path exists. A broken link does not."""
    return os.path.exists(path)


def is_directory(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder, or a link to one."""
    return os.path.isdir(path)


def scan(directory: str | os.PathLike[str]) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """List a folder, in no particular order: `with scan(directory) as entries:`.

    Each entry has a `name`, `is_file()`, `is_dir(follow_symlinks=...)` and `is_symlink()`, as `os.DirEntry` does.

    Raises:
        OSError: If the folder cannot be listed.
    """
    return os.scandir(directory)


def match(pattern: str) -> list[str]:
    """Return the files that match a pattern with `*`, `?`, `[...]` or `**`, sorted. Folders are left out."""
    return [path for path in sorted(glob.glob(pattern, recursive=True)) if not os.path.isdir(path)]


def working_directory() -> str:
    """Return the working directory, or `""` if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path that stays valid when the working directory changes."""
    return os.path.join(working_directory(), path)


def as_opened(path: str | os.PathLike[str], opened_in: str) -> str:
    """Return a path that was opened in the working directory `opened_in`: absolute after `os.chdir`, else as it is.

    >>> as_opened("photos", working_directory()), as_opened("photos", "/before")
    ('photos', '/before/photos')
    """
    return os.fspath(path) if os.path.isabs(path) or working_directory() == opened_in else os.path.join(opened_in, path)


def local_path(path: str | os.PathLike[str]) -> str:
    """Return a path on this machine with the content of a file, for libraries and readers that open it themselves."""
    return os.fspath(path)


def where_instead(path: str | os.PathLike[str]) -> str:
    """Return the end of a message about a path that does not exist: the working directory, and the most similar name.

    >>> import pathlib, tempfile
    >>> directory = tempfile.mkdtemp()
    >>> pathlib.Path(directory, "houses.csv").touch()
    >>> where_instead(f"{directory}/house.csv")
    " Did you mean 'houses.csv'?"
    """
    parent, name = os.path.split(os.path.abspath(path))
    near = ""
    if is_directory(parent):
        with scan(parent) as entries:
            near = did_you_mean(name, [entry.name for entry in entries])
    return ("" if os.path.isabs(path) else f" The working directory is {os.getcwd()!r}.") + near
