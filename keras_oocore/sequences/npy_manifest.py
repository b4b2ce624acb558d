"""A Sequence of arrays from one file per sample: `.npy` files, or files of any kind with a reader."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from keras_oocore.core.checks import non_negative
from keras_oocore.core.errors import DataError, OptionError, SampleError
from keras_oocore.core.faults import MOST_IN_A_ROW, fault_of, retried
from keras_oocore.core.text import shown
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.arguments import FileArguments, documented, shares
from keras_oocore.sequences.files import FileSequence
from keras_oocore.sequences.inputs import as_manifest, is_array_of_numbers, labelled_data
from keras_oocore.sequences.pictures import thumbnail_of_row
from keras_oocore.sequences.shared_options import batch_options, cache_directory, loading_options
from keras_oocore.sources.files import FileReader, FileSamples, explained
from keras_oocore.sources.function_reader import FunctionReader
from keras_oocore.sources.layout import X
from keras_oocore.sources.npy import NpyReader, longest_array
from keras_oocore.sources.padded import Pad, PaddedReader, PadOptions
from keras_oocore.store.format import StoreRecord

NPY_EXTENSIONS = (".npy",)


@documented
class NpyManifestSequence(FileSequence):
    """Batches of arrays that are read from one file per sample: spectrograms, embeddings, volumes, audio, anything.

    All arrays have the shape and dtype of the first one, unless they are padded. Every sample is served exactly once
    per pass, and the same seed gives the same bytes for any number of workers and on every backend. For the rows of one
    array, use `ArraySequence`.

    Args:
        data: File names, as an array, a list or the path of a `.npy` file of strings; a `Manifest`; or a directory of
            class folders of `.npy` files. If the manifest has features (see `feature_cols` of `Manifest.from_csv`),
            `x` is `{"array": arrays, "features": features}`, with `float32` features of shape `(batch, num_features)`.
        labels: One label per sample: an array, a list, or the path of a `.npy` file. `None` for no labels.
            `"inferred"` from the manifest or the class folders.
        label_mode: `"raw"` for rows of `labels` as they are. The other modes are those of `ImageFolderSequence`.
        class_names: Names of the classes in the order of their indices.
        directory: Directory that file names are relative to.
        reader: Reads a file: a function of the path, or an object with `shape`, `dtype` and `read_into(path, out)`. A
            function returns an array, or a dictionary of arrays for several inputs, or a tuple `(x, y)` if it knows
            the answer. For a tuple of inputs, it returns `((first, second), y)`, where `y` may be `None`. It is called
            from several threads. A cache made by another function of this name is refused; functions that it calls
            are not compared. Defaults to a reader of `.npy` files. With several inputs, `rescale` and `dtype` apply to
            images, which have three axes, or if there are none, to the only array that is more than a number.
        pad: `"batch"` for arrays of different lengths: each batch is as long as its longest sample. The first axis may
            differ. The longest of all is found once, from the headers of all `.npy` files; with a `reader`, pass it as
            `pad_to`.
        pad_to: Length to which the first axis of each array is padded, or a shape. A longer array is an error. For
            several inputs, a dictionary by the name of each input that is padded, such as `{"audio": 16000}`.
        pad_value: Value of the padding, before `rescale`.
        lengths: Whether the length of each sample before padding is an input, too. `x` is then
            `{"array": ..., "lengths": ...}`, with `int32` lengths of shape `(batch,)`, or the dictionary of the
            `reader` with `"lengths"`.
        {shared}

    Raises:
        OptionError: If an argument is not valid.
        DataError: If files or labels are missing or do not match.
        SampleError: When a batch is read, if a file cannot be read or its array has another shape. The message names
            the file.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for level in (10, 20, 30):
    ...     np.save(f"{folder}/{level}.npy", np.full((2, 2), level, "uint8"))
    >>> files = ["10.npy", "20.npy", "30.npy"]
    >>> batches = NpyManifestSequence(files, labels=[1, 2, 3], directory=folder, batch_size=2, shuffle=False)
    >>> x, y = batches[0]
    >>> x[:, 0, 0].tolist(), y.tolist()
    ([10, 20], [1, 2])
    """

    @shares(FileArguments)
    def __init__(
        self,
        data: str | os.PathLike[str] | Manifest | Sequence[str] | np.ndarray,
        labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None = "inferred",
        label_mode: LabelMode | None = "raw",
        class_names: Sequence[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        reader: Callable[[str], Any] | FileReader | None = None,
        pad: Pad | None = None,
        pad_to: int | Sequence[int] | Mapping[str, int | Sequence[int]] | None = None,
        pad_value: float = 0,
        lengths: bool = False,
        **shared: Unpack[FileArguments],
    ):
        options = batch_options(shared)
        padding = PadOptions(pad, pad_to, pad_value, lengths)
        if is_array_of_numbers(data):
            raise OptionError(
                "`data` should be file names, a manifest or a directory. Received: an array of numbers. "
                "For the rows of an array, use ko.ArraySequence(data, labels)."
            )
        manifest = as_manifest(data, labels, class_names, directory, NPY_EXTENSIONS, raw=label_mode == "raw")
        self._reads_npy = reader is None
        samples = _file_samples(manifest, reader, options.on_error, shared["retries"])
        if padding.pads:
            cache = None if shared["overwrite_cache"] else cache_directory(shared)
            samples = _padded(samples, padding, cache)
        super().__init__(
            labelled_data(samples, manifest.labels, label_mode, manifest.class_names, manifest, shared, options),
            options,
            loading_options(shared),
            cache_directory(shared),
            shared["overwrite_cache"],
        )

    def _thumbnail(self, sample: int) -> str | None:
        if not self._reads_npy:  # the reader of a user may be slow, or print
            return None
        reader = self._files.reader
        return thumbnail_of_row(self._files.spec, lambda row: reader.read_into(self.manifest.path(sample), row))


def _file_samples(manifest: Manifest, reader, on_error: str, retries: int) -> FileSamples:
    """Return the files of a manifest. The first readable file defines the shape of all samples."""
    non_negative(retries, "retries")
    if len(manifest) == 0:
        raise DataError("There are no samples. Received: an empty list of file names")
    if hasattr(reader, "read_into"):
        return FileSamples(manifest, reader, retries)
    opened, num_passing, outer = (FunctionReader, reader) if reader else (NpyReader,), 0, sys.exception()
    for sample in range(len(manifest)):
        path = manifest.path(sample)
        try:
            return FileSamples(manifest, retried(*opened, path, retries=retries), retries)
        except OptionError:  # of what the reader returns, for any file
            raise
        except Exception as error:
            fault = fault_of(error, outer)
            found = explained(sample, path, error, fault)
            num_passing += fault.passes
            if on_error == "raise" or num_passing == MOST_IN_A_ROW:
                raise found from error
    raise SampleError(f"None of the {len(manifest)} files can be read.")


def _padded(samples: FileSamples, options: PadOptions, cache: Path | None) -> FileSamples:
    """Return files whose arrays are padded. The longest of all `.npy` files is found if nothing says it."""
    reader, manifest, longest = samples.reader, samples.manifest, None
    if not isinstance(reader, NpyReader | FunctionReader):
        raise OptionError(
            "An object with `read_into` fills arrays of one shape, so it pads them itself. For `pad` and `pad_to`, "
            f"pass a function. Received: reader={shown(reader)}"
        )
    if options.pad_to is None and isinstance(reader, NpyReader):
        longest = _longest_in(cache) or longest_array(manifest.file_paths, len(reader.fields[X].shape))
    return FileSamples(manifest, PaddedReader(reader, options, longest), samples.retries)


def _longest_in(cache: Path | None) -> int | None:
    """Return the length of the rows of a cache, which refuses other or changed files. `None` if there is none."""
    try:
        record = None if cache is None else StoreRecord.load(cache)
        return None if record is None else int(record.fingerprint["pad_to"][X][0])
    except (DataError, KeyError):  # it is damaged or has other rows, and opening it says so
        return None
