"""Files that are saved together: after any kill, and for any reader at that moment, all of them are old or all are new.

All new files are written under temporary names. Then a record appears, which names each of them with its checksum: from
now on, the new files are the saved ones. They get their names, and the record is removed. If a process is killed before
that, the next reader or writer completes it. A reader that may not write reads the files that the record names.

The process that wrote the record holds a lock on it, so it also is the lock between writers. It contains the checksums
of the old files, which are read under this lock: a file that is neither old nor new was saved by hand after the kill,
and stays.
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from keras_oocore.core.commit_record import REMEDY, Change, Digest, digest, encode, read
from keras_oocore.core.errors import BusyError, DataError, DestinationError
from keras_oocore.core.files import explained, publish, sync_folder
from keras_oocore.core.record import MissingRecordError
from keras_oocore.core.temporary import COMMIT_NAME, finish, lock_file, remove_leftovers, temporary_file

WAIT_SECONDS = 60  # for another process, which needs far less to give files their names
PAUSE_SECONDS = 0.01


# --- saving ---------------------------------------------------------------------------------------------------------


def save_together(directory: str | os.PathLike[str], contents: Mapping[str, Callable[[IO[bytes]], Any] | None]) -> None:
    """Write several files of one folder, which replace their earlier versions together.

    Temporary files that killed processes left in the folder are removed.

    Args:
        directory: The folder. It is created if it does not exist.
        contents: Filename → a function that writes the content to a binary file, or `None` to remove the file.

    Raises:
        DestinationError: If the files cannot be written. The earlier files stay.
        BusyError: If another process saves files there all the time.

    >>> directory = getfixture("tmp_path")
    >>> save_together(directory, {"a.txt": lambda file: file.write(b"1"), "b.txt": None})
    >>> with open_together(directory, ["a.txt", "b.txt"]) as files:
    ...     files["a.txt"].read(), files["b.txt"]
    (b'1', None)
    """
    folder, deadline = Path(directory), time.monotonic() + WAIT_SECONDS
    with explained(folder), contextlib.ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        written = {name: _write(folder / name, write, stack) for name, write in contents.items()}
        sync_folder(folder)
        while not _commit(folder, written):
            if not _complete(folder, without_lock=True):
                if time.monotonic() > deadline:
                    raise BusyError(f"Another process is saving files in {os.fspath(folder)!r}. Try again later.")
                time.sleep(PAUSE_SECONDS)


def _write(path: Path, write: Callable[[IO[bytes]], Any] | None, stack: contextlib.ExitStack) -> str | None:
    """Write one file, and return its temporary name. It stays locked until the stack is closed."""
    if write is None:
        return None
    with explained(path):
        file = stack.enter_context(temporary_file(path))
        write(file)
        finish(file)
    return os.path.basename(file.name)


def _commit(folder: Path, written: Mapping[str, str | None]) -> bool:
    """Publish the record, give the files their names, and remove the record.

    A record without files comes first, and keeps other writers away while the old files are read. If their digests
    were of several moments, a reader of the record, or the process that completes it after a kill, would mix two saves.

    Returns:
        `False`, and nothing is changed, if another process is saving files.
    """
    with contextlib.ExitStack() as stack:
        try:
            publish(_record(folder, [], stack), folder / COMMIT_NAME)
        except DestinationError:
            return False
        try:
            changes = [
                Change(name, _digest_of(folder / name), temporary and _digest_of(folder / temporary), temporary)
                for name, temporary in written.items()
            ]
            record = _record(folder, changes, stack)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / COMMIT_NAME)
            raise
        publish(record, folder / COMMIT_NAME, overwrite=True)
        sync_folder(folder)
        _apply(folder, changes)
    return True


def _record(folder: Path, changes: Collection[Change], stack: contextlib.ExitStack) -> str:
    """Write a record, and return its temporary name. It stays locked until the stack is closed."""
    file = stack.enter_context(temporary_file(folder / COMMIT_NAME))
    file.write(encode(changes))
    finish(file)
    return file.name


def _apply(folder: Path, changes: Collection[Change]) -> None:
    """Give the files their names, and remove the record. Doing it twice does no harm."""
    for change in changes:
        with contextlib.suppress(FileNotFoundError):  # it is done
            if change.temporary is None:
                os.unlink(folder / change.name)
            else:
                os.replace(folder / change.temporary, folder / change.name)
    sync_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / COMMIT_NAME)
    sync_folder(folder)


# --- completing -----------------------------------------------------------------------------------------------------


def _complete(folder: Path, without_lock: bool = False) -> bool:
    """Complete what a killed process has committed. Returns `False` if another process is at work on it.

    Args:
        folder: The folder.
        without_lock: Whether to do so on a file system that has no locks.

    Raises:
        DataError: If the record or a file that it names is missing or damaged.
        OSError: If the folder cannot be written to.
    """
    try:
        descriptor = os.open(folder / COMMIT_NAME, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        locked = lock_file(descriptor)
        if locked is False or (locked is None and not without_lock):
            return False
        if _is_still(os.fstat(descriptor), folder / COMMIT_NAME):
            _apply(folder, [change for change in read(folder) if _is_pending(folder, change)])
    except (FileNotFoundError, MissingRecordError) as error:
        if _is_still(os.fstat(descriptor), folder / COMMIT_NAME):
            raise DataError(
                f"{os.fspath(folder / COMMIT_NAME)!r} names a file that does not exist. {REMEDY}"
            ) from error
    finally:
        os.close(descriptor)
    return True


def _is_pending(folder: Path, change: Change) -> bool:
    """Whether the new file, which is read and checked, has yet to get its name."""
    with contextlib.ExitStack() as stack:
        if change.keeps(digest(_open(folder / change.name, stack))):
            return False
        if change.temporary is not None:
            _open_new(folder, change, stack)
        return True


# --- reading --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_together(directory: str | os.PathLike[str], names: Collection[str]) -> Iterator[dict[str, BinaryIO | None]]:
    """Open several files of one folder that were saved together, even while another process saves new ones.

    Args:
        directory: The folder. It may be read-only, or not exist.
        names: Filenames.

    Yields:
        Filename → the file, opened for reading, or `None` if it does not exist.

    Raises:
        DataError: If a file cannot be opened, or a killed process has left a damaged one.
    """
    folder, deadline = Path(directory), time.monotonic() + WAIT_SECONDS
    while True:
        with contextlib.suppress(OSError):  # a read-only folder
            _complete(folder)
        with contextlib.ExitStack() as stack:
            files = _open_all(folder, names, stack)
            if files is not None:
                yield files
                return
        if time.monotonic() > deadline:
            raise DataError(
                f"Cannot read {os.fspath(folder)!r}: its files change all the time, or a file that {COMMIT_NAME!r} "
                f"names does not exist. {REMEDY}"
            )
        time.sleep(PAUSE_SECONDS)


def _open_all(folder: Path, names: Collection[str], stack: contextlib.ExitStack) -> dict[str, BinaryIO | None] | None:
    """Open the files, or return `None` if other files were saved in the meantime.

    The order of the checks matters. A process that saves files publishes a record, then renames, and then removes the
    record. So if there is no record now, and after that every name still is the file that was opened, then no file was
    renamed between the first and the last opening. While there is a record, no other process saves files.
    """
    record = _open(folder / COMMIT_NAME, stack)
    try:
        changes = {} if record is None else {change.name: change for change in read(folder)}
        files = {name: _open_saved(folder, name, changes.get(name), stack) for name in names}
    except (FileNotFoundError, MissingRecordError):  # a file just got its name
        return None
    opened = {COMMIT_NAME: None, **files} if record is None else {COMMIT_NAME: record}
    same = all(_is_still(file and os.fstat(file.fileno()), folder / name) for name, file in opened.items())
    return files if same else None


def _open_saved(folder: Path, name: str, change: Change | None, stack: contextlib.ExitStack) -> BinaryIO | None:
    """Open a file by its name or, if it is to be replaced, by the temporary name of the new file."""
    file = _open(folder / name, stack)
    if change is None or change.keeps(digest(file)):
        return file
    return None if change.temporary is None else _open_new(folder, change, stack)


def _open_new(folder: Path, change: Change, stack: contextlib.ExitStack) -> BinaryIO:
    """Open the new file by its temporary name, and check it.

    Raises:
        FileNotFoundError: If it does not exist.
        DataError: If it is damaged.
    """
    path = folder / change.temporary
    file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
    if digest(file) != change.new:
        raise DataError(f"{os.fspath(path)!r}, the saved {change.name}, is damaged. {COMMIT_NAME!r} names it. {REMEDY}")
    return file


def _open(path: Path, stack: contextlib.ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(open(path, "rb"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.") from error


def _digest_of(path: Path) -> Digest | None:
    with contextlib.ExitStack() as stack:
        return digest(_open(path, stack))


def _is_still(opened: os.stat_result | None, path: Path) -> bool:
    """Whether a path still is the file that was opened, or is still missing."""
    try:
        now = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return opened is None
    return opened is not None and os.path.samestat(opened, now)
