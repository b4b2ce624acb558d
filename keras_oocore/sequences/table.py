"""`TableSequence`: what all Sequences of the rows of tables have, whatever the format of the files."""

import copy
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.profile import Profile
from keras_oocore.core.checks import fraction
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import display_path, listed, shown
from keras_oocore.csv.cells import release_memory
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sources.base import Source
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert
from keras_oocore.tables.subset import RowSubset
from keras_oocore.tables.summary import TableSummary

TRAINING, VALIDATION = "training", "validation"  # directories within the cache


class TableSequence(OutOfCoreSequence):
    """Base class of Sequences of the rows of tables. A subclass opens the files in its constructor.

    Args:
        rows: The rows.
        options: How rows become batches.
        loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
        cache: Directory that stores all rows, or `None`.
        overwrite_cache: Whether to replace an existing cache.
    """

    def __init__(
        self,
        rows: TableRows,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None,
        overwrite_cache: bool,
    ):
        self._open_rows(rows, options, loading, cache, overwrite_cache)

    def _open_rows(
        self,
        rows: TableRows,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None,
        overwrite_cache: bool,
    ) -> None:
        OutOfCoreSequence.__init__(self, rows, options, **loading)
        self._rows, self._loading = rows, loading
        self._cache, self._overwrite_cache = cache, overwrite_cache

    def _ready_source(self) -> Source:
        """Compute means and codes, and fill the cache. Both read all rows."""
        stored = None if self._cache is None else convert(self._rows, self._cache, self._overwrite_cache)
        if stored is None:
            fit_features(self._rows, self._cache)
        self._overwrite_cache = False
        return self._rows if stored is None else stored

    def split(self, validation_split: float = 0.2, seed: int = 0) -> tuple[Self, Self]:
        """Return two Sequences, `(train, val)`. The validation part is read in the order of the files.

        Means and codes are computed from the training part only. With `cache=DIR`, the parts are stored in
        `DIR/training` and `DIR/validation`. The rows of this Sequence are only stored if it is also read.

        Args:
            validation_split: Fraction of the rows to reserve for validation.
            seed: Seed of the split.

        Raises:
            OptionError: If an argument is not valid, or this Sequence is already a part.
            DataError: If one of the parts would have no rows.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> train, val = ko.CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> train.num_rows, val[0][1].tolist()
        (7, [4.0, 6.0, 8.0])
        """
        fraction(validation_split, "validation_split")
        if self._rows.subset is not None or self._partition is not None:
            raise OptionError("Only a Sequence of all rows can be split. Received: a part of the rows")
        subset = RowSubset(validation_split, as_seed(seed), validation=False)
        training = self._rows.subset_of(subset, None, None)
        others = np.subtract(self._rows.sizes, training.sizes).tolist()
        validation = self._rows.subset_of(dataclasses.replace(subset, validation=True), training, others)
        options = self._options
        return (
            self._reopened(training, options, TRAINING),
            self._reopened(validation, dataclasses.replace(options, shuffle=False), VALIDATION),
        )

    def _reopened(self, rows: TableRows, options: BatchOptions, folder: str) -> Self:
        """Return a Sequence of other rows of the same files."""
        sequence = copy.copy(self)
        cache = None if self._cache is None else self._cache / folder
        sequence._open_rows(rows, options, self._loading, cache, self._overwrite_cache)
        return sequence

    def profile(self, num_batches: int | None = None) -> Profile:
        """Measure and print where the time per batch goes, as in `ImageFolderSequence`.

        Means, codes and the cache are computed first, and are not timed.

        Args:
            num_batches: Number of batches to time. Defaults to `50` with a cache. Without a cache, it defaults to the
                number of batches in a window of blocks, because a window is parsed as a whole for its first batch.
        """
        if self._pipeline.source.cached:
            return super().profile(50 if num_batches is None else num_batches)
        self.close()  # otherwise rows that are already parsed would not be timed
        window = math.ceil(self._rows.rows_per_window(self._options.shuffle) / self.batch_size)
        return self._profiled(min(len(self), window) if num_batches is None else num_batches, warm_up=0)

    def close(self) -> None:
        """Stop the loading threads and free memory. Reading starts the threads again."""
        super().close()
        self._rows.close()
        release_memory()

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the files."""
        return list(self._rows.table.columns)

    @property
    def num_rows(self) -> int:
        """Number of rows that are served."""
        return self.num_samples

    @property
    def row_numbers(self) -> np.ndarray:
        """Numbers of the rows, `int64` of shape `(num_rows,)`, counted from 0 over all files, without headers.

        With `shuffle=False`, as in the validation part of `split`, row i of `predict` belongs to row `row_numbers[i]`
        of the files. With `shuffle=True`, it belongs to row `served_rows[i]`. Rows that an unclosed quote makes
        unreadable are not counted.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> _, val = ko.CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> val.row_numbers
        array([4, 6, 8])
        """
        numbers = self._rows.row_numbers()
        return numbers if self._partition is None else numbers[self._pipeline.order.members()]

    @property
    def served_rows(self) -> np.ndarray:
        """Numbers of the rows in `served_samples`, `int64`, counted like `row_numbers`: row i of `predict` is row i."""
        return self._rows.row_numbers()[self.served_samples]

    @property
    def class_names(self) -> list[str] | Any:  # as in `LabelledSequence`
        """Classes of a target of strings, in the order of their indices. With several targets, of the first one."""
        if not self._rows.features.targets:
            return None
        word = self._rows.features.words[self._rows.features.first_target]
        return self.vocabulary(word.column.name) if word.is_code else None

    def vocabulary(self, column: str) -> list[str]:
        """Return the strings of a column in the order of their codes. Codes start at 2, or at 0 for a target.

        Computing them reads the files once, unless the cache contains them.

        Raises:
            OptionError: If the column is not a column of strings.
        """
        columns = [word.column.name for word in self._rows.features.words if word.is_code]
        if column not in columns:
            expected = listed(dict.fromkeys(columns)) or "none is a feature or a target here"
            raise OptionError(
                f"`column` should be a column of strings: {expected}. Received: {shown(column)}. If it should have "
                f"codes, name it in `features`, and numbers in `categorical`, too."
            )
        fit_features(self._rows, self._cache)
        return list(self._rows.features.vocabularies[column])

    def normalization(self, name: str | None = None) -> keras.layers.Normalization:
        """Return a layer that scales each numeric feature to mean 0 and variance 1.

        Computing the means and variances reads all rows once, unless the cache contains them. Codes, and the features
        of `indicator`, are not scaled. Both parts of `split` use the statistics of the training rows.

        Args:
            name: Name of the input, if `features` is a dictionary.

        Returns:
            A `keras.layers.Normalization` layer for that input.

        Raises:
            OptionError: If the input does not exist.
        """
        spec = self._rows.features
        if name not in spec.inputs:
            raise OptionError(f"`name` should be one of {list(spec.inputs)}. Received: name={name!r}")
        first, end, _ = spec.inputs[name]
        found = load_statistics(self._rows.statistics_from, self._rows, self._cache)
        numbers = [
            None if word.is_code or word.role == "missing" else found[word.column.name]
            for word in spec.words[first:end]
        ]
        layer = keras.layers.Normalization(
            mean=np.array([0.0 if n is None else n.mean for n in numbers], np.float32),
            variance=np.array([1.0 if n is None else n.std**2 for n in numbers], np.float32),
        )
        layer.build((None, len(numbers)))  # otherwise it leaks tracers in the first step of `fit` on JAX (Keras 3.15.1)
        return layer

    def summary(self, max_columns: int = 100) -> TableSummary:
        """Return statistics of the used columns: mean, standard deviation, range, missing and distinct values.

        Computing them reads the files once, unless the cache contains them.

        Args:
            max_columns: The largest number of columns to print.

        Returns:
            A `TableSummary`, which prints as a table. It is a dictionary from column to statistics, such as
            `summary["price"].mean`. `to_dict()` returns all of them as plain JSON. `head()` reads the first rows.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n,Rome,3\\n")
        >>> rows = ko.CSVChunkSequence(path, target="price", features=["sqft", "city"], missing="mean")
        >>> summary = rows.summary()
        >>> summary["sqft"].mean, summary["sqft"].missing, summary["city"].most_frequent
        (1500.0, 1, {'Rome': 2, 'Oslo': 1})
        >>> summary.head(1)
        [{'sqft': 1000.0, 'city': 'Rome', 'price': 1.0}]
        """
        rows = self._rows
        left_out = f", {rows.num_skipped:,} left out" if rows.num_skipped else ""
        headline = f"{self.num_rows:,} rows{left_out}, {len(self.columns):,} columns, from {rows.table.source}"
        found = load_statistics(rows, rows, self._cache).values()
        return TableSummary(headline, found, max_columns, rows.features.columns, rows.first_cells)

    def _description(self) -> list[tuple[str, str]]:
        spec, subset, num_rows = self._rows.features, self._rows.subset, min(self.batch_size, self.num_rows)
        _, y, weight = spec.unpack(np.empty((0, len(spec.words)), np.float32))
        arrays = [
            f"{name or 'x'} {np.dtype(dtype)} {(num_rows, end - first)}"
            for name, (first, end, dtype) in spec.inputs.items()
        ]
        arrays.append(
            "no target" if y is None else f"target {listed(spec.targets)} {y.dtype} {(num_rows, *y.shape[1:])}"
        )
        if weight is not None:
            arrays.append(f"sample_weight {spec.words[-1].column.name!r} {weight.dtype} {(num_rows,)}")
        left_out = f", {self._rows.num_skipped:,} left out" if self._rows.num_skipped else ""
        part = "" if subset is None else f" of the {VALIDATION if subset.validation else TRAINING} part,"
        return self._described(
            f"{self.num_rows:,} row{'s' * (self.num_rows != 1)}{part} from {self._rows.table.source}{left_out}",
            self._repr_arrays(*arrays),
            *([] if self._cache is None else [("cache", self._repr_cache())]),
        )

    def _repr_cache(self) -> str:
        name = f"cache {display_path(self._cache)!r}"
        if self._made is None:
            return f"{name}, opened with the first batch"
        return f"{name} contains all rows" if self._served_from_cache else f"{name} is not used: the files are read"

    @property
    def _served_from_cache(self) -> bool:
        return self._made is not None and self._made.source.cached

    def _repr_memory(self) -> str:
        return "" if self._served_from_cache else f", {format_bytes(self._rows.memory_bytes)} of parsed rows"
