"""Which files lie below a directory, class folder by class folder; knows nothing of what they hold."""

import heapq
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.files import TEMPORARY_PREFIX
from keras_oocore.core.locks import LOCK_NAME
from keras_oocore.core.text import did_you_mean

SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
OTHER = "other extension"
BLOCK_NAMES = 10_000  # names kept as one string, so that a million of them are not a million Python objects


@dataclass
class Found:
    """What a scan found: `filenames` of shape `(num_samples,)`, their class indices, and what it passed over."""

    filenames: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None
    passed_over: Counter = field(default_factory=Counter)
    other_extensions: Counter = field(default_factory=Counter)


def as_extensions(extensions: str | Iterable[str]) -> tuple[str, ...]:
    """Extensions in lower case, each with its dot.

    >>> as_extensions("npy"), as_extensions([".PNG", ".nii.gz"])
    (('.npy',), ('.png', '.nii.gz'))
    """
    extensions = [extensions] if isinstance(extensions, str) else list(extensions)
    if not extensions or not all(isinstance(extension, str) and extension.strip(".") for extension in extensions):
        raise OptionError(f"`extensions` should name file endings, such as ('.png', '.jpg'). Received: {extensions!r}")
    return tuple("." + extension.lower().lstrip(".") for extension in extensions)


def as_class_names(class_names: Sequence[str] | None) -> list[str] | None:
    """Class names as a list of text without repeats, or `None`."""
    if class_names is None:
        return None
    if isinstance(class_names, str):
        raise OptionError(f"`class_names` should be a list of names. Received: class_names={class_names!r}")
    names = [str(name) for name in class_names]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise OptionError(f"`class_names` should name each class once, but holds {repeated[0]!r} more than once.")
    return names


def find_files(
    directory: str | os.PathLike,
    extensions: tuple[str, ...],
    by_class: bool = True,
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    exclude: str | os.PathLike | None = None,
) -> Found:
    """Every file below `directory` with one of the `extensions`, in the order of Keras's `index_directory`.

    That order is: classes sorted (or as `class_names` says), then folders sorted by their whole path, then files
    sorted by name (`keras/src/utils/dataset_utils.py`, Keras 3.15.1). Hidden files and what operating systems leave
    behind are passed over and counted, folders that keras_oocore flattened into (they hold its lock file) too. No file
    is opened or asked for its size.

    Args:
        directory: the folder to look below.
        extensions: file endings in lower case.
        by_class: whether the first folder of each path is its class. Otherwise all files are alike.
        class_names: the classes in their order; folders of other names are passed over.
        follow_links: whether to look into linked folders below the classes too. Each real folder is then visited
            once, and under its own name where it has one below `directory`, so links in a circle end.
        exclude: a folder to leave out.

    Raises:
        DataError: when a folder cannot be read, or a class of `class_names` has no folder.
    """
    top = existing_directory(directory)
    class_names, passed_over, other_extensions = as_class_names(class_names), Counter(), Counter()
    excluded = _relative_inside(top, exclude)
    visited = {_identity(folder) for folder in (top, exclude) if folder is not None and os.path.isdir(folder)}
    classes = []
    folders: list[tuple[str, int, int, list[str]]] = []  # relative path, number of names, longest, blocks of names
    real, links = [""], []
    while real or links:
        folder = real.pop() if real else heapq.heappop(links)  # real folders first: a link never takes their files
        if follow_links and folder:
            identity = _identity(os.path.join(top, folder))
            if identity in visited:
                passed_over["linked folder seen already"] += 1
                continue
            visited.add(identity)
        names, subfolders, linked, ours = _list_folder(top, folder, extensions, passed_over, other_extensions)
        if subfolders and not names:  # the caches of subsets
            ours = ours or all((top / subfolder / LOCK_NAME).exists() for subfolder in subfolders)
        if ours and folder and folder not in (class_names or ()):  # written into the folder that it came from
            passed_over["folder written by keras_oocore"] += 1
            continue
        subfolders = [subfolder for subfolder in subfolders if subfolder != excluded]
        if by_class and not folder:
            passed_over["outside the class folders"] += len(names)
            names = []
            if not follow_links:  # a class may be a linked folder all the same, as in Keras
                circles = [name for name in linked if top.resolve().is_relative_to((top / name).resolve())]
                passed_over["linked folder that leads back up"] += len(circles)
                subfolders, linked = [*subfolders, *(name for name in linked if name not in circles)], []
            if class_names is not None:
                _require_classes(top, class_names, {*subfolders, *linked})
                passed_over["folder not in class_names"] += len({*subfolders, *linked} - {*class_names})
                subfolders = [name for name in subfolders if name in class_names]
                linked = [name for name in linked if name in class_names]
        elif by_class and "/" not in folder:
            classes.append(folder)
        real.extend(subfolders)
        if follow_links:
            for link in linked:
                heapq.heappush(links, link)
        else:
            passed_over["linked folder (follow_links=False)"] += len(linked)
        if names:
            blocks = ["\0".join(names[at : at + BLOCK_NAMES]) for at in range(0, len(names), BLOCK_NAMES)]
            folders.append((folder, len(names), max(map(len, names)), blocks))
    passed_over = +passed_over  # drops the reasons that did not occur
    if not by_class:
        return Found(_filenames(sorted(folders)), None, None, passed_over, other_extensions)
    class_names = sorted(classes) if class_names is None else class_names
    class_indices = {name: index for index, name in enumerate(class_names)}
    folders.sort(key=lambda found: (class_indices[found[0].split("/", 1)[0]], found[0]))
    codes = [class_indices[folder.split("/", 1)[0]] for folder, *_ in folders]
    labels = np.repeat(np.array(codes, dtype=np.int32), [count for _, count, *_ in folders])
    return Found(_filenames(folders), labels, class_names, passed_over, other_extensions)


