"""The Feather and Arrow IPC files that the user's argument `data` names."""

import glob
import os
from typing import Any

from keras_oocore.core import storage
from keras_oocore.tables.arrow.folders import in_folder
from keras_oocore.tables.ipc.files import HEAD_BYTES, is_arrow_file

SUFFIXES = (".feather", ".arrow", ".ipc", ".arrows", ".ftr")


def is_arrow(data: Any) -> bool:
    """Return whether the user's `data` are Feather or Arrow IPC files: the first of them decides."""
    several = [data] if isinstance(data, str | os.PathLike) else data
    if not isinstance(several, list | tuple) or not several or not isinstance(several[0], str | os.PathLike):
        return False
    path = os.path.expanduser(os.fspath(several[0]))
    if not storage.exists(path) and glob.has_magic(path):
        path = next(iter(storage.match(path)), path)
    if storage.is_directory(path):
        try:
            return next(in_folder(path, SUFFIXES), None) is not None
        except OSError:  # another format explains it
            return False
    return path.lower().endswith(SUFFIXES) or _begins_as_arrow(path)


def _begins_as_arrow(path: str) -> bool:
    """Return whether the first bytes of a file are those of an Arrow file."""
    try:
        return is_arrow_file(storage.first_bytes(path, HEAD_BYTES))
    except OSError:
        return False
