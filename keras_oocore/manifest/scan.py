"""Finds the files below a directory and the class of each, without opening them."""

import difflib
import heapq
import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import as_path
from keras_oocore.core.locks import LOCK_NAME
from keras_oocore.core.temporary import TEMPORARY_PREFIX
from keras_oocore.core.text import counted, did_you_mean
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.inputs import as_class_names
from keras_oocore.manifest.label_checks import warn_of_empty_classes

SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
OTHER = "other extension"
NO_FILES = ("broken link", "not a regular file")
BLOCK_NAMES = 10_000  # joined into one string: a million names should not become a million Python objects
LISTED_CLASSES = 20  # in a message


@dataclass
class Found:
    """The result of a scan.

    Attributes:
        filenames: String array of shape `(num_samples,)`.
        labels: Class indices, `int32` of shape `(num_samples,)`, or `None`.
        class_names: List of class names in the order of their indices, or `None`.
        skipped: Number of skipped files and folders for each reason.
        other_extensions: Number of files for each extension that was not asked for.
        outside_extensions: The part of them that is not in a class folder.
    """

    filenames: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None
    skipped: Counter[str] = field(default_factory=Counter[str])
    other_extensions: Counter[str] = field(default_factory=Counter[str])
    outside_extensions: Counter[str] = field(default_factory=Counter[str])


def find_files(
    directory: str | os.PathLike[str],
    extensions: tuple[str, ...],
    by_class: bool = True,
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    exclude: str | os.PathLike[str] | None = None,
) -> Found:
    """Find every file below `directory` that has one of the `extensions`, in the order of Keras's `index_directory`.

    Classes are sorted by name (or follow `class_names`), folders by their whole path, and files by name
    (`keras/src/utils/dataset_utils.py`, Keras 3.15.1). Hidden files, system files, and folders that `flatten_images`
    has written (they contain a lock file) are skipped and counted. Files are not opened, and their sizes are not read.

    Args:
        directory: Path of the directory.
        extensions: File extensions in lower case.
        by_class: Whether the first folder of each path is the class of its files. If `False`, files have no labels.
        class_names: List of class names in the order of their indices. Other folders are skipped. A class may have no
            folder, as in validation data with the classes of the training data, if all folders are listed.
        follow_links: Whether to also search linked folders below the class folders. Each folder is searched once,
            under its own name if it is below `directory`, which also ends circles of links.
        exclude: A folder to skip.

    Raises:
        DataError: If a folder cannot be read, or a class in `class_names` has no folder while another folder is not
            in `class_names` or has almost the same name.
    """
    top = existing_directory(directory)
    class_names, skipped, other_extensions = as_class_names(class_names), Counter(), Counter()
    outside_extensions = Counter()
    excluded = _relative_inside(top, exclude)
    visited = {
        storage.identity(folder) for folder in (top, exclude) if folder is not None and storage.is_directory(folder)
    }
    classes = []
    folders: list[tuple[str, int, int, list[str]]] = []  # relative path, number of names, longest, blocks of names
    real, links = [""], []
    while real or links:
        folder = real.pop() if real else heapq.heappop(links)  # real folders first, so that links do not rename them
        if follow_links and folder:
            identity = storage.identity(os.path.join(top, folder))
            if identity in visited:
                skipped["linked folder that was already searched"] += 1
                continue
            visited.add(identity)
        others_here = Counter()
        names, subfolders, linked, ours = _list_folder(top, folder, extensions, skipped, others_here)
        if subfolders and not names:  # a folder of caches, one per subset
            ours = ours or all(storage.exists(top / subfolder / LOCK_NAME) for subfolder in subfolders)
        if ours and folder and folder not in (class_names or ()):  # copies of the images
            skipped["folder written by keras_oocore"] += 1
            continue
        other_extensions.update(others_here)
        subfolders = [subfolder for subfolder in subfolders if subfolder != excluded]
        if by_class and not folder:
            skipped["outside the class folders"] += len(names)
            outside_extensions.update(others_here)
            names = []
            if not follow_links:  # as in Keras, a class folder may itself be a link
                circles = [name for name in linked if top.resolve().is_relative_to((top / name).resolve())]
                skipped["linked folder that leads back up"] += len(circles)
                subfolders, linked = [*subfolders, *(name for name in linked if name not in circles)], []
            if class_names is not None:
                _require_classes(top, class_names, {*subfolders, *linked})
                skipped["folder not in class_names"] += len({*subfolders, *linked} - {*class_names})
                subfolders = [name for name in subfolders if name in class_names]
                linked = [name for name in linked if name in class_names]
        elif by_class and "/" not in folder:
            classes.append(folder)
        real.extend(subfolders)
        if follow_links:
            for link in linked:
                heapq.heappush(links, link)
        else:
            skipped["linked folder (follow_links=False)"] += len(linked)
        if names:
            blocks = ["\0".join(names[at : at + BLOCK_NAMES]) for at in range(0, len(names), BLOCK_NAMES)]
            folders.append((folder, len(names), max(map(len, names)), blocks))
    skipped = +skipped  # removes reasons with a count of 0
    if not by_class:
        return Found(_filenames(sorted(folders)), None, None, skipped, other_extensions)
    class_names = sorted(classes) if class_names is None else class_names
    class_indices = {name: index for index, name in enumerate(class_names)}
    folders.sort(key=lambda found: (class_indices[found[0].split("/", 1)[0]], found[0]))
    codes = [class_indices[folder.split("/", 1)[0]] for folder, *_ in folders]
    labels = np.repeat(np.array(codes, dtype=np.int32), [count for _, count, *_ in folders])
    return Found(_filenames(folders), labels, class_names, skipped, other_extensions, outside_extensions)


