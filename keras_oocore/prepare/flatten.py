"""All files of the class folders into one folder, copied, linked or moved; the next run finishes a killed one."""

import errno
import hashlib
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.core.files import (
    TEMPORARY_PREFIX,
    publish,
    read_chunks,
    remove_leftovers,
    require_disk,
    write_whole,
)
from keras_oocore.core.locks import write_lock
from keras_oocore.core.progress import tqdm
from keras_oocore.manifest.manifest import IMAGE_EXTENSIONS, Manifest
from keras_oocore.manifest.scan import (
    Found,
    as_class_names,
    as_extensions,
    find_files,
    require_files,
    warn_of_empty_classes,
)
from keras_oocore.prepare.flat_names import flat_names

BLOCK_BYTES = 4096  # what a file takes on disk is a multiple of this


def flatten_images(
    directory: str | os.PathLike,
    destination: str | os.PathLike = "all_images",
    mode: str = "copy",
    extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
    progress: bool = True,
) -> Manifest:
    """A manifest of every image of the class folders, all now in one folder under unique names.

    `cat/001.png` becomes `cat__001.png`, `cat/indoors/001.png` becomes `cat__indoors__001.png`; a short hash is added
    where that would not be unique (names that differ only in case, say). Running it again finishes what a killed run
    began and returns the same manifest, also after a move. A file already there with the same content is taken as it
    is; a different one is never overwritten.

    Args:
        directory: where the class folders are; nested folders belong to the class they are in.
        destination: the folder for all images, made when missing.
        mode: `"copy"`; `"hardlink"` (same disk: no space); `"symlink"` (links relative to `destination`, so that both
            folders can be moved together); `"move"` (same disk: no space; otherwise copied, then removed; a linked
            file is copied and its link removed). What was moved is remembered in a hidden file in `destination`.
        extensions: endings of the files to take, in any case, such as `".npy"` or `".wav"`.
        class_names: the classes in the order of their indices (alphanumeric otherwise).
        follow_links: whether to look into linked folders too.
        progress: whether to show a progress bar and, at the end, what was passed over.

    Returns:
        A `Manifest` whose directory is `destination`, with `int32` labels of shape `(num_samples,)`, in the order of
        `Manifest.from_directory(directory)`.

    Raises:
        DataError: when `directory` is missing or holds no such files, or one of them cannot be read.
        DestinationError: when `destination` cannot be written, is too small or in use, or holds another file of the
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
    source, destination, extensions = Path(directory), Path(destination), as_extensions(extensions)
    class_names = as_class_names(class_names)
    if os.path.realpath(source) == os.path.realpath(destination):
        raise OptionError(f"`destination` should be another folder than `directory`. Received: {os.fspath(source)!r}")
    plan = _plan_path(source, destination)
    planned = _read_plan(plan)
    found = _scan(source, destination, extensions, class_names, follow_links, planned)
    if not planned:
        require_files(found, source, extensions)  # before a folder is made for nothing
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
        way_back = _way_back(source, destination)
        with tqdm(total=len(here) + len(moved), initial=len(moved), unit="file", disable=not progress) as bar:
            for filename, name in _in_order(source, here, names, mode):
                link = os.path.join(way_back, filename)
                _bring(os.path.join(source, filename), os.path.join(destination, name), mode, link)
                bar.update()
    manifest = _as_manifest({**dict(zip(here, names)), **moved}, class_names, found, destination)
    if planned:
        warn_of_empty_classes(manifest.labels, manifest.class_names)
    if progress:
        tqdm.write(_report(manifest))
    return manifest


def _in_order(source: Path, filenames: list[str], names: list[str], mode: str) -> list[tuple[str, str]]:
    """Moves take linked files first, while what they link to is still where they say."""
    pairs = [*zip(filenames, names)]
    return sorted(pairs, key=lambda pair: not os.path.islink(source / pair[0])) if mode == "move" else pairs


def _bring(source: str, target: str, mode: str, link: str) -> None:
    """One file to its place, whole or not at all, unless it is there already."""
    if os.path.lexists(target):
        if not _is_same(source, target, mode):
            raise DestinationError(
                f"{target!r} exists and is not {_LIKE[mode]} {source!r}; neither was touched. Move one of them away, "
                "or choose another destination."
            )
        if mode == "move":  # a run was killed between copying and removing
            with open(target, "rb") as file:
                os.fsync(file.fileno())
            os.unlink(source)
        return
    try:
        MODES[mode](source, target, link)
    except DestinationError:
        raise
    except OSError as error:
        raise DestinationError(
            f"Cannot {mode} {source!r} to {target!r}: {error.strerror or error}. "
            'Choose another destination, or another mode, such as mode="copy".'
        ) from error


def _is_same(source: str, target: str, mode: str) -> bool:
    linked = os.path.islink(target)
    if not os.path.exists(target) or linked != (mode == "symlink"):
        return False  # a copy or a move must not count on a link: its target may be the very file to be moved
    if os.path.samefile(source, target):
        return True
    return mode in ("copy", "move") and os.path.isfile(target) and _same_bytes(source, target)


def _same_bytes(one: str, other: str) -> bool:
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    return all(a == b for a, b in zip(read_chunks(one), read_chunks(other), strict=True))


def _copy(source: str, target: str, _, durable: bool = False) -> None:
    try:
        status = os.stat(source)
    except OSError as error:
        raise SampleError(f"Cannot read {source!r}: {error.strerror or error}.") from error
    with write_whole(target, overwrite=False, durable=durable) as file:
        for chunk in read_chunks(source):
            file.write(chunk)
        file.flush()
        os.utime(file.name, ns=(status.st_atime_ns, status.st_mtime_ns))


def _hardlink(source: str, target: str, _) -> None:
    os.link(os.path.realpath(source) if os.path.islink(source) else source, target)


def _symlink(_, target: str, link: str) -> None:
    os.symlink(os.path.normpath(link), target)


def _move(source: str, target: str, link: str) -> None:
    if not os.path.islink(source):
        try:
            return publish(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    _copy(source, target, link, durable=True)
    os.unlink(source)


MODES = {"copy": _copy, "hardlink": _hardlink, "symlink": _symlink, "move": _move}
_LIKE = {"copy": "a copy of", "hardlink": "a hard link to", "symlink": "a symbolic link to", "move": "a copy of"}


def _scan(source, destination, extensions, class_names, follow_links, planned) -> Found:
    if planned and not source.is_dir():  # emptied by an earlier move, then removed
        return Found(np.empty(0, dtype="U1"), np.empty(0, dtype=np.int32), class_names or [])
    if class_names is not None:  # an emptied class folder may be gone as well
        emptied = {_class_of(filename) for filename in planned}
        class_names = [name for name in class_names if name not in emptied or (source / name).is_dir()]
    return find_files(source, extensions, True, class_names, follow_links, exclude=destination)


def _moved_before(planned, here, destination, extensions, class_names) -> dict[str, str]:
    """Names of files that earlier runs moved, by the filename they had."""
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
    """Raise before the first byte when copies would not fit."""
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
    """The record of all files, in the order of the class folders they came from."""
    if class_names is None:
        class_names = sorted({*found.class_names, *map(_class_of, names)})
    index = {name: i for i, name in enumerate(class_names)}
    filenames = sorted(names, key=lambda filename: (index[_class_of(filename)], *os.path.split(filename)))
    labels = np.array([index[_class_of(filename)] for filename in filenames], dtype=np.int32)
    flat = np.array([names[filename] for filename in filenames], dtype=str)
    return Manifest(flat, labels, class_names, destination, found.passed_over)


def _report(manifest: Manifest) -> str:
    passed_over = ", ".join(f"{count:,} {reason}" for reason, count in manifest.passed_over.items())
    return f"{manifest}" + (f". Passed over: {passed_over}" if passed_over else "")


def _class_of(filename: str) -> str:
    return filename.split("/", 1)[0]


def _disk(path: Path) -> int:
    return os.stat(path).st_dev


def _way_back(source: Path, destination: Path) -> str:
    """The source as seen from the destination: still right when both move together."""
    try:
        return Path(os.path.relpath(os.path.realpath(source), os.path.realpath(destination))).as_posix()
    except ValueError:  # on another drive (Windows)
        return os.path.realpath(source)


def _plan_path(source: Path, destination: Path) -> Path:
    """Where the names of moved files are kept: one hidden file a source, found again when both move together."""
    key = hashlib.blake2b(os.fsencode(_way_back(source, destination)), digest_size=4).hexdigest()
    return destination / f"{TEMPORARY_PREFIX}moved-{key}.npz"


def _write_plan(path: Path, planned: dict[str, str]) -> None:
    """Before the first file moves: once it has, only this knows its class and that it belongs to the data."""
    with write_whole(path) as file:
        np.savez_compressed(
            file, filenames=np.array([*planned], dtype=str), names=np.array([*planned.values()], dtype=str)
        )


def _read_plan(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as saved:
            return dict(zip(saved["filenames"].tolist(), saved["names"].tolist()))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{os.fspath(path)!r}, which remembers the files that were moved, is damaged: {error}. Move it away to go "
            "on without those files."
        ) from error
