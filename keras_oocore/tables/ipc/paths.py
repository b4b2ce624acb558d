"""The Feather and Arrow IPC files that the user's argument `data` names."""

import glob
import os
from typing import Any

from keras_oocore.core import storage
from keras_oocore.tables.csv.paths import paths_of
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
        return next(iter(_in_folder(path)), None) is not None
    return path.lower().endswith(SUFFIXES) or _begins_as_arrow(path)


def files_of(data: Any) -> list[str]:
    """Return the files that `data` names, in order. Of a folder, these are the Arrow files in it.

    Raises:
        DataError: If no file matches a pattern, or a path is that of a remote file.
        OptionError: If `data` has something else than paths.
    """
    found = []
    for path in paths_of(data):
        found += _in_folder(path) if storage.is_directory(path) else [path]
    return found


def _in_folder(folder: str) -> list[str]:
    """Return the Arrow files in a folder."""
    with storage.scan(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith((".", "_")) and not entry.is_dir()]
    return [os.path.join(folder, name) for name in sorted(names) if name.lower().endswith(SUFFIXES)]


def _begins_as_arrow(path: str) -> bool:
    """Return whether the first bytes of a file are those of an Arrow file."""
    try:
        return is_arrow_file(storage.first_bytes(path, HEAD_BYTES))
    except OSError:
        return False
