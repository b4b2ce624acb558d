"""The Parquet files that the user's argument `data` names: files, patterns, and folders such as `year=2024/`."""

import glob
import os
from typing import Any

from keras_oocore.core import storage
from keras_oocore.tables.arrow.folders import in_folder

SUFFIXES = (".parquet", ".pq", ".parq")
MAGIC, MAGIC_ENCRYPTED = b"PAR1", b"PARE"


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
            return next(in_folder(path, SUFFIXES), None) is not None
        except OSError:  # which `files_of` explains
            return True
    if not storage.exists(path) and glob.has_magic(path):
        path = next(iter(storage.match(path)), path)
    return path.lower().endswith(SUFFIXES) or _has_magic(path)


def _has_magic(path: str) -> bool:
    """Return whether a file begins as a Parquet file does, and not as a text that begins with these letters."""
    try:
        head = storage.first_bytes(path, 5)
    except OSError:
        return False
    return head[:4] == MAGIC_ENCRYPTED or (head[:4] == MAGIC and head[4:5] not in b"\t\n\r" and head[4:5] < b" ")
