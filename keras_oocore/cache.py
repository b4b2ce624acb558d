"""Which packed store goes with which files: what of a reader and a manifest shapes its rows, and what lies beside them.

Beside the rows lies the manifest, so that whoever has the folder alone knows labels, classes and names.
"""

import contextlib
import functools
import os
import zlib
from pathlib import Path

import numpy as np

from keras_oocore.errors import DataError, DestinationError, OptionError
from keras_oocore.manifest import Manifest
from keras_oocore.readers.cached import CachedSamples
from keras_oocore.readers.file_samples import FileSamples, described_code
from keras_oocore.readers.packed import PackedSamples

NAMES_AT_A_TIME = 65_536


def cached(samples: FileSamples, directory: str | os.PathLike, keep_errors: bool, overwrite: bool) -> CachedSamples:
    """These samples, read from their files once and from then on from the packed store in `directory`.

    Args:
        samples: files and their reader.
        directory: of the store; new, empty, or begun by the same files and options.
        keep_errors: whether a file that cannot be read is noted in the store.
        overwrite: whether a store of other rows is made again.
    """
    directory = Path(os.path.abspath(directory))
    keep_beside = functools.partial(keep_manifest, samples.manifest, directory)
    return CachedSamples(samples, directory, fingerprint(samples), keep_errors, overwrite, keep_beside)


def fingerprint(samples: FileSamples) -> dict:
    """What shapes the rows, apart from the contents of the files, as plain JSON."""
    names, checksum = samples.manifest.filenames, 0
    for start in range(0, len(names), NAMES_AT_A_TIME):
        checksum = zlib.crc32("\0".join(names[start : start + NAMES_AT_A_TIME].tolist()).encode(), checksum)
    options = getattr(samples.reader, "options", None)
    if options is None:
        options = {"reader": described_code(type(samples.reader))}
    return {"files": f"{len(names):,} names with CRC-32 {checksum:08x}", **options}


def keep_manifest(manifest: Manifest, directory: Path) -> None:
    """Save the manifest beside the rows; an earlier one with other labels is replaced."""
    with contextlib.suppress(DataError):
        kept = Manifest.load(directory)
        if (
            np.array_equal(kept.filenames, manifest.filenames)
            and kept.class_names == manifest.class_names
            and (kept.labels is None) == (manifest.labels is None)
            and (kept.labels is None or np.array_equal(kept.labels, manifest.labels))
        ):
            return
    with contextlib.suppress(DestinationError):  # a finished store may be read-only
        manifest.save(directory)


def open_samples(directory: str | os.PathLike) -> tuple[PackedSamples, Manifest]:
    """The rows of a finished store, and the manifest beside them.

    Raises:
        DataError: when there is none, or it is unfinished or damaged.
    """
    directory = Path(directory)
    stores = sorted(str(path.parent) for path in directory.glob("*/store.json"))
    if stores and not (directory / "store.json").exists():
        raise OptionError(f"{str(directory)!r} holds several packed stores; open one of them: {', '.join(stores)}")
    try:
        manifest = Manifest.load(directory)
    except DataError:
        PackedSamples(directory, np.array([]))  # says it better when there is no finished store at all
        raise
    return PackedSamples(directory, manifest.filenames), manifest
