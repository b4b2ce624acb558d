"""Which packed store goes with which files: what of a reader and a manifest shapes its rows, and what lies beside them.

Beside the rows lies the manifest, so that whoever has the folder alone knows labels, classes and names.
"""

import contextlib
import functools
import os
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.fingerprint import described, of_names
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.cached import CachedSamples
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.stored import PackedSamples
from keras_oocore.store.format import RECORD
from keras_oocore.store.reader import PackedStore


def cached(samples: FileSamples, directory: str | os.PathLike, keep_errors: bool, overwrite: bool) -> CachedSamples:
    """These samples, read from their files once and from then on from the packed store in `directory`.

    Args:
        samples: files and their reader.
        directory: of the store; new, empty, or begun by the same files and options.
        keep_errors: whether a file that cannot be read is noted in the store.
        overwrite: whether a store that is there is made again.
    """
    directory = Path(os.path.abspath(os.path.expanduser(directory)))
    keep_beside = functools.partial(keep_manifest, samples.manifest, directory)
    return CachedSamples(samples, directory, fingerprint(samples), keep_errors, overwrite, keep_beside)


def fingerprint(samples: FileSamples) -> dict:
    """What shapes the rows, apart from the contents of the files, as plain JSON."""
    options = getattr(samples.reader, "options", None)
    if options is None:
        options = {"reader": described(samples.reader)}
    return {"files": of_names(samples.manifest.filenames), **options}


def keep_manifest(manifest: Manifest, directory: Path) -> None:
    """Save the manifest beside the rows; an earlier one with other labels is replaced."""
    with contextlib.suppress(DataError):
        kept = Manifest.load(directory)
        same_labels = (
            kept.labels is not None
            and kept.class_names == manifest.class_names
            and np.array_equal(kept.labels, manifest.labels)
        )
        # Labels that are there stay when somebody comes without.
        if np.array_equal(kept.filenames, manifest.filenames) and (manifest.labels is None or same_labels):
            return
    with contextlib.suppress(DestinationError):  # a finished store may be read-only
        manifest.save(directory)


def is_packed(directory: str | os.PathLike) -> bool:
    """Whether a packed store lies there, or one of each subset."""
    return (Path(directory) / RECORD).exists() or bool(_stores_within(directory))


def _stores_within(directory: str | os.PathLike) -> list[str]:
    return sorted(str(path.parent) for path in Path(directory).glob(f"*/{RECORD}"))


def open_samples(directory: str | os.PathLike) -> tuple[PackedSamples, Manifest]:
    """The rows of a finished store, and the manifest beside them.

    Raises:
        DataError: when there is none, or it is unfinished or damaged.
    """
    directory = Path(os.path.abspath(os.path.expanduser(directory)))
    if not (directory / RECORD).exists() and (stores := _stores_within(directory)):
        raise DataError(f"{str(directory)!r} holds a packed store of each subset; open one: {', '.join(stores)}")
    store, manifest = PackedStore(directory), Manifest.load(directory)
    files = store.record.fingerprint.get("files")
    if len(manifest) != store.record.num_rows or files not in (None, of_names(manifest.filenames)):
        raise DataError(
            f"{str(directory)!r}: filenames.npy and labels.npy are not those of its rows; something else was saved "
            "there. Pack again: the rows stay, the names and labels are written anew."
        )
    return PackedSamples(store, manifest.filenames), manifest
