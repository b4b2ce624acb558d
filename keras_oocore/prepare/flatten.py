"""Copies, links or moves the files of class folders into one folder, and resumes after an interrupted run."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, OptionError, SampleError
from keras_oocore.core.files import as_path, leaves_folder, require_disk, write_whole
from keras_oocore.core.locks import write_lock
from keras_oocore.core.npy import load_opened
from keras_oocore.core.progress import tqdm
from keras_oocore.core.temporary import TEMPORARY_PREFIX, remove_leftovers
from keras_oocore.core.text import counted, display_path
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.found import Found, require_files
from keras_oocore.manifest.inputs import as_class_names, as_extensions
from keras_oocore.manifest.label_checks import warn_of_empty_classes
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.scan import find_files
from keras_oocore.prepare.flat_names import flat_names
from keras_oocore.prepare.transfer import MODES, Mode, transfer

BLOCK_BYTES = 4096  # files occupy multiples of this on disk


def flatten_images(
    directory: str | os.PathLike[str],
    destination: str | os.PathLike[str] = "all_images",
    mode: Mode = "copy",
    extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    progress: bool = True,
) -> Manifest:
    """Collects the images of all class folders in one folder, under unique names.

    `cat/001.png` becomes `cat__001.png`, and `cat/indoors/001.png` becomes `cat__indoors__001.png`. A short hash is
    added to names that would not be unique, such as names that differ only in case.

    Calling the function again resumes an interrupted run and returns the same manifest, even in mode `"move"`. An
    existing file with the same content is kept. An existing file with other content is never overwritten.

    Args:
        directory: Directory that contains one subdirectory per class. Files in nested folders belong to the class,
            too.
        destination: Folder for all images. It is created if it does not exist. Defaults to `"all_images"`.
        mode: How to bring each file into `destination`. Defaults to `"copy"`.

            - `"copy"`: copies the file.
            - `"hardlink"`: creates a hard link. Needs no disk space, and both folders must be on the same disk.
            - `"symlink"`: creates a symbolic link. Links are relative, so both folders can be moved together.
            - `"move"`: moves the file. Between disks, the file is copied and then removed. A linked file is copied
              and its link removed. The original filenames are recorded in a hidden file in `destination`.
        extensions: File extensions to include, such as `".npy"`. Upper and lower case are the same. Defaults to image
            files.
        class_names: List of class names in the order of their indices. Defaults to alphanumerical order.
        follow_links: Whether to visit subdirectories pointed to by symlinks. Defaults to `False`.
        progress: Whether to show a progress bar and, at the end, the number of skipped files. Defaults to `True`.

    Returns:
        A `Manifest` whose directory is `destination`. Labels are `int32` of shape `(num_samples,)`, and the samples
        have the order of `Manifest.from_directory(directory)`.

    Raises:
        OptionError: If `mode` or `extensions` is not valid, or `destination` is `directory`.
        DataError: If `directory` does not exist or contains no such files, or a file cannot be read.
        DestinationError: If `destination` cannot be written, is too small, is in use, or contains another file of the
            same name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for name in ("cat/001.png", "dog/001.png"):
    ...         path = Path(directory, "photos", name)
    ...         path.parent.mkdir(parents=True)
    ...         _ = path.write_text(name)
    ...     manifest = flatten_images(path.parents[1], Path(directory, "all_images"), progress=False)
    >>> manifest.filenames.tolist(), manifest.labels.tolist()
    (['cat__001.png', 'dog__001.png'], [0, 1])
    """
    if mode not in MODES:
        raise OptionError(f"`mode` should be one of {', '.join(map(repr, MODES))}. Received: mode={mode!r}")
    source, destination = as_path(directory, "directory"), as_path(destination, "destination")
    extensions = as_extensions(extensions)
    class_names = as_class_names(class_names)
    if os.path.realpath(source) == os.path.realpath(destination):
        raise OptionError(
            f"`destination` should not be the same folder as `directory`. Received: {os.fspath(source)!r}"
        )
    plan = _plan_path(source, destination)
    planned = _read_plan(plan)
    found = _scan(source, destination, extensions, class_names, follow_links, planned)
    if not planned:
        require_files(found, source, extensions)  # before the destination is created
    with write_lock(destination):
        remove_leftovers(destination)
        planned = _read_plan(plan)
        here = found.filenames.tolist()
        moved = _moved_before(planned, here, destination, extensions, class_names)
        if not here and not moved:
            require_files(found, source, extensions)
        names = flat_names(here, extensions, planned)
        if mode == "move":
            _write_plan(plan, {**planned, **dict(zip(here, names))})
        _require_room(source, destination, here, names, mode)
        source_from_destination = _seen_from(destination, source)
        with tqdm(total=len(here) + len(moved), initial=len(moved), unit="file", disable=not progress) as bar:
            for filename, name in _links_first(source, here, names, mode):
                link = os.path.join(source_from_destination, filename)
                transfer(os.path.join(source, filename), os.path.join(destination, name), mode, link)
                bar.update()
    manifest = _as_manifest({**dict(zip(here, names)), **moved}, class_names, found, destination)
    if planned:
        warn_of_empty_classes(manifest.labels, len(manifest.class_names), manifest.class_names)
    if progress:
        tqdm.write(_report(manifest))
    return manifest


def _links_first(source: Path, filenames: list[str], names: list[str], mode: Mode) -> list[tuple[str, str]]:
    """Pairs of filename and new name. `"move"` starts with links, because their targets are moved later."""
    pairs = [*zip(filenames, names)]
    return sorted(pairs, key=lambda pair: not os.path.islink(source / pair[0])) if mode == "move" else pairs


def _scan(source, destination, extensions, class_names, follow_links, planned) -> Found:
    if planned and not source.is_dir():  # an earlier run moved all files, and the user removed the folder
        return Found(np.empty(0, dtype="U1"), np.empty(0, dtype=np.int32), class_names or [])
    if class_names is not None:  # class folders without files may have been removed, too
        emptied = {_class_of(filename) for filename in planned}
        class_names = [name for name in class_names if name not in emptied or (source / name).is_dir()]
    return find_files(source, extensions, True, class_names, follow_links, exclude=destination)


def _moved_before(planned, here, destination, extensions, class_names) -> dict[str, str]:
    """Files that earlier runs have moved: original filename → new name."""
    here = {*here}
    return {
        filename: name
        for filename, name in planned.items()
        if filename not in here
        and filename.lower().endswith(extensions)
        and (class_names is None or _class_of(filename) in class_names)
        and os.path.lexists(destination / name)
    }


def _require_room(source, destination, filenames, names, mode) -> None:
    """Raise a `DestinationError` before the first file is written if the copies do not fit on the disk."""
    if mode != "copy" and not (mode == "move" and source.is_dir() and _disk(source) != _disk(destination)):
        return
    needed_bytes = 0
    for filename, name in zip(filenames, names):
        if not os.path.lexists(destination / name):
            try:
                needed_bytes += -(-os.path.getsize(source / filename) // BLOCK_BYTES) * BLOCK_BYTES
            except OSError as error:
                raise SampleError(
                    f"Cannot read {os.fspath(source / filename)!r}: {error.strerror or error}."
                ) from error
    require_disk(destination, needed_bytes, f"the files of {os.fspath(source)!r}")


def _as_manifest(names: dict[str, str], class_names, found: Found, destination: Path) -> Manifest:
    """The manifest of all files, in the order of their original class folders."""
    if class_names is None:
        class_names = sorted({*found.class_names, *map(_class_of, names)})
    index = {name: i for i, name in enumerate(class_names)}
    filenames = sorted(names, key=lambda filename: (index[_class_of(filename)], *os.path.split(filename)))
    labels = np.array([index[_class_of(filename)] for filename in filenames], dtype=np.int32)
    flat = np.array([names[filename] for filename in filenames], dtype=str)
    return Manifest(flat, labels, class_names, destination, found.skipped)


def _report(manifest: Manifest) -> str:
    folder = display_path(manifest.directory)
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in manifest.skipped.items())
    files, classes = len(manifest), len(manifest.class_names)
    counts = f"{counted(files, 'file')} of {counted(classes, 'class')}"
    return f"In {folder!r}: {counts}." + (f" Skipped: {skipped}." if skipped else "")


def _class_of(filename: str) -> str:
    return filename.split("/", 1)[0]


def _disk(path: Path) -> int:
    return os.stat(path).st_dev


def _seen_from(folder: Path, path: Path) -> str:
    """`path` relative to `folder`, which stays correct when both are moved together."""
    try:
        return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(folder))).as_posix()
    except ValueError:  # on another drive (Windows)
        return os.path.realpath(path)


def _plan_path(source: Path, destination: Path) -> Path:
    """The hidden file that records the names of moved files: one per source, independent of where both are."""
    key = hashlib.blake2b(os.fsencode(_seen_from(destination, source)), digest_size=4).hexdigest()
    return destination / f"{TEMPORARY_PREFIX}moved-{key}.npz"


def _write_plan(path: Path, planned: dict[str, str]) -> None:
    """Record the names before the first file is moved, because a moved file no longer has a class folder."""
    with write_whole(path) as file:
        np.savez_compressed(
            file, filenames=np.array([*planned], dtype=str), names=np.array([*planned.values()], dtype=str)
        )


def _read_plan(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            filenames, names = (
                load_opened(io.BytesIO(archive.read(f"{key}.npy")), key).tolist() for key in ("filenames", "names")
            )
        for filename, name in zip(filenames, names, strict=True):
            _require_inside(filename, name)
        return dict(zip(filenames, names))
    except Exception as error:  # zipfile and NumPy raise nearly any error for damaged files
        raise DataError(
            f"{os.fspath(path)!r}, which records the moved files, is damaged: {error}. To continue without these "
            "files, move it away."
        ) from error


def _require_inside(filename: str, name: str) -> None:
    """Check that a plan gives a file of a class folder a plain name: anyone may have written it, as in a zip file."""
    is_plain = name and not name.startswith(".") and not set(name) & set("/\\:\0")
    if not is_plain or "/" not in filename or "\0" in filename or leaves_folder(filename):
        raise ValueError(f"it names {filename!r} {name!r}")