def _list_folder(top, folder, extensions, skipped, other_extensions):
    """The sorted names of matching files, the subfolders, the linked subfolders, and whether keras_oocore wrote it."""
    prefix = f"{folder}/" if folder else ""
    names, subfolders, linked, ours = [], [], [], False
    try:
        with storage.scan(os.path.join(top, folder)) as entries:
            for entry in entries:
                name = entry.name
                lower = name.lower()
                if name.startswith(TEMPORARY_PREFIX):
                    ours = ours or name == LOCK_NAME
                elif name[0] == ".":
                    skipped["hidden"] += 1
                elif lower in SYSTEM_NAMES:
                    skipped["left by the operating system"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append(prefix + name)
                elif entry.is_symlink() and entry.is_dir():
                    linked.append(prefix + name)
                elif not lower.endswith(extensions):
                    skipped[OTHER] += 1
                    other_extensions[os.path.splitext(name)[1].lower()] += 1
                elif entry.is_file():
                    names.append(name)
                else:
                    skipped[NO_FILES[0] if entry.is_symlink() else NO_FILES[1]] += 1
    except OSError as error:
        path = os.path.join(top, folder)
        raise DataError(f"Cannot read the folder {path!r}: {error.strerror or error}.") from error
    names.sort()
    return names, subfolders, linked, ours


def _filenames(folders) -> np.ndarray:
    """Relative paths as one string array, filled block by block."""
    width = max((len(folder) + 1 + longest for folder, _, longest, _ in folders), default=1)
    filenames = np.empty(sum(count for _, count, *_ in folders), dtype=f"U{width}")
    at = 0
    for folder, _, _, blocks in folders:
        prefix = f"{folder}/" if folder else ""
        for block in blocks:
            names = [prefix + name for name in block.split("\0")]
            filenames[at : at + len(names)] = names
            at += len(names)
    return filenames


def _relative_inside(top: Path, path: str | os.PathLike[str] | None) -> str | None:
    """`path` relative to `top`, with forward slashes, or `None` if it is not inside `top`."""
    if path is None:
        return None
    path, top = Path(os.path.realpath(path)), Path(os.path.realpath(top))
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else None


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


def _require_classes(top: Path, class_names: list[str], folders: set[str]) -> None:
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


def require_files(found: Found, directory: str | os.PathLike[str], extensions: tuple[str, ...]) -> None:
    """Check that a scan found files, and warn about empty classes.

    Raises:
        DataError: If there are no files. The message says what was found instead.
    """
    if not len(found.filenames):
        raise DataError(_why_nothing(found, os.fspath(directory), extensions))
    if found.labels is not None:
        warn_of_empty_classes(found.labels, len(found.class_names), found.class_names)


def warn_of_skipped(found: Found) -> None:
    """Warn once about all files in the class folders that will not be read. Hidden and system files do not count."""
    others = found.other_extensions - found.outside_extensions
    others.update({reason: found.skipped[reason] for reason in NO_FILES if found.skipped[reason]})
    if found.class_names is None or not others:
        return
    count = others.total()
    heic = " HEIC files require pillow-heif: pip install pillow-heif." if {".heic", ".heif"} & {*others} else ""
    warn_user(
        f"{counted(count, 'file')} in the class folders will not be read: "
        f"{counted_extensions(others)}.{heic} To choose the files, pass `extensions` to Manifest.from_directory."
    )


def counted_extensions(extensions: Counter[str]) -> str:
    """Return how many files have each of the most common endings, such as `"2 .txt, 1 .csv"`."""
    return ", ".join(f"{count:,} {suffix or 'without extension'}" for suffix, count in extensions.most_common(5))


def _why_nothing(found: Found, directory: str, extensions: tuple[str, ...]) -> str:
    if not found.skipped and not found.class_names:
        return f"Directory {directory!r} is empty."
    linked = found.skipped["linked folder (follow_links=False)"]
    links = " To search linked folders too, pass follow_links=True." if linked else ""
    outside = found.skipped["outside the class folders"]
    if outside and not found.class_names:
        return (
            f"Directory {directory!r} contains {counted(outside, 'file')} but no class folders. "
            f"Put each class into a separate folder, or pass labels=None for samples without labels.{links}"
        )
    others = counted_extensions(found.other_extensions)
    remedy = "To select other files, pass `extensions` to Manifest.from_directory."
    instead = f" Other extensions found: {others}. {remedy}" if others else ""
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in found.skipped.items() if reason != OTHER)
    return (
        f"No files ending in {', '.join(extensions)} {'in the class folders of' if found.class_names else 'below'} "
        f"{directory!r}.{instead}{f' Skipped: {skipped}.' if skipped else ''}{links}"
    )
