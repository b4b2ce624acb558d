"""The paths of CSV files that the user's argument `data` names, and what to type for data that is not a path."""

import glob
import os
from collections.abc import Iterable, Mapping
from typing import Any

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import shown
from keras_oocore.csv.not_csv import require_local

INDEX_SUFFIX = ".keras_oocore-index.json"
EXPECTED = "`data` should be a path, a pattern or a list of them. Received: "
READ = ". Its rows are read by ko.TableSequence(data, target)"
ARRAYS = "If it fits into memory, an array of it can be used: ko.ArraySequence(x, y)"


def paths_of(data: Any) -> list[str]:
    """Return the paths that the argument `data` names.

    Raises:
        OptionError: If it is not a path, a pattern or a list of them.
        DataError: If no file matches a pattern, or a path is the address of a remote file.
    """
    several = [data] if isinstance(data, str | os.PathLike) else data
    if not isinstance(several, Iterable) or isinstance(several, Mapping | bytes) or _is_table(data):
        raise _not_a_path(data)
    patterns = list(several)
    if not patterns:
        raise OptionError(f"{EXPECTED}an empty list")
    if not all(isinstance(pattern, str | os.PathLike) for pattern in patterns):
        raise _not_a_path(data)
    return [path for pattern in patterns for path in _matching(os.path.expanduser(os.fspath(pattern)))]


def _matching(pattern: str) -> list[str]:
    """Return the files that match a pattern; an existing path matches itself only."""
    require_local(pattern)
    if storage.exists(pattern) or not glob.has_magic(pattern):
        return [pattern]
    paths = [path for path in storage.match(pattern) if not path.endswith(INDEX_SUFFIX)]
    if not paths:
        raise no_match(pattern)
    return paths


def no_match(pattern: str) -> DataError:
    """Return the error for a pattern that no file matches. If folders do, it has the pattern of the files in them."""
    suffixes = (os.path.splitext(path)[1] for path in storage.match(os.path.join(pattern, "*")))
    suffix = next(filter(None, suffixes), "")
    fix = f" It matches folders. To read the files in them: {os.path.join(pattern, '*' + suffix)!r}." if suffix else ""
    here = "" if os.path.isabs(pattern) else f" The working directory is {storage.working_directory()!r}."
    return DataError(f"No file matches {pattern!r}.{fix or here}")


def _is_table(data: Any) -> bool:
    """Return whether data is a table, an array or an open file, which may be iterated over, too."""
    return any(hasattr(data, name) for name in ("columns", "shape", "read", "collect_schema"))


def _not_a_path(data: Any) -> OptionError:
    """Return the error for data that is not a path."""
    fix = ""
    if hasattr(data, "read"):
        fix = ". Pass the path of the file"
    elif hasattr(data, "sink_csv") and not hasattr(data, "write_csv"):  # a LazyFrame of polars
        fix = '. Save it first: data.sink_csv("data.csv")'
    elif isinstance(data, Mapping) or any(hasattr(data, name) for name in ("to_csv", "write_csv", "column_names")):
        fix = READ  # of pandas, polars or pyarrow
    elif hasattr(data, "shape"):
        fix = f". {ARRAYS}"
    return OptionError(f"{EXPECTED}{shown(data)}{fix}")
