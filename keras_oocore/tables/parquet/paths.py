"""The Parquet files that the user's argument `data` names: files, patterns, and folders such as `year=2024/`."""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.csv.index import cannot_read
from keras_oocore.csv.not_csv import require_local
from keras_oocore.tables.csv.paths import no_match

SUFFIXES = (".parquet", ".pq", ".parq")
MAGIC, MAGIC_ENCRYPTED = b"PAR1", b"PARE"
KEY = re.compile(r"([^=/\\]+)=([^/\\]*)")
MISSING = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark write for a missing value


class FoundFile(NamedTuple):
    """A file that `data` names.

    Attributes:
        path: Its path, as messages name it.
        keys: Name of a column → its value in all rows, from names of folders such as `year=2024`. `None` is missing.
    """

    path: str
    keys: Mapping[str, str | None]


def is_parquet(data: Any) -> bool:
    """Return whether the user's `data` are Parquet files: the first of them decides."""
    several = [data] if isinstance(data, str | os.PathLike) else data
    if not isinstance(several, list | tuple) or not several or not isinstance(several[0], str | os.PathLike):
        return False
    path = os.path.expanduser(os.fspath(several[0]))
    if path.lower().endswith(SUFFIXES):
        return True
    if storage.is_directory(path):
        try:
            return next(_in_folder(path), None) is not None
        except OSError:  # which `files_of` explains
            return True
    if not storage.exists(path) and glob.has_magic(path):
        path = next(iter(storage.match(path)), path)
    return path.lower().endswith(SUFFIXES) or _has_magic(path)


def files_of(data: Any) -> list[FoundFile]:
    """Return the files that `data` names, in order.

    Raises:
        DataError: If no file matches a pattern, a folder has no Parquet files, or a path is that of a remote file.
    """
    several = [data] if isinstance(data, str | os.PathLike) else data
    return [found for path in several for found in _matching(os.path.expanduser(os.fspath(path)))]


def _matching(pattern: str) -> list[FoundFile]:
    """Return the files that a path or a pattern names; an existing path names itself only."""
    require_local(pattern)
    if storage.is_directory(pattern):
        try:
            paths = sorted(_in_folder(pattern))
        except OSError as error:
            raise cannot_read(error.filename or pattern, error) from error
        if not paths:
            raise DataError(f"There are no Parquet files in the folder {pattern!r}.")
        return [FoundFile(path, keys_of(os.path.relpath(path, pattern))) for path in paths]
    if storage.exists(pattern) or not glob.has_magic(pattern):
        return [FoundFile(pattern, {})]
    paths = storage.match(pattern)
    if not paths:
        raise no_match(pattern)
    fixed = os.path.dirname(pattern[: re.search(r"[*?[]", pattern).start()])
    return [FoundFile(path, keys_of(os.path.relpath(path, fixed or "."))) for path in paths]


def keys_of(path: str) -> dict[str, str | None]:
    """Return the columns that the folders of a path name, as Hive and Spark write them.

    >>> keys_of("year=2024/city=New%20York/part-0.parquet")
    {'year': '2024', 'city': 'New York'}
    """
    found = (KEY.fullmatch(folder) for folder in os.path.dirname(path).replace("\\", "/").split("/"))
    return {unquote(key[1]): None if key[2] == MISSING else unquote(key[2]) for key in found if key}


def hint_of(found: Sequence[FoundFile]) -> str:
    """Return what to add to an error about an unknown column: that a folder above what `data` names may be a column.

    >>> hint_of([FoundFile("sales/year=2024/part-0.parquet", {})])
    ". Folders are columns below the folder or pattern that is passed, such as 'sales/*=2024/part-0.parquet'"
    >>> hint_of([FoundFile("sales/year=2024/part-0.parquet", {"year": "2024"})])
    ''
    """
    path, keys = found[0]
    folders = os.path.dirname(path).replace("\\", "/").split("/")
    named = [i for i, folder in enumerate(folders) if KEY.fullmatch(folder)]
    if len(named) == len(keys):
        return ""
    folders[named[0]] = f"*={folders[named[0]].partition('=')[2]}"
    pattern = "/".join([*folders, os.path.basename(path) if len(found) == 1 else "*.parquet"])
    return f". Folders are columns below the folder or pattern that is passed, such as {pattern!r}"


def _in_folder(folder: str) -> Iterator[str]:
    """Iterate over the Parquet files in a folder and its folders, without those that are hidden, such as `_SUCCESS`."""
    with storage.scan(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir():
                yield from _in_folder(path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield path


def _has_magic(path: str) -> bool:
    """Return whether a file begins as a Parquet file does, and not as a text that begins with these letters."""
    try:
        head = storage.first_bytes(path, 5)
    except OSError:
        return False
    return head[:4] == MAGIC_ENCRYPTED or (head[:4] == MAGIC and head[4:5] not in b"\t\n\r" and head[4:5] < b" ")
