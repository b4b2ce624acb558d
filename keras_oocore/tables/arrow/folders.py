"""The files of a table that the argument `data` names, and the columns that folders such as `year=2024/` name."""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import shown
from keras_oocore.csv.index import cannot_read
from keras_oocore.csv.not_csv import require_local
from keras_oocore.tables.csv.paths import no_match

try:
    import pyarrow as pa
except ImportError:  # the `tables` extra is not installed
    pa = None

KEY = re.compile(r"([^=/\\]+)=([^/\\]*)")
MISSING = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark write for a missing value


class FoundFile(NamedTuple):
    """A file that `data` names.

    Attributes:
        path: Its path, as messages name it.
        keys: Name of a column → its value in all rows, from names of folders such as `year=2024`. `None` is missing.
    """

    path: str
    keys: Mapping[str, str | None] = {}


def files_of(data: Any, suffixes: tuple[str, ...], kind: str) -> list[FoundFile]:
    """Return the files that `data` names, in order.

    Args:
        data: A path, a pattern, a folder, or a list of them.
        suffixes: Endings of the files in a folder, and in its folders.
        kind: What messages call these files, such as `"Parquet"`.

    Raises:
        OptionError: If `data` has something else than paths.
        DataError: If no file matches a pattern, a folder has no such files, or a path is that of a remote file.
    """
    several = [data] if isinstance(data, str | os.PathLike) else data
    others = [path for path in several if not isinstance(path, str | os.PathLike)]
    if others:
        raise OptionError(f"`data` should be a path, a pattern or a list of them. Received: {shown(others[0])} in it")
    paths = [os.path.expanduser(os.fspath(path)) for path in several]
    return [found for path in paths for found in _matching(path, suffixes, kind)]


def _matching(pattern: str, suffixes: tuple[str, ...], kind: str) -> list[FoundFile]:
    """Return the files that a path or a pattern names; an existing path names itself only, and a folder those in it."""
    require_local(pattern)
    if storage.is_directory(pattern):
        try:
            paths = sorted(in_folder(pattern, suffixes))
        except OSError as error:
            raise cannot_read(error.filename or pattern, error) from error
        if not paths:
            raise DataError(f"There are no {kind} files in the folder {pattern!r}.")
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
    name = os.path.basename(path)
    pattern = "/".join([*folders, name if len(found) == 1 else f"*{os.path.splitext(name)[1]}"])
    return f". Folders are columns below the folder or pattern that is passed, such as {pattern!r}"


def in_folder(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Iterate over the files in a folder and its folders, without those that are hidden, such as `_SUCCESS`."""
    with storage.scan(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "_")):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir():
                yield from in_folder(path, suffixes)
            elif entry.name.lower().endswith(suffixes):
                yield path


def key_types(files: Sequence[Mapping[str, str | None]]) -> dict[str, Any]:
    """Return the types of the columns that folders name: integers if all values are, and strings otherwise.

    Args:
        files: The `keys` of each file.

    >>> {name: str(dtype) for name, dtype in key_types([{"a": "1", "b": "2"}, {"a": "07", "b": "x"}]).items()}
    {'a': 'int64', 'b': 'string'}
    """
    values = {}
    for keys in files:
        for name, value in keys.items():
            values.setdefault(name, []).append(value)
    return {name: pa.int64() if all(map(_is_integer, found)) else pa.string() for name, found in values.items()}


def _is_integer(value: str | None) -> bool:
    return value is None or (value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 18)


def key_array(value: str | None, dtype: Any, size: int) -> Any:
    """Return a column that a folder names: its value in each of `size` rows."""
    return pa.repeat(pa.scalar(value, pa.string()).cast(dtype), size)
