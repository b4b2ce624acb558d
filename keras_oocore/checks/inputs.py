"""Which files or stored rows a check reads, and how: of a directory, a manifest, a Sequence or a packed store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError, SampleError
from keras_oocore.core.text import shown
from keras_oocore.images.formats import open_image
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.files import RECORD as MANIFEST_RECORD
from keras_oocore.manifest.folders import existing_directory
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.base import Source
from keras_oocore.sources.cache import open_samples
from keras_oocore.sources.files import FileReader, FileSamples
from keras_oocore.sources.layout import fields_of, image_field
from keras_oocore.sources.npy import NpyReader
from keras_oocore.store.format import RECORD as STORE_RECORD

BLOCK_FILES = 65_536  # whose names are Python strings at once
NUM_LOOKED_AT = 8  # files without a known ending that are opened, to find out whether they are images


@dataclass(frozen=True)
class Input:
    """What to check.

    Attributes:
        name: What a person calls it.
        manifest: The files. In a worker process, it is a `ManifestPart`.
        images: Whether the files are images.
        reader: Reads files that are not images. `None` if no reader is known.
        rows: Source of stored rows, which are read instead of the files, or `None`.
        numbers: Numbers of the rows of the files in `rows`, or `None`.
        others: Reads the other files of each sample, such as masks, or `None`.
    """

    name: str
    manifest: Any
    images: bool
    reader: FileReader | None = None
    rows: Source | None = None
    numbers: np.ndarray | None = None
    others: FileSamples | None = None

    def file(self, i: int) -> str:
        """Return the name of a file, as in its manifest."""
        return str(self.manifest.filenames[i])

    @property
    def classes(self) -> np.ndarray | None:
        """Class indices of the files, of shape `(num_files,)`, or `None` for files without classes."""
        labels = self.manifest.labels
        is_class = labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu"
        return labels if is_class else None

    def class_name(self, i: int) -> str | None:
        """Return the class of a file, or `None`."""
        return None if self.classes is None else self.name_of_class(int(self.classes[i]))

    def name_of_class(self, index: int) -> str:
        """Return the name of a class, or its index if it has none."""
        names = self.manifest.class_names
        return str(index) if names is None or not 0 <= index < len(names) else str(names[index])


def as_input(data: Any, argument: str) -> Input:
    """Return what to check.

    Args:
        data: A directory, a `Manifest`, a Sequence of files, or the directory of a packed store.
        argument: Name of the argument, for messages.

    Raises:
        OptionError: If it is something else.
        DataError: If the directory does not exist or has no files.
    """
    if isinstance(data, Manifest):
        return _of_manifest(data, _called(data))
    if isinstance(data, str | os.PathLike):
        return _of_directory(data)
    from keras_oocore.sequences.labelled import LabelledSequence  # imports Keras, as who made a Sequence has

    if isinstance(data, LabelledSequence) and data.manifest is not None:
        return _of_sequence(data)
    raise OptionError(
        f"`{argument}` should be a directory, a Manifest, a Sequence of files, or the directory of a packed store. "
        f"Received: {argument}={shown(data)}"
    )


def _of_directory(data: str | os.PathLike[str]) -> Input:
    directory = existing_directory(Path(data).expanduser())
    name = os.fspath(data)
    if storage.exists(directory / STORE_RECORD):
        rows, manifest = open_samples(directory)
        return Input(name, manifest, _is_image(rows), rows=rows, numbers=np.arange(len(manifest)))
    if storage.exists(directory / MANIFEST_RECORD):
        return _of_manifest(Manifest.load(directory), name)
    with storage.scan(directory) as entries:
        has_folders = any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)
    try:
        manifest = Manifest.from_directory(directory, "inferred" if has_folders else None)
    except DataError:
        arrays = _arrays_in(directory, has_folders)
        if arrays is None:
            raise
        manifest = arrays
    return _of_manifest(manifest, name)


def _arrays_in(directory: Path, has_folders: bool) -> Manifest | None:
    """Return the `.npy` files in a directory without images, or `None` if there are none."""
    try:
        return Manifest.from_directory(directory, "inferred" if has_folders else None, extensions=".npy")
    except DataError:
        return None


def _of_manifest(manifest: Manifest, name: str) -> Input:
    endings = set().union(*endings_in_blocks(manifest))
    if endings == {".npy"}:
        return Input(name, manifest, False, _npy_reader(manifest))
    images = bool(endings & {*IMAGE_EXTENSIONS}) or _look_like_images(manifest)
    return Input(name, manifest, images)


def endings_in_blocks(manifest: Manifest) -> Iterator[list[str]]:
    """Yield the endings of all files, in lower case, block by block."""
    for at in range(0, len(manifest), BLOCK_FILES):
        yield [os.path.splitext(file)[1].lower() for file in manifest.filenames[at : at + BLOCK_FILES].tolist()]


def _of_sequence(sequence: Any) -> Input:
    source, manifest, numbers = sequence.rows_and_files()
    name = _called(manifest)
    reader = None if source.cached else source.reader
    if reader is None:
        return Input(name, manifest, _is_image(source), rows=source, numbers=numbers)
    if not isinstance(reader, ImageReader):
        return Input(name, manifest, False, reader)
    return Input(name, manifest, True, others=source.select(numbers) if source.files_per_sample > 1 else None)


def _is_image(rows: Source) -> bool:
    name = image_field(rows.spec)
    if name is None:
        return False
    shape, dtype = fields_of(rows.spec)[name]
    return len(shape) == 3 and shape[-1] in (1, 3, 4) and dtype == np.uint8


def _npy_reader(manifest: Manifest) -> NpyReader | None:
    """Return a reader for arrays of the shape of the first file that can be read."""
    for i in range(len(manifest)):
        try:
            return NpyReader(manifest.path(i))
        except (SampleError, OSError, ValueError):
            continue
    return None


def _look_like_images(manifest: Manifest) -> bool:
    for i in range(min(NUM_LOOKED_AT, len(manifest))):
        try:
            with storage.open_file(manifest.path(i)) as file:
                open_image(file.read())
        except Exception:  # damaged, missing, or something else
            continue
        return True
    return False


def _called(manifest: Manifest) -> str:
    return f"{len(manifest):,} files" if manifest.directory is None else os.fspath(manifest.directory)
