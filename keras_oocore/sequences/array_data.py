"""Opens the `data` and `labels` of an `ArraySequence`: arrays, `.npy` files, HDF5 files, or objects like arrays."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.checks import require_numbers
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import parse_bytes
from keras_oocore.core.text import shown
from keras_oocore.sources.array_likes import ArrayLike, is_array_like
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.chunked import DEFAULT_LIMIT_BYTES, ChunkedRows
from keras_oocore.sources.hdf5 import HDF5Rows
from keras_oocore.sources.hdf5_file import is_hdf5, is_open_dataset, read_labels

Rows = ArrayRows | ChunkedRows


def open_rows(data: Any, dataset: str | None, memory_limit: int | str | None) -> Rows:
    """Return the rows of `data`. Contiguous rows are mapped, and others are read in blocks.

    Args:
        data: The argument of `ArraySequence`.
        dataset: Name of the dataset, if `data` is the path of an HDF5 file.
        memory_limit: Memory for the blocks.

    Raises:
        OptionError: If `data` does not contain rows of numbers.
        DataError: If the file cannot be read.
        MissingExtraError: If h5py is required and not installed.
    """
    limit_bytes = DEFAULT_LIMIT_BYTES if memory_limit is None else parse_bytes(memory_limit)
    if _is_hdf5_file(data, dataset):
        return _hdf5_rows(HDF5Rows(data, dataset), limit_bytes)
    if dataset is not None:
        raise OptionError(
            f"`dataset` is for the path of an HDF5 file. Received: data={shown(data)}, dataset={dataset!r}"
        )
    if is_open_dataset(data):
        return _hdf5_rows(HDF5Rows(data.file.filename, data.name.strip("/"), data), limit_bytes)
    if isinstance(data, np.ndarray) or _is_npy_file(data):
        rows = ArrayRows(data)
        if rows.spec.dtype.kind != "U":
            require_numbers(rows.spec.dtype, "`data`")
        if rows.spec.dtype.kind in "biufc":
            return rows
    elif is_array_like(data):
        return ChunkedRows(ArrayLike(data), limit_bytes)
    if hasattr(data, "columns"):
        raise OptionError(
            "`data` should be an array of numbers. The rows of a table are read by ko.TableSequence(data, target). For "
            f"its numbers alone: data.to_numpy(). Received: {shown(data)}"
        )
    if isinstance(data, list | tuple) and not any(isinstance(one, str | os.PathLike) for one in data):
        raise OptionError(
            "`data` should be an array of numbers, such as numpy.asarray(data), and labels are passed separately: "
            f"ko.ArraySequence(x, y). Received: {shown(data)}"
        )
    raise OptionError(
        "`data` should be an array of numbers, an object with `shape`, `dtype` and slices, or the path of a .npy or "
        f"HDF5 file of numbers. Received: {shown(data)}. For files of any kind, use ko.NpyManifestSequence."
    )


def _hdf5_rows(dataset: HDF5Rows, limit_bytes: int) -> Rows:
    return ChunkedRows(dataset, limit_bytes) if dataset.memory_map() is None else ArrayRows(dataset)


def open_labels(labels: Any, data: Any, dataset: str | None) -> Any:
    """Return `labels`, read from the HDF5 file `data` if they are the name of a dataset."""
    if (
        isinstance(labels, str)
        and labels != "inferred"
        and not labels.endswith(".npy")
        and _is_hdf5_file(data, dataset)
    ):
        return read_labels(data, labels)
    return labels


def _is_hdf5_file(data: Any, dataset: str | None) -> bool:
    return isinstance(data, str | os.PathLike) and not _is_npy_file(data) and (dataset is not None or is_hdf5(data))


def _is_npy_file(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and Path(data).suffix.lower() == ".npy"
