"""Checks the directory that a user names, and that its folders are the classes that the user names."""

import difflib
import os
import re
import zipfile
from pathlib import Path

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import as_path
from keras_oocore.core.text import did_you_mean

LISTED_CLASSES = 20  # in a message


def existing_directory(directory: str | os.PathLike[str]) -> Path:
    """`directory` as a `Path`, with `~` expanded.

    Raises:
        OptionError: If it is not a path.
        DataError: If the directory does not exist or is a file.
    """
    path = as_path(directory, "directory")
    if storage.is_directory(path):
        return path
    if storage.exists(path):
        raise DataError(f"{os.fspath(directory)!r} is a file, but it should be a directory.{_for_file(path)}")
    raise DataError(f"Directory {os.fspath(directory)!r} does not exist.{storage.where_instead(path)}")


def _for_file(path: Path) -> str:
    """Return what to call with a file that was passed as a directory, or `""`."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return f" If it lists files and their classes: Manifest.from_csv({os.fspath(path)!r}, directory=...)."
    return " To unpack this zip file, call keras_oocore.unzip_folder." if zipfile.is_zipfile(path) else ""


def require_classes(top: Path, class_names: list[str], folders: set[str]) -> None:
    """Check that classes without a folder are classes without samples, and not misspelt or from another data set.

    Raises:
        DataError: If there are folders of other classes, or a class is named almost like a folder.
    """
    missing = [name for name in class_names if name not in folders]
    others = sorted(folders - {*class_names})
    near = [] if others else [name for name in missing if _misspells(name, folders)]
    if not missing or (folders and not others and not near):
        return  # `require_files` warns of them
    names = ", ".join(f"{name!r}.{did_you_mean(name, folders)}" for name in (missing if others else near)[:5])
    union = [*class_names, *others]
    both = repr(union) if len(union) <= LISTED_CLASSES else f"the names of all {len(union)} classes"
    if not folders:
        remedy = ""
    elif others:
        remedy = (
            f" Fix the names. If the training and the validation data have different classes, pass class_names={both} "
            "to both, so that a class has the same index in both."
        )
    else:
        remedy = f" If {near[0]!r} is a class without samples, create an empty folder with this name."
    raise DataError(
        f"{len(missing)} of {len(class_names)} `class_names` have no folder in {os.fspath(top)!r}: {names} "
        f"Folders found: {', '.join(map(repr, sorted(folders)[:LISTED_CLASSES])) or 'none'}.{remedy}"
    )


def _misspells(name: str, folders: set[str]) -> bool:
    """Whether a class without a folder is named almost like one. Names that differ in numbers alone are distinct."""
    name = name.casefold()
    near = difflib.get_close_matches(name, map(str.casefold, folders), n=max(1, len(folders)), cutoff=0.8)
    return any(folder == name or re.sub(r"\d", "", folder) != re.sub(r"\d", "", name) for folder in near)
