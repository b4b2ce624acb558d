"""A Sequence of the rows of one array, in memory or in a large `.npy` file."""

import os
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from keras_oocore.core.checks import require_numbers
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import display_path, shown
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.sequences.arguments import ArrayArguments, documented, shares
from keras_oocore.sequences.inputs import (
    array_dtype,
    batch_options,
    is_array_of_numbers,
    labelled_data,
    loading_options,
    row_labels,
)
from keras_oocore.sequences.labelled import LabelledSequence
from keras_oocore.sources.arrays import ArrayRows


@documented
class ArraySequence(LabelledSequence):
    """Batches of the rows of one array: an array in memory, a memory map, or a `.npy` file larger than memory.

    Every sample is served exactly once per pass, and the same seed gives the same bytes for any number of workers and
    on every backend.

    Args:
        data: Array of numbers, or the path of a `.npy` file of numbers, which is read through a memory map. The first
            axis is the samples.
        labels: One label per row: an array, a list, or the path of a `.npy` file. `None` for no labels.
        label_mode: `"raw"` for rows of `labels` as they are. The other modes are those of `ImageFolderSequence`.
        class_names: Names of the classes in the order of their indices.
        max_queue_size: The largest number of batches made ahead of time. Defaults to 10, or for small batches to as
            many as 4 MB can store, at most 256.
        {shared}

    Raises:
        OptionError: If an argument is not valid.
        DataError: If the file cannot be read, or labels and rows differ in length.

    >>> rows = np.arange(12, dtype="float32").reshape(6, 2)
    >>> batches = ArraySequence(rows, labels=[0, 1, 2, 3, 4, 5], batch_size=4, shuffle=False)
    >>> x, y = batches[1]
    >>> x.tolist(), y.tolist()
    ([[8.0, 9.0], [10.0, 11.0]], [4, 5])
    """

    @shares(ArrayArguments, max_queue_size=None)
    def __init__(
        self,
        data: str | os.PathLike[str] | np.ndarray,
        labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None,
        label_mode: LabelMode | None = "raw",
        class_names: Sequence[str] | None = None,
        **shared: Unpack[ArrayArguments],
    ):
        options = batch_options(shared)
        if not is_array_of_numbers(data):
            if (dtype := array_dtype(data)) is not None and dtype.kind != "U":
                require_numbers(dtype, "`data`")
            raise OptionError(
                "`data` should be an array of numbers, or the path of a .npy file of numbers. "
                f"Received: {shown(data)}. For files of any kind, use ko.NpyManifestSequence."
            )
        rows = ArrayRows(data)
        labels, class_names = row_labels(labels, class_names, len(rows))
        super().__init__(
            labelled_data(rows, labels, label_mode, class_names, None, shared, options),
            options,
            loading_options(shared),
        )

    def _description(self) -> list[tuple[str, str]]:
        path = self._data.source.path
        return self._described_samples(
            ("rows", "rows of an array" if path is None else f"rows of {display_path(path)!r}")
        )
