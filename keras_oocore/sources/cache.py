"""The cache of a source of files: a packed store and the manifest of the files, in one directory."""

import contextlib
import functools
import os
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.faults import opening, require_damage
from keras_oocore.core.files import absolute_path
from keras_oocore.core.fingerprint import of_names
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.stored import PackedSamples
from keras_oocore.store.format import RECORD
from keras_oocore.store.reader import PackedStore


def cached(
    samples: FileSamples, directory: str | os.PathLike[str], keep_errors: bool, overwrite: bool, create: bool = True
) -> Cached:
    """Return samples that are read from their files once, and later from the packed store in `directory`.

    Args:
        samples: Files and their reader.
        directory: Directory of the store. It is new or empty, or contains a store of the same files and options.
        keep_errors: Whether the store remembers files that cannot be read.
        overwrite: Whether to replace an existing store.
        create: Whether to create the store now. Otherwise it is created when it is opened or first read.
    """
    directory = absolute_path(directory)
    keep_beside = functools.partial(keep_manifest, samples.manifest, directory)
    return Cached(samples, directory, keep_errors, overwrite, create, keep_beside)


def keep_manifest(manifest: Manifest, directory: Path) -> None:
    """Save the manifest in the directory of the rows, with labels, features, class names and filenames.

    An earlier manifest with other labels is replaced.
    """
    try:
        kept = Manifest.load(directory)
    except DataError as error:
        require_damage(error, f"the manifest in {str(directory)!r}")  # otherwise its labels would be lost
    else:
        same_labels = (
            kept.labels is not None
            and kept.class_names == manifest.class_names
            and np.array_equal(kept.labels, manifest.labels)
        )
        same_columns = kept.columns.keys() == manifest.columns.keys() and all(
            np.array_equal(kept.columns[name], values) for name, values in manifest.columns.items()
        )
        same_features = kept.feature_cols == manifest.feature_cols and np.array_equal(kept.features, manifest.features)
        # Existing labels, columns and features stay if the new manifest has none.
        if (
            np.array_equal(kept.filenames, manifest.filenames)
            and (manifest.labels is None or same_labels)
            and (not manifest.columns or same_columns)
            and (manifest.features is None or same_features)
        ):
            return
    with contextlib.suppress(DestinationError):  # a finished store may be read-only
        manifest.save(directory)


def _stores_within(directory: str | os.PathLike[str]) -> list[str]:
    return sorted(str(path.parent) for path in Path(directory).glob(f"*/{RECORD}"))


def open_samples(directory: str | os.PathLike[str]) -> tuple[PackedSamples, Manifest]:
    """Return the rows of a finished store, and the manifest that is saved with them.

    Raises:
        DataError: If there is no store, or it is unfinished or damaged.
    """
    directory = absolute_path(directory)
    if not (directory / RECORD).exists() and (stores := _stores_within(directory)):
        raise DataError(
            f"{str(directory)!r} contains one packed store per subset. Open one of them: {', '.join(stores)}"
        )
    with opening(f"the packed store {str(directory)!r}"):
        store, manifest = PackedStore(directory), Manifest.load(directory)
    files = store.record.fingerprint.get("files")
    if len(manifest) != store.record.num_rows or files not in (None, of_names(manifest.filenames)):
        raise DataError(
            f"{str(directory)!r}: filenames.npy and labels.npy do not belong to its rows: something else was saved "
            "there. Call `pack` again, which keeps the rows and saves filenames and labels again."
        )
    return PackedSamples(store, manifest.filenames), manifest