def _list_folder(top, folder, extensions, passed_over, other_extensions):
    """Names of the files wanted (sorted), paths of subfolders and of linked subfolders, and whether we wrote it."""
    prefix = f"{folder}/" if folder else ""
    names, subfolders, linked, ours = [], [], [], False
    try:
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                name = entry.name
                lower = name.lower()
                if name.startswith(TEMPORARY_PREFIX):
                    ours = ours or name == LOCK_NAME
                elif name[0] == ".":
                    passed_over["hidden"] += 1
                elif lower in SYSTEM_NAMES:
                    passed_over["left by the operating system"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append(prefix + name)
                elif entry.is_symlink() and entry.is_dir():
                    linked.append(prefix + name)
                elif not lower.endswith(extensions):
                    passed_over[OTHER] += 1
                    other_extensions[os.path.splitext(name)[1].lower()] += 1
                elif entry.is_file():
                    names.append(name)
                else:
                    passed_over["broken link" if entry.is_symlink() else "not a regular file"] += 1
    except OSError as error:
        path = os.path.join(top, folder)
        raise DataError(f"Cannot read the folder {path!r}: {error.strerror or error}.") from error
    names.sort()
    return names, subfolders, linked, ours


def _filenames(folders) -> np.ndarray:
    """Relative paths as one array of text, made a block at a time."""
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


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _relative_inside(top: Path, path: str | os.PathLike | None) -> str | None:
    """`path` relative to `top` when it lies inside, with forward slashes."""
    if path is None:
        return None
    path, top = Path(os.path.realpath(path)), Path(os.path.realpath(top))
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else None


def existing_directory(directory: str | os.PathLike) -> Path:
    """`directory` as a path, when there is such a folder.

    Raises:
        DataError: when it is missing, or is a file.
    """
    path = Path(directory)
    if path.is_dir():
        return path
    if path.exists():
        unpack = " It is a zip: unpack it with keras_oocore.unzip_folder first." if zipfile.is_zipfile(path) else ""
        raise DataError(f"{os.fspath(directory)!r} is a file, but a directory is needed.{unpack}")
    siblings = [sibling.name for sibling in path.absolute().parent.iterdir()] if path.absolute().parent.is_dir() else []
    seen_from = "" if path.is_absolute() else f" It was looked for in {os.getcwd()!r}."
    raise DataError(f"Directory {os.fspath(directory)!r} does not exist.{seen_from}{did_you_mean(path.name, siblings)}")


def _require_classes(top: Path, class_names: list[str], folders: set[str]) -> None:
    missing = [name for name in class_names if name not in folders]
    if missing:
        names = ", ".join(f"{name!r}.{did_you_mean(name, folders)}" for name in missing[:5])
        raise DataError(
            f"{len(missing)} of {len(class_names)} `class_names` have no folder in {os.fspath(top)!r}: {names} "
            f"Folders found: {', '.join(map(repr, sorted(folders)[:20])) or 'none'}"
        )


def require_files(found: Found, directory: str | os.PathLike, extensions: tuple[str, ...]) -> None:
    """Raise when a scan found nothing, saying what it found instead; warn of classes that hold nothing.

    Raises:
        DataError: when there are no files.
    """
    if not len(found.filenames):
        raise DataError(_why_nothing(found, os.fspath(directory), extensions))
    if found.labels is not None:
        warn_of_empty_classes(found.labels, found.class_names, stacklevel=4)


def warn_of_empty_classes(labels: np.ndarray, class_names: list[str], stacklevel: int = 3) -> None:
    """Warn of classes without samples; they keep their index, as in Keras."""
    counts = np.bincount(labels, minlength=len(class_names))
    if empty := [name for name, count in zip(class_names, counts) if not count]:
        warnings.warn(
            f"Class folders without samples: {_listed(empty)}. They stay in class_names, with 0 samples.",
            stacklevel=stacklevel,
        )


def _why_nothing(found: Found, directory: str, extensions: tuple[str, ...]) -> str:
    if not found.passed_over and not found.class_names:
        return f"Directory {directory!r} is empty."
    linked = found.passed_over["linked folder (follow_links=False)"]
    links = " Linked folders are looked into with follow_links=True." if linked else ""
    outside = found.passed_over["outside the class folders"]
    if outside and not found.class_names:
        return (
            f"Directory {directory!r} holds {outside:,} {'file' if outside == 1 else 'files'} but no class folders. "
            f"Put each class into a folder of its own, or pass labels=None for samples without labels.{links}"
        )
    others = ", ".join(
        f"{count:,} {suffix or 'without one'}" for suffix, count in found.other_extensions.most_common(5)
    )
    remedy = "Name the ones you want in Manifest.from_directory(..., extensions=...)."
    instead = f" Endings found instead: {others}. {remedy}" if others else ""
    passed = ", ".join(f"{count:,} {reason}" for reason, count in found.passed_over.items() if reason != OTHER)
    return (
        f"No files ending in {', '.join(extensions)} {'in the class folders of' if found.class_names else 'below'} "
        f"{directory!r}.{instead}{f' Passed over: {passed}.' if passed else ''}{links}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
