"""Batches of arrays: from `.npy` files, from files of any kind with a reader, or from rows of one large `.npy`."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_oocore.batches.maker import BatchOptions
from keras_oocore.core.errors import DataError, OptionError, SampleError
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.inputs import (
    VALIDATION_OF_BOTH,
    as_manifest,
    as_rows,
    both_subsets,
    cache_directory,
    row_labels,
    subset_of,
)
from keras_oocore.sources.files import FileReader, FileSamples, FunctionReader
from keras_oocore.sources.npy import NpyReader

NPY_EXTENSIONS = (".npy",)


class NpyManifestSequence(OutOfCoreSequence):
    """Batches of arrays read from disk while the model trains: spectrograms, embeddings, volumes, anything in a file.

    All arrays have one shape and dtype, those of the first. Every sample is served exactly once a pass, and the same
    seed gives the same bytes for any number of workers and any backend.

    Args:
        data: filenames, as an array, a list or the path of a `.npy` file of text; a `Manifest`; a directory of class
            folders of `.npy` files; or rows: an array of numbers, or the path of one large `.npy` of numbers, which is
            read through a memory map.
        labels: one label a sample: an array, a list, or the path of a `.npy` file. `None` for none. `"inferred"` as
            the manifest or the class folders have them.
        label_mode: `"raw"` gives rows of `labels` as they are. The others are those of `ImageFolderSequence`.
        class_names: the classes in the order of their indices.
        batch_size: samples in a batch.
        directory: the folder that filenames are relative to.
        reader: what turns a path into an array of one fixed shape: a function, or an object with `shape`, `dtype` and
            `read_into(path, out)`. Called from several threads. `None` reads `.npy` files.
        shuffle, seed, validation_split, subset, rescale, dtype, transform, sample_weight, class_weight, on_error,
        last_batch, cache, overwrite_cache, memory_limit, workers, max_queue_size, use_multiprocessing: as in
            `ImageFolderSequence`. A cache of other code under the name of `reader` is refused; functions that it calls
            are not looked at. Rows of one large `.npy` need no cache.

    Raises:
        OptionError: when an argument cannot work.
        DataError: when files or arrays are not what they should be.
        SampleError: from reading a batch, when a file cannot be read or its array has another shape; the message
            names the file.

    >>> rows = np.arange(12, dtype="float32").reshape(6, 2)
    >>> batches = NpyManifestSequence(rows, labels=[0, 1, 2, 3, 4, 5], batch_size=4, shuffle=False)
    >>> x, y = batches[1]
    >>> x.tolist(), y.tolist()
    ([[8.0, 9.0], [10.0, 11.0]], [4, 5])
    """

    def __new__(cls, *args, **kwargs):
        # A constructor that returns a tuple, so that subset="both" reads as it does in Keras.
        return both_subsets(cls, args, kwargs, _scanned) or super().__new__(cls)

    def __init__(
        self,
        data: str | os.PathLike | Manifest | Sequence[str] | np.ndarray,
        labels="inferred",
        label_mode: str | None = "raw",
        class_names: Sequence[str] | None = None,
        batch_size: int = 32,
        shuffle: bool | str = True,
        seed: int | None = None,
        validation_split: float | None = None,
        subset: str | None = None,
        directory: str | os.PathLike | None = None,
        reader: Callable[[str], np.ndarray] | FileReader | None = None,
        rescale: float | None = None,
        dtype=None,
        transform: Callable | None = None,
        sample_weight: Sequence[float] | np.ndarray | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        on_error: str = "raise",
        last_batch: str = "keep",
        cache: str | os.PathLike | None = None,
        overwrite_cache: bool = False,
        memory_limit: int | str | None = None,
        workers: int | None = None,
        max_queue_size: int = 10,
        use_multiprocessing: bool = False,
    ):
        options = BatchOptions(
            batch_size=batch_size,
            shuffle=False if subset == VALIDATION_OF_BOTH else shuffle,
            seed=as_seed(seed),
            seed_is_drawn=seed is None,
            rescale=rescale,
            dtype=dtype,
            transform=transform,
            on_error=on_error,
            last_batch=last_batch,
        )
        samples = as_rows(data)
        if samples is None:
            raw = label_mode == "raw"
            manifest = as_manifest(data, labels, class_names, directory, NPY_EXTENSIONS, raw=raw)
            samples = _file_samples(manifest, reader, on_error)
            labels, class_names = manifest.labels, manifest.class_names
        else:
            _require_rows_alone(reader, cache)
            labels, class_names = row_labels(labels, class_names, len(samples))
        samples, labels, sample_weight = subset_of(samples, labels, sample_weight, validation_split, subset, seed)
        super().__init__(
            samples=samples,
            labels=Labels(labels, label_mode, class_names),
            manifest=getattr(samples, "manifest", None),
            options=options,
            sample_weight=sample_weight,
            class_weight=class_weight,
            cache=cache_directory(cache, subset, overwrite_cache),
            overwrite_cache=overwrite_cache,
            memory_limit=memory_limit,
            workers=workers,
            max_queue_size=max_queue_size,
            use_multiprocessing=use_multiprocessing,
        )

    def __repr__(self) -> str:
        return self._described(
            "rows of one array" if self.manifest is None else f"from {str(self.manifest.directory)!r}"
        )


def _require_rows_alone(reader, cache) -> None:
    if reader is not None:
        raise OptionError("`reader` reads files. Received: reader=... with rows of an array")
    if cache is not None:
        raise OptionError(
            "`cache` stores what was read from files as rows of one array. Received: cache=... with rows of an array"
        )


def _file_samples(manifest: Manifest, reader, on_error: str) -> FileSamples:
    """The files of a manifest; the first one that can be read says what shape all of them have."""
    if len(manifest) == 0:
        raise DataError("There are no samples. Received: an empty list of filenames")
    if hasattr(reader, "read_into"):
        return FileSamples(manifest, reader)
    for sample in range(len(manifest)):
        path = manifest.path(sample)
        try:
            return FileSamples(manifest, FunctionReader(reader, path) if reader else NpyReader(path))
        except Exception as error:
            if on_error == "raise":
                raise SampleError(f"Cannot read sample {sample}, {path!r}: {error}.") from error
    raise SampleError(f"None of the {len(manifest)} files can be read.")


def _scanned(arguments: dict) -> dict:
    """The same arguments with what the disk holds at this moment as `data`."""
    if as_rows(arguments["data"]) is not None:
        return arguments
    manifest = as_manifest(
        arguments["data"],
        arguments.get("labels", "inferred"),
        arguments.get("class_names"),
        arguments.get("directory"),
        NPY_EXTENSIONS,
        raw=arguments.get("label_mode", "raw") == "raw",
    )
    return {**arguments, "data": manifest, "labels": "inferred", "class_names": None, "directory": None}
