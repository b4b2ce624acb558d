"""Explains why a file that a table or a list names does not exist: a path of Windows, or a name without its ending."""

import ntpath
import os

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError

ENDINGS = (".jpg", ".png", ".npy", ".jpeg", ".tif", ".tiff", ".JPG", ".webp", ".bmp", ".gif")
LOOKED_AT = 3  # names of a table


def why_missing(path: str) -> str:
    """Return a sentence with the existing file that was meant, or `""` if the file exists or none is found.

    >>> import pathlib, tempfile
    >>> directory = tempfile.mkdtemp()
    >>> pathlib.Path(directory, "7.png").touch()
    >>> why_missing(f"{directory}/7").endswith("7.png' exists: the ending '.png' is missing in the name")
    True
    """
    if storage.exists(path):
        return ""
    if os.sep == "/" and "\\" in path:
        meant = path.replace("\\", "/")
        if storage.exists(meant):
            return f"{meant!r} exists: the name has backslashes, as on Windows, instead of '/'"
        if ntpath.splitdrive(os.path.basename(path))[0]:
            return "The name is a path of Windows, which does not exist on this machine"
        return "The name has backslashes, as on Windows. On this machine, '/' separates folders"
    for ending in ENDINGS:
        if storage.exists(path + ending):
            return f"{path + ending!r} exists: the ending {ending!r} is missing in the name"
    return ""


def require_no_odd_names(filenames: np.ndarray, directory: str | os.PathLike[str] | None, x_col: str) -> None:
    """Raise an error if the first filenames of a table have no file, but similar names do.

    Args:
        filenames: The names, relative to `directory`.
        directory: A directory, or `None`.
        x_col: The column of the names.

    Raises:
        DataError: If there are such names. The message says how to change the column.
    """
    for name in filenames[:LOOKED_AT].tolist():
        path = os.path.join("" if directory is None else directory, name)
        hint = why_missing(path)
        if " exists: " not in hint:
            continue
        if "\\" in name:
            change = f'table[{x_col!r}].str.replace("\\\\", "/")'
        else:
            change = f"table[{x_col!r}].astype(str) + {hint.partition('the ending ')[2].partition(' ')[0]}"
        raise DataError(
            f"{path!r} does not exist. {hint}. Change the column in a DataFrame, and pass it with directory=...: "
            f"table[{x_col!r}] = {change}"
        )
